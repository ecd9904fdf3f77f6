"""The figures: what is drawn, where, and that nothing else is."""

from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.core.formatters import PNGFormatter
from matplotlib import font_manager
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image
from scipy import stats

from helpers import plotting
from helpers.data import TRUE_LINE, Dataset, Line

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


def hexed(color):
    return mpl.colors.to_hex(color).upper()


def test_the_look_is_the_books_whatever_was_set_before(ax):
    (family,) = mpl.rcParams["font.family"]
    font = Path(font_manager.findfont(family, fallback_to_default=False))
    assert font.parent == Path(plotting.__file__).parent / "fonts"
    seen = [side for side, spine in ax.spines.items() if spine.get_visible()]
    assert seen == ["left", "bottom"]
    assert not ax.legend([]).get_frame_on()
    # Nothing is cut off, as the inline backend crops nothing.
    assert ax.figure.get_layout_engine().__class__ is ConstrainedLayoutEngine
    mpl.rcParams["axes.facecolor"] = "red"
    plotting.use_book_style()
    assert mpl.rcParams["axes.facecolor"] == "white"


def test_each_label_has_its_colour_and_its_marker(ax):
    assert plotting.plot_dataset(ax, THREE) is ax
    (points,) = ax.collections
    np.testing.assert_allclose(points.get_offsets(), np.stack(THREE[:2], 1))
    colors = [mpl.colors.to_hex(c) for c in points.get_facecolors()]
    expected = [plotting.BLUE, plotting.VERMILION, plotting.VERMILION]
    assert colors == [color.lower() for color in expected]
    circle, triangle, again = points.get_paths()
    assert len(circle.vertices) > len(triangle.vertices) == len(again.vertices)
    assert ax.get_xticks().tolist() == [-6, -4, -2, 0, 2, 4, 6]
    assert ax.get_yticks().tolist() == [-2, 0, 2]


@pytest.mark.parametrize(
    "line", [TRUE_LINE, Line(0.5, -2.0, 1.0), Line(1.0, 0.0, 2.0)]
)
@pytest.mark.parametrize("learned", [False, True])
def test_a_boundary_is_where_the_logit_is_zero(ax, line, learned):
    ax.set(xlim=(-7, 7), ylim=(-3, 3))
    assert plotting.plot_boundary(ax, line, "name", learned) is ax
    (drawn,) = ax.lines
    color = plotting.PURPLE if learned else plotting.INK
    assert drawn.get_color() == ax.texts[0].get_color() == color
    x, y = drawn.get_data()
    np.testing.assert_allclose(
        line.w1 * x + line.w2 * y + line.b, 0, atol=1e-6
    )
    # From edge to edge of the plane, and nowhere beyond.
    assert max(np.ptp(x) / 14, np.ptp(y) / 6) > 0.99
    assert (abs(x) <= 7).all() and (abs(y) <= 3).all()
    assert drawn.is_dashed() == learned
    assert [text.get_text() for text in ax.texts] == ["name"]


@pytest.mark.parametrize("line", [Line(1, 0, 1), Line(0, 1, 1)])
@pytest.mark.parametrize("b", [1, -1])
def test_a_boundary_along_an_edge_is_drawn_without_moving_it(ax, line, b):
    ax.plot([-1, 1], [-1, 1])
    ax.margins(0)
    plotting.plot_boundary(ax, line._replace(b=b))
    x, y = ax.lines[1].get_data()
    assert set(x if line.w1 else y) == {-b}
    assert max(np.ptp(x), np.ptp(y)) == pytest.approx(2, abs=0.02)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 1), (-1, 1))
    assert not ax.lines[1].is_dashed() and not ax.texts


def test_pulls_start_at_their_points(ax):
    assert plotting.plot_pulls(ax, THREE, THREE.x, THREE.y) is ax
    (arrows,) = ax.collections
    np.testing.assert_allclose(arrows.XY, np.stack(THREE[:2], 1))
    np.testing.assert_allclose([arrows.U, arrows.V], THREE[:2])
    assert ax.get_aspect() == arrows.scale == 1


