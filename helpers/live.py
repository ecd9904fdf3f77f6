"""Two figures that answer when pushed: in chapters 7 and 9, taught in none.

``live.html`` beside this file holds their styles, frames and scripts. Each
figure is one piece of HTML that needs nothing else, and a still picture where
scripts are off. Its numbers are rounded once, before they are handed over, so
that script and still start from the same ones.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from helpers.scrubber import Scrubber

# The intervals: how many are seen, and their sizes in the picture.
SEEN, ROW, PANEL = 20, 19, 400
MARKS = "m-6-6l12 12m0-12l-12 12", "h0"  # a cross, a dot
# The dials: the threshold's stops, ten for a factor of ten in the odds.
ODDS = 10 ** (np.arange(-30, 31) / 10)
FIRST = 20  # the stop of 1/11
RATIO = 10
RATIOS = [1, 2, 3, 5, RATIO, 20, 30, 50, 100]
SHARES = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
STEP, PITCH, LEFT = 11.5, 10, 54  # from stop to stop; the first one's place
FLOOR, DEPTH = 320, 130  # of the curve of costs


def repeated_intervals(
    intervals: Mapping, truth: float, name: str
) -> Scrubber:
    """Draw intervals from one data set after another, as the reader asks.

    Args:
        intervals: for each way of fitting, by its name, the lower and upper
            ends that it gives: two arrays of shape (n,) for n data sets.
        truth: the number that the intervals should hold.
        name: the name of the param.
    """
    ends = np.array([np.stack(pair) for pair in intervals.values()], float)
    held = ((ends[:, 0] < truth) & (truth < ends[:, 1])).astype(int)
    low, high = np.floor(2 * ends.min()) / 2, np.ceil(2 * ends.max()) / 2
    unit = round(PANEL / (high - low), 2)
    ends = np.rint(100 * ends).astype(int).swapaxes(1, 2)
    below = f'y="{SEEN * ROW}" dy="1.2em"'
    ticks = "".join(
        f'<text x="{unit * (n - low):g}" {below}>{n:g}</text>'
        for n in np.arange(np.ceil(low), high)
    )
    ticks += f'<text x="{PANEL}" {below} style="text-anchor:end">{name}</text>'
    heads, panels, rows = [], [], []
    for k, way in enumerate(intervals):
        lines, marks = ["", ""], ["", ""]  # of those that miss, that hold
        for i in range(SEEN):
            start, end = ends[k, SEEN - 1 - i] / 100 - low
            y, hold = ROW * (i + 0.5), held[k, SEEN - 1 - i]
            lines[hold] += f"M{unit * start:.1f} {y}H{unit * end:.1f}"
            marks[hold] += f"M{unit * (start + end) / 2:.1f} {y}{MARKS[hold]}"
        heads.append(
            f"<div><b>{way}</b><br><span>{held[k, :SEEN].sum()} of {SEEN} "
            f"hold {truth:g}</span></div>"
        )
        panels.append(
            f'<g class="panel" transform="translate({1.1 * PANEL * k:g})">'
            f'<rect class="new" width="{PANEL}" height="{ROW}"/>{ticks}'
            f'<path class="axis" d="M0 {SEEN * ROW}H{PANEL}"/>'
            f'<path class="truth" d="M{unit * (truth - low):g} 0v380"/>'
            f'<path class="held" d="{lines[1]}"/>'
            f'<path class="held mark" d="{marks[1]}"/>'
            f'<path class="missed" d="{lines[0]}{marks[0]}"/></g>'
        )
        rows.append(
            ";".join(
                f"{start},{end},{hold}"
                for (start, end), hold in zip(ends[k], held[k], strict=True)
            )
        )
    total = held.shape[1]
    counts = zip(intervals, held.sum(axis=1), strict=True)
    return _filled(
        "draws",
        ", ".join(
            f"{way}: {n} of {total} hold {truth:g}" for way, n in counts
        ),
        NAME=name,
        TRUTH=f"{truth:g}",
        HEADS="".join(heads),
        PANELS="".join(panels),
        ROWS="|".join(rows),
        TOTAL=total,
        SEEN=SEEN,
        ROW=ROW,
        LOW=f"{low:g}",
        UNIT=unit,
    )


def threshold_dials(probability, label) -> Scrubber:
    """Draw what a threshold does, with dials for costs and prevalence.

    Args:
        probability: the out-of-fold probability of cancer, of shape (n,).
        label: 1 for malignant tumours, 0 for benign ones, of shape (n,).
    """
    p, label = np.asarray(probability, float), np.asarray(label)
    # The number of stops below it: at these it raises an alarm.
    with np.errstate(divide="ignore"):  # of those as good as certain
        place = np.searchsorted(ODDS, p / (1 - p))
    benign, malignant = (
        np.bincount(place[label == kind], minlength=len(ODDS) + 1)
        for kind in (0, 1)
    )
    well, ill = int(benign.sum()), int(malignant.sum())
    missed, false = np.cumsum(malignant)[:-1], well - np.cumsum(benign)[:-1]
    own = ill / len(label)
    shares = sorted([*SHARES, own])
    here = _counts(ill, well, missed / ill, false / well)
    there = _counts(1000 * own, 1000 * (1 - own), missed / ill, false / well)
    cost = there[-1]
    top = max(5 * cost.min(), 1.2 * cost[FIRST])
    down = np.round(FLOOR - DEPTH * cost / top, 1)
    cells = {
        f"{column}{row}": _written(row, counts[FIRST])
        for column, table in (("A", here), ("B", there))
        for row, counts in enumerate(table)
    }
    alarms = round(50 * there[5][FIRST])
    return _filled(
        "dials",
        f"at threshold 1/11: {cells['A0']} of {ill} cancers found, "
        f"false alarms for {cells['A2']} of {well} benign tumours",
        BENIGN=_stacked(benign, "M{:g} {:g}h0", 1),
        MALIGNANT=_stacked(malignant, "M{:g} {:g}l5 9h-10z", -1),
        CURVE="L".join(f"{LEFT + STEP * k:g} {y}" for k, y in enumerate(down)),
        AT=LEFT + STEP * FIRST,
        BACK=LEFT + STEP * FIRST - 840,
        COST_AT=down[FIRST],
        COST_TOP=f"{top:.0f}",
        ALARMS=alarms,
        CANCERS="".join(_alarm(i, "l7 13h-14z") for i in range(alarms)),
        OTHERS="".join(_alarm(i, "m0 7h0") for i in range(alarms, 50)),
        MISSED=missed.tolist(),
        FALSE=false.tolist(),
        ALL=len(label),
        ILL=ill,
        WELL=well,
        SHARES=[float(f"{share:.6g}") for share in shares],
        SHARE=shares.index(own),
        LAST_SHARE=len(shares) - 1,
        PERCENT=f"{100 * own:.0f}\u202f%",
        RATIOS=RATIOS,
        RATIO=RATIOS.index(RATIO),
        LAST_RATIO=len(RATIOS) - 1,
        **cells,
    )


def _counts(ill, well, missed, false):
    """Return the table's rows, each for all stops, from shares of two kinds.

    Found, missed, false alarms, rightly silent, recall, precision, cost.
    """
    found, alarms = ill * (1 - missed), well * false
    precision = found / (found + alarms)
    price = RATIO * ill * missed + alarms
    rows = found, ill - found, alarms, well - alarms
    return *rows, 1 - missed, precision, price


def _written(row, number):
    """Write a number of the table as the script writes it."""
    if row in (4, 5):
        return f"{100 * number:.0f}\u202f%"
    number = round(number, 9)  # 1 is 1
    digits = int(number < 0.95) + int(number < 9.95) if number % 1 else 0
    return f"{number:.{digits}f}"


def _stacked(counts, mark, way):
    """Return a mark for each tumour, stacked between stops, or beyond."""
    tall = max(10, counts[1:-1].max())
    marks = []
    for k, count in enumerate(counts):
        out = {0: -1, len(counts) - 1: 1}.get(k, 0)  # where columns go on
        for i in range(count):
            column, up = divmod(i, tall)
            x = LEFT + STEP * (k - 0.5 + out * column)
            y = way * PITCH * (up + 0.6) - (4 if way < 0 else 0)
            marks.append(mark.format(x, y))
    return "".join(marks)


def _alarm(i, shape):
    """Place one of fifty alarms in two rows."""
    return f"M{20 * (i % 25) + 10} {22 * (i // 25) + 4}{shape}"


def _filled(name, text, **fields):
    """Return one of the two figures, its blanks filled in."""
    file = Path(__file__).with_name("live.html").read_text("utf-8")
    style, *figures = file.split("<!-- figure -->\n")
    (html,) = (one for one in figures if f'class="push {name}"' in one)
    for blank, value in {"STYLE": style, **fields}.items():
        html = html.replace(f"[[{blank}]]", str(value))
    return Scrubber(html.strip(), text)
