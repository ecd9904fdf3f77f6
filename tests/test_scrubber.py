"""A training run to move through: what it shows of each epoch."""

import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax
import pytest
from test_plotting import THREE

from helpers import scrubber
from helpers.data import TRUE_LINE, Dataset, Line, line_logit, make_dataset
from helpers.loss import mean_loss
from helpers.metrics import accuracy, predict
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.scrubber import training_scrubber
from helpers.training import fit


class Run(NamedTuple):
    dataset: Dataset
    lines: list[Line]
    losses: np.ndarray
    true_line: Line = TRUE_LINE
    still: int = 20


@pytest.fixture(scope="module")
def run():
    """The run of chapter 4: 1,000 points, 100 epochs and the start."""
    dataset = make_dataset(jax.random.key(1))
    loss_fn = partial(mean_loss, LogisticRegression().apply)
    final, history = fit(loss_fn, BLOG_PARAMS, optax.sgd(0.3), dataset, 100)
    columns = [
        np.append(BLOG_PARAMS["params"][k], history.params["params"][k])
        for k in Line._fields
    ]
    lines = [Line(*map(float, row)) for row in zip(*columns, strict=True)]
    losses = np.append(history.loss, loss_fn(final, dataset))
    return Run(dataset, lines, losses)


def frames(html):
    """Return of each epoch the thousand-fold numbers, and who is wrong.

    Points are counted as the script counts them.
    """
    paths = [
        len(re.findall("M", d))
        for d in re.findall(r'class="points[^"]*" d="([^"]*)"', html)
    ]
    wrong = np.repeat([False, True, False, True], paths)
    still = int(re.search(r'value="(\d+)"', html)[1])
    rows = re.search(r'"(-?\d+,[^"]*)"\.split', html)[1].split(";")
    numbers, turned = np.empty((len(rows), 4), int), []
    for number, row in zip(numbers, rows, strict=True):
        *number[:], points = row.split(",")
        turned.append(np.zeros_like(wrong))
        turned[-1][np.array(points.split(), int)] = True
    sides = np.logical_xor.accumulate(turned)
    return numbers, sides ^ sides[still] ^ wrong


def test_a_scrubber_is_small_and_stands_alone(run):
    html = training_scrubber(*run).data
    assert len(html.encode()) < 60_000
    assert "[[" not in html and "nan" not in html.lower()
    # No id, so that several may stand on a page; nothing to fetch.
    assert not re.search(r"\bid=|https?:|url\(|src=|href=", html)


def test_a_scrubber_is_the_same_each_time(run):
    first, second = training_scrubber(*run), training_scrubber(*run)
    assert first.data == second.data
    text = "epochs 0 to 100: loss 1.064 to 0.327, 38.1 % to 85.8 % right"
    assert repr(first) == repr(second) == text


@pytest.mark.parametrize("seed", range(5))
def test_a_scrubber_is_the_same_on_another_machine(run, seed):
    """Last digits differ between machines, by up to 2e-7 of the size."""
    noise = np.random.default_rng(seed)

    def other(values):
        return values * (1 + 2e-7 * noise.uniform(-1, 1, np.shape(values)))

    x, y, label = map(np.asarray, run.dataset)
    there = run._replace(
        dataset=Dataset(other(x), other(y), label),
        lines=[Line(*other(np.array(line))) for line in run.lines],
        losses=other(run.losses),
    )
    assert training_scrubber(*there).data == training_scrubber(*run).data


@pytest.mark.parametrize(("b", "right"), [(0.0, 0), (-0.5, 0), (0.5, 1)])
def test_a_point_starts_on_the_side_where_its_logit_is(b, right):
    point = Dataset(np.zeros(1), np.zeros(1), np.array([right]))
    lines = [Line(0.0, 1.0, b)] * 2
    _, wrong = frames(training_scrubber(point, lines, [1, 1], TRUE_LINE).data)
    assert not wrong.any()


