"""How wrong a model is, and which way is down.

Taught in chapter 3.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from helpers._checks import check_same_shape


def binary_cross_entropy(logit: ArrayLike, label: ArrayLike) -> jax.Array:
    """Return −log P(label), the surprise at each label, in nats.

    With p = sigmoid(logit) that is −log p for label 1 and −log(1 − p) for
    label 0: the negative Bernoulli log-likelihood. Computed from the logit,
    it stays finite and exact where log(sigmoid(logit)) does not.

    Args:
        logit: log-odds of label 1, of any shape; an infinite one gives
            infinity or NaN.
        label: 0 or 1, of the same shape.

    Returns:
        The loss of each example, in nats, of the shape of ``logit``; it
        and its gradient are NaN where a label is neither 0 nor 1.

    Raises:
        ValueError: the shapes differ, even if they would broadcast.

    Source: ``optax.sigmoid_binary_cross_entropy``, which the blog uses. It
    takes only arrays; this function also takes numbers and integers.
    """
    check_same_shape(logit=logit, label=label)
    # Times 1.0, integers become floats and floats keep their dtype.
    logit, label = 1.0 * jnp.asarray(logit), jnp.asarray(label)
    label = jnp.where((label == 0) | (label == 1), label, jnp.nan)
    return optax.sigmoid_binary_cross_entropy(logit, label)


def mean_loss(
    apply_fn: Callable[..., jax.Array], params: Any, dataset: tuple
) -> jax.Array:
    """Return the mean binary cross-entropy of a model on a data set.

    Args:
        apply_fn: ``apply_fn(params, *inputs)`` returns the logits.
        params: the model's params, any pytree of arrays.
        dataset: a tuple ``(*inputs, label)`` of arrays with one leading axis
            of length n, such as a ``Dataset``; or a single example,
            whose label is a scalar.

    Returns:
        The mean loss in nats, a float32 scalar.
    """
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

    Source: the blog's ``value_and_grad_vectorized``.
    """
    # The mean over a single example is that example's loss.
    of_one = jax.value_and_grad(partial(mean_loss, apply_fn))
    return jax.vmap(of_one, in_axes=(None, 0))(params, dataset)
