"""How wrong a model is, and which way is down.

Taught in chapter 3.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.typing import ArrayLike

from helpers._checks import (
    are_columns,
    are_finite,
    are_floats,
    are_numbers,
    brief,
)


def binary_cross_entropy(logit: ArrayLike, label: ArrayLike) -> jax.Array:
    """Return −log P(label), the surprise at each label, in nats.

    With p = sigmoid(logit) that is −log p for label 1 and −log(1 − p) for
    label 0: the negative Bernoulli log-likelihood. Computed from the logit,
    it stays finite and exact where log(sigmoid(logit)) does not.

    Args:
        logit: log-odds of label 1, of any shape, finite (traced, an
            infinite one gives infinity or NaN).
        label: 0 or 1, of the same shape.

    Returns:
        The loss of each example, in nats, of the shape of ``logit``; NaN
        where a traced label is neither 0 nor 1.

    Raises:
        ValueError: the shapes differ (they would broadcast without a word),
            a logit is not finite, or a label is neither 0 nor 1 (values are
            checked unless they are traced).

    Source: ``optax.sigmoid_binary_cross_entropy``, which the blog uses; it
    takes arrays alone, this also numbers and integers.
    """
    if not are_numbers(logit, label):
        raise TypeError(
            "logit and label must be numbers, got "
            f"{brief(logit)} and {brief(label)}"
        )
    if np.shape(logit) != np.shape(label):
        raise ValueError(
            "logit and label must have the same shape, got "
            f"{np.shape(logit)} and {np.shape(label)}"
        )
    # Of a sure and right logit Optax makes 0 × infinity, which is NaN.
    if not are_finite(logit):
        raise ValueError("logit must be finite, got NaN or infinity")
    if not isinstance(label, Tracer) and not np.isin(label, (0, 1)).all():
        raise ValueError(
            "label must be 0 or 1, got "
            f"{np.setdiff1d(label, (0, 1))[:3].tolist()} among them"
        )
    # Times 1.0, integers become floats and floats keep their dtype.
    logit, label = 1.0 * jnp.asarray(logit), jnp.asarray(label)
    loss = optax.sigmoid_binary_cross_entropy(logit, label)
    return jnp.where((label == 0) | (label == 1), loss, jnp.nan)


def mean_loss(
    apply_fn: Callable[..., jax.Array], params: Any, dataset: tuple
) -> jax.Array:
    """Return the mean binary cross-entropy of a model on a data set.

    Args:
        apply_fn: ``apply_fn(params, *inputs)`` returns the logits.
        params: the model's params, any pytree.
        dataset: a tuple ``(*inputs, label)`` of arrays with one leading axis
            of length n, such as a ``Dataset``; or a single example, its
            label a scalar.

    Returns:
        The mean loss in nats, a float32 scalar.

    Raises:
        ValueError: the lengths differ or are 0, the logits have another
            shape than the labels, a point is not finite, or a label is
            neither 0 nor 1 (values are checked unless they are traced).
    """
    if not are_columns(dataset):
        raise TypeError(
            f"dataset must be a tuple of arrays, got {brief(dataset)}"
        )
    if (
        jnp.ndim(dataset[-1]) > 0
        and len({jnp.shape(column)[:1] for column in dataset}) != 1
    ):
        raise ValueError(
            "dataset must hold arrays of one length, got shapes "
            f"{[jnp.shape(column) for column in dataset]}"
        )
    if jnp.size(dataset[-1]) < 1:
        raise ValueError("dataset must hold at least one example, got none")
    if not are_finite(*dataset):
        raise ValueError("dataset must be finite, got NaN or infinity in it")
    if not callable(apply_fn):
        raise TypeError(f"apply_fn must be a function, got {brief(apply_fn)}")
    *inputs, label = dataset
    logit = apply_fn(params, *inputs)
    return binary_cross_entropy(logit, label).mean()


def per_example_value_and_grad(
    apply_fn: Callable[..., jax.Array], params: Any, dataset: tuple
) -> tuple[jax.Array, Any]:
    """Return each example's loss and its gradient with respect to params.

    Args:
        apply_fn, params, dataset: as in ``mean_loss``.

    Returns:
        The losses in nats, of shape (n,), and the gradients, a pytree like
        ``params`` whose leaves have one more leading axis, of length n.

    Raises:
        ValueError: as ``mean_loss``, except that no examples give no losses.

    Source: the blog's ``value_and_grad_vectorized``.
    """
    if not are_columns(dataset):
        raise TypeError(
            f"dataset must be a tuple of arrays, got {brief(dataset)}"
        )
    if 0 in {jnp.ndim(column) for column in dataset} or (
        len({jnp.shape(column)[0] for column in dataset}) != 1
    ):
        raise ValueError(
            "dataset must hold arrays of one length, got shapes "
            f"{[jnp.shape(column) for column in dataset]}"
        )
    # Under vmap, mean_loss sees no values: they are checked here.
    if not are_finite(*dataset):
        raise ValueError("dataset must be finite, got NaN or infinity in it")
    if (
        not isinstance(dataset[-1], Tracer)
        and not np.isin(dataset[-1], (0, 1)).all()
    ):
        raise ValueError(
            "label must be 0 or 1, got "
            f"{np.setdiff1d(dataset[-1], (0, 1))[:3].tolist()} among them"
        )
    if not callable(apply_fn):
        raise TypeError(f"apply_fn must be a function, got {brief(apply_fn)}")
    if not are_floats(params):
        raise TypeError(f"params must be floats, got {brief(params)}")
    # The mean over a single example is that example's loss.
    of_one = jax.value_and_grad(partial(mean_loss, apply_fn))
    return jax.vmap(of_one, in_axes=(None, 0))(params, dataset)