@pytest.mark.parametrize("b", [1e-6, -1e-6])
def test_a_point_on_the_line_stays_on_the_side_it_came_from(b):
    point = Dataset(np.zeros(1), np.zeros(1), np.ones(1, int))
    lines = [Line(0.0, 1.0, offset) for offset in (0.5, b, -0.5, b, 0.5)]
    html = training_scrubber(point, lines, np.ones(5), TRUE_LINE).data
    _, wrong = frames(html)
    assert wrong[:, 0].tolist() == [False, False, True, True, False]


def test_a_scrubber_tells_what_the_run_did(run):
    numbers, wrong = frames(training_scrubber(*run).data)
    truth = np.column_stack([run.lines, run.losses])
    np.testing.assert_allclose(numbers / 1000, truth, atol=5.01e-4)
    for epoch, line in enumerate(run.lines):
        logit = line_logit(line, run.dataset.x, run.dataset.y)
        right = accuracy(run.dataset.label, predict(logit))
        assert 1 - wrong[epoch].mean() == pytest.approx(right), epoch


def test_a_scrubbers_points_are_where_they_belong(run):
    html = training_scrubber(*run).data
    logit = line_logit(run.lines[run.still], run.dataset.x, run.dataset.y)
    wrong = np.asarray(predict(logit) != run.dataset.label)
    for kind, top in ((0, 0), (1, 4)):
        for name, part in (("right", ~wrong), ("wrong", wrong)):
            drawn = re.search(f'label-{kind} {name}" d="([^"]*)"', html)[1]
            chosen = part & (run.dataset.label == kind)
            x, y = (
                np.asarray(a)[chosen] for a in (run.dataset.x, run.dataset.y)
            )
            places = np.array(re.findall(r"M(\S+) ([-\d]+)", drawn), int)
            np.testing.assert_allclose(
                places, np.column_stack([60 * x, -60 * y - top]), atol=0.51
            )


def pose(html, name):
    """Return where a line lies and where its label ends, of which kind."""
    found = re.search(
        rf'"{name}" transform="translate\((\S+) (\S+)\) rotate\((\S+)\)">'
        r'.*anchor:(\w+)" x="(\S+)"',
        html,
    )
    left, down, turn = map(float, found.groups()[:3])
    return complex(left, down), turn, found[4], int(found[5])


def two(*lines, losses=(2.0, 1.0), **how):
    """Return the page of a run of two epochs or more."""
    return training_scrubber(THREE, lines, losses, **how).data


@pytest.mark.parametrize(
    "line",
    [
        TRUE_LINE,
        Line(0.4, -1.1, 1.0),
        Line(-0.5, -0.25, 0.3),
        Line(-1.0, 0.0, 2.0),
    ],
)
def test_a_scrubbers_lines_lie_where_the_logit_is_zero(line):
    html = two(line, TRUE_LINE, true_line=line)
    for name in ("learned", "truth"):
        middle, turn, *_ = pose(html, name)
        along = 300 * np.exp(1j * np.radians(turn))
        for end in (middle + along, middle - along):
            x, y = end.real / 60, -end.imag / 60
            logit = line.w1 * x + line.w2 * y + line.b
            assert logit == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("turn", [-85, -40, -0.5, 0, 0.5, 20, 60, 90])
@pytest.mark.parametrize("size", [1.0, -1.0])
def test_a_scrubbers_learned_line_is_named_on_its_upper_half(turn, size):
    w1, w2 = np.sin(np.radians(turn)), np.cos(np.radians(turn)).round(9)
    line = Line(*(size * np.array([w1, w2, 0.0])))
    html = two(line, TRUE_LINE, true_line=line)
    _, turned, anchor, at = pose(html, "learned")
    assert abs(turned) == abs(turn)
    assert anchor == ("start" if turned > 0 else "end")
    end = at * np.exp(1j * np.radians(turned))
    assert end.imag < 1e-9
    assert abs(end.real) < 410 and -end.imag < 190
    # It goes as far as it can.
    assert abs(end.real) > 400 or -end.imag > 180
    # The true line, at its right end, leaves the room to the learned one.
    assert pose(html, "truth")[1:] == (turned, "end", abs(at))


