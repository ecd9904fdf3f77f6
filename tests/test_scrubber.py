"""A training run to move through: what it shows of each epoch."""

import re

import jax
import numpy as np
import pytest

from helpers.data import TRUE_LINE, Dataset, Line, line_logit, make_dataset
from helpers.metrics import predict
from helpers.model import BLOG_PARAMS
from helpers.scrubber import training_scrubber

POINT = Dataset(np.zeros(1), np.zeros(1), np.ones(1, int))


@pytest.fixture(scope="module")
def run():
    """A thousand points, and 101 lines from the blog's to the true one."""
    dataset = make_dataset(jax.random.key(1))
    start = Line(**BLOG_PARAMS["params"])
    lines = [Line(*row) for row in np.linspace(start, TRUE_LINE, 101)]
    return jax.tree.map(np.asarray, dataset), lines, np.linspace(1.1, 0.3, 101)


@pytest.fixture(scope="module")
def html(run):
    return training_scrubber(*run, TRUE_LINE, still=20).data


def page(lines, losses, true_line=TRUE_LINE, **how):
    """Return the page of a run on a single point."""
    return training_scrubber(POINT, lines, losses, true_line, **how).data


def frames(html):
    """Return of each epoch the thousandfold numbers, and who is wrong.

    Points are counted as the script counts them.
    """
    paths = re.findall(r'class="points[^"]*" d="([^"]*)"', html)
    wrong = np.repeat(
        [False, True, False, True], [p.count("M") for p in paths]
    )
    still = int(re.search(r'value="(\d+)"', html)[1])
    rows = re.search(r'"(-?\d+,[^"]*)"\.split', html)[1].split(";")
    turned = np.zeros((len(rows), len(wrong)), bool)
    for k, row in enumerate(rows):
        turned[k, [int(i) for i in row.split(",")[4].split()]] = True
    sides = np.logical_xor.accumulate(turned)
    numbers = np.array([row.split(",")[:4] for row in rows], int)
    return numbers, sides ^ sides[still] ^ wrong


def test_it_tells_what_the_run_did(run, html):
    dataset, lines, losses = run
    numbers, wrong = frames(html)
    truth = np.column_stack([lines, losses])
    np.testing.assert_allclose(numbers / 1000, truth, atol=5.01e-4)
    for said, line in zip(wrong, lines, strict=True):
        guess = predict(line_logit(line, dataset.x, dataset.y))
        assert said.sum() == (guess != dataset.label).sum()


def test_its_points_are_where_they_belong(run, html):
    dataset, lines, _ = run
    guess = predict(line_logit(lines[20], dataset.x, dataset.y))
    wrong = np.asarray(guess != dataset.label)
    for kind, top in ((0, 0), (1, 4)):
        for name, part in (("right", ~wrong), ("wrong", wrong)):
            drawn = re.search(f'label-{kind} {name}" d="([^"]*)"', html)[1]
            x, y, _ = (c[part & (dataset.label == kind)] for c in dataset)
            places = np.array(re.findall(r"M(\S+) ([-\d]+)", drawn), int)
            belong = np.column_stack([60 * x, -60 * y - top])
            np.testing.assert_allclose(places, belong, atol=0.51)


def test_it_is_the_same_on_another_machine(run, html):
    """Last digits differ between machines, by up to 2e-7 of the size."""
    noise = np.random.default_rng(0)

    def other(values):
        return values * (1 + 2e-7 * noise.uniform(-1, 1, np.shape(values)))

    dataset, lines, losses = run
    moved = Dataset(other(dataset.x), other(dataset.y), dataset.label)
    lines = [Line(*other(np.array(line))) for line in lines]
    again = training_scrubber(moved, lines, other(losses), TRUE_LINE, 20)
    assert again.data == html
    shown = "epochs 0 to 100: loss 1.100 to 0.300, 38.1 % to 86.2 % right"
    assert repr(again) == shown


@pytest.mark.parametrize("b", [1e-6, -1e-6])
def test_a_point_on_the_line_stays_on_the_side_it_came_from(b):
    lines = [Line(0.0, 1.0, offset) for offset in (0.5, b, -0.5, b, 0.5)]
    _, wrong = frames(page(lines, np.ones(5)))
    assert wrong[:, 0].tolist() == [False, False, True, True, False]


@pytest.mark.parametrize("turn", [-85, -40, 0, 20, 60, 90])
@pytest.mark.parametrize(("size", "b"), [(1.0, 0.4), (-1.0, 0.0)])
def test_its_lines_lie_where_the_logit_is_zero(turn, size, b):
    w1, w2 = np.sin(np.radians(turn)), np.cos(np.radians(turn)).round(9)
    line = Line(*(size * np.array([w1, w2, b])))
    html = page([line, TRUE_LINE], [2.0, 1.0], line)
    for name in ("learned", "truth"):
        found = re.search(
            rf'"{name}" transform="translate\((\S+) (\S+)\) rotate\((\S+)\)">'
            r'.*anchor:(\w+)" x="(\S+)"',
            html,
        ).groups()
        left, down, turned, at = (float(found[i]) for i in (0, 1, 2, 4))
        along = np.exp(1j * np.radians(turned))
        for end in (complex(left, down) + far * along for far in (-300, 300)):
            logit = line.w1 * end.real / 60 - line.w2 * end.imag / 60 + line.b
            assert logit == pytest.approx(0, abs=0.03)
        if (
            name == "learned"
        ):  # the name ends high up, and as far out as can be
            assert found[3] == ("start" if turned > 0 else "end")
            place = at * along
            assert place.imag < 1e-9
            assert 400 < abs(place.real) < 410 or 180 < -place.imag < 190


def test_its_curve_is_to_the_scale_of_the_largest_loss():
    losses = np.linspace(3, 1, 9) ** 2
    html = page([TRUE_LINE] * 9, losses, still=1)
    curve = re.search('class="curve" d="M(.*)"', html)[1]
    x, y = np.array(curve.split(), float).reshape(-1, 2).T
    np.testing.assert_allclose(x, 105 * np.arange(9))
    np.testing.assert_allclose(y, 150 * (1 - losses / 9), atol=0.06)
    dot = re.search(r'cx="(\S+)" cy="(\S+)"', html).groups()
    assert tuple(map(float, dot)) == (x[1], y[1])
    numbers = re.findall(r'<text x="(\S+)" y="150"[^>]*>(\d+)<', html)
    assert numbers == [(f"{105.0 * k}", f"{k}") for k in range(0, 9, 2)]


def test_its_words_have_the_numbers():
    truth, first = Line(0.8, -0.6, 2.0), Line(-3.0, -4.0, 0.0)
    html = page([first, Line(-0.4, 0.3, 1.0)], [2.5, 0.125], truth)
    assert "arrow 90.0° off, length 5.00 of 1.00" in html
    assert "90° off" in html and "180° at" in html
    assert "2.500 nats at epoch 0 to 0.125 at epoch 1" in html
    assert "epoch 0: loss 2.500, 0.0\u202f% right" in html
    assert "w1 −3.000, w2 −4.000, b 0.000" in html
