"""The book's figures: shown in every chapter, taught in none.

Each function draws one thing on the Axes that it is given and returns it
(``plot_training_grid`` makes a figure of its own); none calls ``show``.
A line is anything with numbers ``w1``, ``w2`` and ``b``; a data set anything
with arrays ``x``, ``y`` and ``label``.
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
    "xlim": (-7, 7),
    "ylim": (-3.7, 3.7),
    "xticks": (-6, -4, -2, 0, 2, 4, 6),
    "yticks": (-2, 0, 2),
}
HALO = [patheffects.withStroke(linewidth=3, foreground="white")]
TEXT = {"path_effects": HALO, "fontweight": "bold", "zorder": 6}


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


def plot_dataset(
    ax: Axes, dataset, strength: float = 0.65, legend: bool = True, size=16
) -> Axes:
    """Scatter the points: label 0 blue circles, label 1 vermilion triangles.

    Args:
        ax: where to draw; its limits become the book's plane.
        dataset: arrays ``x``, ``y`` and ``label``, each of shape (n,).
        strength: opacity, from 0 (unseen) to 1.
        legend: whether to name the markers above the plane.
        size: of a marker, in points².

    Raises:
        ValueError: a label is neither 0 nor 1.
    """
    label = np.asarray(dataset.label)
    check_labels(label=label)
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
            ax.plot(
                [],
                [],
                marker,
                color=LABEL_COLORS[value],
                label=f"label {value}",
            )
        ax.legend(
            loc="lower right",
            bbox_to_anchor=(1.02, 0.97),
            ncols=2,
            handletextpad=0,
            columnspacing=1,
        )
    ax.set(xlabel="x", ylabel="y", **PLANE)
    return ax


def plot_boundary(
    ax: Axes,
    line,
    label: str = "",
    learned: bool = False,
    at: float = 0.02,
) -> Axes:
    """Draw where the logit is 0: solid for the truth, dashed if learned.

    Args:
        ax: where to draw, its limits already set.
        line: numbers ``w1``, ``w2`` and ``b``, w1 and w2 not both 0.
        label: written along the line, if that is in sight.
        learned: dashed and purple instead of solid and black.
        at: where the label begins, as a share of the visible line.

    Raises:
        ValueError: a number is not finite, or w1 and w2 are both 0.
    """
    color = PURPLE if learned else INK
    w1, w2, b = float(line.w1), float(line.w2), float(line.b)
    if w1 == w2 == 0:
        raise ValueError(f"line must have w1 or w2 other than 0, got {line}")
    # Along the line from its point nearest the origin, steep or not.
    t = np.linspace(-12, 12, 2401) / np.hypot(w1, w2)
    foot = -b / (w1**2 + w2**2)
    x, y = foot * w1 + t * w2, foot * w2 - t * w1
    left, right = ax.get_xlim()
    low, high = ax.get_ylim()
    seen = (left <= x) & (x <= right) & (low <= y) & (y <= high)
    # Left to right, so that a label reads along the line.
    x, y = np.array([x, y])[:, seen][:, :: 1 if w2 > 0 else -1]
    style = {"linestyle": (0, (4, 2))} if learned else {}
    ax.plot(x, y, color=color, zorder=4, **style)
    if label and len(x):
        here = int(at * (len(x) - 1))
        ax.annotate(
            label,
            (x[here], y[here]),
            xytext=(0, 4),
            textcoords="offset points",
            va="bottom",
            rotation=np.degrees(np.arctan2(y[-1] - y[0], x[-1] - x[0])),
            rotation_mode="anchor",
            color=color,
            **TEXT,
        )
    ax.set(xlim=(left, right), ylim=(low, high))
    return ax


def plot_point(
    ax: Axes, x, y, label: str = "our point", offset=(14, -36), color=INK
) -> Axes:
    """Ring a point and name it.

    Args:
        ax: where to draw.
        x, y: the point, in data units.
        label: its name.
        offset: from the point to its name, in typographic points; a line
            leads there if it is far.
        color: of ring and name.
    """
    ax.plot(x, y, "o", ms=10, mfc="none", mec=color, mew=2, zorder=5)
    leader = {"arrowstyle": "-", "color": color, "shrinkB": 5}
    ax.annotate(
        label,
        (float(x), float(y)),
        offset,
        textcoords="offset points",
        ha="left" if offset[0] >= 0 else "right",
        va="center",
        color=color,
        arrowprops=leader if np.hypot(*offset) > 20 else None,
        **TEXT,
    )
    return ax


def plot_curve(
    ax: Axes,
    x,
    y,
    label: str = "",
    color: str = INK,
    at: float = 1.0,
    offset=(4, 0),
) -> Axes:
    """Draw y over x and name the curve where it is ``at`` of its length.

    Args:
        ax: where to draw.
        x, y: arrays of one shape (n,).
        label: the curve's name; none by default.
        color: of curve and name.
        at: where the name stands, as a share of the n points.
        offset: from there to the name, in typographic points.
    """
    ax.plot(x, y, color=color)
    here = int(at * (len(x) - 1))
    ax.annotate(
        label,
        (x[here], y[here]),
        offset,
        textcoords="offset points",
        ha="left" if offset[0] >= 0 else "right",
        va="center",
        color=color,
        annotation_clip=False,
        **TEXT,
    )
    return ax


def plot_arrow(
    ax: Axes, start, step, label: str = "", color: str = INK, offset=(6, 0)
) -> Axes:
    """Draw an arrow and name it at its head.

    Args:
        ax: where to draw.
        start, step: pairs of numbers: the tail, and from tail to head.
        label: its name.
        color: of arrow and name.
        offset: from the head to the name, in typographic points.
    """
    head = np.add(start, step)
    style = {"arrowstyle": "-|>", "color": color, "lw": 2.2}
    style |= {"shrinkA": 0, "shrinkB": 0, "mutation_scale": 13}
    ax.annotate("", head, start, arrowprops=style, zorder=5)
    ax.annotate(
        label,
        head,
        offset,
        textcoords="offset points",
        ha="left" if offset[0] >= 0 else "right",
        va="center",
        color=color,
        **TEXT,
    )
    return ax


def plot_pulls(ax: Axes, dataset, dx, dy) -> Axes:
    """Draw from each point an arrow in its label's colour.

    Args:
        ax: where to draw.
        dataset: arrays ``x``, ``y`` and ``label``, each of shape (n,).
        dx, dy: the arrows, in data units, each of shape (n,).
    """
    labels = np.asarray(dataset.label).tolist()
    colors = [LABEL_COLORS[value] for value in labels]
    ax.quiver(
        *(np.asarray(a) for a in (dataset.x, dataset.y, dx, dy)),
        color=colors,
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.005,
        zorder=3,
    )
    # One scale for both, or right angles would not look right.
    ax.set(aspect="equal")
    return ax


def plot_surface(ax: Axes, w1, w2, loss, levels) -> Axes:
    """Map the loss over the weights: darker is worse.

    Args:
        ax: where to draw.
        w1, w2: the grid's coordinates, of shapes (k,) and (m,).
        loss: in nats, of shape (m, k).
        levels: the losses at which to draw a contour, numbered but for the
            first.
    """
    grid = (np.asarray(w1), np.asarray(w2), np.asarray(loss))
    ax.contourf(*grid, levels, cmap="Blues", extend="both", alpha=0.75)
    lines = ax.contour(*grid, levels, colors=GREY, linewidths=0.7)
    numbers = ax.clabel(lines, levels[1:], fontsize=10, colors=INK)
    plt.setp(numbers, path_effects=HALO)
    # One scale for both, or "steepest" would not look at right angles.
    ax.set(xlabel="w1", ylabel="w2", aspect="equal")
    return ax


def plot_path(ax: Axes, w1, w2, numbered: Sequence[int] = ()) -> Axes:
    """Draw a run's way over the weights, a dot an epoch.

    Args:
        ax: where to draw.
        w1, w2: arrays of shape (epochs + 1,), the start first.
        numbered: the epochs whose numbers to write.
    """
    ax.plot(w1, w2, ".-", color=PURPLE, lw=1.2, ms=4)
    for epoch in numbered:
        ax.plot(w1[epoch], w2[epoch], "o", color=PURPLE, ms=6)
        ax.annotate(
            "start" if epoch == 0 else f"epoch {epoch}",
            (w1[epoch], w2[epoch]),
            xytext=(-9, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=PURPLE,
            **TEXT,
        )
    return ax


def plot_training_grid(
    dataset, lines: Sequence, titles: Sequence[str], true_line
) -> Figure:
    """Draw a run in panels, two abreast: what the line of each gets wrong.

    Args:
        dataset: a ``Dataset`` of arrays of shape (n,).
        lines: the learned line of each panel, an even number of them.
        titles: the title of each panel.
        true_line: drawn solid in every panel.

    Returns:
        The figure. Misclassified points are strong, the others faint.

    Raises:
        ValueError: the lines are not in pairs, or the titles not as many.
    """
    if not lines or len(lines) % 2 or len(lines) != len(titles):
        raise ValueError(
            "lines must be an even number, with as many titles, got "
            f"{len(lines)} lines and {len(titles)} titles"
        )
    rows = len(lines) // 2
    fig, axes = plt.subplots(
        rows, 2, figsize=(5.6, 1.75 * rows), sharex=True, sharey=True
    )
    x, y, label = (np.asarray(column) for column in dataset)
    for ax, line, title in zip(axes.flat, lines, titles, strict=True):
        logit = float(line.w1) * x + float(line.w2) * y + float(line.b)
        wrong = (logit > 0) != label
        for part, strength in ((~wrong, 0.15), (wrong, 0.9)):
            if part.any():
                some = type(dataset)(x[part], y[part], label[part])
                plot_dataset(ax, some, strength, legend=False, size=7)
        plot_boundary(ax, true_line)
        plot_boundary(ax, line, learned=True)
        ax.set_title(title, fontsize=10)
    return fig


def plot_hump(
    ax: Axes, x, y, label: str, color: str = VERMILION, offset=(30, 8)
) -> Axes:
    """Fill the area under y over x and name it at its highest point.

    Args:
        ax: where to draw.
        x, y: arrays of one shape (n,).
        label: its name.
        color: of area and name.
        offset: from the middle of the top to the name, in typographic points.
    """
    x, y = np.asarray(x), np.asarray(y)
    ax.fill_between(x, y, color=color, alpha=0.55, linewidth=0)
    top = int(y.argmax())
    ax.annotate(
        label,
        (x[top], y[top] / 2),
        offset,
        textcoords="offset points",
        va="center",
        color=color,
        **TEXT,
    )
    return ax


def plot_marks(
    ax: Axes, x, y, marker: str = "o", color: str = PURPLE, label: str = ""
) -> Axes:
    """Mark points that no curve joins; the label is for a legend.

    Args:
        ax: where to draw.
        x, y: arrays of one shape (n,).
        marker: one of Matplotlib's; drawn hollow.
        color: of the marks.
        label: their name in ``ax.legend()``; none by default.
    """
    style = {"ls": "none", "mfc": "none", "mew": 1.6, "ms": 7, "zorder": 5}
    ax.plot(
        np.asarray(x),
        np.asarray(y),
        marker,
        color=color,
        label=label or None,
        **style,
    )
    return ax


def plot_level(ax: Axes, y: float, label: str = "", at: float = 0.01) -> Axes:
    """Draw a thin line across, such as a limit, and name it above.

    Args:
        ax: where to draw.
        y: its height, in data units.
        label: its name; none by default.
        at: where the name begins, as a share of the width.
    """
    ax.axhline(y, color=GREY, lw=1, ls=":", zorder=1)
    ax.annotate(
        label,
        (at, y),
        xytext=(0, 2),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        va="bottom",
        color=GREY,
        path_effects=HALO,
    )
    return ax


def plot_intervals(ax: Axes, x, low, high, color: str = PURPLE) -> Axes:
    """Draw a bar from low to high over each x, arrays of shape (n,)."""
    ax.vlines(*(np.asarray(a) for a in (x, low, high)), color=color, lw=1.6)
    return ax


def plot_many_intervals(ax: Axes, low, high, truth: float) -> Axes:
    """Draw intervals side by side, strongly those that miss the truth.

    Args:
        ax: where to draw.
        low, high: their ends, arrays of shape (n,).
        truth: a level line, in data units.
    """
    low, high = np.asarray(low), np.asarray(high)
    missed = (truth < low) | (high < truth)
    for part, style in (
        (~missed, {"color": GREY, "lw": 1.0}),
        (missed, {"color": VERMILION, "lw": 1.2}),
    ):
        ax.vlines(np.flatnonzero(part) + 1, low[part], high[part], **style)
    ax.axhline(truth, color=INK, lw=1.4)
    return ax


def plot_cloud(ax: Axes, x, y) -> Axes:
    """Scatter many learned values, arrays of shape (n,), faintly."""
    sns.scatterplot(
        x=np.asarray(x),
        y=np.asarray(y),
        color=PURPLE,
        alpha=0.35,
        s=12,
        linewidth=0,
        ax=ax,
    )
    return ax


def plot_ellipse(ax: Axes, center, covariance, label: str = "95 %") -> Axes:
    """Draw the ellipse that holds 95 % of a normal cloud.

    Args:
        ax: where to draw.
        center: a pair of numbers.
        covariance: of shape (2, 2).
        label: written at its highest point.
    """
    turn = np.linspace(0, 2 * np.pi, 181)
    # The squared distance of two normal numbers exceeds −2 log 0.05 in 5 %.
    radius = np.sqrt(-2 * np.log(0.05))
    root = np.linalg.cholesky(np.asarray(covariance, float))
    ring = root @ (radius * np.array([np.cos(turn), np.sin(turn)]))
    x, y = ring + np.asarray(center, float)[:, None]
    ax.plot(x, y, color=INK, lw=1.6)
    top = int(y.argmax())
    ax.annotate(
        label,
        (x[top], y[top]),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=INK,
        **TEXT,
    )
    return ax


def plot_fan(ax: Axes, lines) -> Axes:
    """Draw many learned boundaries, thin and faint.

    Args:
        ax: where to draw, its limits already set.
        lines: arrays ``w1``, ``w2`` (none 0) and ``b``, each of shape (k,).

    Raises:
        ValueError: a w2 is 0.
    """
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    x = np.array([[left], [right]])
    w1, w2, b = (np.asarray(w) for w in (lines.w1, lines.w2, lines.b))
    y = -(w1 * x + b) / w2
    ax.plot(x, y, color=PURPLE, lw=0.7, alpha=0.6, zorder=3)
    ax.set(xlim=(left, right), ylim=(low, high))
    return ax


def plot_band(ax: Axes, x, low, high, label: str = "") -> Axes:
    """Shade from low to high over x, arrays of shape (n,)."""
    ax.fill_between(
        x,
        low,
        high,
        color=PURPLE,
        alpha=0.25,
        linewidth=0,
        label=label or None,
    )
    return ax


def plot_probability(ax: Axes, x, y, probability) -> Axes:
    """Shade the plane in ten steps: blue for label 0, vermilion for label 1.

    Args:
        ax: where to draw.
        x, y: the grid's coordinates, of shape (m, k).
        probability: of label 1, of shape (m, k); palest at one half.
    """
    colors = mpl.colors.LinearSegmentedColormap.from_list(
        "labels", ["#A6CFE5", "white", "#F2C9A6"]
    )
    grid = (np.asarray(a) for a in (x, y, probability))
    ax.contourf(*grid, np.linspace(0, 1, 11), cmap=colors, zorder=0)
    return ax


def plot_contour(
    ax: Axes,
    x,
    y,
    logit,
    label: str = "",
    learned: bool = False,
    at: float = 0.5,
    offset=(0, 10),
) -> Axes:
    """Draw where the logit is 0, however bent: solid, or dashed if learned.

    Args:
        ax: where to draw.
        x, y: the grid's coordinates, of shape (m, k).
        logit: of shape (m, k).
        label: written at the longest piece, if there is one.
        learned: dashed and purple instead of solid and black.
        at: where the label stands, as a share of that piece.
        offset: from there to the label's middle, in typographic points.
    """
    color = PURPLE if learned else INK
    lines = ax.contour(
        *(np.asarray(a) for a in (x, y, logit)),
        [0],
        colors=color,
        linestyles=[(0, (4, 2)) if learned else "solid"],
        linewidths=mpl.rcParams["lines.linewidth"],
        zorder=4,
    )
    longest = max(lines.allsegs[0], key=len)
    if label and len(longest):
        ax.annotate(
            label,
            longest[int(at * (len(longest) - 1))],
            offset,
            textcoords="offset points",
            ha="center",
            va="center",
            color=color,
            **TEXT,
        )
    return ax


def plot_two_kinds(
    ax: Axes, x, y, label, names: Sequence[str] = ("benign", "malignant")
) -> Axes:
    """Scatter two features in the labels' colours and markers, with a legend.

    Args:
        ax: where to draw.
        x, y: the features, arrays of shape (n,).
        label: 0 or 1, of shape (n,).
        names: of label 0 and label 1, written above the axes.

    Raises:
        ValueError: a label is neither 0 nor 1.
    """
    check_labels(label=label)
    # One call, so that neither kind lies on top of the other.
    sns.scatterplot(
        x=np.asarray(x),
        y=np.asarray(y),
        hue=label,
        style=label,
        palette=LABEL_COLORS,
        markers=LABEL_MARKERS,
        alpha=0.55,
        s=16,
        linewidth=0,
        legend=False,
        ax=ax,
    )
    for value, marker in LABEL_MARKERS.items():
        ax.plot([], [], marker, color=LABEL_COLORS[value], label=names[value])
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(-0.04, 0.97),
        ncols=2,
        handletextpad=0,
        columnspacing=0.8,
    )
    return ax


def plot_cross(
    ax: Axes, x, y, x_ends, y_ends, label: str = "", offset=(8, -12)
) -> Axes:
    """Mark a measured point, a bar for the interval of each coordinate.

    Args:
        ax: where to draw.
        x, y: the point, in data units.
        x_ends, y_ends: pairs of numbers, the ends of the bars.
        label: its name.
        offset: from the point to its name, in typographic points.
    """
    ax.plot(np.asarray(x_ends, float), [y, y], color=PURPLE, lw=1.6, zorder=4)
    ax.plot([x, x], np.asarray(y_ends, float), color=PURPLE, lw=1.6, zorder=4)
    ax.plot(x, y, "o", color=PURPLE, ms=6, zorder=5)
    ax.annotate(
        label,
        (x, y),
        offset,
        textcoords="offset points",
        va="center",
        color=PURPLE,
        **TEXT,
    )
    return ax
