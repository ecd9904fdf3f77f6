"""From logits to decisions, and how many of them are right.

Taught in chapter 4.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from helpers._checks import are_numbers, brief


def predict(logit: ArrayLike) -> jax.Array:
    """Return the likelier label: 1 where logit > 0 (probability > ½), else 0.

    Args:
        logit: log-odds of label 1, of any shape.

    Returns:
        Labels 0 and 1, int32, of the shape of ``logit``.

    Raises:
        ValueError: a logit is NaN (checked unless it is traced).

    Source: the blog has ``logit > 0.5``, which is a probability of 0.62.
    """
    if not are_numbers(logit):
        raise TypeError(f"logit must be numbers, got {brief(logit)}")
    if not isinstance(logit, Tracer) and np.isnan(logit).any():
        raise ValueError("logit must be numbers, got NaN among them")
    return (jnp.asarray(logit) > 0).astype(jnp.int32)


def accuracy(label: ArrayLike, prediction: ArrayLike) -> jax.Array:
    """Return the share of predictions that equal their label, in [0, 1].

    Args:
        label: 0 or 1, of any shape.
        prediction: 0 or 1, of the same shape.

    Returns:
        A float32 scalar.

    Raises:
        ValueError: the shapes differ, there are no labels, or a value is
            neither 0 nor 1, such as a logit or a probability (checked unless
            it is traced).

    Source: the blog's ``accuracy``.
    """
    if not are_numbers(label, prediction):
        raise TypeError(
            "label and prediction must be numbers, got "
            f"{brief(label)} and {brief(prediction)}"
        )
    if np.shape(label) != np.shape(prediction):
        raise ValueError(
            "label and prediction must have the same shape, got "
            f"{np.shape(label)} and {np.shape(prediction)}"
        )
    if np.size(label) < 1:
        raise ValueError("label must hold at least one label, got none")
    if not isinstance(label, Tracer) and not np.isin(label, (0, 1)).all():
        raise ValueError(
            "label must be 0 or 1, got "
            f"{np.setdiff1d(label, (0, 1))[:3].tolist()} among them"
        )
    if (
        not isinstance(prediction, Tracer)
        and not np.isin(prediction, (0, 1)).all()
    ):
        raise ValueError(
            "prediction must be 0 or 1, got "
            f"{np.setdiff1d(prediction, (0, 1))[:3].tolist()} among them: "
            "predict(logit) turns logits into labels"
        )
    return jnp.mean(jnp.asarray(label) == jnp.asarray(prediction))
