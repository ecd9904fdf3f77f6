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
from sklearn import linear_model

from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.solvers import ROWS, by_sums, logistic_sums, newton
from helpers.training import fit

AIM = 1e-6  # the length of the gradient at which a fit has arrived
SAMPLE = 10_000

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


def on_two_devices(data):
    """Return the objective of the data, half of it on each device."""
    halves = [
        jax.device_put(jax.tree.map(lambda c, k=k: c[k::2], data), device)
        for k, device in enumerate(jax.devices()[:2])
    ]

    def objective(params):
        # The second is started before the first is waited for.
        sums = [logistic_sums(params, half) for half in halves]
        both = (sum(map(np.asarray, part)) for part in zip(*sums, strict=True))
        return [total / len(data.label) for total in both]

    return objective


def book_newton(data, layout, tol, start, devices):
    """Return the book's `newton`, from "zeros" or from a "sample"'s end."""
    on_both = on_two_devices(data) if devices == 2 else None

    def run():
        near = ZEROS
        if start == "sample":
            sample = jax.tree.map(lambda column: column[:SAMPLE], data)
            near, _ = newton(by_sums(sample), ZEROS, tolerance=1e-3)
        return weights_of(newton(on_both or by_sums(data), near, AIM)[0])

    return run


def book_fit(data, layout, tol):
    """Return the book's `fit`: 400 epochs of gradient descent at rate 2."""
    return lambda: weights_of(fit(loss_fn, ZEROS, fast_sgd, data, 400)[0])


def table_of(data, layout, *more):
    """Return the columns x, y and more in a layout, and the labels."""
    dtype, order = layout
    columns = [np.asarray(data.x), np.asarray(data.y), *more]
    table = np.array(np.stack(columns, axis=1), dtype=dtype, order=order)
    return table, np.asarray(data.label, dtype)


def sklearn_fit(data, layout, tol, solver):
    """Return scikit-learn's fit without a penalty, by one of its solvers."""
    table, label = table_of(data, layout)
    peer = linear_model.LogisticRegression(
        C=np.inf, solver=solver, tol=tol, max_iter=1000
    )

    def run():
        peer.fit(table, label)
        return [*peer.coef_[0], peer.intercept_[0]]

    return run


def numpy_newton(data, layout, tol, rows=None):
    """Return Newton's method in plain NumPy: full steps, no loss.

    With `rows` it goes chunk by chunk, so that all stays in the cache.
    """
    n = len(data.label)
    table, label = table_of(data, layout, np.ones(n))
    cuts = [slice(k, k + (rows or n)) for k in range(0, n, rows or n)]

    def sums(weights, cut):
        part = table[cut]
        p = 1 / (1 + np.exp(-(part @ weights)))
        gradient = part.T @ (p - label[cut])
        return gradient, (part.T * (p * (1 - p))) @ part

    def run():
        weights = np.zeros(3, table.dtype)
        for _ in range(50):
            parts = [sums(weights, cut) for cut in cuts]
            gradient, hessian = (
                sum(part) / n for part in zip(*parts, strict=True)
            )
            if np.linalg.norm(gradient) <= AIM:
                break
            weights = weights - np.linalg.solve(hessian, gradient)
        return weights

    return run


def contenders(n):
    """Return (make, layouts, tolerances) of who fits n points, by name."""
    ours, none = [("float32", "columns")], [None]
    of64 = [("float64", "C"), ("float64", "F")]
    of32 = [("float32", "C"), ("float32", "F")]
    tolerances = [10.0**-k for k in range(4, 11)]
    found = {"fit, 400 epochs": (book_fit, ours, none)}
    for devices, words in ((1, "1 device"), (2, "2 devices")):
        for start in ("zeros", "sample") if n > SAMPLE else ("zeros",):
            make = partial(book_newton, start=start, devices=devices)
            found[f"newton, {start}, {words}"] = (make, ours, none)
    for solver in ("newton-cholesky", "lbfgs"):
        make = partial(sklearn_fit, solver=solver)
        found[f"scikit-learn, {solver}"] = (make, of64 + of32, tolerances)
    found["NumPy, float64"] = (numpy_newton, of64, none)
    found["NumPy, float32"] = (numpy_newton, of32, none)
    in_chunks = partial(numpy_newton, rows=ROWS)
    found["NumPy, in chunks"] = (in_chunks, of32, none)
    return found


def blog_epochs(data):
    """Train as the blog does: a gradient for each point, nothing compiled."""

    def of_one(params, x, y, label):
        logit = model.apply(params, x, y)
        return optax.sigmoid_binary_cross_entropy(logit, label)

    each = jax.vmap(jax.value_and_grad(of_one), in_axes=(None, 0, 0, 0))
    params, opt_state = BLOG_PARAMS, sgd.init(BLOG_PARAMS)
    for _ in range(100):
        _, gradients = each(params, *data)
        gradients = jax.tree.map(jnp.mean, gradients)
        updates, opt_state = sgd.update(gradients, opt_state)
        params = optax.apply_updates(params, updates)
    return weights_of(params)


def fit_epochs(data):
    return weights_of(fit(loss_fn, BLOG_PARAMS, sgd, data, 100)[0])


WAYS = {"blog": blog_epochs, "fit": fit_epochs}
