"""Cheaper passes over the data, and fewer of them.

Taught in chapter 10. An *objective* is a function of params and a data set
that returns the mean loss, its gradient of shape (d,), and its Hessian of
shape (d, d), all in nats and in the order of ``ravel_pytree``, which is
alphabetical for dicts: b, w1, w2. A compiled program leaves out what it does
not use of these.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from helpers._checks import check_positive, check_same_shape
from helpers.data import Dataset
from helpers.uncertainty import inverse

# Rows of a chunk: so few that what is computed from them fits in the cache.
ROWS = 10_000
# By default a GPU or a TPU may multiply in fewer digits than float32 has.
dot = partial(jnp.matmul, precision="highest")

_Objective = Callable[[Any, Any], tuple[jax.Array, jax.Array, jax.Array]]


def point_parts(
    params: Any, x: ArrayLike, y: ArrayLike, label: ArrayLike
) -> tuple[jax.Array, ...]:
    """Return what each point adds to loss, gradient, and Hessian.

    Args:
        params: of ``LogisticRegression``.
        x, y: coordinates, of shape (n,).
        label: 0 or 1, of shape (n,).

    Returns:
        Ten float32 arrays of shape (n,). They are the loss in nats; the
        gradient's b, w1, w2; the Hessian's b b, b w1, b w2, w1 w1, w1 w2, w2
        w2. Loss and gradient are NaN where a label is neither 0 nor 1.

    Source: C. M. Bishop, "Pattern Recognition and Machine Learning" (2006),
    equations 4.91 and 4.97.
    """
    weights = params["params"]
    z = weights["w1"] * x + weights["w2"] * y + weights["b"]
    q = jax.nn.sigmoid(-jnp.abs(z))  # of the less likely label
    label = jnp.where((label == 0) | (label == 1), label, jnp.nan)
    loss = jax.nn.relu(z) - label * z - jnp.log1p(-q)
    likelier = (z >= 0) == (label == 1)
    slope = (1 - 2 * label) * jnp.where(likelier, q, 1 - q)
    curve = q * (1 - q)
    curve_x, curve_y = curve * x, curve * y
    gradient = slope, slope * x, slope * y
    hessian = curve, curve_x, curve_y, curve_x * x, curve_x * y, curve_y * y
    return loss, *gradient, *hessian


def sum_parts(
    parts: tuple[jax.Array, ...],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Add up ``point_parts``: loss, gradient (3,), and Hessian (3, 3)."""
    loss, b, w1, w2, bb, b1, b2, w11, w12, w22 = (p.sum() for p in parts)
    hessian = [[bb, b1, b2], [b1, w11, w12], [b2, w12, w22]]
    return loss, jnp.array([b, w1, w2]), jnp.array(hessian)


