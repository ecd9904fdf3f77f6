"""Draw each chapter's card on the intro page, from the helpers' own runs.

It writes book/assets/cards, a drawing a chapter. The page puts each beside
its chapter's title, and dresses it by the class names: see book.css.
"""

import json
from functools import partial
from importlib.resources import files
from itertools import chain
from typing import NamedTuple

import jax
import numpy as np
import optax
from contourpy import contour_generator
from hero import ASSETS, BOTTOM, LEFT, RIGHT, TOP, train, whole

from helpers.data import TRUE_LINE, Dataset, Line, make_dataset
from helpers.limits import logit_grid
from helpers.loss import mean_loss, per_example_value_and_grad
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.networks import MLP
from helpers.real_data import find_scaling, load_breast_cancer, standardize
from helpers.scale import CHUNK, by_chunks, device_mesh, make_chunk
from helpers.solvers import by_sums, newton
from helpers.training import fit

WIDTH, HEIGHT = 240, 120
apply = LogisticRegression().apply
loss_fn = partial(mean_loss, apply)
fast_sgd = optax.sgd(2.0)


class Frame(NamedTuple):
    """What part of a plane fills the card."""

    left: float
    right: float
    bottom: float
    top: float

    def __call__(self, x, y):
        """Return where on the card points of the plane are, shape (k, 2)."""
        across = (np.asarray(x) - self.left) / (self.right - self.left)
        down = (self.top - np.asarray(y)) / (self.top - self.bottom)
        return np.stack([WIDTH * across, HEIGHT * down], axis=-1)


# The hero's frame, and one that is nearer.
PLANE = Frame(LEFT, RIGHT, BOTTOM, TOP)
NEAR = Frame(-4.0, 4.0, -1.9, 2.1)


def number(value) -> str:
    # Adding zero makes zero of minus zero.
    return f"{round(float(value), 1) + 0.0:g}"


def path(name, *strokes, shape="") -> str:
    """Draw lines through points, or at each a shape of relative moves."""
    if shape:
        strokes = [[point] for point in np.concatenate(strokes)]
    d = "".join(
        f"M{' '.join(number(v) for point in stroke for v in point)}{shape}"
        for stroke in strokes
    )
    return f'<path class="{name}" d="{d}"/>'


def scatter(frame, points) -> str:
    """Draw points as the hero does: dots, and triangles for label 1."""
    at, label = frame(points.x, points.y), np.asarray(points.label)
    seen = ((at > 0) & (at < [WIDTH, HEIGHT])).all(axis=1)
    dots, peaks = (at[seen & (label == value)] for value in (0, 1))
    return path("label-0", dots, shape="h0") + path(
        "label-1", peaks - [0, 2.4], shape="l2.3 4h-4.6z"
    )


def first(n, points):
    return Dataset(*(column[:n] for column in points))


def straight(frame, line, name) -> str:
    return path(name, frame(*whole(line).T))


def circles(name, at, radii) -> str:
    d = "".join(
        f"M{number(x - r)} {number(y)}a{number(r)} {number(r)} 0 1 0 0-.1z"
        for (x, y), r in zip(at, radii, strict=True)
    )
    return f'<path class="{name}" d="{d}"/>'


def arrow(tail, head):
    """Return the strokes of an arrow with an open head."""
    back = (tail - head) / np.hypot(*(tail - head))
    wings = [back * 4 + side * back[::-1] * [-2.4, 2.4] for side in (1, -1)]
    return [tail, head], [head + wings[0], head, head + wings[1]]


def contour(frame, heights, level, n):
    """Return n points along each contour, closer where it bends."""
    strokes = []
    for found in contour_generator(*map(np.asarray, heights)).lines(level):
        x, y = frame(*found.T).T
        dx, dy = np.diff(x), np.diff(y)
        turn = abs(np.diff(np.unwrap(np.arctan2(dy, dx))))
        length = np.hypot(dx, dy)
        steps = length / length.sum() + np.append(0, turn / (turn.sum() + 1))
        along = np.append(0, np.cumsum(steps))
        even = np.linspace(0, along[-1], n)
        places = [np.interp(even, along, values) for values in (x, y)]
        strokes.append(np.stack(places, axis=1))
    return strokes


