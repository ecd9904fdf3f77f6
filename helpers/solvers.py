"""Cheaper passes over the data, and fewer of them.

Taught in chapter 10. An *objective* is a function of params and a data set
that returns the mean loss, its gradient of shape (d,) and its Hessian of shape
(d, d), all in nats and in the order of ``ravel_pytree``, which is alphabetical
for dicts: b, w1, w2. What is not used of it, a compiled program leaves out.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from helpers._checks import check_positive, check_same_shape, check_whole
from helpers.data import Dataset

# Rows of a chunk: what is computed from them stays in a core's cache.
ROWS = 10_000
# Else a GPU or a TPU multiplies in fewer digits than float32 has.
dot = partial(jnp.matmul, precision="highest")


def point_parts(
    params: Any, x: ArrayLike, y: ArrayLike, label: ArrayLike
) -> tuple[jax.Array, ...]:
    """Return what each point adds to loss, gradient and Hessian.

    Args:
        params: of ``LogisticRegression``.
        x, y: coordinates, of shape (n,).
        label: 0 or 1, of shape (n,).

    Returns:
        Ten float32 arrays of shape (n,). The loss in nats; the gradient's b,
        w1, w2; the Hessian's b b, b w1, b w2, w1 w1, w1 w2, w2 w2. Loss and
        gradient are NaN where a label is neither 0 nor 1.

    Source: C. M. Bishop, "Pattern Recognition and Machine Learning" (2006),
    equations 4.91 and 4.97.
    """
    weights = params["params"]
    z = weights["w1"] * x + weights["w2"] * y + weights["b"]
    p = jax.nn.sigmoid(z)
    label = jnp.where((label == 0) | (label == 1), label, jnp.nan)
    loss = jax.nn.relu(z) - label * z - jnp.log(jnp.maximum(p, 1 - p))
    slope = p - label
    curve = p * (1 - p)
    curve_x, curve_y = curve * x, curve * y
    gradient = slope, slope * x, slope * y
    hessian = curve, curve_x, curve_y, curve_x * x, curve_x * y, curve_y * y
    return loss, *gradient, *hessian


def sum_parts(
    parts: tuple[jax.Array, ...],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Add up ``point_parts``: loss, gradient (3,) and Hessian (3, 3)."""
    loss, b, w1, w2, bb, b1, b2, w11, w12, w22 = (p.sum() for p in parts)
    hessian = [[bb, b1, b2], [b1, w11, w12], [b2, w12, w22]]
    return loss, jnp.array([b, w1, w2]), jnp.array(hessian)