def chunk_sums(
    params: Any, x: ArrayLike, y: ArrayLike, label: ArrayLike
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Add up loss, gradient, and Hessian over some points, in one go.

    It takes the arguments of ``point_parts`` and returns what ``sum_parts``
    returns.

    Raises:
        ValueError: the shapes differ, and they might broadcast.
    """
    check_same_shape(x=x, y=y, label=label)
    return sum_parts(point_parts(params, x, y, label))


@jax.jit
def logistic_means(
    params: Any, dataset: Dataset
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The objective of ``LogisticRegression`` in closed form, by chunks.

    Args:
        params: of ``LogisticRegression``.
        dataset: arrays x, y, and label of the same shape (n,), n at least 1.
            If a label is neither 0 nor 1, loss and gradient are NaN. If n is
            above ``ROWS`` and not a multiple of it, XLA copies the arrays in
            each call.

    Returns:
        What ``chunk_sums`` returns for all n points, divided by n.
    """
    n = len(dataset.label)
    size = min(n, ROWS)
    whole = n // size * size
    chunks = [column[:whole].reshape(-1, size) for column in dataset]

    def add(total, chunk):
        parts = point_parts(params, *chunk)
        return jax.tree.map(jnp.add, total, parts), None

    # The total is as long as a chunk, and summed up only once, at the end. It
    # is made like a chunk, so that it lies where the chunk lies, even in
    # shard_map.
    start = (jnp.zeros_like(chunks[0][0], float),) * 10
    total, _ = jax.lax.scan(add, start, chunks)
    rest = chunk_sums(params, *(column[whole:] for column in dataset))
    return jax.tree.map(lambda a, b: (a + b) / n, sum_parts(total), rest)


def by_autodiff(
    loss_fn: Callable[[Any, Any], jax.Array],
) -> _Objective:
    """Return the objective of any loss, by automatic differentiation.

    Args:
        loss_fn: ``loss_fn(params, dataset)`` returns a scalar.

    Returns:
        An objective of any params, a pytree of floats, and any data set.
        Make it once and keep it, because ``newton`` compares it by identity,
        as ``fit`` compares a loss.
    """

    @jax.jit
    def objective(params, dataset):
        flat, unravel = ravel_pytree(params)

        def of_flat(flat):
            return loss_fn(unravel(flat), dataset)

        with jax.default_matmul_precision("highest"):
            loss, gradient = jax.value_and_grad(of_flat)(flat)
            return loss, gradient, jax.hessian(of_flat)(flat)

    return objective


@jax.jit
def full_step(gradient: jax.Array, hessian: jax.Array) -> jax.Array:
    """Return the way to the bottom of the bowl that fits here.

    Args:
        gradient: of shape (d,).
        hessian: of shape (d, d).

    Returns:
        Minus the Hessian's ``inverse`` times the gradient, of shape (d,).
    """
    return -dot(inverse(hessian), gradient)


class Place(NamedTuple):
    """Where Newton's method is, what the objective says, and the next step."""

    params: Any
    loss: jax.Array
    gradient: jax.Array
    hessian: jax.Array
    step: jax.Array


def look(objective: _Objective, params: Any, dataset: Any) -> Place:
    """Make one pass: ask the objective at params, and find the next step."""
    loss, gradient, hessian = objective(params, dataset)
    return Place(params, loss, gradient, hessian, full_step(gradient, hessian))


@jax.jit
def move(here: Place) -> Any:
    """Return the params to which the step leads."""
    flat, unravel = ravel_pytree(here.params)
    return unravel(flat + here.step)


@jax.jit
def damped(here: Place, there: Place) -> Place:
    """Return there, if its loss is lower; else here, with half the step."""
    # Rounding may raise the loss a little.
    lower = there.loss <= here.loss + 1e-6 * jnp.abs(here.loss)
    half = here._replace(step=here.step / 2)
    return jax.tree.map(partial(jnp.where, lower), there, half)


def undamped(here: Place, there: Place) -> Place:
    """Return there, with the Hessian of here: no new one is computed."""
    step = full_step(there.gradient, here.hessian)
    # With the old loss kept, the compiler leaves out the new one.
    return there._replace(loss=here.loss, hessian=here.hessian, step=step)


def lasting(here: Place, there: Place) -> jax.Array:
    """Return the mean curvature along a step, divided by that at its start."""
    change = dot(here.step, there.gradient - here.gradient)
    return change / dot(here.step, dot(here.hessian, here.step))


@partial(jax.jit, static_argnames=("objective", "keep"))
def descend(
    objective: _Objective,
    params: Any,
    dataset: Any,
    tolerance: ArrayLike = 1e-6,
    max_passes: ArrayLike = 100,
    keep: bool = False,
) -> tuple[Any, jax.Array, jax.Array, jax.Array]:
    """Newton's method in one compiled loop, which can be mapped.

    Arguments are those of ``newton``.

    Returns:
        The params, which are NaN where ``newton`` would raise; how many
        passes were made; the length of the last gradient; and what
        ``lasting`` returns for the last step.
    """
    choose = undamped if keep else damped

    def goes_on(state):
        here, passes, _ = state
        far = ~(jnp.linalg.norm(here.gradient) <= tolerance)
        return far & jnp.isfinite(here.step).all() & (passes < max_passes)

    def one_pass(state):
        here, passes, _ = state
        there = look(objective, move(here), dataset)
        return choose(here, there), passes + 1, lasting(here, there)

    params = jax.tree.map(lambda p: jnp.asarray(p, float), params)
    here = look(objective, params, dataset)
    start = here, 1, jnp.ones_like(here.loss)
    here, passes, lasted = jax.lax.while_loop(goes_on, one_pass, start)
    norm = jnp.linalg.norm(here.gradient)
    arrived = (norm <= tolerance) & (lasted > 0.75)
    params = jax.tree.map(
        lambda p: jnp.where(arrived, p, jnp.nan), here.params
    )
    return params, passes, norm, lasted


def check_arrival(
    tolerance: float, max_passes: int, passes: int, norm: float, lasted: float
) -> None:
    """Refuse what ``descend`` returns, saying why, unless it has arrived."""
    if not np.isfinite(norm):
        raise ValueError("objective must return finite numbers, got NaN")
    if not norm <= tolerance:
        if passes < max_passes:
            raise ValueError(
                "hessian must be positive definite, got one that is singular "
                "(a column follows from others) or bends down (start nearer)"
            )
        raise ValueError(
            f"gradient must be at most {tolerance:.1e} long, got {norm:.1e} "
            f"after {passes} passes"
        )
    # On the way to a lowest point the curvature lasts. On the way to infinity
    # a full step leaves at most 1 - 1/e of it on average, which is 0.63.
    if not lasted > 0.75:
        raise ValueError("the loss must have a lowest point, got none nearby")


def newton(
    objective: _Objective,
    params: Any,
    dataset: Any,
    tolerance: float = 1e-6,
    max_passes: int = 100,
    keep: bool = False,
) -> tuple[Any, int]:
    """Find the params where the gradient is nearly zero, by Newton's method.

    Each step goes to the bottom of the bowl that fits loss, slopes, and
    curvature. If the loss is higher there, it goes half as far, and so on (it
    is *damped*).

    Args:
        objective: ``objective(params, dataset)`` returns loss, gradient, and
            Hessian, of shapes (), (d,), and (d, d). It is traced, and compared
            by identity, so make it once and keep it.
        params: where to start, any pytree of floats with d numbers in all.
        dataset: handed on to ``objective``.
        tolerance: how long the gradient may be at the end, above 0.
        max_passes: how many calls of ``objective`` at most, at least 1.
        keep: keep the first Hessian, and take full steps for which a pass
            computes the gradient alone. That is less work, but needs a start
            near the end, such as the optimum of a sample.

    Returns:
        The params, and how many passes were made.

    Raises:
        ValueError: the objective returned NaN, as for labels other than 0
            and 1; the Hessian is not positive definite, because an input is
            constant or follows from others, the labels are separable, or the
            start is too far; max_passes are too few; or the last step still
            flattened the bowl, because the labels are separable, the
            tolerance is too large, or, with keep, the start is too far.

    Source: J. Nocedal and S. J. Wright, "Numerical Optimization" (2006),
    section 3.4, but simpler, because any lower loss will do.
    """
    check_positive(tolerance=tolerance)
    params, *found = descend(
        objective, params, dataset, tolerance, max_passes, keep
    )
    passes, norm, lasted = (number.item() for number in found)
    check_arrival(tolerance, max_passes, passes, norm, lasted)
    return params, passes