dataset, lines = train()
cloud = scatter(PLANE, first(120, dataset))


def data():
    return cloud, straight(PLANE, TRUE_LINE, "truth")


def model():
    return cloud, straight(PLANE, lines[0], "learned dashed")


def loss_and_gradients():
    frame = Frame(-5.6, 5.6, -2.6, 3.0)
    few = first(50, dataset)
    _, grads = per_example_value_and_grad(apply, BLOG_PARAMS, few)
    pull = grads["params"]
    tails = frame(few.x, few.y)
    heads = frame(few.x - pull["w1"] / 2, few.y - pull["w2"] / 2)
    arrows = {0: [], 1: []}
    for tail, head, label in zip(tails, heads, few.label, strict=True):
        if np.hypot(*(head - tail)) > 6:
            arrows[int(label)] += arrow(tail, head)
    return (
        scatter(frame, few),
        *(path(f"pull-{label}", *drawn) for label, drawn in arrows.items()),
        straight(frame, lines[0], "learned dashed"),
    )


def training():
    # The valley lies down: w2 goes to the right, w1 up.
    frame = Frame(-2.0, 5.2, -1.1, 2.5)
    w2, w1 = np.linspace(-2.2, 5.4, 153), np.linspace(-1.3, 2.7, 81)

    def loss_at(w2, w1):
        return loss_fn({"params": {"w1": w1, "w2": w2, "b": 0.0}}, dataset)

    of_row = jax.vmap(loss_at, (0, None))
    loss = jax.jit(jax.vmap(of_row, (None, 0)))(w2, w1)
    levels = [0.32, 0.35, 0.42, 0.58, 0.9, 1.5]
    curves = [contour(frame, (w2, w1, loss), level, 25) for level in levels]
    steps = np.array([(run.w2, run.w1) for run in lines])
    return (
        path("other thin", *chain(*curves)),
        path("learned step", frame(*steps.T), shape="h0"),
        circles("truth ring", frame([TRUE_LINE.w2], [TRUE_LINE.w1]), [2.8]),
    )


def limits():
    frame = Frame(-11, 11, -0.012, 0.125)
    grid, mass = map(np.asarray, logit_grid(TRUE_LINE))
    logit = np.linspace(-11.5, 11.5, 93)
    density = np.interp(logit, grid, mass / (grid[1] - grid[0]))
    misses = density / (1 + np.exp(abs(logit)))
    return (
        path("axis thin", frame([-11, 11], [0, 0])),
        path("label-1", frame(logit, misses)[abs(logit) < 6]),
        path("truth", frame(logit, density)),
    )


def uncertainty():
    # Small data sets, so that their lines lie apart.
    @jax.vmap
    def refit(key):
        data = make_dataset(key, 100)
        return fit(loss_fn, BLOG_PARAMS, fast_sgd, data, epochs=300)[0]

    found = refit(jax.random.split(jax.random.key(4), 20))["params"]
    columns = [found[name] for name in Line._fields]
    fan = [Line(*row) for row in zip(*columns, strict=True)]
    fan = [PLANE(*whole(line).T) for line in fan]
    return (
        cloud,
        path("learned fan", *fan),
        straight(PLANE, TRUE_LINE, "truth"),
    )


def bigger_models():
    mlp = MLP((32, 32))
    start = jax.jit(mlp.init)(jax.random.key(0), 0.0, 0.0)
    mlp_loss, adam = partial(mean_loss, mlp.apply), optax.adam(0.01)
    params, _ = fit(mlp_loss, start, adam, dataset, epochs=500)
    x, y = np.linspace(-4.2, 4.2, 169), np.linspace(-2.1, 2.3, 89)
    heights = x, y, mlp.apply(params, *np.meshgrid(x, y))
    # Not the islands beside it.
    boundary = max(contour(NEAR, heights, 0, 56), key=np.ptp)
    return (
        scatter(NEAR, first(120, dataset)),
        straight(NEAR, TRUE_LINE, "truth"),
        path("learned bent", boundary),
    )


