"""The best that any rule can do where labels are coin tosses.

Taught in chapter 6. Scores are averaged over everything that is random: over
the labels in closed form, and over the points by quadrature or a large sample.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from helpers._checks import check_same_shape, check_whole
from helpers.data import X_SD, Y_SD, Line
from helpers.loss import binary_cross_entropy
from helpers.metrics import accuracy, predict


class Scores(NamedTuple):
    """Three judgements of the same logits, each a float32 scalar.

    ``accuracy`` is the share of right decisions, in [0, 1]; more is better.
    ``log_loss`` is the mean cross-entropy, in nats, and ``brier`` is the mean
    squared distance from probability to label, in [0, 1]; for both, less is
    better.
    """

    accuracy: jax.Array
    log_loss: jax.Array
    brier: jax.Array


def scores(label: ArrayLike, logit: ArrayLike) -> Scores:
    """Judge logits by the true labels.

    Args:
        label: 0 or 1, of any shape.
        logit: log-odds of label 1, of the same shape.

    Returns:
        The Scores of this sample.

    Raises:
        ValueError: the shapes differ, a label is neither 0 nor 1, or a logit
            is NaN; traced values are not seen.

    Source: G. W. Brier, "Verification of Forecasts Expressed in Terms of
    Probability", Monthly Weather Review 78 (1950), for the third score. Brier
    sums over both classes, which gives twice the score here.
    """
    right = accuracy(label, predict(logit))
    loss = binary_cross_entropy(logit, label)
    probability = jax.nn.sigmoid(1.0 * jnp.asarray(logit))
    miss = probability - jnp.asarray(label)
    return Scores(right, loss.mean(), jnp.mean(miss**2))


def expected_scores(
    logit: ArrayLike, true_logit: ArrayLike, weights: ArrayLike | None = None
) -> Scores:
    """Judge logits by every label that could have come, not by one draw.

    At each point the label is 1 with probability sigmoid(true_logit), and
    the three scores are averaged over that coin.

    Args:
        logit: the log-odds of label 1 to be judged, of any shape.
        true_logit: the log-odds of the coins, of the same shape.
        weights: how much each point counts, as an array of the same shape
            with no number below 0. By default all points count alike.

    Returns:
        The expected Scores.

    Raises:
        ValueError: the logits' shapes differ.

    Source: T. Gneiting and A. E. Raftery, "Strictly Proper Scoring Rules,
    Prediction, and Estimation", JASA 102 (2007).
    """
    check_same_shape(logit=logit, true_logit=true_logit)
    logit = 1.0 * jnp.asarray(logit)
    probability = jax.nn.sigmoid(logit)
    true_logit = 1.0 * jnp.asarray(true_logit)
    truth, rest = jax.nn.sigmoid(true_logit), jax.nn.sigmoid(-true_logit)
    right = jnp.where(logit > 0, truth, rest)
    loss = truth * jax.nn.softplus(-logit) + rest * jax.nn.softplus(logit)
    brier = (probability - truth) ** 2 + truth * rest
    each = right, loss, brier
    return Scores(*(jnp.average(score, weights=weights) for score in each))


def logit_grid(line: Line, n: int = 4001) -> tuple[jax.Array, jax.Array]:
    """Return an even grid of logits, and how often each of them occurs.

    The book's points are normally distributed, so a line's logit is, too. Its
    mean is b, and its variance is (w1·X_SD)² + (w2·Y_SD)².

    Args:
        line: its three numbers; for many lines, use ``jax.vmap``.
        n: the number of grid points; if it is odd, the mean is one of them.

    Returns:
        Evenly spaced logits out to 8 standard deviations on both sides of
        the mean, and their weights, which sum to 1: float32 of shape (n,).

    Raises:
        ValueError: n is not a whole number above 1.
    """
    check_whole(2, n=n)
    z = jnp.linspace(-8.0, 8.0, n)
    sd = jnp.hypot(line.w1 * X_SD, line.w2 * Y_SD)
    return line.b + sd * z, jax.nn.softmax(-(z**2) / 2)


def bayes_limits(logit: ArrayLike, weights: ArrayLike | None = None) -> Scores:
    """Return the scores of the true rule, which no rule beats on average.

    Args:
        logit: the true log-odds, of any shape.
        weights: as in ``expected_scores``.

    Returns:
        The expected Scores of the true rule, namely the Bayes accuracy, the
        mean entropy of the coins in nats, and their mean variance.

    Source: C. M. Bishop, "Pattern Recognition and Machine Learning" (2006),
    section 1.5, for the accuracy.
    """
    return expected_scores(logit, logit, weights)
