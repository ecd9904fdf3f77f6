"""The book's figures: shown in every chapter, taught in none.

Each function draws one thing on ``ax``; none calls ``show``. A line is
anything with numbers ``w1``, ``w2`` and ``b``, a data set a tuple of arrays
``x``, ``y`` and ``label`` of shape (n,). Without another word x and y are
arrays of one shape (n,), in data units. A name is written ``offset`` points
(of 1/72 inch) from what it names, or from the share ``at`` of its length.
"""

from collections.abc import Sequence
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

from helpers._checks import check_labels

# Colours that colour-blind readers can tell apart: Okabe and Ito's two for
# the labels, a purple of Paul Tol's for what is learned.
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
        # First, or it would replace our formatter at the end of the cell.
        configure_inline_support(shell, "inline")
        png = shell.display_formatter.formatters["image/png"]
        png.for_type(Figure, _small_png)


def _small_png(fig: Figure) -> bytes:
    """Return the figure in 256 colours, a third of Matplotlib's size.

    Unlike the inline backend it crops nothing, so that type has one size in
    all figures.
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


def _scatter(ax: Axes, x, y, label, strength: float, size: float) -> None:
    """Scatter label 0 as blue circles, label 1 as vermilion triangles."""
    check_labels(label=label)
    # One call, so that neither kind lies on top of the other.
    sns.scatterplot(
        x=np.asarray(x),
        y=np.asarray(y),
        hue=np.asarray(label),
        style=np.asarray(label),
        palette=LABEL_COLORS,
        markers=LABEL_MARKERS,
        alpha=strength,
        s=size,
        linewidth=0,
        legend=False,
        ax=ax,
    )


def _name_markers(ax: Axes, names: Sequence[str], **place) -> None:
    """Name the markers of label 0 and label 1 above the axes."""
    for value, marker in LABEL_MARKERS.items():
        color = LABEL_COLORS[value]
        ax.plot([], [], marker, color=color, label=names[value])
    ax.legend(ncols=2, handletextpad=0, **place)


def plot_dataset(
    ax: Axes, dataset, strength: float = 0.65, legend: bool = True, size=16
) -> None:
    """Scatter labelled points on the book's plane.

    Their opacity is ``strength``, their size in points², and a legend names
    the markers. Labels other than 0 and 1 are a ValueError.
    """
    _scatter(ax, dataset.x, dataset.y, dataset.label, strength, size)
    if legend:
        place = {"loc": "lower right", "bbox_to_anchor": (1.02, 0.97)}
        _name_markers(ax, ["label 0", "label 1"], columnspacing=1, **place)
    ax.set(**PLANE)


def plot_two_kinds(ax: Axes, x, y, label) -> None:
    """Scatter two features of benign (0) and malignant (1) tumours.

    Labels other than 0 and 1 are a ValueError.
    """
    _scatter(ax, x, y, label, 0.55, 16)
    place = {"loc": "lower left", "bbox_to_anchor": (-0.04, 0.97)}
    _name_markers(ax, ["benign", "malignant"], columnspacing=0.8, **place)


def plot_boundary(
    ax: Axes,
    line,
    label: str = "",
    learned: bool = False,
    at: float = 0.02,
) -> None:
    """Draw where the logit is 0, within the axes' limits, and name it along.

    The truth is solid and black, what is learned dashed and purple.
    """
    w1, w2, b = float(line.w1), float(line.w2), float(line.b)
    # Along the line from its point nearest the origin, steep or not.
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

    x, y and logit are grids of shape (m, k). The truth is solid and black,
    what is learned dashed and purple.
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
    longest = max(lines.allsegs[0], key=len)
    if label and len(longest):
        here = longest[int(at * (len(longest) - 1))]
        _write(ax, label, here, offset, color, ha="center")


def plot_probability(ax: Axes, x, y, probability) -> None:
    """Shade a grid in ten steps: blue for label 0, vermilion for label 1.

    All three are of shape (m, k); palest is a probability of one half.
    """
    colors = mpl.colors.LinearSegmentedColormap.from_list(
        "labels", ["#A6CFE5", "white", "#F2C9A6"]
    )
    levels = np.linspace(0, 1, 11)
    ax.contourf(x, y, probability, levels, cmap=colors, zorder=0)


def plot_point(
    ax: Axes, x, y, label: str = "our point", offset=(14, -36), color=INK
) -> None:
    """Ring one point and name it; a line leads to a name that is far."""
    ax.plot(x, y, "o", ms=10, mfc="none", mec=color, mew=2, zorder=5)
    leader = {"arrowstyle": "-", "color": color, "shrinkB": 5}
    leader = leader if np.hypot(*offset) > 20 else None
    _write(ax, label, (float(x), float(y)), offset, color, arrowprops=leader)


def plot_curve(
    ax: Axes,
    x,
    y,
    label: str = "",
    color: str = INK,
    at: float = 1.0,
    offset=(4, 0),
) -> None:
    """Draw y over x and name the curve, also outside the axes."""
    ax.plot(x, y, color=color)
    here = int(at * (len(x) - 1))
    where = (x[here], y[here])
    _write(ax, label, where, offset, color, annotation_clip=False)


def plot_marks(
    ax: Axes, x, y, marker: str = "o", color: str = PURPLE, label: str = ""
) -> None:
    """Mark points that no curve joins, hollow; the label is for a legend."""
    style = {"ls": "none", "mfc": "none", "mew": 1.6, "ms": 7, "zorder": 5}
    ax.plot(x, y, marker, color=color, label=label, **style)


def plot_level(ax: Axes, y: float, label: str = "", at: float = 0.01) -> None:
    """Draw a thin line across, such as a limit, and name it above."""
    ax.axhline(y, color=GREY, lw=1, ls=":", zorder=1)
    across = {"xycoords": ax.get_yaxis_transform(), "va": "bottom"}
    thin = {"fontweight": "normal", "zorder": 3}
    _write(ax, label, (at, y), (0, 2), GREY, **across, **thin)


def plot_hump(ax: Axes, x, y, label: str, offset=(30, 8)) -> None:
    """Fill the area under y over x and name it at half its height."""
    ax.fill_between(x, y, color=VERMILION, alpha=0.55, linewidth=0)
    top = int(y.argmax())
    _write(ax, label, (x[top], y[top] / 2), offset, VERMILION)


def plot_chain(
    ax: Axes, leaves: Sequence[str], chain: Sequence[str], back: Sequence[str]
) -> None:
    """Draw how a loss is made, and below it how its slopes are made.

    The leaves, boxes one above the other, lead to the first box of the chain,
    and each of that to its next. Dashed and purple arrows lead back, from the
    chain's last box to its first, and on to each leaf; ``back`` names them,
    in this order.
    """
    box = {"boxstyle": "round,pad=0.4", "fc": "white", "ec": GREY}
    there = {"arrowstyle": "-|>", "color": GREY, "lw": 1.4, "shrinkB": 3}
    here = {"arrowstyle": "-|>", "color": PURPLE, "lw": 1.8, "ls": DASHES}
    places = [(0.6, 3 - 1.5 * k) for k in range(len(leaves))]
    places += [(4.2 + 2.1 * k, 1.5) for k in range(len(chain))]
    boxes = [
        ax.text(*place, text, ha="center", va="center", bbox=box, zorder=3)
        for place, text in zip(places, [*leaves, *chain], strict=True)
    ]

    def join(tail, head, style, bend=0.0):
        ends = {"patchA": boxes[tail], "patchB": boxes[head]}
        bent = {"connectionstyle": f"arc3,rad={bend}"}
        ax.annotate(
            "", places[head], places[tail], arrowprops=style | ends | bent
        )

    first, last = len(leaves), len(boxes) - 1
    for k in range(last):
        join(k, max(first, k + 1), there, 0.12 if k < first else 0)
        if k < first:
            join(first, k, here, 0.12)
            x, y = places[k]
            beside = (x - 0.62, y + (-0.45 if k else 0.45))
            _write(ax, back[1 + k], beside, (0, 0), PURPLE)
    join(last, first, here, -0.5)
    middle = (places[first][0] + places[last][0]) / 2
    _write(ax, back[0], (middle, 0.45), (0, 0), PURPLE, ha="center")
    ax.set(xlim=(-0.3, 9.3), ylim=(-0.7, 3.7))
    ax.axis("off")


def plot_surface(ax: Axes, w1, w2, loss, levels) -> None:
    """Map the loss over the weights: darker is worse.

    w1 and w2 are of shapes (k,) and (m,), the loss, in nats, of shape (m, k).
    The contours at ``levels`` are numbered but for the first.
    """
    ax.contourf(w1, w2, loss, levels, cmap="Blues", extend="both", alpha=0.75)
    lines = ax.contour(w1, w2, loss, levels, colors=GREY, linewidths=0.7)
    numbers = ax.clabel(lines, levels[1:], fontsize=10, colors=INK)
    plt.setp(numbers, path_effects=HALO)
    # One scale for both, or "steepest" would not look at right angles.
    ax.set(xlabel="w1", ylabel="w2", aspect="equal")


def plot_path(ax: Axes, w1, w2, numbered: Sequence[int] = ()) -> None:
    """Draw a run's way over the weights, a dot an epoch, some numbered.

    w1 and w2 are of shape (epochs + 1,), the start first.
    """
    ax.plot(w1, w2, ".-", color=PURPLE, lw=1.2, ms=4)
    for epoch in numbered:
        here = (w1[epoch], w2[epoch])
        ax.plot(*here, "o", color=PURPLE, ms=6)
        name = f"epoch {epoch}" if epoch else "start"
        _write(ax, name, here, (-9, 0), PURPLE)


def plot_cross(ax: Axes, x, y, x_ends, y_ends, label: str = "") -> None:
    """Mark a point, with a bar between the ends of each coordinate."""
    ax.plot(x_ends, [y, y], color=PURPLE, lw=1.6, zorder=4)
    ax.plot([x, x], y_ends, color=PURPLE, lw=1.6, zorder=4)
    ax.plot(x, y, "o", color=PURPLE, ms=6, zorder=5)
    _write(ax, label, (x, y), (8, -12), PURPLE)


def plot_training_grid(
    dataset, lines: Sequence, titles: Sequence[str], true_line
) -> None:
    """Draw a run in a figure of its own, two panels abreast.

    Each of the lines, an even number, has a panel and a title. What it gets
    wrong is strong, the rest faint; ``true_line`` is solid in every panel.
    """
    rows = len(lines) // 2
    _, axes = plt.subplots(
        rows, 2, figsize=(5.6, 1.75 * rows), sharex=True, sharey=True
    )
    x, y, label = (np.asarray(column) for column in dataset)
    for ax, line, title in zip(axes.flat, lines, titles, strict=True):
        logit = float(line.w1) * x + float(line.w2) * y + float(line.b)
        wrong = (logit > 0) != label
        for part, strength in ((~wrong, 0.15), (wrong, 0.9)):
            if part.any():
                _scatter(ax, x[part], y[part], label[part], strength, 7)
        ax.set(**PLANE)
        plot_boundary(ax, true_line)
        plot_boundary(ax, line, learned=True)
        ax.set_title(title, fontsize=10)
