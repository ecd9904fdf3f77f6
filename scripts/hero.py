"""Draw the book's picture: the line that learns, from the helpers' own run.

It writes to book/assets: hero.svg for the intro page, in whose colours of day
and night it dresses, hero.png for the README, social-card.png for links.
"""

import operator
from functools import partial
from io import BytesIO
from pathlib import Path

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import optax
from PIL import Image

from helpers import plotting
from helpers.data import TRUE_LINE, Line, make_dataset
from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.training import fit

ASSETS = Path(__file__).parent.parent / "book" / "assets"
LEFT, RIGHT, BOTTOM, TOP = -7.0, 7.0, -3.2, 3.8
UNIT = 50  # of the SVG, to one of the plane

# Between the first epoch and the last, the line is drawn as a clock's hand:
# its upper half, so long, with these names at some of the tips.
HANDS = {5: "epoch 5", 10: "10", 15: "", 20: "", 30: ""}
REACH = 3.1
# Where the arrow along the tips begins and ends, in radians.
SWING = (0.38, 2.62)

# Text, colour, place, whether it stands along a line, and its anchor.
NAMES = [
    ("label 0", "label-0", (-5.75, -2.6), None, "start"),
    ("label 1", "label-1", (4.15, 3.1), None, "start"),
    ("before training", "learned", (6.9, 2.21), "start", "end"),
    ("true line", "truth", (6.9, -2.2), "truth", "end"),
    ("after 100 epochs", "learned", (-6.9, 2.5), "truth", "start"),
]
KEYS = [(-5.98, -2.5), (3.92, 3.2)]  # the markers beside the labels' names
TITLE = "A model finds the line that made the labels"
DESCRIPTION = (
    "A thousand points: label 0, blue circles, mostly below a solid falling "
    "line, label 1, orange triangles, mostly above it. A dashed line, the "
    "model's, rises before training. Epoch by epoch it swings over the "
    "vertical to the left, and after 100 epochs it all but covers the solid "
    "line."
)
STYLE = """<style>
.hero-picture{font:600 15px "Atkinson Hyperlegible Next",sans-serif;fill:none}
.hero-picture :is(.label-0,.label-1){opacity:.72}
.hero-picture .label-0{stroke:var(--label-0,#0072b2);stroke-width:5;\
stroke-linecap:round}
.hero-picture .label-1{fill:var(--label-1,#d55e00)}
.hero-picture .key{stroke-width:11;opacity:1}
.hero-picture .truth{stroke:var(--ink,#1b2433);stroke-width:3.5}
.hero-picture .learned{stroke:var(--learned,#aa3377);stroke-width:3.5;\
stroke-dasharray:11 6}
.hero-picture .start{stroke-width:2.5}
.hero-picture .hand{stroke-width:1.6;stroke-dasharray:7 4}
.hero-picture .swing{stroke-width:1.6;stroke-dasharray:none}
.hero-picture text{paint-order:stroke;stroke:var(--paper,#fff)!important;\
stroke-width:5px!important;stroke-linejoin:round;stroke-dasharray:none;\
opacity:1!important}
.hero-picture text.label-0{fill:var(--link,#005f9e)}
.hero-picture text.label-1{fill:var(--predict-ink,#a34700)}
.hero-picture text.learned{fill:var(--learned,#aa3377)}
.hero-picture text.truth{fill:var(--ink,#1b2433)}
@media(max-width:600px){.hero-picture{font-size:27px}}
</style>"""


def train():
    """Return the data set, and the model's lines from the start to the end."""
    dataset = make_dataset(jax.random.key(1))
    loss_fn = partial(mean_loss, LogisticRegression().apply)
    _, history = fit(loss_fn, BLOG_PARAMS, optax.sgd(0.3), dataset, epochs=100)
    start, run = BLOG_PARAMS["params"], history.params["params"]
    columns = [np.append(start[k], run[k]) for k in ("w1", "w2", "b")]
    return dataset, [Line(*row) for row in np.stack(columns, axis=1)]


def angle(line):
    """Return the direction of the line's upper half, in radians."""
    return np.arctan2(line.w1, -line.w2)


def whole(line):
    """Return two points of the line, beyond the picture's edges."""
    x = np.array([2 * LEFT, 2 * RIGHT])
    return np.stack([x, -(line.w1 * x + line.b) / line.w2], axis=1)


def hand(line):
    """Return both ends of the line's upper half."""
    normal = np.array([line.w1, line.w2])
    foot = -line.b * normal / (normal @ normal)
    return np.stack([foot, foot + polar(angle(line))])


def polar(turn, reach=REACH):
    return reach * np.array([np.cos(turn), np.sin(turn)])


def tip_name(line):
    """Return where the name of a hand stands, and on which side of it."""
    x, y = hand(line)[0] + polar(angle(line), REACH + 0.15)
    return (x, y), "start" if x > -0.3 else "end"


def arrow_head(end):
    """Return the three corners of an arrow's head at the end of the swing."""
    along = polar(end + np.pi / 2, 1)
    across, tip = polar(end, 1), polar(end)
    back = tip - 0.17 * along
    return back + 0.1 * across, tip + 0.08 * along, back - 0.1 * across