def test_the_grid_marks_what_each_line_gets_wrong(ax):
    points = Dataset(*np.array([[0, 1, 2], [1, -1, 0.5]]), np.array([0, 1, 1]))
    lines = {
        Line(1.0, 0.0, -1.5): [[1, -1]],
        Line(1.0, 0.0, -1.0): [[1, -1]],  # on the line is no 1
        Line(1.0, 0.0, -0.5): [],
        Line(0.0, 1.0, -0.75): [[0, 1], [1, -1], [2, 0.5]],
    }
    fig = plotting.plot_training_grid(points, [*lines], "abcd", TRUE_LINE)
    assert fig.get_size_inches().tolist() == [5.6, 3.5]
    for panel, title, line in zip(fig.axes, "abcd", lines, strict=True):
        assert panel.get_title(loc="left") == title
        shown = {0.15: [], 0.9: []}
        for part in panel.collections:
            shown[part.get_alpha()] += part.get_offsets().tolist()
        assert shown[0.9] == lines[line]
        assert len(shown[0.15]) == 3 - len(lines[line])
        truth, learned = panel.lines
        for drawn, meant in ((truth, TRUE_LINE), (learned, line)):
            x, y = drawn.get_data()
            logit = meant.w1 * x + meant.w2 * y + meant.b
            np.testing.assert_allclose(logit, 0, atol=1e-6)
        assert (truth.is_dashed(), learned.is_dashed()) == (False, True)
        assert panel.get_legend() is None
    # Numbers stand at the left and below, once for all panels.
    below = [p.xaxis.get_tick_params()["labelbottom"] for p in fig.axes]
    beside = [p.yaxis.get_tick_params()["labelleft"] for p in fig.axes]
    assert below == [False, False, True, True]
    assert beside == [True, False, True, False]
    plt.close(fig)


