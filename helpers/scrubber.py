"""A training run to move through: drawn in chapter 4, taught in none.

``scrubber.html`` beside this file holds its styles, its frame and its script,
``weights_view.js`` the view of the weights, which the playground shows, too.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from IPython.display import HTML

from helpers.data import Line, line_logit

UNIT = 60  # of the picture, to one of the plane
RIGHT, TOP = 7 * UNIT, 222  # the plane's edges, seen from its middle
# Where a label along a line ends: so far from the middle, so far up.
REACH, RISE = RIGHT - 12, TOP - 40
WIDTH, HEIGHT = 2 * RIGHT, 150  # of the loss curve
# A logit so near 0 may have either sign on another machine, so its point
# stays on the side it came from.
NEAR_ZERO = 5e-6
# A dot is a line of no length with round ends; a triangle starts at its top.
MARKS = {0: ("h0", 0), 1: ("l4 7h-8z", 4)}


class Scrubber(HTML):
    """A run as a page shows it; as plain text, what it comes to."""

    def __init__(self, html: str, text: str) -> None:
        super().__init__(html)
        self.text = text

    def __repr__(self) -> str:
        return self.text


def training_scrubber(
    dataset,
    lines: Sequence,
    losses,
    true_line,
    still: int = 0,
    rate: float = 0.3,
) -> Scrubber:
    """Draw a run whose epoch the reader chooses, by a slider.

    Pressed, its map of the weights starts another run there.

    Args:
        dataset: arrays ``x``, ``y`` and ``label``, each of shape (n,).
        lines: the learned line at each epoch, that of the start first.
        losses: the loss of each of these lines.
        true_line: drawn solid throughout.
        still: the epoch to begin at, and to stay at where scripts are off.
        rate: the learning rate of gradient descent from other starts.

    Returns:
        One piece of HTML that needs nothing else. Misclassified points are
        strong, the others faint.
    """
    x, y, label = map(np.asarray, (dataset.x, dataset.y, dataset.label))
    path, truth = _rows(lines), _rows([true_line])[0]
    # Rounded once, here: script and still frame start from the same numbers.
    weights = np.rint(1000 * path).astype(int)
    losses = np.rint(1000 * np.asarray(losses, float)).astype(int)
    wrong = _sides(path, x, y) != label
    # In the order of the four paths, by which the script counts them.
    order = np.lexsort((wrong[still], label))
    x, y, label, wrong = x[order], y[order], label[order], wrong[:, order]
    across, down = np.rint(UNIT * np.stack([x, -y])).astype(int).tolist()
    marks = []
    for kind, left, low in zip(label.tolist(), across, down, strict=True):
        shape, height = MARKS[kind]
        marks.append(f"M{left} {low - height}{shape}")
    changed = np.diff(wrong, axis=0, prepend=wrong[:1])
    last = len(losses) - 1
    rights = 100 * (~wrong).sum(axis=1) / len(label)
    turned, at = _pose(weights[still] / 1000)
    # The colours run across the line, from logit -4 to logit 4.
    w1, w2, _ = weights[still] / 1000
    shade = np.copysign(4 * UNIT, w2) / np.hypot(w1, w2)
    curve = _curve(losses)
    ends = [f"{losses[k] / 1000:.3f}" for k in (0, -1)]
    fields = {
        "TICKS": _ticks(),
        "TRUTH": _pose(truth)[0],
        "TRUTH_WEIGHTS": truth[:2].tolist(),
        "TRUTH_AT": _reach(truth),
        "LEARNED": turned,
        "LEARNED_AT": at,
        "LEARNED_ANCHOR": "start" if at < 0 else "end",
        "SHADE": f"{shade:.1f}",
        "SHADE_TO": f"{-shade:.1f}",
        "RATE": rate,
        "EPOCHS": _epochs(last),
        "CURVE": " ".join(f"{x} {y}" for x, y in curve),
        "CURVE_END": curve[-1][1] - 14,
        "DOT_X": curve[still][0],
        "DOT_Y": curve[still][1],
        "LAST": last,
        "STILL": still,
        "TITLE": f"epoch {still}: loss {losses[still] / 1000:.3f}, "
        f"{rights[still]:.1f}\u202f% right",
        "WEIGHTS": "w1 {:.3f}, w2 {:.3f}, b {:.3f}".format(
            *weights[still] / 1000
        ).replace("-", "−"),
        "FAR": f"arrow {_degrees_apart(weights[still], truth):.1f}° off, "
        f"length {np.hypot(w1, w2):.2f} of {np.hypot(*truth[:2]):.2f}",
        "OFF_FIRST": f"{_degrees_apart(weights[0], truth):.0f}",
        "OFF_LAST": f"{_degrees_apart(weights[-1], truth):.0f}",
        "LOSS_FIRST": ends[0],
        "LOSS_LAST": ends[1],
        "REACH": REACH,
        "RISE": RISE,
        "ROWS": ";".join(
            f"{w1},{w2},{b},{loss},{' '.join(map(str, np.flatnonzero(new)))}"
            for (w1, w2, b), loss, new in zip(
                weights, losses, changed, strict=True
            )
        ),
    }
    for kind in MARKS:
        for name, part in (("RIGHT", False), ("WRONG", True)):
            chosen = np.flatnonzero((label == kind) & (wrong[still] == part))
            fields[f"{name}_{kind}"] = "".join(marks[i] for i in chosen)
    here = Path(__file__).parent
    fields["VIEW"] = (here / "weights_view.js").read_text("utf-8")
    html = (here / "scrubber.html").read_text("utf-8")
    for name, text in fields.items():
        html = html.replace(f"[[{name}]]", str(text))
    return Scrubber(
        html,
        f"epochs 0 to {last}: loss {' to '.join(ends)}, "
        f"{rights[0]:.1f} % to {rights[-1]:.1f} % right",
    )


def _rows(lines):
    """Return lines as an array, a row w1, w2, b for each."""
    return np.array([[line.w1, line.w2, line.b] for line in lines], float)


def _sides(path, x, y):
    """Return the label that each line gives each point, a row an epoch."""
    start, *rest = (np.asarray(line_logit(Line(*row), x, y)) for row in path)
    sides = [start > 0]
    for logit in rest:
        near = abs(logit) < NEAR_ZERO
        sides.append(np.where(near, sides[-1], logit > 0))
    return np.array(sides)


def _pose(line):
    """Place a level line where the logit is 0, and its label upon it.

    Returns:
        The SVG transform, and where the label ends: on the line's upper half.
    """
    w1, w2, b = map(float, line)
    square = w1 * w1 + w2 * w2
    across, up = -UNIT * b * w1 / square, UNIT * b * w2 / square
    turn = np.degrees(np.arctan2(-w1 if w2 < 0 else w1, abs(w2)))
    at = -_reach(line) if turn > 0 else _reach(line)
    return f"translate({across:.1f} {up:.1f}) rotate({turn:.1f})", at


def _reach(line):
    """Return how far from the middle a label along the line may end."""
    w1, w2 = abs(float(line[0])), abs(float(line[1]))
    return int(np.hypot(w1, w2) / max(w2 / REACH, w1 / RISE))


def _degrees_apart(line, other):
    """Return by how much two lines' arrows (w1, w2) differ, in degrees."""
    return abs(np.angle(complex(*line[:2]) / complex(*other[:2]), deg=True))


