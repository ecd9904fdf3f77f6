"""Points in the plane, labelled 0 or 1 by coins that a line loads.

Taught in chapter 1. The recipe is the blog's: x ~ N(0, 2) and y ~ N(0, 1),
where 2 and 1 are standard deviations, logit = w1·x + w2·y + b, and
label ~ Bernoulli(sigmoid(logit)).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.typing import ArrayLike

from helpers._checks import check_no_nan, check_positive


class Line(NamedTuple):
    """The line w1·x + w2·y + b = 0, and the logit on either side of it.

    A line is a pytree of three numbers, which may be Python floats or arrays
    that all have the same shape. ``scaled`` multiplies all three by the same
    factor, which does not move the boundary.
    """

    w1: ArrayLike
    w2: ArrayLike
    b: ArrayLike

    def scaled(self, factor: ArrayLike) -> "Line":
        """Return the line with every logit times ``factor``.

        Raises:
            ValueError: ``factor`` is not above 0, unless it is traced.
        """
        check_positive(factor=factor)
        return Line(*(factor * value for value in self))


TRUE_LINE = Line(w1=1.0, w2=3.0, b=0.1)


def line_logit(line: Line, x: ArrayLike, y: ArrayLike) -> jax.Array:
    """Return the logit w1·x + w2·y + b of label 1 at (x, y).

    Args:
        line: the three numbers of the line.
        x, y: coordinates, of any shapes that broadcast.

    Returns:
        The log-odds of label 1, float32, of the broadcast shape.
    """
    x, y = jnp.asarray(x, float), jnp.asarray(y, float)
    return line.w1 * x + line.w2 * y + line.b


def boundary_y(line: Line, x: ArrayLike) -> jax.Array:
    """Return the y of the line at ``x``, where the logit is 0.

    Args:
        line: the three numbers of the line.
        x: where to look, of any shape.

    Returns:
        −(w1·x + b) / w2, float32, of the shape of ``x``. It is infinite or
        NaN for a vertical line, whose w2 is 0.
    """
    return -(line.w1 * jnp.asarray(x, float) + line.b) / line.w2


X_SD = 2.0
Y_SD = 1.0


def sample_points(key: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
    """Draw n points, x ~ N(0, X_SD) and y ~ N(0, Y_SD), independently.

    Args:
        key: a key of ``jax.random.key``.
        n: how many points.

    Returns:
        x and y, float32 of shape (n,).
    """
    x_key, y_key = jax.random.split(key)
    x = X_SD * jax.random.normal(x_key, (n,))
    y = Y_SD * jax.random.normal(y_key, (n,))
    return x, y


def sample_labels(key: jax.Array, logit: ArrayLike) -> jax.Array:
    """Toss a coin for each logit: 1 with probability sigmoid(logit), else 0.

    Args:
        key: a key of ``jax.random.key``, used for nothing else.
        logit: log-odds of label 1, of any shape; ±inf give certain labels.

    Returns:
        Labels 0 and 1, int32, of the shape of ``logit``.

    Raises:
        ValueError: a logit is NaN, unless it is traced.
    """
    check_no_nan(logit=logit)
    probability = jax.nn.sigmoid(1.0 * jnp.asarray(logit))
    return jax.random.bernoulli(key, probability).astype(jnp.int32)


class Dataset(NamedTuple):
    """n labelled points: x and y float32, label int32, each of shape (n,)."""

    x: jax.Array
    y: jax.Array
    label: jax.Array


def make_dataset(
    key: jax.Array, n: int = 1000, line: Line = TRUE_LINE
) -> Dataset:
    """Draw n points, and label each by a coin that ``line`` has loaded.

    Args:
        key: a key of ``jax.random.key``; the same key gives the same data.
        n: how many points.
        line: three numbers, whose logits load the coins.

    Returns:
        A Dataset of n points.

    Source: the blog's data set, drawn with a key instead of an unseeded
    global generator, and with unrounded probabilities.
    """
    points_key, labels_key = jax.random.split(key)
    x, y = sample_points(points_key, n)
    label = sample_labels(labels_key, line_logit(line, x, y))
    return Dataset(x, y, label)


def rows(dataset: Any, which: ArrayLike | slice) -> Any:
    """Return the rows of a data set that a number, slice, or mask picks.

    The data set may be any tuple of arrays, such as a ``Table``. A number out
    of range picks the nearest row, as an index does in JAX.
    """
    return jax.tree.map(lambda column: column[which], dataset)


def to_frame(dataset: Dataset) -> pd.DataFrame:
    """Return the data set as a table with the columns x, y, and label."""
    columns = dataset._asdict()
    return pd.DataFrame({k: np.asarray(v) for k, v in columns.items()})
