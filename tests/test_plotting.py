"""The figures: what is drawn, where, and that nothing else is."""

import re
from functools import partial
from io import BytesIO
from types import SimpleNamespace
from typing import NamedTuple

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import optax
import pytest
from IPython.core.formatters import PNGFormatter
from PIL import Image
from scipy import stats

from helpers import plotting
from helpers.data import TRUE_LINE, Dataset, Line, line_logit, make_dataset
from helpers.loss import mean_loss
from helpers.metrics import accuracy, predict
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.scrubber import training_scrubber
from helpers.training import fit

THREE = Dataset(
    np.array([0.0, 1.0, 2.0]), np.array([1.0, -1.0, 0.5]), np.array([0, 1, 1])
)


@pytest.fixture
def ax():
    with mpl.rc_context({"backend": "agg"}):
        plotting.use_book_style()
        fig, ax = plt.subplots()
        yield ax
        plt.close(fig)


def test_each_label_has_its_colour_and_its_marker(ax):
    assert plotting.plot_dataset(ax, THREE) is ax
    (points,) = ax.collections
    np.testing.assert_allclose(points.get_offsets(), np.stack(THREE[:2], 1))
    colors = [mpl.colors.to_hex(c) for c in points.get_facecolors()]
    expected = [plotting.BLUE, plotting.VERMILION, plotting.VERMILION]
    assert colors == [color.lower() for color in expected]
    circle, triangle, again = points.get_paths()
    assert len(circle.vertices) > len(triangle.vertices) == len(again.vertices)


@pytest.mark.parametrize(
    "line", [TRUE_LINE, Line(0.5, -2.0, 1.0), Line(1.0, 0.0, 2.0)]
)
@pytest.mark.parametrize("learned", [False, True])
def test_a_boundary_is_where_the_logit_is_zero(ax, line, learned):
    ax.set(xlim=(-7, 7), ylim=(-3, 3))
    assert plotting.plot_boundary(ax, line, "name", learned) is ax
    (drawn,) = ax.lines
    x, y = drawn.get_data()
    np.testing.assert_allclose(
        line.w1 * x + line.w2 * y + line.b, 0, atol=1e-6
    )
    # From edge to edge of the plane, and nowhere beyond.
    assert max(np.ptp(x) / 14, np.ptp(y) / 6) > 0.99
    assert (abs(x) <= 7).all() and (abs(y) <= 3).all()
    assert drawn.is_dashed() == learned
    assert [text.get_text() for text in ax.texts] == ["name"]


def test_pulls_start_at_their_points(ax):
    assert plotting.plot_pulls(ax, THREE, THREE.x, THREE.y) is ax
    (arrows,) = ax.collections
    np.testing.assert_allclose(arrows.XY, np.stack(THREE[:2], 1))
    assert ax.get_aspect() == 1


def test_the_grid_marks_what_each_line_gets_wrong(ax):
    # Right of the first line lies one of the two ones; of the second, both.
    fig = plotting.plot_training_grid(
        THREE,
        [Line(1.0, 0.0, -1.5), Line(1.0, 0.0, -0.5)],
        ["a", "b"],
        TRUE_LINE,
    )
    for panel, title, wrong in zip(fig.axes, "ab", (1, 0), strict=True):
        assert panel.get_title(loc="left") == title
        strong = [c for c in panel.collections if c.get_alpha() == 0.9]
        assert sum(len(c.get_offsets()) for c in strong) == wrong
    plt.close(fig)


def test_every_line_of_a_grid_has_a_title():
    with pytest.raises(ValueError):
        plotting.plot_training_grid(THREE, [TRUE_LINE], [], TRUE_LINE)
    plt.close("all")


def test_a_hump_is_filled_down_to_zero(ax):
    assert plotting.plot_hump(ax, [0, 1, 2], [0, 3, 0], "misses") is ax
    (area,) = ax.collections
    box = area.get_paths()[0].get_extents()
    assert (*box.min, *box.max) == (0, 0, 2, 3)
    assert ax.texts[0].xy == (1, 1.5)