def test_a_vertical_line_is_named_from_its_upper_end():
    html = two(Line(1.0, 0.0, 0.5), TRUE_LINE, true_line=TRUE_LINE)
    assert pose(html, "learned")[1:3] == (90, "start")


def test_a_scrubbers_page_is_drawn_to_the_scale_of_its_points():
    page = Path(scrubber.__file__).with_suffix(".html").read_text("utf-8")
    unit, right, top = scrubber.UNIT, scrubber.RIGHT, scrubber.TOP
    width, height = scrubber.WIDTH, scrubber.HEIGHT
    for piece in (
        f'viewBox="{-right} {-top} {2 * right} {2 * top}"',
        f'd="M{-right}{-top}V{top}H{right}"',
        f"{-unit} * b * w1 / square",
        f"{unit} * b * w2 / square",
        f'viewBox="0 0 {width} {height + 30}"',
        f'd="M0 {height}H{width}"',
        f"cx: epoch * {width} /",
        f"cy: {height} * (1 -",
    ):
        assert piece in page
    assert right == 7 * unit


def numbers_at(html, pattern):
    """Return the texts at some place, and where along the other axis."""
    found = re.findall(rf"<text {pattern}[^>]*>([^<]*)</text>", html)
    return {text.replace("−", "-"): float(at) for at, text in found}


def test_a_scrubbers_axes_are_numbered():
    html = two(TRUE_LINE, TRUE_LINE, true_line=TRUE_LINE)
    below = numbers_at(html, r'x="(\S+)" y="222"')
    assert below == {"x": 420} | {str(x): 60 * x for x in range(-6, 7, 2)}
    beside = numbers_at(html, r'x="-430" y="(\S+)"')
    assert beside == {"y": -222} | {str(y): -60 * y for y in (-2, 0, 2)}


@pytest.mark.parametrize(
    ("last", "shown"),
    [
        (1, [0, 1]),
        (4, range(5)),
        (8, range(0, 9, 2)),
        (100, range(0, 101, 20)),
    ],
)
def test_some_epochs_are_numbered_and_all_losses_drawn(last, shown):
    losses = np.linspace(3, 1, last + 1) ** 2
    lines = [TRUE_LINE] * (last + 1)
    html = two(*lines, losses=losses, true_line=TRUE_LINE, still=1)
    across = 840 * np.arange(last + 1) / last
    numbers = numbers_at(html, r'x="(\S+)" y="150"')
    assert list(numbers) == [str(epoch) for epoch in shown]
    np.testing.assert_allclose([*numbers.values()], across[shown], atol=0.051)
    curve = re.search('class="curve" d="M(.*)"', html)[1]
    # To a tenth, or the page would be larger.
    assert not re.search(r"\.\d\d", curve)
    x, y = np.array(curve.split(), float).reshape(-1, 2).T
    np.testing.assert_allclose(x, across, atol=0.051)
    np.testing.assert_allclose(y, 150 * (1 - losses / 9), atol=0.06)
    dot = re.search(r'cx="(\S+)" cy="(\S+)"', html).groups()
    assert tuple(map(float, dot)) == (x[1], y[1])
    end = re.search(r'x="840" y="(\S+)" style="text-anchor:end">1', html)[1]
    assert 0 < y[-1] - float(end) < 30


def test_losses_of_zero_lie_on_the_axis():
    html = two(TRUE_LINE, TRUE_LINE, losses=[0.001, 0.0], true_line=TRUE_LINE)
    assert 'class="curve" d="M0.0 0.0 840.0 150.0"' in html
    html = two(TRUE_LINE, TRUE_LINE, losses=[0.0, 0.0], true_line=TRUE_LINE)
    assert 'class="curve" d="M0.0 150.0 840.0 150.0"' in html