FLAT = Line(0.0, 0.0, 1.0)
GRID = np.meshgrid(np.arange(3.0), np.arange(2.0))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda ax: plotting.plot_dataset(
                ax, THREE._replace(label=[0, 1, 2])
            ),
            "label must be 0 or 1, got [2] among them",
        ),
        (
            lambda ax: plotting.plot_two_kinds(ax, *THREE[:2], [-1, 1, 1]),
            "label must be 0 or 1, got [-1] among them",
        ),
        (
            lambda ax: plotting.plot_boundary(ax, FLAT),
            f"line must have w1 or w2 other than 0, got {FLAT}",
        ),
        (
            lambda ax: plotting.plot_boundary(ax, Line(1.0, np.nan, 0.0)),
            "line must be finite, got NaN or infinity",
        ),
        (
            lambda ax: plotting.plot_fan(ax, Line(*np.ones((3, 2)) * [1, 0])),
            "lines.w2 must not be 0, got array([1., 0.])",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(ax, draw, message):
    with pytest.raises(ValueError) as caught:
        draw(ax)
    assert str(caught.value) == message


@pytest.mark.parametrize(("lines", "titles"), [(0, 0), (1, 1), (3, 3), (2, 3)])
def test_every_line_of_a_grid_has_a_title_and_a_neighbour(lines, titles):
    with pytest.raises(ValueError) as caught:
        plotting.plot_training_grid(
            THREE, [TRUE_LINE] * lines, ["a"] * titles, TRUE_LINE
        )
    assert str(caught.value) == (
        "lines must be an even number, with as many titles, got "
        f"{lines} lines and {titles} titles"
    )


def test_what_is_out_of_sight_has_no_name(ax):
    ax.set(**plotting.PLANE)
    plotting.plot_boundary(ax, Line(0.0, 1.0, 99.0), "far")
    plotting.plot_contour(ax, *GRID, np.ones((2, 3)), "nowhere")
    assert not ax.texts


def test_a_hump_is_filled_down_to_zero(ax):
    assert plotting.plot_hump(ax, [0, 1, 2], [0, 3, 0], "misses") is ax
    (area,) = ax.collections
    box = area.get_paths()[0].get_extents()
    assert (*box.min, *box.max) == (0, 0, 2, 3)
    assert ax.texts[0].xy == (1, 1.5)


def test_intervals_that_miss_are_in_another_colour(ax):
    low, high = [0.0, 2.0, 4.0, 3.5, 1.0], [3.0, 5.0, 6.0, 4.0, 3.5]
    assert plotting.plot_many_intervals(ax, low, high, truth=3.5) is ax
    ends = {
        hexed(bars.get_color()): [bar.tolist() for bar in bars.get_segments()]
        for bars in ax.collections
    }
    # The second holds 3.5, and so do the last two.
    assert ends == {
        plotting.VERMILION: [[[1, 0], [1, 3]], [[3, 4], [3, 6]]],
        plotting.GREY: [
            [[k, low[k - 1]], [k, high[k - 1]]] for k in (2, 4, 5)
        ],
    }
    assert set(ax.lines[0].get_ydata()) == {3.5}


def test_an_ellipse_holds_95_percent(ax):
    covariance = np.array([[2.0, 0.9], [0.9, 0.7]])
    assert plotting.plot_ellipse(ax, (1.0, -2.0), covariance) is ax
    ring = ax.lines[0].get_xydata()
    off = ring - [1.0, -2.0]
    squared = np.einsum("ki,ij,kj->k", off, np.linalg.inv(covariance), off)
    np.testing.assert_allclose(stats.chi2.cdf(squared, df=2), 0.95)
    # It is closed, without corners that one would see.
    np.testing.assert_allclose(ring[0], ring[-1])
    assert 120 < len(ring) == 1 + len(np.unique(ring.round(9), axis=0))
    assert named(ax) == {"95 %": tuple(ring[ring[:, 1].argmax()])}


def test_a_fan_has_a_boundary_for_each_line(ax):
    ax.set(xlim=(-7, 7), ylim=(-3, 3))
    lines = [Line(1.0, 3.0, 0.4), Line(0.5, -2.0, -1.0)]
    assert plotting.plot_fan(ax, Line(*np.array(lines).T)) is ax
    for drawn, line in zip(ax.lines, lines, strict=True):
        x, y = drawn.get_data()
        assert x.tolist() == [-7, 7]
        logit = line.w1 * x + line.w2 * y + line.b
        np.testing.assert_allclose(logit, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("draw", "line"),
    [
        (plotting.plot_boundary, TRUE_LINE),
        (plotting.plot_fan, Line(*np.ones((3, 1)))),
    ],
)
def test_a_line_moves_no_limits(ax, draw, line):
    ax.plot([-1, 1], [-1, 1])
    limits = ax.axis()
    draw(ax, line)
    assert ax.axis() == limits


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
    color = plotting.PURPLE if learned else plotting.INK
    assert hexed(drawn.get_edgecolor()) == ax.texts[0].get_color() == color
    plotting.plot_contour(*plane)
    assert hexed(ax.collections[1].get_edgecolor()) == plotting.INK
    assert len(ax.texts) == 1


def test_a_contours_name_stands_at_its_longest_piece(ax):
    x, y = np.meshgrid(np.linspace(-4, 4, 81), np.linspace(-2, 2, 41))
    two = np.minimum((x + 2) ** 2 + y**2 - 1, (x - 2) ** 2 + y**2 - 0.25)
    for name, at in {"first": 0, "middle": 0.5, "last": 1}.items():
        plotting.plot_contour(ax, x, y, two, name, at=at)
    plotting.plot_contour(ax, x, y, x, "half way")
    places = named(ax)
    # Once round the larger circle.
    assert places["first"] == places["last"]
    away = np.subtract(places["middle"], places["first"])
    assert np.hypot(*away) == pytest.approx(2, abs=0.01)
    assert places["half way"] == pytest.approx((0, 0))


def test_a_probability_is_in_its_labels_colour(ax):
    x, y = np.meshgrid([0.0, 1.0], [0.0, 1.0])
    assert plotting.plot_probability(ax, x, y, x) is ax
    (shades,) = ax.collections
    red, _, blue, _ = np.asarray(shades.get_facecolors()).T
    assert blue[0] > red[0] and red[-1] > blue[-1]
    np.testing.assert_allclose(shades.levels, np.arange(11) / 10)


@pytest.mark.parametrize("names", [["no", "yes"], []])
def test_two_kinds_have_the_labels_colours_and_their_names(ax, names):
    given = (names,) if names else ()
    assert plotting.plot_two_kinds(ax, *THREE, *given) is ax
    (points,) = ax.collections
    np.testing.assert_allclose(points.get_offsets(), np.stack(THREE[:2], 1))
    colors = [mpl.colors.to_hex(c) for c in points.get_facecolors()]
    expected = [plotting.BLUE, plotting.VERMILION, plotting.VERMILION]
    assert colors == [color.lower() for color in expected]
    handles, texts = ax.get_legend().legend_handles, ax.get_legend().texts
    colors = [handle.get_color() for handle in handles]
    assert colors == [plotting.BLUE, plotting.VERMILION]
    expected = names or ["benign", "malignant"]
    assert [text.get_text() for text in texts] == expected


def test_a_cross_reaches_its_ends(ax):
    ends = (0.1, 0.4), (0.8, 0.95)
    assert plotting.plot_cross(ax, 0.2, 0.9, *ends, "here") is ax
    across, up, point = (line.get_xydata().tolist() for line in ax.lines)
    assert across == [[0.1, 0.9], [0.4, 0.9]]
    assert up == [[0.2, 0.8], [0.2, 0.95]]
    assert point == [[0.2, 0.9]]
    assert named(ax) == {"here": (0.2, 0.9)}


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


@pytest.mark.parametrize(
    "line", [TRUE_LINE, Line(0.5, -2.0, 1.0), Line(-0.2, 0.5, 0.1)]
)
def test_a_name_runs_along_its_boundary_from_left_to_right(ax, line):
    ax.set(xlim=(-7, 7), ylim=(-3, 3))
    for name, at in {
        "first": {"at": 0},
        "last": {"at": 1},
        "usual": {},
    }.items():
        plotting.plot_boundary(ax, line, name, **at)
    points = ax.lines[0].get_xydata()
    assert points[0, 0] < points[-1, 0]
    places = named(ax)
    assert places["first"] == tuple(points[0])
    assert places["last"] == tuple(points[-1])
    # Clear of the edge, yet with room for the name.
    assert 0 < places["usual"][0] + 7 < 1
    slope = np.tan(np.radians(ax.texts[0].get_rotation()))
    assert slope == pytest.approx(-line.w1 / line.w2)


def test_a_name_runs_up_a_vertical_boundary(ax):
    ax.set(xlim=(-7, 7), ylim=(-3, 3))
    plotting.plot_boundary(ax, Line(1, 0, 2), "name", at=0)
    assert named(ax)["name"] == pytest.approx((-2, -3), abs=0.01)
    assert ax.texts[0].get_rotation() == 90


@pytest.mark.parametrize(
    ("offset", "side", "led"),
    [
        ((14, -36), "left", True),
        ((-1, 4), "right", False),
        ((0, 20), "left", False),
        ((0, 20.5), "left", True),
    ],
)
def test_a_point_is_ringed_and_a_far_name_led_to_it(ax, offset, side, led):
    assert plotting.plot_point(ax, 1, 2, "here", offset) is ax
    assert ax.lines[0].get_xydata().tolist() == [[1, 2]]
    assert named(ax) == {"here": (1, 2)}
    (name,) = ax.texts
    assert (name.get_ha(), bool(name.arrow_patch)) == (side, led)
    assert name.xyann == offset


def test_our_point_is_named_in_ink(ax):
    plotting.plot_point(ax, 1, 2)
    assert named(ax) == {"our point": (1, 2)}
    assert ax.lines[0].get_markeredgecolor() == plotting.INK
    assert ax.texts[0].get_color() == plotting.INK
    assert ax.texts[0].arrow_patch


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
    # From tail to head, without the gaps that Matplotlib leaves.
    assert arrow.arrow_patch.shrinkA == arrow.arrow_patch.shrinkB == 0
    # Beside the end of a curve is often outside the axes.
    assert half.get_annotation_clip() is False


def test_colours_are_the_books_unless_told(ax):
    plotting.plot_curve(ax, [0, 1], [0, 1], "curve")
    plotting.plot_arrow(ax, (0, 0), (1, 1), "arrow")
    plotting.plot_marks(ax, [0], [1])
    plotting.plot_hump(ax, [0, 1, 2], [0, 1, 0], "hump")
    plotting.plot_intervals(ax, [0], [0], [1])
    curve, marks = ax.lines
    area, bars = ax.collections
    names = {text.get_text(): text.get_color() for text in ax.texts}
    arrow = ax.texts[1].arrow_patch
    assert hexed(arrow.get_edgecolor()) == plotting.INK
    assert names["curve"] == names["arrow"] == curve.get_color()
    assert curve.get_color() == plotting.INK
    assert marks.get_color() == hexed(bars.get_color()) == plotting.PURPLE
    assert names["hump"] == hexed(area.get_facecolor()) == plotting.VERMILION


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
    plotting.plot_path(ax, [0, 1, 3], [5, 6, 7])
    assert len(ax.texts) == 2


def test_marks_levels_and_clouds_stand_where_they_belong(ax):
    assert plotting.plot_marks(ax, [1, 2], [3, 4], label="few") is ax
    plotting.plot_marks(ax, [1], [3])
    assert ax.get_legend_handles_labels()[1] == ["few"]
    assert ax.lines[0].get_xydata().tolist() == [[1, 3], [2, 4]]
    assert plotting.plot_level(ax, 5.0, "limit", at=0.2) is ax
    assert set(ax.lines[2].get_ydata()) == {5}
    assert named(ax) == {"limit": (0.2, 5)}
    plotting.plot_level(ax, 5.0, "at the left")
    assert 0 < ax.texts[1].xy[0] < 0.1
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
    loose = BytesIO()
    image.save(loose, "png")
    assert len(formatter(ax.figure)) < len(loose.getvalue())