def test_intervals_that_miss_are_in_another_colour(ax):
    low, high = np.array([0.0, 2.0, 4.0]), np.array([3.0, 5.0, 6.0])
    assert plotting.plot_many_intervals(ax, low, high, truth=3.5) is ax
    missed = [
        bars
        for bars in ax.collections
        if mpl.colors.to_hex(bars.get_color()) == plotting.VERMILION.lower()
    ]
    ends = [bar.tolist() for bars in missed for bar in bars.get_segments()]
    # The second alone holds 3.5.
    assert ends == [[[1, 0], [1, 3]], [[3, 4], [3, 6]]]


def test_an_ellipse_holds_95_percent(ax):
    covariance = np.array([[2.0, 0.9], [0.9, 0.7]])
    assert plotting.plot_ellipse(ax, (1.0, -2.0), covariance) is ax
    off = ax.lines[0].get_xydata() - [1.0, -2.0]
    squared = np.einsum("ki,ij,kj->k", off, np.linalg.inv(covariance), off)
    np.testing.assert_allclose(stats.chi2.cdf(squared, df=2), 0.95)
    assert ax.texts[0].get_text() == "95 %"


def test_a_fan_has_a_boundary_for_each_line(ax):
    ax.set(xlim=(-7, 7), ylim=(-3, 3))
    lines = Line(np.array([1.0, 0.5]), np.array([3.0, -2.0]), np.zeros(2))
    assert plotting.plot_fan(ax, lines) is ax
    for drawn, w1, w2 in zip(ax.lines, lines.w1, lines.w2, strict=True):
        x, y = drawn.get_data()
        np.testing.assert_allclose(w1 * x + w2 * y, 0, atol=1e-12)
    assert ax.get_xlim() == (-7, 7) and ax.get_ylim() == (-3, 3)


@pytest.mark.parametrize("learned", [False, True])
def test_a_contour_is_where_the_logit_is_zero(ax, learned):
    x, y = np.meshgrid(np.linspace(-2, 2, 81), np.linspace(-2, 2, 81))
    plane = (ax, x, y, x**2 + y**2 - 1)
    assert plotting.plot_contour(*plane, "circle", learned) is ax
    (drawn,) = ax.collections
    points = drawn.get_paths()[0].vertices
    np.testing.assert_allclose(np.hypot(*points.T), 1, atol=2e-3)
    dashes = drawn.get_linestyles()[0][1]
    assert (dashes is not None) == learned


def test_a_probability_is_in_its_labels_colour(ax):
    x, y = np.meshgrid([0.0, 1.0], [0.0, 1.0])
    assert plotting.plot_probability(ax, x, y, x) is ax
    (shades,) = ax.collections
    red, _, blue, _ = np.asarray(shades.get_facecolors()).T
    assert blue[0] > red[0] and red[-1] > blue[-1]


def test_two_kinds_have_the_labels_colours_and_their_names(ax):
    plotting.plot_two_kinds(ax, THREE.x, THREE.y, THREE.label, ["no", "yes"])
    (points,) = ax.collections
    np.testing.assert_allclose(points.get_offsets(), np.stack(THREE[:2], 1))
    colors = [mpl.colors.to_hex(c) for c in points.get_facecolors()]
    expected = [plotting.BLUE, plotting.VERMILION, plotting.VERMILION]
    assert colors == [color.lower() for color in expected]
    named = {
        handle.get_color(): text.get_text()
        for handle, text in zip(
            ax.get_legend().legend_handles,
            ax.get_legend().get_texts(),
            strict=True,
        )
    }
    assert named == {plotting.BLUE: "no", plotting.VERMILION: "yes"}


def test_a_cross_reaches_its_ends(ax):
    plotting.plot_cross(ax, 0.2, 0.9, (0.1, 0.4), (0.8, 0.95), "here")
    across, up, point = (line.get_xydata().tolist() for line in ax.lines)
    assert across == [[0.1, 0.9], [0.4, 0.9]]
    assert up == [[0.2, 0.8], [0.2, 0.95]]
    assert point == [[0.2, 0.9]]


def named(ax):
    """Return what is written on the axes, and the points that it names."""
    return {text.get_text(): tuple(map(float, text.xy)) for text in ax.texts}


def test_markers_are_named_above_the_plane_unless_told_otherwise(ax):
    plotting.plot_dataset(ax, THREE, strength=0.3, legend=False)
    assert ax.get_legend() is None
    assert ax.collections[0].get_alpha() == 0.3
    assert (ax.get_xlim(), ax.get_ylim()) == ((-7, 7), (-3.7, 3.7))
    plotting.plot_dataset(ax, THREE)
    handles, names = ax.get_legend().legend_handles, ax.get_legend().texts
    assert [name.get_text() for name in names] == ["label 0", "label 1"]
    colors = [handle.get_color() for handle in handles]
    assert colors == [plotting.BLUE, plotting.VERMILION]


