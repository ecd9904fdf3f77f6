"""The same logistic regression as a Flax NNX module.

Taught in chapter 12.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike

from helpers.data import Dataset
from helpers.loss import binary_cross_entropy


class NNXLogisticRegression(nnx.Module):
    """The model logit = w1·x + w2·y + b, which owns its three params.

    ``rngs`` is an ``nnx.Rngs`` with a stream for params. w1 and w2 are drawn
    from N(0, 1), and b is zero. Each of the three is an ``nnx.Param`` that
    holds a float32 scalar, read as ``model.w1[...]``.

    Source: the blog's ``LogisticRegressionModel``, in Flax's newer interface.
    """

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        """Draw the params."""
        self.w1 = nnx.Param(rngs.params.normal(()))
        self.w2 = nnx.Param(rngs.params.normal(()))
        self.b = nnx.Param(jnp.zeros(()))

    def __call__(self, x: ArrayLike, y: ArrayLike) -> jax.Array:
        """Return the logit of label 1 at (x, y).

        Args:
            x, y: coordinates, of any shapes that broadcast.

        Returns:
            The log-odds of label 1, float32, of the broadcast shape.
        """
        x, y = jnp.asarray(x), jnp.asarray(y)
        return self.w1[...] * x + self.w2[...] * y + self.b[...]


def model_loss(model: nnx.Module, dataset: Dataset) -> jax.Array:
    """Return the mean cross-entropy of a model that owns its params.

    Args:
        model: when called on the data set's inputs, it returns the logit.
        dataset: a tuple of the inputs and then the label, arrays with the
            same leading axis.

    Returns:
        The mean loss in nats, a float32 scalar.
    """
    *inputs, label = dataset
    return binary_cross_entropy(model(*inputs), label).mean()


def take_step(
    model: nnx.Module, optimizer: nnx.Optimizer, dataset: Dataset
) -> jax.Array:
    """Take one step on the whole data set, *in place*.

    Args:
        model: its params are changed.
        optimizer: ``nnx.Optimizer(model, …, wrt=nnx.Param)``; its state is
            changed.
        dataset: passed on to ``model_loss``.

    Returns:
        The loss before the step, a float32 scalar.
    """
    loss, grads = nnx.value_and_grad(model_loss)(model, dataset)
    optimizer.update(model, grads)
    return loss


nnx_step = nnx.jit(take_step)
"""``take_step``, compiled."""


def from_linen(model: nnx.Module, params: Any) -> None:
    """Write a Linen module's params into a model, in place.

    Args:
        model: its ``nnx.Param`` variables are replaced.
        params: {"params": {…}}, of the same names and shapes.

    Raises:
        ValueError: the names or shapes differ; the model stays as it was.
    """
    if (given := jax.tree.map(jnp.shape, params)) != (
        have := jax.tree.map(jnp.shape, to_linen(model))
    ):
        raise ValueError(f"params must be like {have}, got {given}")
    nnx.update(model, jax.tree.map(jnp.asarray, params["params"]))


def to_linen(model: nnx.Module) -> dict:
    """Return a model's params in the form that a Linen module uses.

    Args:
        model: any NNX module.

    Returns:
        A dictionary with one entry, "params", which holds another dictionary
        with an array for each ``nnx.Param``.
    """
    return {"params": nnx.to_pure_dict(nnx.state(model, nnx.Param))}
