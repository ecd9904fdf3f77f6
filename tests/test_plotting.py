"""The figures: what is drawn, where, and that nothing else is."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
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
