"""What holds of the figures: their looks are compared in the chapters."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers import plotting
from helpers.data import TRUE_LINE, Dataset, Line

LEFT, RIGHT = Line(0.5, -2.0, 1.0), Line(1.0, 0.0, 2.0)
POINTS = Dataset(
    np.array([0.0, 1.0, 2.0]), np.array([1.0, -1.0, 0.5]), np.array([0, 1, 1])
)


@pytest.fixture
def ax():
    with mpl.rc_context({"backend": "agg"}):
        plotting.use_book_style()
        yield plt.subplots()[1]
        plt.close("all")


def test_labels_differ_in_marker_and_in_colour(ax):
    plotting.plot_dataset(ax, POINTS)
    (points,) = ax.collections
    np.testing.assert_allclose(points.get_offsets(), np.stack(POINTS[:2], 1))
    blue, *others = map(mpl.colors.to_hex, points.get_facecolors())
    assert blue == plotting.BLUE.lower()
    assert others == [plotting.VERMILION.lower()] * 2
    circle, *triangles = (len(path.vertices) for path in points.get_paths())
    assert all(circle > triangle for triangle in triangles)
    # The legend tells of both.
    handles = ax.get_legend().legend_handles
    assert [handle.get_marker() for handle in handles] == ["o", "^"]
    colors = [handle.get_color() for handle in handles]
    assert colors == [plotting.BLUE, plotting.VERMILION]


@pytest.mark.parametrize("line", [TRUE_LINE, LEFT, RIGHT])
@pytest.mark.parametrize("learned", [False, True])
def test_a_boundary_is_where_the_logit_is_zero(ax, line, learned):
    ax.set(xlim=(-7, 7), ylim=(-3, 3))
    plotting.plot_boundary(ax, line, "name", learned, at=0)
    (drawn,), (name,) = ax.lines, ax.texts
    x, y = drawn.get_data()
    logit = line.w1 * x + line.w2 * y + line.b
    np.testing.assert_allclose(logit, 0, atol=1e-9)
    # From edge to edge, and the name along it, from its left end.
    points = drawn.get_xydata()
    span = np.ptp(points, axis=0) / [14, 6]
    assert 0.99 < span.max() <= 1
    assert name.xy == tuple(points[0])
    along = points[-1] - points[0]
    assert along[0] >= 0
    turn = np.degrees(np.arctan2(along[1], along[0]))
    assert name.get_rotation() == pytest.approx(turn % 360)
    assert drawn.is_dashed() == learned


@pytest.mark.parametrize("learned", [False, True])
def test_a_contour_is_where_the_logit_is_zero(ax, learned):
    x, y = np.meshgrid(np.linspace(-2, 2, 81), np.linspace(-2, 2, 81))
    plotting.plot_contour(ax, x, y, x**2 + y**2 - 1, "circle", learned)
    (drawn,), (name,) = ax.collections, ax.texts
    points = drawn.get_paths()[0].vertices
    np.testing.assert_allclose(np.hypot(*points.T), 1, atol=2e-3)
    assert np.hypot(*name.xy) == pytest.approx(1, abs=2e-3)
    assert (drawn.get_linestyles()[0][1] is not None) == learned


def test_what_is_out_of_sight_moves_nothing_and_has_no_name(ax):
    limits = ax.axis()
    plotting.plot_boundary(ax, Line(0.0, 1.0, 99.0), "far")
    assert not ax.texts
    assert ax.axis() == limits
