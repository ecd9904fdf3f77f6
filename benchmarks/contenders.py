"""What is timed against each other: the book's ways to fit, and its peers'.

A contender takes the data, a layout and a tolerance to a function without
arguments, which returns w1, w2 and b. Only that function is timed, so the
data is already where and how it likes them best.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.solvers import (
    ROWS,
    by_sums,
    full_step,
    logistic_sums,
    newton,
    shaped,
)
from helpers.training import fit

try:
    import torch
except ImportError:
    torch = None

AIM = 1e-6
SAMPLE = 10_000
TOLERANCES = [10.0**-k for k in range(4, 11)]

model = LogisticRegression()
loss_fn = partial(mean_loss, model.apply)
sgd, fast_sgd = optax.sgd(0.3), optax.sgd(2.0)
ZEROS = {"params": {name: np.float32(0) for name in ("w1", "w2", "b")}}


def gradient_norm(weights, data):
    """Return the gradient's length at (w1, w2, b), in NumPy's float64."""
    w1, w2, b = weights
    x, y, label = (np.asarray(column, float) for column in data)
    slope = 1 / (1 + np.exp(-(w1 * x + w2 * y + b))) - label
    return float(np.linalg.norm([slope @ x, slope @ y, slope.sum()]) / len(x))


def weights_of(params):
    """Return (w1, w2, b) of the book's params."""
    return [params["params"][name] for name in ("w1", "w2", "b")]