def real_data():
    table, _ = load_breast_cancer()
    scaled = standardize(table.features, find_scaling(table.features))
    # Radius and texture, of the thirty.
    tumours = Dataset(scaled[:, 0], scaled[:, 1], table.label)
    params, _ = fit(loss_fn, BLOG_PARAMS, fast_sgd, tumours, epochs=300)
    frame = Frame(-3.6, 4.4, -2.6, 3.2)
    return (
        scatter(frame, Dataset(*(column[::4] for column in tumours))),
        straight(frame, Line(**params["params"]), "learned dashed"),
    )


def record(name):
    return json.loads((files("helpers") / name).read_text("utf-8"))


def speed():
    # Seconds for ten million points, on a logarithmic scale from 0.01 on.
    fits = record("bench.json")["fits"]["10000000"]
    names = [
        "fit, 400 epochs",
        "scikit-learn, newton-cholesky",
        "NumPy, float32",
        "NumPy, in chunks",
        "newton, zeros, 2 devices",
        "newton, sample, 2 devices",
    ]
    seconds = [fits[name]["seconds"]["min"] for name in names]
    frame = Frame(-2, 1.5, len(names) - 0.2, -0.8)
    ends = [frame([-2, np.log10(s)], [k, k]) for k, s in enumerate(seconds)]
    decades = [frame([t, t], [-1, len(names)]) for t in (-1, 0, 1)]
    return (
        path("axis thin", *decades),
        path("other bar", *ends[:-2]),
        path("learned bar", *ends[-2:]),
    )


def scale():
    true = {"params": TRUE_LINE._asdict()}
    off = []
    for key in jax.random.split(jax.random.key(6), 5):
        for power in range(2, 7):
            if 10**power > CHUNK:
                sums = by_chunks(device_mesh(), key, range(10**power // CHUNK))
            else:
                chunk = make_chunk(key, 0)
                sums = by_sums(Dataset(*(c[: 10**power] for c in chunk)))
            found, _ = newton(sums, true, tolerance=1e-5)
            off.append((power, float(found["params"]["w2"])))
    runs = record("records.json")["runs"]
    off += [
        (np.log10(run["points"]), run["params"]["w2"])
        for run in runs
        if run["processes"] == 2
    ]
    frame = Frame(1.2, 10.8, -5.6, 0.4)
    power, w2 = np.transpose(off)
    # As chapter 10 predicts it, from the standard error of the largest run.
    error = runs[-1]["standard_errors"]["w2"] * np.sqrt(runs[-1]["points"])
    ends = np.array([0, 12])
    mean = np.log10(error * np.sqrt(2 / np.pi)) - ends / 2
    marks = frame(power, np.log10(abs(w2 - TRUE_LINE.w2)))
    return (
        path("truth", frame(ends, mean)),
        circles("learned ring", marks, [2.8] * len(marks)),
    )


def nnx():
    # The numbers, as discs of their size: beside the model, then inside it.
    radii = 8 * np.sqrt(np.abs(lines[100]))
    at = [(x, y) for x in (36, 191) for y in (32, 60, 86)]
    box = "h42q6 0 6 6v76q0 6-6 6h-42q-6 0-6-6v-76q0-6 6-6z"
    passed = arrow(np.array([54, 60]), np.array([98, 60]))
    return (
        path("truth", [[82, 16], [170, 16]], shape=box),
        path("learned thin", *passed),
        circles("disc", at, [*radii, *radii]),
    )


CARDS = {
    "01_data": data,
    "02_model": model,
    "03_loss_and_gradients": loss_and_gradients,
    "04_training": training,
    "05_limits": limits,
    "06_uncertainty": uncertainty,
    "07_bigger_models": bigger_models,
    "08_real_data": real_data,
    "09_speed": speed,
    "10_scale": scale,
    "11_nnx": nnx,
}


def svg(drawn) -> str:
    """Return a drawing that says nothing: title and question do."""
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">'
    return "\n".join([head, *drawn, "</svg>\n"])


def main() -> None:
    for name, draw in CARDS.items():
        (ASSETS / "cards" / f"{name}.svg").write_text(svg(draw()))


if __name__ == "__main__":
    main()
