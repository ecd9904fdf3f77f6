"""What is timed against each other: the book's ways to fit, and its peers'.

A contender turns the data into a function without arguments, which returns w1,
w2, and b, and how many passes it made (None if it does not say). Only this
function is timed, so the data already lies where it should, in the best form.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from sklearn import linear_model

from helpers.loss import mean_loss
from helpers.model import LogisticRegression
from helpers.scale import ZEROS, device_mesh
from helpers.solvers import ROWS, logistic_means, newton
from helpers.training import fit

AIM = 1e-6  # the length of the gradient at which a fit has arrived
SAMPLE = 10_000

model = LogisticRegression()
loss_fn = partial(mean_loss, model.apply)


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
    """Return the data, half of it on each of two devices, and an objective."""
    mesh, whole, dealt = device_mesh(2), jax.P(), jax.P("devices")

    @partial(
        jax.shard_map, mesh=mesh, in_specs=(whole, dealt), out_specs=whole
    )
    def objective(params, part):
        return jax.lax.pmean(logistic_means(params, part), "devices")

    return jax.device_put(data, NamedSharding(mesh, dealt)), objective


def book_newton(data, start, devices):
    """Return the book's `newton`, from "zeros" or a "sample"'s optimum."""
    sample = jax.tree.map(lambda column: column[:SAMPLE], data)
    objective = logistic_means
    if devices == 2:
        data, objective = on_two_devices(data)

    def run():
        near, keep = ZEROS, start == "sample"
        if keep:
            near, _ = newton(logistic_means, ZEROS, sample, 1e-3)
        params, passes = newton(objective, near, data, AIM, keep=keep)
        return weights_of(params), passes

    return run


def book_fit(data, rate, epochs):
    """Return the book's `fit`, by gradient descent."""
    sgd = optax.sgd(rate)

    def run():
        params, _ = fit(loss_fn, ZEROS, sgd, data, epochs)
        return weights_of(params), epochs

    return run


def blog_fit(data):
    """Return the blog's 100 epochs: a gradient per point, nothing compiled."""
    each, sgd = jax.vmap(jax.grad(loss_fn), (None, 0)), optax.sgd(0.3)

    def run():
        params, opt_state = ZEROS, sgd.init(ZEROS)
        for _ in range(100):
            gradients = jax.tree.map(jnp.mean, each(params, data))
            updates, opt_state = sgd.update(gradients, opt_state)
            params = optax.apply_updates(params, updates)
        return weights_of(params), 100

    return run


@jax.custom_jvp
def one_sigmoid(z, label):
    """Return chapter 10's loss of a label, 0 or 1, at logit z."""
    q = jax.nn.sigmoid(-jnp.abs(z))  # of the less likely label
    return jax.nn.relu(z) - label * z - jnp.log1p(-q)


def change(dz, loss, z, label):
    """Return how much the loss changes with the logit."""
    q = jax.nn.sigmoid(-jnp.abs(z))
    likelier = (z >= 0) == (label == 1)
    return (1 - 2 * label) * jnp.where(likelier, q, 1 - q) * dz


one_sigmoid.defjvps(change, None)


def optax_lbfgs(data):
    """Return Optax's L-BFGS as one compiled loop, with chapter 10's loss."""
    optimizer, get = optax.lbfgs(), optax.tree_utils.tree_get

    @jax.jit
    def descend(params, data):
        def loss(params):
            logit = model.apply(params, data.x, data.y)
            return one_sigmoid(logit, data.label).mean()

        both = optax.value_and_grad_from_state(loss)

        def goes_on(carry):
            _, state, passes = carry
            far = optax.tree_utils.tree_norm(get(state, "grad")) > AIM
            return (passes == 1) | far & (passes < 1000)

        def step(carry):
            params, state, passes = carry
            value, grad = both(params, state=state)
            updates, state = optimizer.update(
                grad, state, params, value=value, grad=grad, value_fn=loss
            )
            # Each is a pass; what the last one found is kept for `both`.
            passes += get(state, "num_linesearch_steps")
            return optax.apply_updates(params, updates), state, passes

        start = params, optimizer.init(params), 1
        return jax.lax.while_loop(goes_on, step, start)

    def run():
        params, _, passes = descend(ZEROS, data)
        return weights_of(params), passes

    return run


def sklearn_fit(data):
    """Return scikit-learn's fit, with its fastest solver for few features."""
    table = np.stack([data.x, data.y], axis=1)
    label = np.asarray(data.label)
    # The loosest that arrives; it is not a tolerance of the gradient's length.
    peer = linear_model.LogisticRegression(
        C=np.inf, solver="newton-cholesky", tol=1e-5
    )

    def run():
        peer.fit(table, label)
        return [*peer.coef_[0], peer.intercept_[0]], None

    return run


def numpy_newton(data, rows=None):
    """Return Newton's method in NumPy, with full steps and without a loss.

    With `rows` it goes chunk by chunk, so that everything stays in the cache.
    """
    n = len(data.label)
    table = np.stack([data.x, data.y, np.ones(n)], dtype="float32").T
    label = np.asarray(data.label, "float32")
    cuts = [slice(k, k + (rows or n)) for k in range(0, n, rows or n)]

    def run():
        weights = np.zeros(3, "float32")
        for passes in range(1, 50):
            gradient, hessian = 0, 0
            for cut in cuts:
                part = table[cut]
                p = 1 / (1 + np.exp(-(part @ weights)))
                gradient += part.T @ (p - label[cut])
                hessian += (part.T * (p * (1 - p))) @ part
            if np.linalg.norm(gradient) <= AIM * n:
                return weights, passes
            weights = weights - np.linalg.solve(hessian, gradient)

    return run


def contenders(n):
    """Return the contenders that fit n points, by name."""
    found = {
        "optax.lbfgs": optax_lbfgs,
        "scikit-learn, newton-cholesky": sklearn_fit,
        "NumPy, float32": numpy_newton,
        "NumPy, in chunks": partial(numpy_newton, rows=ROWS),
    }
    if n <= 10**6:  # ten times as many would take ten times as long
        found["fit, 400 epochs"] = partial(book_fit, rate=2.0, epochs=400)
    for start in ("zeros", "sample") if n > SAMPLE else ("zeros",):
        for devices, words in ((1, "1 device"), (2, "2 devices")):
            make = partial(book_newton, start=start, devices=devices)
            found[f"newton, {start}, {words}"] = make
    return found


WAYS = {"blog": blog_fit, "fit": partial(book_fit, rate=0.3, epochs=100)}
