"""How sure are the weights, and are the probabilities honest?

Taught in chapter 7.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from helpers._checks import (
    check_labels,
    check_no_nan,
    check_positive,
    check_same_shape,
    check_share,
    check_values,
    check_whole,
)


def inverse(hessian: jax.Array) -> jax.Array:
    """Return the inverse of the Hessian of a bowl, however wide or narrow.

    Args:
        hessian: of shape (d, d), symmetric.

    Returns:
        Its inverse, of shape (d, d). All of it is NaN if the Hessian is not
        positive definite, or so nearly singular that float32 cannot invert
        it. The inputs' units do not matter, because the Hessian is scaled to
        have ones on its diagonal before it is inverted.
    """
    alone = 1 / jnp.sqrt(jnp.diag(hessian))
    units = jnp.outer(alone, alone)
    values, axes = jnp.linalg.eigh(units * hessian)
    # If inputs depend on each other, rounding still leaves a ratio of 2e-7.
    # At 2e-6 the standard errors are right to about 2 %.
    values = jnp.where(values[0] > 1e-6 * values[-1], values, jnp.nan)
    divided = axes.T / values[:, None]
    # By default a GPU or a TPU multiplies in fewer digits than float32 has.
    return units * jnp.matmul(axes, divided, precision="highest")


def covariance(
    loss_fn: Callable[[Any, Any], jax.Array], params: Any, dataset: tuple
) -> jax.Array:
    """Return the covariance of fitted params, from the loss's curvature.

    Args:
        loss_fn: ``loss_fn(params, dataset)`` returns the *mean* negative
            log-likelihood, without a penalty, as a scalar. Squared error is
            not one, unless a param sets its scale:
            ``(error / sd) ** 2 / 2 + log_sd`` with ``sd = exp(log_sd)``.
        params: those at which the loss is lowest, in any pytree of floats
            with d numbers in all.
        dataset: a tuple of arrays whose leading axis has length n.

    Returns:
        The inverse of n times the Hessian, float32 of shape (d, d). Its rows
        and columns are in the order of ``ravel_pytree``, which is
        alphabetical for dicts: b, w1, w2.

    Raises:
        ValueError: the Hessian has no ``inverse``, because an input is
            constant, a sum of others, or far from 0 compared with its spread
            (standardize it), or because a label is neither 0 nor 1; the
            bottom is more than 0.1 standard errors away (train on, or use
            Newton's method); or the labels are separable, so that there is
            no bottom. While it is traced, nothing is refused, and NaN stands
            for an inverse that does not exist.

    As the covariance of the fits to many data sets, it is right if the
    examples are many and independent, and if the model contains the truth.

    Source: the observed Fisher information; Y. Pawitan, "In All Likelihood"
    (2001).
    """
    flat, unravel = ravel_pytree(params)
    hessian = jax.hessian(lambda flat: loss_fn(unravel(flat), dataset))(flat)
    inverted = inverse(hessian)
    check_no_nan(**{"inverse of the Hessian (see Raises)": inverted})
    # For fits that have arrived, rounding leaves a distance of up to 0.001.
    check_values(
        "at most 0.1 standard errors (train on, or use Newton's method)",
        lambda distance: distance <= 0.1,
        distance_to_the_bottom=_distance(loss_fn, params, dataset, inverted),
    )
    # If labels are separable, the distance is small far out, too.
    check_values(
        "at least log 2 (below, the labels are separable: no standard errors)",
        lambda total: total >= np.log(2),
        loss_of_all_examples=_total_loss(loss_fn, params, dataset),
    )
    return inverted / len(dataset[-1])


def _distance(
    loss_fn: Callable[[Any, Any], jax.Array],
    params: Any,
    dataset: tuple,
    inverted: jax.Array,
) -> jax.Array:
    """Return how long the next Newton step is, in standard errors."""
    slopes, _ = ravel_pytree(jax.grad(loss_fn)(params, dataset))
    squared = len(dataset[-1]) * slopes @ inverted @ slopes
    return jnp.sqrt(jnp.maximum(squared, 0))  # rounding may go below 0


def _total_loss(
    loss_fn: Callable[[Any, Any], jax.Array], params: Any, dataset: tuple
) -> jax.Array:
    """Return the loss of all examples, or infinity if a label is not 0 or 1.

    Below log 2 every label is the likelier of the two.
    """
    label = jnp.asarray(dataset[-1])
    zero_or_one = ((label == 0) | (label == 1)).all()
    total = len(label) * loss_fn(params, dataset)
    return jnp.where(zero_or_one, total, jnp.inf)


def standard_errors(
    loss_fn: Callable[[Any, Any], jax.Array], params: Any, dataset: tuple
) -> Any:
    """Return the standard error of each fitted param.

    Args:
        loss_fn, params, dataset: as in ``covariance``.

    Returns:
        A pytree shaped like ``params``: the square roots of the covariance's
        diagonal.

    Source: as ``covariance``.
    """
    _, unravel = ravel_pytree(params)
    variance = jnp.diag(covariance(loss_fn, params, dataset))
    return unravel(jnp.sqrt(variance))


def wilson_interval(
    count: ArrayLike, n: ArrayLike, level: float = 0.95
) -> tuple[jax.Array, jax.Array]:
    """Return an interval for a probability, from ``count`` hits in n tries.

    Args:
        count: how many hits, from 0 to n, of any shape.
        n: how many tries, above 0, of a shape that broadcasts with it.
        level: the share of such intervals that should hold the true
            probability, from 0 to 1. They do so nearly, and on average over
            true probabilities, if the tries are independent.

    Returns:
        The interval's lower and upper ends, in [0, 1], float32 of the
        broadcast shape.

    Source: the score interval of E. B. Wilson, "Probable Inference, the Law
    of Succession, and Statistical Inference", JASA 22 (1927).
    """
    check_share(level=level)
    check_positive(n=n)
    z = jax.scipy.stats.norm.ppf((1 + level) / 2)
    n = jnp.asarray(n, float)
    share = jnp.asarray(count) / n
    check_share(**{"count / n": share})
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = jnp.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    half = z * half / (1 + z**2 / n)
    return jnp.clip(middle - half, 0, 1), jnp.clip(middle + half, 0, 1)


class Reliability(NamedTuple):
    """What a model predicted and what was observed, bin by bin.

    ``count`` is how many examples fell into the bin (int32), ``predicted``
    their mean probability and ``observed`` their share of label 1 (float32,
    NaN in an empty bin); each is of shape (bins,).
    """

    count: jax.Array
    predicted: jax.Array
    observed: jax.Array


def reliability(
    label: ArrayLike, probability: ArrayLike, bins: int = 10
) -> Reliability:
    """Sort examples by predicted probability, and count what was observed.

    Args:
        label: 0 or 1, of shape (n,).
        probability: the predicted probability of label 1, in [0, 1], of the
            same shape.
        bins: into how many equal parts [0, 1] is divided. Each part includes
            its lower end, and the last one also 1.

    Returns:
        A Reliability.

    Source: A. H. Murphy and R. L. Winkler, "Reliability of Subjective
    Probability Forecasts of Precipitation and Temperature", Applied
    Statistics 26 (1977).
    """
    check_same_shape(label=label, probability=probability)
    check_whole(1, bins=bins)
    check_share(probability=probability)
    check_labels(label=label)
    probability = jnp.asarray(probability, float)
    label = jnp.asarray(label, float)
    index = jnp.minimum((probability * bins).astype(int), bins - 1)
    count = jnp.bincount(index, length=bins)
    predicted = jnp.bincount(index, weights=probability, length=bins) / count
    observed = jnp.bincount(index, weights=label, length=bins) / count
    return Reliability(count, predicted, observed)