def halves(data):
    """Return the data as two parts, one on each device."""
    n = len(data.label)
    cuts = [slice(n // 2), slice(n // 2, n)]
    parts = [jax.tree.map(lambda c, cut=cut: c[cut], data) for cut in cuts]
    return [
        jax.device_put(part, device)
        for part, device in zip(parts, jax.devices()[:2], strict=True)
    ]


def on_two(function):
    """Run (params, part) to sums on both parts at once, and add up."""

    def of_parts(params, parts):
        # The second is started before the first is waited for.
        sums = [function(params, part) for part in parts]
        return jax.tree.map(lambda a, b: np.asarray(a) + np.asarray(b), *sums)

    return of_parts


def two_steps(objective, params):
    """Take two full steps of Newton's, without a look at where they end."""
    flat, unravel = ravel_pytree(params)
    flat = np.asarray(flat)
    for _ in range(2):
        _, gradient, hessian = objective(shaped(unravel, flat))
        step = full_step(np.float64(gradient), np.float64(hessian))
        flat = flat + step.astype(flat.dtype)
    return shaped(unravel, flat)


def book_newton(start, devices):
    """Return the book's `newton`, from "zeros", a "sample" or "two steps"."""

    def make(data, layout, tol):
        n = len(data.label)
        if start != "zeros" and n <= SAMPLE:
            return None
        if devices == 2:
            parts, sums = halves(data), on_two(logistic_sums)

            def means(params):
                return jax.tree.map(lambda s: s / n, sums(params, parts))

        def run():
            objective = by_sums(data) if devices == 1 else means
            near = ZEROS
            if start != "zeros":
                sample = jax.tree.map(lambda column: column[:SAMPLE], data)
                near, _ = newton(by_sums(sample), ZEROS, tolerance=1e-3)
            if start == "two steps":
                return weights_of(two_steps(objective, near))
            return weights_of(newton(objective, near, tolerance=AIM)[0])

        return run

    return make


def book_fit(data, layout, tol):
    """Return the book's `fit`: 400 epochs of gradient descent at rate 2."""
    return lambda: weights_of(fit(loss_fn, ZEROS, fast_sgd, data, 400)[0])


def table_of(data, layout, ones=False):
    """Return the columns x, y (and ones) in a layout, and the labels."""
    dtype, order = layout
    columns = [np.asarray(data.x), np.asarray(data.y)]
    if ones:
        columns.append(np.ones_like(columns[0]))
    table = np.array(np.stack(columns, axis=1), dtype=dtype, order=order)
    return table, np.asarray(data.label, dtype)


def sklearn_fit(solver):
    """Return scikit-learn's fit without a penalty, by one of its solvers."""
    from sklearn.linear_model import LogisticRegression as Sklearn

    def make(data, layout, tol):
        table, label = table_of(data, layout)
        peer = Sklearn(C=np.inf, solver=solver, tol=tol, max_iter=1000)

        def run():
            peer.fit(table, label)
            return [*peer.coef_[0], peer.intercept_[0]]

        return run

    return make


def numpy_newton(data, layout, tol):
    """Return Newton's method in plain NumPy: full steps, no loss."""
    table, label = table_of(data, layout, ones=True)

    def run():
        weights = np.zeros(3, table.dtype)
        for _ in range(50):
            p = 1 / (1 + np.exp(-(table @ weights)))
            gradient = table.T @ (p - label) / len(label)
            if np.linalg.norm(gradient) <= AIM:
                break
            hessian = (table.T * (p * (1 - p))) @ table / len(label)
            weights = weights - np.linalg.solve(hessian, gradient)
        return weights

    return run


def numpy_in_chunks(data, layout, tol):
    """Return the same, chunk by chunk, so that all stays in the cache."""
    table, label = table_of(data, layout, ones=True)
    n = len(label)
    cuts = [slice(start, start + ROWS) for start in range(0, n, ROWS)]

    def sums(weights, rows):
        part = table[rows]
        p = 1 / (1 + np.exp(-(part @ weights)))
        gradient = part.T @ (p - label[rows])
        return gradient, (part.T * (p * (1 - p))) @ part

    def run():
        weights = np.zeros(3, table.dtype)
        for _ in range(50):
            parts = [sums(weights, rows) for rows in cuts]
            gradient, hessian = (
                sum(part) / n for part in zip(*parts, strict=True)
            )
            if np.linalg.norm(gradient) <= AIM:
                break
            weights = weights - np.linalg.solve(hessian, gradient)
        return weights

    return run


def torch_fit(data, layout, tol):
    """Return PyTorch's L-BFGS with its strong Wolfe line search."""
    table, label = map(torch.from_numpy, table_of(data, layout))

    def run():
        line = torch.nn.Linear(2, 1, dtype=table.dtype)
        torch.nn.init.zeros_(line.weight)
        torch.nn.init.zeros_(line.bias)
        optimizer = torch.optim.LBFGS(
            line.parameters(),
            max_iter=1000,
            tolerance_grad=tol,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

        def closure():
            optimizer.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                line(table)[:, 0], label
            )
            loss.backward()
            return loss

        optimizer.step(closure)
        return [*line.weight.tolist()[0], line.bias.item()]

    return run


def contenders():
    """Return (make, layouts, tolerances) of each contender, by name."""
    ours, none = [("float32", "columns")], [None]
    of64 = [("float64", "C"), ("float64", "F")]
    of32 = [("float32", "C"), ("float32", "F")]
    found = {}
    for devices, words in ((1, "1 device"), (2, "2 devices")):
        for start in ("zeros", "sample", "two steps"):
            make = book_newton(start, devices)
            found[f"newton, {start}, {words}"] = (make, ours, none)
    found["fit, 400 epochs"] = (book_fit, ours, none)
    for solver in ("newton-cholesky", "lbfgs"):
        make = sklearn_fit(solver)
        found[f"scikit-learn, {solver}"] = (make, of64 + of32, TOLERANCES)
    found["NumPy, float64"] = (numpy_newton, of64, none)
    found["NumPy, float32"] = (numpy_newton, of32, none)
    found["NumPy, in chunks"] = (numpy_in_chunks, of32, none)
    if torch:
        found["PyTorch, L-BFGS"] = (torch_fit, of64 + of32, TOLERANCES)
    return found


# --- A hundred epochs, the blog's way and ours.


def blog_epochs(data):
    """Train as the blog does: a gradient for each point, nothing compiled."""

    def of_one(params, x, y, label):
        logit = model.apply(params, x, y)
        return optax.sigmoid_binary_cross_entropy(logit, label)

    each = jax.vmap(jax.value_and_grad(of_one), in_axes=(None, 0, 0, 0))
    params, opt_state = BLOG_PARAMS, sgd.init(BLOG_PARAMS)
    for _ in range(100):
        loss, gradients = each(params, *data)
        loss = jnp.mean(loss)
        gradients = jax.tree.map(jnp.mean, gradients)
        updates, opt_state = sgd.update(gradients, opt_state)
        params = optax.apply_updates(params, updates)
    return weights_of(params)


def fit_epochs(data):
    """Train the same by `fit`."""
    return weights_of(fit(loss_fn, BLOG_PARAMS, sgd, data, 100)[0])


WAYS = {"blog": blog_epochs, "fit": fit_epochs}
