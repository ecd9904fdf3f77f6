"""Logistic regression as a Flax Linen module.

Taught in chapter 2.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import ArrayLike


class LogisticRegression(nn.Module):
    """The model logit = w1·x + w2·y + b, with three scalar params.

    ``init(key, x, y)`` returns float32 params {"params": {"w1", "w2", "b"}}:
    w1 and w2 are drawn from N(0, 1), and b is zero.

    Source: the blog's ``LogisticRegressionModel``; D. R. Cox, "The Regression
    Analysis of Binary Sequences", JRSS B 20 (1958).
    """

    @nn.compact
    def __call__(self, x: ArrayLike, y: ArrayLike) -> jax.Array:
        """Return the logit of label 1 at (x, y).

        Args:
            x, y: coordinates, of any shapes that broadcast.

        Returns:
            The log-odds of label 1, float32, of the broadcast shape.
        """
        w1 = self.param("w1", jax.random.normal, ())
        w2 = self.param("w2", jax.random.normal, ())
        b = self.param("b", nn.initializers.zeros, ())
        return w1 * jnp.asarray(x) + w2 * jnp.asarray(y) + b


BLOG_PARAMS = {
    "params": {
        "w1": np.float32(0.32724857),
        "w2": np.float32(-1.1509773),
        "b": np.float32(0.0),
    }
}
"""The starting point that the blog prints, as float32 scalars."""