def _curve(losses):
    """Return the loss curve's corners, to scale with the largest loss."""
    across = WIDTH * np.arange(len(losses)) / (len(losses) - 1)
    down = HEIGHT * (1 - losses / max(losses.max(), 1))
    return np.round(np.stack([across, down], axis=1), 1).tolist()


def _ticks():
    """Return the plane's numbers and names, in its units."""
    across = [
        f'<text x="{UNIT * x}" y="{TOP}" dy="1.2em">{x}</text>'
        for x in (-6, -4, -2, 0, 2, 4, 6)
    ]
    up = [
        f'<text x="{-RIGHT - 10}" y="{-UNIT * y}" dy=".35em" '
        f'style="text-anchor:end">{y}</text>'
        for y in (-2, 0, 2)
    ]
    names = [
        f'<text x="{RIGHT}" y="{TOP}" dy="1.2em">x</text>',
        f'<text x="{-RIGHT - 10}" y="{-TOP}" dy=".8em" '
        'style="text-anchor:end">y</text>',
    ]
    return "\n".join([*across, *up, *names]).replace(">-", ">−")


def _epochs(last):
    """Return the numbers below the loss curve, six or so."""
    step = max(1, round(last / 5))
    return "\n".join(
        f'<text x="{round(WIDTH * k / last, 1)}" y="{HEIGHT}" dy="1.3em">'
        f"{k}</text>"
        for k in range(0, last + 1, step)
    )
