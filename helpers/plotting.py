"""The book's figures: shown in every chapter, taught in none.

Each function draws one thing on ``ax``, and none calls ``show``. A line is
anything with numbers ``w1``, ``w2`` and ``b``; a data set is a tuple of arrays
``x``, ``y`` and ``label`` of shape (n,). Unless a function says otherwise, x
and y are arrays of the same shape (n,), in data units. A name is written
``offset`` points (of 1/72 inch) away from what it names. Along a curve, ``at``
says where, as a share of the length.
"""

from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython import get_ipython
from matplotlib import font_manager, patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib_inline.backend_inline import configure_inline_support
from PIL import Image

# Colours that colour-blind readers can tell apart: two of Okabe and Ito's for
# the labels, and a purple of Paul Tol's for what is learned.
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#AA3377"
INK = "#1B2433"
GREY = "#667085"

LABEL_COLORS = {0: BLUE, 1: VERMILION}
LABEL_MARKERS = {0: "o", 1: "^"}
PLANE = {
    "xlabel": "x",
    "ylabel": "y",
    "xlim": (-7, 7),
    "ylim": (-3.7, 3.7),
    "xticks": (-6, -4, -2, 0, 2, 4, 6),
    "yticks": (-2, 0, 2),
}
HALO = [patheffects.withStroke(linewidth=3, foreground="white")]
DASHES = (0, (4, 2))


def use_book_style() -> None:
    """Set the book's type, sizes and colours for all later figures."""
    for path in sorted((Path(__file__).parent / "fonts").glob("*.ttf")):
        font_manager.fontManager.addfont(path)
    plt.rcdefaults()
    mpl.rcParams.update(
        {
            "figure.figsize": (5.6, 3.3),
            "figure.dpi": 200,
            "figure.constrained_layout.use": True,
            "font.family": "Atkinson Hyperlegible Next",
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": GREY,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "xtick.color": GREY,
            "ytick.color": GREY,
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "text.color": INK,
            "lines.linewidth": 2.2,
            "legend.frameon": False,
        }
    )
    shell = get_ipython()
    if shell is not None:
        # Called first, or it would replace our formatter when the cell ends.
        configure_inline_support(shell, "inline")
        png = shell.display_formatter.formatters["image/png"]
        png.for_type(Figure, _small_png)