@pytest.mark.parametrize("b", [0.0, 2.0])
def test_a_scrubber_says_what_it_shows(b):
    truth, first = Line(0.8, -0.6, b), Line(-3.0, -4.0, 0.0)
    html = two(first, Line(-0.4, 0.3, b), losses=[2.5, 0.125], true_line=truth)
    assert "Its arrow is 90° off the true one at epoch 0 and 180° at" in html
    assert "from 2.500 nats at epoch 0 to 0.125 at epoch 1." in html
    assert "<b>epoch 0: loss 2.500, " in html
    assert "<span>w1 −3.000, w2 −4.000, b 0.000</span>" in html
    assert "const truth = [0.8, -0.6];" in html
    # A quarter turn apart, on either side of half a turn.
    html = two(
        Line(-1.0, -1.0, 0.0), TRUE_LINE, true_line=Line(-1.0, 1.0, 0.0)
    )
    assert "Its arrow is 90° off" in html


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"dataset": THREE._replace(x=np.zeros(2))}, "dataset must have"),
        ({"dataset": Dataset(*np.zeros((3, 0)))}, "dataset must have"),
        ({"dataset": Dataset(*np.zeros((3, 2, 2)))}, "dataset must have"),
        ({"dataset": THREE._replace(label=np.zeros(2))}, "dataset must have"),
        ({"dataset": THREE._replace(label=np.array([0, 2, 1]))}, "dataset.la"),
        ({"dataset": THREE._replace(x=THREE.x * np.nan)}, "dataset must be f"),
        ({"dataset": THREE._replace(x=THREE.x * 1e12)}, "dataset must be at"),
        ({"losses": [1.0]}, "losses must be as many as lines"),
        ({"losses": [1.0, np.inf]}, "losses must be finite"),
        ({"losses": [1.0, -0.5]}, "losses must not be below 0"),
        (
            {"losses": [1e13, 1.0]},
            "losses must be at most 1e\\+12 to be drawn",
        ),
        ({"lines": [TRUE_LINE], "losses": [1.0]}, "losses must be as many"),
        ({"lines": [TRUE_LINE, Line(np.nan, 1, 0)]}, "lines must be finite"),
        ({"lines": [TRUE_LINE, Line(0, 4e-4, 1)]}, "lines must have w1 or w2"),
        ({"true_line": Line(0, 0, 1)}, "true_line must have w1 or w2"),
        ({"still": 2}, "still must be a whole number, from 0 to 1, got 2"),
        ({"still": -1}, "still must be a whole number"),
        ({"still": 1.0}, "still must be a whole number"),
        ({"lines": np.ones((2, 3))}, "lines must be a list, got"),
        ({"lines": [TRUE_LINE, Line(1, "2", 3)]}, "lines must have numbers w"),
        ({"lines": [TRUE_LINE, (1, 2, 3)]}, "lines must have numbers w1, w2"),
        ({"true_line": THREE}, "true_line must have numbers w1, w2, b, got"),
        ({"true_line": Line([1], [2], [3])}, "true_line must have numbers"),
        ({"dataset": THREE._replace(y="high")}, "dataset must have numbers x"),
        ({"losses": ["low", "lower"]}, "losses must be numbers, whole"),
    ],
)
def test_a_scrubber_says_which_argument_is_wrong(change, complaint):
    given = Run(THREE, [TRUE_LINE, TRUE_LINE], [2.0, 1.0], still=0)
    training_scrubber(*given)
    with pytest.raises((TypeError, ValueError), match=f"^{complaint}"):
        training_scrubber(*given._replace(**change))


def test_a_scrubber_takes_what_can_barely_be_drawn():
    flat = [TRUE_LINE, Line(0.0, 6e-4, 0.0)]
    far = THREE._replace(x=np.array([0.0, 1.0, scrubber.LARGEST]))
    html = training_scrubber(far, flat, [2.0, 0.0], TRUE_LINE).data
    assert 'value="0"' in html  # the epoch, if none is asked for