def svg(dataset, lines) -> str:
    """Return the picture as SVG that takes its colours from the page."""

    def at(point):
        return f"{UNIT * (point[0] - LEFT):.1f} {UNIT * (TOP - point[1]):.1f}"

    def path(name, *points, join="L"):
        return f'<path class="{name}" d="M{join.join(map(at, points))}"/>'

    def text(words, name, point, turn, anchor):
        x, y = at(point).split()
        turned = f' transform="rotate({turn:.1f} {x} {y})"' if turn else ""
        return (
            f'<text class="{name}" x="{x}" y="{y}" text-anchor="{anchor}"'
            f"{turned}>{words}</text>"
        )

    points = np.stack([dataset.x, dataset.y], axis=1)
    label = np.asarray(dataset.label)
    # A dot is a line of no length with round ends.
    dots = "".join(f"M{at(p)}h0" for p in points[label == 0])
    peaks = "".join(
        f"M{at((x, y + 0.06))}l3 5.2h-6z" for x, y in points[label == 1]
    )
    turns = {
        None: 0,
        "start": -np.degrees(angle(lines[0])),
        "truth": 180 - np.degrees(angle(TRUE_LINE)),
    }
    arc = f"A{REACH * UNIT:.0f} {REACH * UNIT:.0f} 0 0 0 "
    drawn = [
        f'<path class="label-0" d="{dots}"/>',
        f'<path class="label-1" d="{peaks}"/>',
        f'<path class="label-0 key" d="M{at(KEYS[0])}h0"/>',
        f'<path class="label-1 key" d="M{at(KEYS[1])}m0-6l6 10.4h-12z"/>',
        path("learned swing", polar(SWING[0]), polar(SWING[1]), join=arc),
        path("learned swing", *arrow_head(SWING[1])),
        *(path("learned hand", *hand(lines[epoch])) for epoch in HANDS),
        path("learned start", *whole(lines[0])),
        path("truth", *whole(TRUE_LINE)),
        path("learned", *whole(lines[100])),
        *(
            text(words, name, place, turns[along], anchor)
            for words, name, place, along, anchor in NAMES
        ),
    ]
    for epoch, words in filter(operator.itemgetter(1), HANDS.items()):
        place, anchor = tip_name(lines[epoch])
        drawn.append(text(words, "learned", place, 0, anchor))
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" class="hero-picture" '
            f'viewBox="0 0 {UNIT * (RIGHT - LEFT):.0f} '
            f'{UNIT * (TOP - BOTTOM):.0f}" role="img" '
            'aria-labelledby="hero-title hero-text">',
            f'<title id="hero-title">{TITLE}</title>',
            f'<desc id="hero-text">{DESCRIPTION}</desc>',
            STYLE,
            *drawn,
            "</svg>\n",
        ]
    )


def paint(ax, dataset, lines, scale=1.0) -> None:
    """Draw the picture with Matplotlib, its type and lines to scale."""
    colors = {
        "label-0": plotting.BLUE,
        "label-1": "#A34700",
        "learned": plotting.PURPLE,
        "truth": plotting.INK,
    }
    learned = {"color": plotting.PURPLE, "dashes": (4, 2)}
    plotting.plot_dataset(ax, dataset, legend=False, size=13 * scale**2)
    for value, place in enumerate(KEYS):
        color = plotting.LABEL_COLORS[value]
        marker = plotting.LABEL_MARKERS[value]
        ax.plot(*place, marker, color=color, ms=7 * scale)
    for epoch in HANDS:
        ax.plot(*hand(lines[epoch]).T, lw=1.1 * scale, **learned)
    ax.plot(*whole(lines[0]).T, lw=1.8 * scale, **learned)
    ax.plot(*whole(TRUE_LINE).T, color=plotting.INK, lw=2.5 * scale)
    ax.plot(*whole(lines[100]).T, lw=2.5 * scale, **learned)
    turn = np.linspace(*SWING, 99)
    ax.plot(*polar(turn), color=plotting.PURPLE, lw=1.1 * scale)
    ax.plot(
        *np.transpose(arrow_head(SWING[1])),
        color=plotting.PURPLE,
        lw=1.1 * scale,
    )
    turns = {
        None: 0,
        "start": np.degrees(angle(lines[0])),
        "truth": np.degrees(angle(TRUE_LINE)) - 180,
    }
    sides = {"start": "left", "middle": "center", "end": "right"}
    names = [
        (words, name, place, turns[along], anchor)
        for words, name, place, along, anchor in NAMES
    ]
    for epoch, words in HANDS.items():
        place, anchor = tip_name(lines[epoch])
        names.append((words, "learned", place, 0, anchor))
    for words, name, place, turned, anchor in names:
        ax.text(
            *place,
            words,
            rotation=turned,
            rotation_mode="anchor",
            ha=sides[anchor],
            va="baseline",
            size=10.5 * scale,
            weight=600,
            color=colors[name],
            path_effects=plotting.HALO,
            zorder=6,
        )
    width, height = ax.bbox.size
    side = (TOP - BOTTOM) / 2 * width / height
    ax.set(xlim=(-side, side), ylim=(BOTTOM, TOP))
    ax.axis("off")


def save(fig, name) -> None:
    """Write the figure as a PNG of 256 colours."""
    full = BytesIO()
    fig.savefig(full)
    image = Image.open(full).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(
        ASSETS / name, optimize=True
    )


def main() -> None:
    plotting.use_book_style()
    mpl.rcParams["figure.constrained_layout.use"] = False
    mpl.rcParams["font.family"] = "Atkinson Hyperlegible Next"
    dataset, lines = train()
    (ASSETS / "hero.svg").write_text(svg(dataset, lines))

    fig = plt.figure(figsize=(7, 3.5), dpi=200)
    paint(fig.add_axes((0, 0, 1, 1)), dataset, lines)
    save(fig, "hero.png")

    fig = plt.figure(figsize=(6, 3.15), dpi=200)
    paint(fig.add_axes((0, 0, 1, 0.76)), dataset, lines, scale=0.7)
    fig.text(0.045, 0.855, "Drawing the Line", size=25, weight=700)
    fig.text(
        0.045,
        0.765,
        "Learn JAX by building one classifier you can see whole",
        size=11.5,
        color=plotting.GREY,
    )
    save(fig, "social-card.png")


if __name__ == "__main__":
    main()
