"""Cheaper passes over the data, and fewer of them.

Taught in chapter 10. An *objective* is a function of params that returns the
mean loss, its gradient of shape (d,) and its Hessian of shape (d, d), all in
nats and in the order of ``ravel_pytree``, which is alphabetical for dicts:
b, w1, w2.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from helpers._checks import (
    check_labels,
    check_positive,
    check_same_shape,
    check_whole,
)
from helpers.data import Dataset

# Rows of a chunk: what is computed from them stays in a core's cache.
ROWS = 10_000


def chunk_sums(
    params: Any, x: ArrayLike, y: ArrayLike, label: ArrayLike
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Add up loss, gradient and Hessian over some points, in one go.

    Args:
        params: of ``LogisticRegression``.
        x, y: coordinates, of shape (n,).
        label: 0 or 1, of shape (n,).

    Returns:
        Three float32 sums over the points. The loss, a scalar in nats; its
        gradient, of shape (3,); its Hessian, of shape (3, 3); rows and
        columns in the order b, w1, w2.

    Raises:
        ValueError: the shapes differ (they might broadcast), or a label is
            neither 0 nor 1 (unless it is traced: ``by_sums`` looks first).

    Source: C. M. Bishop, "Pattern Recognition and Machine Learning" (2006),
    equations 4.91 and 4.97.
    """
    check_same_shape(x=x, y=y, label=label)
    check_labels(label=label)
    weights = params["params"]
    z = weights["w1"] * x + weights["w2"] * y + weights["b"]
    sure = jax.nn.sigmoid(jnp.abs(z))
    loss = jax.nn.relu(jnp.where(label == 1, -z, z)) - jnp.log(sure)
    slope = jnp.where(z > 0, sure, 1 - sure) - label
    curve = sure * (1 - sure)
    one = jnp.ones_like(z)
    gradient = jnp.stack([slope @ one, slope @ x, slope @ y])
    curve_x, curve_y = curve * x, curve * y
    rows = [
        [curve @ one, curve_x @ one, curve_y @ one],
        [curve_x @ one, curve_x @ x, curve_x @ y],
        [curve_y @ one, curve_x @ y, curve_y @ y],
    ]
    return loss @ one, gradient, jnp.array(rows)


