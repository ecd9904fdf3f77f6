"""A bigger model: layers of weighted sums, bent in between.

Taught in chapter 8.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import ArrayLike


class MLP(nn.Module):
    """A multilayer perceptron with tanh between its layers.

    ``widths`` are the sizes of the hidden layers, such as (32, 32); with
    none the model is a logistic regression. ``init(key, *inputs)`` returns
    float32 params {"params": {"Dense_0": {"kernel", "bias"}, …}}. It draws
    the kernels by LeCun's rule, and sets the biases to zero.

    Source: D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning
    Representations by Back-propagating Errors", Nature 323 (1986).
    """

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, *inputs: ArrayLike) -> jax.Array:
        """Return the logit of label 1.

        Args:
            *inputs: one array for each input, such as x and y, all of the
                same shape; or a single array whose last axis holds the
                inputs, such as a table of shape (n, d).

        Returns:
            The log-odds of label 1, float32, in the shape of one input.
        """
        hidden = jnp.stack(inputs, axis=-1) if inputs[1:] else inputs[0]
        for width in self.widths:
            hidden = nn.tanh(nn.Dense(width)(hidden))
        return nn.Dense(1)(hidden)[..., 0]
