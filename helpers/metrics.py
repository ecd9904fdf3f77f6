"""From logits to decisions, and how many of them are right.

Taught in chapter 4.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from helpers._checks import check_labels, check_no_nan, check_same_shape


def predict(logit: ArrayLike) -> jax.Array:
    """Return the likelier label: 1 where logit > 0 (probability > ½), else 0.

    Args:
        logit: log-odds of label 1, one for each example, of any shape. For
            rows of K logits, use ``logits.argmax(axis=-1)`` instead;
            ``accuracy`` refuses what this function returns for them.

    Returns:
        Labels 0 and 1, int32, of the shape of ``logit``.

    Raises:
        ValueError: a logit is NaN. Traced values are not checked.

    Source: the blog has ``logit > 0.5``, which asks for a probability of 0.62.
    """
    check_no_nan(logit=logit)
    return (jnp.asarray(logit) > 0).astype(jnp.int32)


def accuracy(label: ArrayLike, prediction: ArrayLike) -> jax.Array:
    """Return the share of predictions that equal their label, in [0, 1].

    Args:
        label: 0 or 1, of any shape.
        prediction: 0 or 1, of the same shape.

    Returns:
        A float32 scalar.

    Raises:
        ValueError: the shapes differ, or a value is neither 0 nor 1, such as
            a logit (``predict`` turns it into a label). Traced values are
            not checked.

    Source: the blog's ``accuracy``.
    """
    check_same_shape(label=label, prediction=prediction)
    check_labels(label=label, prediction=prediction)
    return jnp.mean(jnp.asarray(label) == jnp.asarray(prediction))
