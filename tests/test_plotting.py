"""The figures: what is drawn, where, and that nothing else is."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

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