@pytest.mark.parametrize("line", [TRUE_LINE, Line(0.5, -2.0, 1.0)])
def test_a_name_runs_along_its_boundary_from_left_to_right(ax, line):
    ax.set(xlim=(-7, 7), ylim=(-3, 3))
    plotting.plot_boundary(ax, line, "name", at=0)
    points = ax.lines[0].get_xydata()
    assert points[0, 0] < points[-1, 0]
    assert named(ax) == {"name": tuple(points[0])}
    slope = np.tan(np.radians(ax.texts[0].get_rotation()))
    assert slope == pytest.approx(-line.w1 / line.w2)


@pytest.mark.parametrize(
    ("offset", "side", "led"),
    [
        ((14, -36), "left", True),
        ((-3, 4), "right", False),
        ((0, 20), "left", 0),
    ],
)
def test_a_point_is_ringed_and_a_far_name_led_to_it(ax, offset, side, led):
    assert plotting.plot_point(ax, 1, 2, "here", offset) is ax
    assert ax.lines[0].get_xydata().tolist() == [[1, 2]]
    assert named(ax) == {"here": (1, 2)}
    (name,) = ax.texts
    assert (name.get_ha(), bool(name.arrow_patch)) == (side, led)
    assert name.xyann == offset


@pytest.mark.parametrize(
    ("offset", "side"),
    [((4, 0), "left"), ((0, 4), "left"), ((-1, 0), "right")],
)
def test_a_curve_and_an_arrow_are_named_beside_their_ends(ax, offset, side):
    assert plotting.plot_curve(ax, [0, 1, 4], [5, 6, 7], "all") is ax
    plotting.plot_curve(ax, [0, 1, 4], [5, 6, 7], "half", "k", 0.5, offset)
    for line in ax.lines:
        assert line.get_xydata().tolist() == [[0, 5], [1, 6], [4, 7]]
    assert plotting.plot_arrow(ax, (1, 2), (3, -1), "up", offset=offset) is ax
    expected = {"all": (4, 7), "half": (1, 6), "": (4, 1), "up": (4, 1)}
    assert named(ax) == expected
    _, half, arrow, up = ax.texts
    assert tuple(arrow.xyann) == (1, 2) and arrow.arrow_patch
    assert half.get_ha() == up.get_ha() == side


def test_a_surface_has_its_levels_numbered_but_for_the_first(ax):
    w = np.linspace(-4, 4, 41)
    loss = w**2 + 4 * w[:, None] ** 2
    assert plotting.plot_surface(ax, w, w, loss, [1, 4, 9]) is ax
    filled, lines = ax.collections
    for drawn in (filled, lines):
        assert drawn.levels.tolist() == [1, 4, 9]
    for level, path in zip([1, 4, 9], lines.get_paths(), strict=True):
        x, y = path.vertices.T
        np.testing.assert_allclose(x**2 + 4 * y**2, level, atol=0.1)
    assert {text.get_text() for text in ax.texts} == {"4", "9"}
    for text in ax.texts:
        assert text.get_path_effects() == plotting.HALO
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("w1", "w2")
    assert ax.get_aspect() == 1


def test_a_path_has_its_epochs_numbered(ax):
    assert plotting.plot_path(ax, [0, 1, 3], [5, 6, 7], numbered=(0, 2)) is ax
    way, *dots = (line.get_xydata().tolist() for line in ax.lines)
    assert way == [[0, 5], [1, 6], [3, 7]]
    assert dots == [[[0, 5]], [[3, 7]]]
    assert named(ax) == {"start": (0, 5), "epoch 2": (3, 7)}


def test_marks_levels_and_clouds_stand_where_they_belong(ax):
    assert plotting.plot_marks(ax, [1, 2], [3, 4], label="few") is ax
    plotting.plot_marks(ax, [1], [3])
    assert ax.get_legend_handles_labels()[1] == ["few"]
    assert ax.lines[0].get_xydata().tolist() == [[1, 3], [2, 4]]
    assert plotting.plot_level(ax, 5.0, "limit", at=0.2) is ax
    assert set(ax.lines[2].get_ydata()) == {5}
    assert named(ax) == {"limit": (0.2, 5)}
    assert plotting.plot_cloud(ax, [1, 2], [3, 4]) is ax
    assert ax.collections[0].get_offsets().tolist() == [[1, 3], [2, 4]]