@jax.jit
def logistic_sums(
    params: Any, dataset: Dataset
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Add up loss, gradient and Hessian over a data set, chunk by chunk.

    Args:
        params: of ``LogisticRegression``.
        dataset: arrays x, y and label of one shape (n,), the label 0 or 1.
            Their values are traced: ``by_sums`` checks them. If ``ROWS`` does
            not divide n, XLA copies them in each call.

    Returns:
        What ``chunk_sums`` returns, for all n points.
    """
    whole = len(dataset.label) // ROWS * ROWS
    chunks = [column[:whole].reshape(-1, ROWS) for column in dataset]

    def add(total, chunk):
        return jax.tree.map(jnp.add, total, chunk_sums(params, *chunk)), None

    rest = chunk_sums(params, *(column[whole:] for column in dataset))
    total, _ = jax.lax.scan(add, rest, chunks)
    return total


@jax.jit
def logistic_means(
    params: Any, dataset: Dataset
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Divide the sums of ``logistic_sums`` by n; ``by_sums`` calls it.

    Arguments are those of ``logistic_sums``.
    """
    sums = logistic_sums(params, dataset)
    n = len(dataset.label)
    return jax.tree.map(lambda total: total / n, sums)


def by_sums(
    dataset: Dataset,
) -> Callable[[Any], tuple[jax.Array, jax.Array, jax.Array]]:
    """Return the objective of ``LogisticRegression`` in closed form.

    Args:
        dataset: arrays x, y and label of one shape (n,), n at least 1.

    Returns:
        An objective of its params, which passes over the points once.

    Raises:
        ValueError: a label is neither 0 nor 1.
    """
    check_labels(label=dataset.label)
    return lambda params: logistic_means(params, dataset)


@partial(jax.jit, static_argnames="loss_fn")
def derivatives(
    loss_fn: Callable[[Any, Any], jax.Array], params: Any, dataset: Any
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return loss, gradient and Hessian; ``by_autodiff`` calls it."""
    flat, unravel = ravel_pytree(params)

    def of_flat(flat):
        return loss_fn(unravel(flat), dataset)

    loss, gradient = jax.value_and_grad(of_flat)(flat)
    return loss, gradient, jax.hessian(of_flat)(flat)


def by_autodiff(
    loss_fn: Callable[[Any, Any], jax.Array], dataset: Any
) -> Callable[[Any], tuple[jax.Array, jax.Array, jax.Array]]:
    """Return the objective of any loss, by automatic differentiation.

    Args:
        loss_fn: ``loss_fn(params, dataset)`` returns a scalar. Make it once
            and keep it: it is compared by identity, as in ``fit``.
        dataset: any pytree of arrays, passed on to ``loss_fn``, which sees
            no values: what is wrong with them makes the loss NaN.

    Returns:
        An objective of params, any pytree of floats.
    """
    return lambda params: derivatives(loss_fn, params, dataset)


def full_step(gradient: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """Return the way to the bottom of the bowl that fits here.

    Args:
        gradient: of shape (d,).
        hessian: of shape (d, d).

    Returns:
        Minus the inverse of the Hessian, times the gradient; of shape (d,).

    Raises:
        ValueError: a number is not finite, or the Hessian is singular in
            float32 or not positive.
    """
    if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        raise ValueError(
            "gradient and hessian of objective must be finite, got NaN or "
            "infinity: look for them in dataset and in params"
        )
    if not (values := np.linalg.eigvalsh(hessian))[0] > 1e-6 * values[-1]:
        raise ValueError(
            "hessian of objective must be positive, got a singular one: an "
            "input is constant or a copy of others, the labels are separable, "
            "or params start too far away"
        )
    return -np.linalg.solve(hessian, gradient)


@partial(jax.jit, static_argnames="unravel")
def shaped(unravel: Callable[[jax.Array], Any], flat: ArrayLike) -> Any:
    """Return ``unravel(flat)`` in one request instead of one for each leaf.

    Args:
        unravel: of ``ravel_pytree``; equal ones are compiled once.
        flat: the d numbers of the pytree, of shape (d,).

    Returns:
        The pytree, its leaves of the dtype of ``flat``.
    """
    return unravel(flat)


def newton(
    objective: Callable[[Any], tuple[ArrayLike, ArrayLike, ArrayLike]],
    params: Any,
    tolerance: float = 1e-6,
    max_passes: int = 50,
) -> tuple[Any, np.ndarray]:
    """Find the params where the gradient is nearly zero, by Newton's method.

    Each step goes to the bottom of the bowl that fits loss, slopes and
    curvature; where the loss is higher there, half as far, and so on (it is
    *damped*).

    Args:
        objective: returns loss, gradient and Hessian, of shapes (), (d,) and
            (d, d), at params.
        params: where to start, any pytree of floats with d numbers in all.
        tolerance: how long the gradient may be at the end, above 0.
        max_passes: how many calls of ``objective`` at most, those of halved
            steps not counted; at least 1.

    Returns:
        The params, and the length of the gradient at each pass, float64 of
        shape (passes,).

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
    flat, unravel = ravel_pytree(params)
    flat = np.asarray(flat)  # with few numbers NumPy is quicker

    def evaluate(flat):
        loss, *rest = objective(shaped(unravel, flat))
        return float(loss), *(np.array(part, float) for part in rest)

    loss, gradient, hessian = evaluate(flat)
    norms, flatter = [np.linalg.norm(gradient)], 1.0
    while not norms[-1] <= tolerance and len(norms) < max_passes:
        step = full_step(gradient, hessian)
        before, allowed = step @ hessian @ step, loss + 1e-6 * abs(loss)
        for share in 0.5 ** np.arange(20):
            trial = flat + (share * step).astype(flat.dtype)
            loss, gradient, hessian = evaluate(trial)
            if loss <= allowed:  # rounding may lift it a little
                break
        flat, flatter = trial, step @ hessian @ step / before
        norms.append(np.linalg.norm(gradient))
    if not norms[-1] <= tolerance:
        raise ValueError(
            f"tolerance of {tolerance:.1e} was not reached in {len(norms)} "
            f"passes: the gradient's length is {norms[-1]:.1e}. Ask for less, "
            "start nearer, or allow more with max_passes"
        )
    # On the way to a lowest point the last step leaves the curvature alone; on
    # the way to infinity each step leaves a share of 1/e.
    if not flatter >= 0.6:
        raise ValueError(
            "the loss must have a lowest point, but the last step still "
            "flattened its bowl: the labels are separable, or tolerance is "
            "too large"
        )
    return shaped(unravel, flat), np.array(norms)


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