def _small_png(fig: Figure) -> bytes:
    """Return the figure in 256 colours, a third of Matplotlib's size.

    Unlike the inline backend, it crops nothing, so that type has the same size
    in every figure.
    """
    full, small = BytesIO(), BytesIO()
    fig.savefig(full, format="png")
    image = Image.open(full).convert("RGB")
    image.quantize(dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


def _write(ax: Axes, name: str, xy, offset, color: str, **style) -> None:
    """Write a name with a white halo, ``offset`` points away from xy."""
    usual = {"va": "center", "fontweight": "bold", "zorder": 6}
    usual["ha"] = "left" if offset[0] >= 0 else "right"
    ax.annotate(
        name,
        xy,
        offset,
        textcoords="offset points",
        color=color,
        path_effects=HALO,
        **usual | style,
    )


def plot_dataset(
    ax: Axes, dataset, strength: float = 0.65, legend: bool = True, size=16
) -> None:
    """Scatter label 0 as blue circles, label 1 as vermilion triangles.

    ``strength`` is their opacity and ``size`` their area in points². A legend
    names the markers.
    """
    label = np.asarray(dataset.label)
    # One call, so that neither kind lies on top of the other.
    sns.scatterplot(
        x=np.asarray(dataset.x),
        y=np.asarray(dataset.y),
        hue=label,
        style=label,
        palette=LABEL_COLORS,
        markers=LABEL_MARKERS,
        alpha=strength,
        s=size,
        linewidth=0,
        legend=False,
        ax=ax,
    )
    if legend:
        for value, marker in LABEL_MARKERS.items():
            name, color = f"label {value}", LABEL_COLORS[value]
            ax.plot([], [], marker, color=color, label=name)
        place = {"loc": "lower right", "bbox_to_anchor": (1.02, 0.97)}
        ax.legend(ncols=2, handletextpad=0, columnspacing=1, **place)
    ax.set(**PLANE)


def plot_boundary(
    ax: Axes,
    line,
    label: str = "",
    learned: bool = False,
    at: float = 0.02,
) -> None:
    """Draw where the logit is 0, within the axes' limits, and name it.

    The true line is solid and black; a learned one is dashed and purple.
    """
    w1, w2, b = float(line.w1), float(line.w2), float(line.b)
    # Go along the line from its point nearest the origin, steep or not.
    t = np.linspace(-12, 12, 2401) / np.hypot(w1, w2)
    foot = -b / (w1**2 + w2**2)
    x, y = foot * w1 + t * w2, foot * w2 - t * w1
    left, right = ax.get_xlim()
    low, high = ax.get_ylim()
    seen = (left <= x) & (x <= right) & (low <= y) & (y <= high)
    # Left to right, so that a label reads along the line.
    x, y = np.array([x, y])[:, seen][:, :: 1 if w2 > 0 else -1]
    color, style = (PURPLE, DASHES) if learned else (INK, "-")
    ax.plot(x, y, color=color, linestyle=style, zorder=4)
    if label and len(x):
        here = int(at * (len(x) - 1))
        turn = np.degrees(np.arctan2(y[-1] - y[0], x[-1] - x[0]))
        along = {"rotation": turn, "rotation_mode": "anchor", "va": "bottom"}
        _write(ax, label, (x[here], y[here]), (0, 4), color, **along)
    ax.set(xlim=(left, right), ylim=(low, high))


def plot_contour(
    ax: Axes,
    x,
    y,
    logit,
    label: str = "",
    learned: bool = False,
    at: float = 0.5,
    offset=(0, 10),
) -> None:
    """Draw where the logit is 0, however bent, and name its longest piece.

    x, y and logit are grids of shape (m, k). The true boundary is solid and
    black; a learned one is dashed and purple.
    """
    color, style = (PURPLE, DASHES) if learned else (INK, "solid")
    lines = ax.contour(
        x,
        y,
        logit,
        [0],
        colors=color,
        linestyles=[style],
        linewidths=mpl.rcParams["lines.linewidth"],
        zorder=4,
    )
    if label:
        longest = max(lines.allsegs[0], key=len)
        here = longest[int(at * (len(longest) - 1))]
        _write(ax, label, here, offset, color, ha="center")


def plot_point(
    ax: Axes, x, y, label: str = "our point", offset=(14, -36)
) -> None:
    """Ring one point and name it, with a line to a name that is far away."""
    ax.plot(x, y, "o", ms=10, mfc="none", mec=INK, mew=2, zorder=5)
    leader = {"arrowstyle": "-", "color": INK, "shrinkB": 5}
    leader = leader if np.hypot(*offset) > 20 else None
    _write(ax, label, (float(x), float(y)), offset, INK, arrowprops=leader)


def plot_curve(
    ax: Axes,
    x,
    y,
    label: str = "",
    color: str = INK,
    at: float = 1.0,
    offset=(4, 0),
    look: str = "-",
) -> None:
    """Plot y against x and name the curve, even outside the axes.

    The look is dash and marker, as in "--o"; markers are hollow.
    """
    hollow = {"mfc": "none", "mew": 1.6, "ms": 7}
    ax.plot(x, y, look, color=color, **hollow)
    here = int(at * (len(x) - 1))
    where = (x[here], y[here])
    _write(ax, label, where, offset, color, annotation_clip=False)


def plot_marks(
    ax: Axes, x, y, marker: str = "o", color: str = PURPLE, label: str = ""
) -> None:
    """Mark unconnected points, hollow; the label is for a legend."""
    style = {"ls": "none", "mfc": "none", "mew": 1.6, "ms": 7, "zorder": 5}
    ax.plot(x, y, marker, color=color, label=label, **style)