def test_intervals_and_bands_reach_from_low_to_high(ax):
    assert plotting.plot_intervals(ax, [1, 2], [3, 4], [5, 6]) is ax
    bars = [bar.tolist() for bar in ax.collections[0].get_segments()]
    assert bars == [[[1, 3], [1, 5]], [[2, 4], [2, 6]]]
    assert plotting.plot_band(ax, [1, 2], [3, 4], [5, 6], "band") is ax
    plotting.plot_band(ax, [1, 2], [3, 4], [5, 6])
    box = ax.collections[1].get_paths()[0].get_extents()
    assert (*box.min, *box.max) == (1, 3, 2, 6)
    assert ax.get_legend_handles_labels()[1] == ["band"]


def test_a_figure_is_shown_whole_in_few_colours(ax, monkeypatch):
    formatter = PNGFormatter()
    shell = SimpleNamespace(
        display_formatter=SimpleNamespace(formatters={"image/png": formatter})
    )
    calls = []
    monkeypatch.setattr(plotting, "get_ipython", lambda: shell)
    monkeypatch.setattr(
        plotting, "configure_inline_support", lambda *what: calls.append(what)
    )
    plotting.use_book_style()
    assert calls == [(shell, "inline")]
    image = Image.open(BytesIO(formatter(ax.figure)))
    assert (image.format, image.mode, image.size) == ("PNG", "P", (1120, 660))
    full = BytesIO()
    ax.figure.savefig(full, format="png")
    shown, meant = (
        np.asarray(i.convert("RGB"), int) for i in (image, Image.open(full))
    )
    assert abs(shown - meant).max() < 16


# --- The scrubber ---------------------------------------------------------


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


@pytest.mark.parametrize(
    "line", [TRUE_LINE, Line(0.4, -1.1, 1.0), Line(-1.0, 0.0, 2.0)]
)
def test_a_scrubbers_line_lies_where_the_logit_is_zero(line):
    lines = [line, TRUE_LINE]
    html = training_scrubber(THREE, lines, [2.0, 1.0], TRUE_LINE).data
    left, down, turn = map(
        float,
        re.search(
            r'"learned" transform="translate\((\S+) (\S+)\) rotate\((\S+)\)',
            html,
        ).groups(),
    )
    along = 300 * np.exp(1j * np.radians(turn))
    for end in (along, -along):
        x, y = (left + end.real) / 60, -(down + end.imag) / 60
        assert line.w1 * x + line.w2 * y + line.b == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"dataset": THREE._replace(x=np.zeros(2))}, "dataset must have"),
        ({"dataset": Dataset(*np.zeros((3, 0)))}, "dataset must have"),
        ({"dataset": THREE._replace(label=np.array([0, 2, 1]))}, "dataset.la"),
        ({"dataset": THREE._replace(x=THREE.x * np.nan)}, "dataset must be f"),
        ({"losses": [1.0]}, "losses must be as many as lines"),
        ({"losses": [1.0, np.inf]}, "losses must be finite"),
        ({"losses": [1.0, -1.0]}, "losses must not be below 0"),
        ({"lines": [TRUE_LINE], "losses": [1.0]}, "losses must be as many"),
        ({"lines": [TRUE_LINE, Line(np.nan, 1, 0)]}, "lines must be finite"),
        ({"lines": [TRUE_LINE, Line(0, 0, 1)]}, "lines must have w1 or w2"),
        ({"true_line": Line(0, 0, 1)}, "true_line must have w1 or w2"),
        ({"still": 2}, "still must be a whole number, from 0 to 1, got 2"),
        ({"still": -1}, "still must be a whole number"),
        ({"still": 1.0}, "still must be a whole number"),
    ],
)
def test_a_scrubber_says_which_argument_is_wrong(change, complaint):
    given = Run(THREE, [TRUE_LINE, TRUE_LINE], [2.0, 1.0], still=0)
    training_scrubber(*given)
    with pytest.raises(ValueError, match=f"^{complaint}"):
        training_scrubber(*given._replace(**change))
