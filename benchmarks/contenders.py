"""What is timed against each other: the book's ways to fit, and its peers'.

A contender takes the data, a layout and a tolerance to a function without
arguments, which returns w1, w2 and b. Only that function is timed, so the
data is already where and how it likes them best.
"""

import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from sklearn import linear_model

from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.solvers import ROWS, logistic_means, newton
from helpers.training import fit

# Where `make bench` puts PyTorch, which the book's own environment has not.
sys.path.append(str(Path(__file__).parents[1] / ".venv" / "pytorch"))
try:
    import torch
except ImportError:  # as in the tests
    torch = None

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
    """Return the data, half of it on each of two devices, and objective."""
    mesh = jax.make_mesh((2,), ("devices",), axis_types=(AxisType.Auto,))

    def objective(params, part):
        return jax.lax.pmean(logistic_means(params, part), "devices")

    dealt, whole = P("devices"), P()
    objective = jax.shard_map(
        objective, mesh=mesh, in_specs=(whole, dealt), out_specs=whole
    )
    return jax.device_put(data, NamedSharding(mesh, dealt)), objective


def book_newton(data, layout, tol, start, devices):
    """Return the book's `newton`, from "zeros" or from a "sample"'s end."""
    sample = jax.tree.map(lambda column: column[:SAMPLE], data)
    objective = logistic_means
    if devices == 2:
        data, objective = on_two_devices(data)

    def run():
        if start == "zeros":
            return weights_of(newton(objective, ZEROS, data, AIM)[0])
        near, _ = newton(logistic_means, ZEROS, sample, 1e-3)
        # Or they would stay on one device.
        near = jax.tree.map(np.asarray, near)
        return weights_of(newton(objective, near, data, AIM, keep=True)[0])

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


def sigmoid_of(library, z):
    return torch.sigmoid(z) if library is torch else 1 / (1 + np.exp(-z))


def plain_newton(data, layout, tol, rows=None, library=np):
    """Return Newton's method in NumPy or PyTorch: full steps, no loss.

    With `rows` it goes chunk by chunk, so that all stays in the cache.
    """
    n = len(data.label)
    arrays = table_of(data, layout, np.ones(n))
    cuts = [slice(k, k + (rows or n)) for k in range(0, n, rows or n)]
    table, label = map(library.asarray, arrays)

    def sums(weights, cut):
        part = table[cut]
        p = sigmoid_of(library, part @ weights)
        gradient = part.T @ (p - label[cut])
        return gradient, (part.T * (p * (1 - p))) @ part

    def run():
        weights = library.zeros(3, dtype=table.dtype)
        for _ in range(50):
            parts = [sums(weights, cut) for cut in cuts]
            gradient, hessian = (
                sum(part) / n for part in zip(*parts, strict=True)
            )
            if library.linalg.norm(gradient) <= AIM:
                break
            weights = weights - library.linalg.solve(hessian, gradient)
        return weights.tolist()

    return run


def torch_lbfgs(data, layout, tol):
    """Return PyTorch's L-BFGS, with its own loss and derivatives."""
    table, label = map(
        torch.tensor, table_of(data, layout, np.ones(len(data.label)))
    )
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits

    def run():
        weights = torch.zeros(3, dtype=table.dtype, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weights],
            max_iter=1000,
            tolerance_grad=tol,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

        def closure():
            optimizer.zero_grad()
            loss = loss_of(table @ weights, label)
            loss.backward()
            return loss

        optimizer.step(closure)
        return weights.tolist()

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
    in_chunks = partial(plain_newton, rows=ROWS)
    found["NumPy, float64"] = (plain_newton, of64, none)
    found["NumPy, float32"] = (plain_newton, of32, none)
    found["NumPy, in chunks"] = (in_chunks, of32, none)
    if torch:
        for name, make in (
            ("float32", plain_newton),
            ("in chunks", in_chunks),
        ):
            make = partial(make, library=torch)
            found[f"PyTorch, {name}"] = (make, of32, none)
        found["PyTorch, LBFGS"] = (torch_lbfgs, of32, tolerances[1:])
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