def chunk_sums(
    params: Any, x: ArrayLike, y: ArrayLike, label: ArrayLike
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Add up loss, gradient and Hessian over some points, in one go.

    Arguments are those of ``point_parts``, what is returned ``sum_parts``'s.

    Raises:
        ValueError: the shapes differ; they might broadcast.
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
        dataset: arrays x, y and label of one shape (n,), n at least 1, the
            label 0 or 1, or loss and gradient are NaN. If n is above ``ROWS``
            and no multiple of it, XLA copies them in each call.

    Returns:
        What ``chunk_sums`` returns, for all n points, divided by n.
    """
    n = len(dataset.label)
    size = min(n, ROWS)
    whole = n // size * size
    chunks = [column[:whole].reshape(-1, size) for column in dataset]

    def add(total, chunk):
        parts = point_parts(params, *chunk)
        return jax.tree.map(jnp.add, total, parts), None

    # As long as a chunk, the total is summed up only once, at the end.
    start = (0.0 * chunks[0][0],) * 10
    total, _ = jax.lax.scan(add, start, chunks)
    rest = chunk_sums(params, *(column[whole:] for column in dataset))
    return jax.tree.map(lambda a, b: (a + b) / n, sum_parts(total), rest)


@cache
def by_autodiff(
    loss_fn: Callable[[Any, Any], jax.Array],
) -> Callable[[Any, Any], tuple[jax.Array, jax.Array, jax.Array]]:
    """Return the objective of any loss, by automatic differentiation.

    Args:
        loss_fn: ``loss_fn(params, dataset)`` returns a scalar. Make it once
            and keep it: it is compared by identity, as in ``fit``.

    Returns:
        An objective of any params, a pytree of floats, and any data set. The
        same loss has the same one, so that it is compiled once.
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


def full_step(gradient: jax.Array, hessian: jax.Array) -> jax.Array:
    """Return the way to the bottom of the bowl that fits here.

    Args:
        gradient: of shape (d,).
        hessian: of shape (d, d).

    Returns:
        Minus the inverse of the Hessian, times the gradient, of shape (d,);
        NaN if the Hessian is not positive, or singular in float32.
    """
    values, axes = jnp.linalg.eigh(hessian)
    values = jnp.where(values[0] > 1e-6 * values[-1], values, jnp.nan)
    return -dot(axes, dot(gradient, axes) / values)


class Place(NamedTuple):
    """Where Newton's method is, and what the objective says there."""

    flat: jax.Array
    loss: jax.Array
    gradient: jax.Array
    hessian: jax.Array


@partial(jax.jit, static_argnames=("objective", "max_passes", "keep"))
def descend(
    objective: Callable[[Any, Any], tuple[jax.Array, jax.Array, jax.Array]],
    params: Any,
    dataset: Any,
    tolerance: ArrayLike,
    max_passes: int,
    keep: bool,
) -> tuple[Any, jax.Array, jax.Array, jax.Array]:
    """Go down in one compiled loop; ``newton`` calls it, and looks.

    Returns:
        The params; the gradient's length at each pass, of shape
        (max_passes,), NaN after the last; how many passes; and the mean
        curvature along the last step over that where it began.
    """
    flat, unravel = ravel_pytree(params)

    def look(flat):
        return Place(flat, *objective(unravel(flat), dataset))

    def goes_on(state):
        place, step, _, passes, _ = state
        far = ~(jnp.linalg.norm(place.gradient) <= tolerance)
        return far & jnp.isfinite(step).all() & (passes < max_passes)

    def one_pass(state):
        here, step, norms, passes, bend = state
        there = look(here.flat + step)
        norms = norms.at[passes].set(jnp.linalg.norm(there.gradient))
        change = dot(step, there.gradient - here.gradient)
        bent = change / dot(step, dot(here.hessian, step))
        if keep:  # the loss and the new Hessian are never computed
            here = Place(there.flat, here.loss, there.gradient, here.hessian)
            bend, step = bent, full_step(here.gradient, here.hessian)
        else:  # rounding may lift the loss a little
            lower = there.loss <= here.loss + 1e-6 * jnp.abs(here.loss)
            here = jax.tree.map(partial(jnp.where, lower), there, here)
            full = full_step(here.gradient, here.hessian)
            bend = jnp.where(lower, bent, bend)
            step = jnp.where(lower, full, step / 2)
        return here, step, norms, passes + 1, bend

    here = look(flat)
    length = jnp.linalg.norm(here.gradient)
    norms = jnp.full_like(length, jnp.nan, shape=max_passes).at[0].set(length)
    step = full_step(here.gradient, here.hessian)
    state = here, step, norms, 1, jnp.ones_like(length)
    here, _, norms, passes, bend = jax.lax.while_loop(goes_on, one_pass, state)
    arrived = (jnp.linalg.norm(here.gradient) <= tolerance) & (bend > 0.75)
    flat = jnp.where(arrived, here.flat, jnp.nan)
    return unravel(flat), norms, passes, bend


def newton(
    objective: Callable[[Any, Any], tuple[jax.Array, jax.Array, jax.Array]],
    params: Any,
    dataset: Any,
    tolerance: float = 1e-6,
    max_passes: int = 100,
    keep: bool = False,
) -> tuple[Any, jax.Array]:
    """Find the params where the gradient is nearly zero, by Newton's method.

    Each step goes to the bottom of the bowl that fits loss, slopes and
    curvature; where the loss is higher there, half as far, and so on (it is
    *damped*).

    Args:
        objective: ``objective(params, dataset)`` returns loss, gradient and
            Hessian, of shapes (), (d,) and (d, d). It is traced and compared
            by identity: make it once and keep it.
        params: where to start, any pytree of floats with d numbers in all.
        dataset: handed on to ``objective``.
        tolerance: how long the gradient may be at the end, above 0.
        max_passes: how many calls of ``objective`` at most, at least 1.
        keep: keep the first Hessian, and take full steps by the gradient
            alone: much less work in each pass, for a start so near that few
            more passes are needed, such as the optimum of a sample.

    Returns:
        The params, and the length of the gradient at each pass, of shape
        (passes,). Traced, of shape (max_passes,), NaN after the last, and
        the params are NaN where an error would be raised.

    Raises:
        ValueError: tolerance or max_passes is out of range, or tolerance is
            not reached; the Hessian is singular, or a number is not finite;
            or the loss has no lowest point, as with separable labels, or none
            that near, with a large tolerance.

    Source: J. Nocedal and S. J. Wright, "Numerical Optimization" (2006),
    sections 3.1 and 3.4.
    """
    check_positive(tolerance=tolerance)
    check_whole(1, max_passes=max_passes)
    params, norms, passes, bend = descend(
        objective, params, dataset, tolerance, max_passes, keep
    )
    if isinstance(norms, jax.core.Tracer):
        return params, norms
    norms, passes, bend = map(np.asarray, (norms, passes, bend))
    norms = norms[:passes]
    if not np.isfinite(norms[-1]):
        raise ValueError(
            "objective must return finite numbers, got NaN or infinity: look "
            "for them in params and dataset, where labels must be 0 or 1"
        )
    if not norms[-1] <= tolerance:
        if len(norms) < max_passes:
            raise ValueError(
                "hessian of objective must be positive, got a singular one: "
                "an input is constant or a copy of others, the labels are "
                "separable, or params start too far away"
            )
        raise ValueError(
            f"tolerance of {tolerance:.1e} was not reached in {len(norms)} "
            f"passes: the gradient's length is {norms[-1]:.1e}. Ask for less, "
            "start nearer, or allow more with max_passes"
        )
    # On the way to a lowest point the curvature stays, on the way to infinity
    # each step leaves 1/e of it, in the mean 0.63.
    if not bend > 0.75:
        raise ValueError(
            "the loss must have a lowest point, but the last step still "
            "flattened its bowl: the labels are separable, or tolerance is "
            "too large"
        )
    return params, norms


def minibatches(key: jax.Array, dataset: Any, size: int) -> Any:
    """Shuffle the examples and cut them into batches of one size.

    Args:
        key: a key of ``jax.random.key``; the same key gives the same batches.
        dataset: a tuple of arrays with one leading axis of length n, such as
            a ``Dataset``.
        size: examples in a batch, from 1 to n.

    Returns:
        A tuple of the same type, its arrays of shape (n // size, size, …).
        Each example is in it at most once: the rest of n / size is left out.

    Raises:
        ValueError: the arrays differ in length, or size is no whole number
            from 1 to n.
    """
    # Past the end of a shorter one JAX takes its last row, without a word.
    if len(set(lengths := [*map(len, dataset)])) > 1:
        raise ValueError(
            f"dataset must hold arrays of one length, got {lengths}"
        )
    n = len(dataset[-1])
    check_whole(1, n, size=size)
    count = n // size
    order = jax.random.permutation(key, n)[: count * size]
    rows = order.reshape(count, size)
    return jax.tree.map(lambda column: jnp.asarray(column)[rows], dataset)
