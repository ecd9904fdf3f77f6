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
    """Return the inverse of the Hessian of a bowl, of any widths.

    Args:
        hessian: of shape (d, d), symmetric.

    Returns:
        Its inverse, of shape (d, d), all NaN if the Hessian is not positive
        definite, or so nearly singular that float32 cannot invert it. The
        inputs' units do not matter: what is inverted has ones on its
        diagonal.
    """
    alone = 1 / jnp.sqrt(jnp.diag(hessian))
    units = jnp.outer(alone, alone)
    values, axes = jnp.linalg.eigh(units * hessian)
    # Of inputs that depend on each other, rounding leaves a ratio of 2e-7;
    # at 2e-6 the standard errors are still right to about 2 %.
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
            none, unless a param tells its scale:
            ``(error / sd) ** 2 / 2 + log_sd`` with ``sd = exp(log_sd)``.
        params: where the loss is lowest, any pytree of floats with d numbers
            in all.
        dataset: a tuple of arrays whose leading axis has length n.

    Returns:
        The inverse of n times the Hessian, float32 of shape (d, d); rows and
        columns in the order of ``ravel_pytree``, which is alphabetical for
        dicts: b, w1, w2.

    Raises:
        ValueError: the Hessian has no ``inverse``, since an input is
            constant, a sum of others, or far from 0 beside its spread
            (standardize it), or a label is neither 0 nor 1; the bottom is
            more than 0.1 standard errors away (train on, or use Newton's
            method); or labels are separable, so that there is no bottom.
            Traced, nothing is refused, and NaN stands for no inverse.

    It describes many independent examples and a model that contains the
    truth.

    Source: the observed Fisher information; Y. Pawitan, "In All Likelihood"
    (2001).
    """
    flat, unravel = ravel_pytree(params)
    hessian = jax.hessian(lambda flat: loss_fn(unravel(flat), dataset))(flat)
    inverted = inverse(hessian)
    check_no_nan(**{"inverse of the Hessian (see Raises)": inverted})
    # Of fits that had arrived, rounding leaves up to 0.001.
    check_values(
        "at most 0.1 standard errors (train on, or use Newton's method)",
        lambda distance: distance <= 0.1,
        distance_to_the_bottom=_distance(loss_fn, params, dataset, inverted),
    )
    # Far out on separable labels the distance is small, too.
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
    return jnp.sqrt(jnp.maximum(squared, 0))  # rounding may lead below 0


def _total_loss(
    loss_fn: Callable[[Any, Any], jax.Array], params: Any, dataset: tuple
) -> jax.Array:
    """Return the loss of all labels of 0 and 1; infinity, if others occur.

    Below log 2 each label is the likelier one.
    """
    label = jnp.asarray(dataset[-1])
    zero_or_one = ((label == 0) | (label == 1)).all()
    total = len(label) * loss_fn(params, dataset)
    return jnp.where(zero_or_one, total, jnp.inf)


def standard_errors(
    loss_fn: Callable[[Any, Any], jax.Array], params: Any, dataset: tuple
) -> Any:
    """Return the standard error of each of the fitted params.

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
        level: the share of such intervals that hold the truth, nearly and
            on average over truths, from 0 to 1. The tries are
            independent.

    Returns:
        Its lower and upper end, in [0, 1], float32 of the broadcast shape.

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
        probability: predicted of label 1, in [0, 1], of the same shape.
        bins: how many equal parts of [0, 1]; each holds its lower end, the
            last one also 1.

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
