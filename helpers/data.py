"""Points in the plane, labelled 0 or 1 by coins that a line loads.

Taught in chapter 1. The recipe is the blog's: x ~ N(0, 2), y ~ N(0, 1)
(standard deviations), logit = w1·x + w2·y + b and
label ~ Bernoulli(sigmoid(logit)).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.core import Tracer
from jax.typing import ArrayLike

from helpers._checks import (
    are_arrays,
    are_finite,
    are_numbers,
    brief,
    broadcast,
    is_key,
    is_whole,
)


class Line(NamedTuple):
    """The line w1·x + w2·y + b = 0, and the logit on either side of it.

    A line is a pytree of three numbers (Python floats, or arrays of any one
    shape). The factor that ``scaled`` multiplies them by moves no boundary.
    """

    w1: ArrayLike
    w2: ArrayLike
    b: ArrayLike

    def scaled(self, factor: ArrayLike) -> "Line":
        """Return the same boundary with every logit times ``factor``.

        Raises:
            ValueError: ``factor`` is not a finite number above zero (checked
                unless it is traced).
        """
        if not are_arrays(factor):
            raise TypeError(
                f"factor must be a number or an array, got {brief(factor)}"
            )
        if not isinstance(factor, Tracer) and not (
            are_finite(factor) and np.all(factor > 0)
        ):
            raise ValueError(
                f"factor must be finite and above 0, got {factor}: 0 erases "
                "the line and a negative factor swaps the labels"
            )
        return Line(*(factor * value for value in self))


TRUE_LINE = Line(w1=1.0, w2=3.0, b=0.1)


def line_logit(line: Line, x: ArrayLike, y: ArrayLike) -> jax.Array:
    """Return the logit w1·x + w2·y + b of label 1 at (x, y).

    Args:
        line: the three numbers of the line.
        x, y: coordinates, of any shapes that broadcast.

    Returns:
        The log-odds of label 1, float32, of the broadcast shape.

    Raises:
        ValueError: a number is not finite (checked unless it is traced), or
            the shapes do not broadcast.
    """
    if not isinstance(line, Line) or not are_arrays(*line):
        raise TypeError(
            f"line must be a Line of numbers or arrays, got {brief(line)}"
        )
    if not are_finite(*line):
        raise ValueError(f"line must be finite, got {brief(line)}")
    if not are_numbers(x, y):
        raise TypeError(
            f"x and y must be numbers, got {brief(x)} and {brief(y)}"
        )
    if not are_finite(x, y):
        raise ValueError("x and y must be finite, got NaN or infinity")
    if not broadcast(x, y, *line):
        raise ValueError(
            "x and y must broadcast with each other and the line, got "
            f"{np.shape(x)}, {np.shape(y)} and {np.shape(line.w1)}"
        )
    return line.w1 * jnp.asarray(x) + line.w2 * jnp.asarray(y) + line.b


def boundary_y(line: Line, x: ArrayLike) -> jax.Array:
    """Return the y at which the line passes over ``x``: where the logit is 0.

    Args:
        line: the three numbers of the line; w2 must not be 0.
        x: where to look, of any shape.

    Returns:
        −(w1·x + b) / w2, float32, of the shape of ``x``.

    Raises:
        ValueError: w2 is 0, a vertical line, or a number is not finite
            (checked unless they are traced), or the shapes do not broadcast.
    """
    if not isinstance(line, Line) or not are_arrays(*line):
        raise TypeError(
            f"line must be a Line of numbers or arrays, got {brief(line)}"
        )
    if not are_finite(*line):
        raise ValueError(f"line must be finite, got {brief(line)}")
    if not isinstance(line.w2, Tracer) and np.any(line.w2 == 0):
        raise ValueError(
            f"line.w2 must not be 0, got {line}: a vertical line has no y "
            "over a given x"
        )
    if not are_numbers(x):
        raise TypeError(f"x must be numbers, got {brief(x)}")
    if not are_finite(x):
        raise ValueError("x must be finite, got NaN or infinity")
    if not broadcast(x, *line):
        raise ValueError(
            "x must broadcast with the line, got "
            f"{np.shape(x)} and {np.shape(line.w1)}"
        )
    return -(line.w1 * jnp.asarray(x) + line.b) / line.w2


X_SD = 2.0
Y_SD = 1.0


def sample_points(key: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
    """Draw n points, x ~ N(0, X_SD) and y ~ N(0, Y_SD), independently.

    Args:
        key: a key of ``jax.random.key``.
        n: how many points, at least 1.

    Returns:
        x and y, float32 of shape (n,).

    Raises:
        ValueError: n is no whole number above 0.
    """
    if not is_whole(n, 1):
        raise ValueError(
            f"n must be a whole number of at least 1, got {brief(n)}"
        )
    if not is_key(key):
        raise TypeError(
            f"key must be one key of jax.random.key, got {brief(key)}"
        )
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
        ValueError: a logit is NaN (checked unless it is traced).
    """
    if not are_numbers(logit):
        raise TypeError(f"logit must be numbers, got {brief(logit)}")
    if not isinstance(logit, Tracer) and np.isnan(logit).any():
        raise ValueError("logit must be numbers, got NaN among them")
    if not is_key(key):
        raise TypeError(
            f"key must be one key of jax.random.key, got {brief(key)}"
        )
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
    """Draw n points and toss each one's coin, as loaded by ``line``.

    Args:
        key: a key of ``jax.random.key``; the same key gives the same data.
        n: how many points, at least 1.
        line: the line whose logits load the coins.

    Returns:
        A Dataset of n points.

    Raises:
        ValueError: n is no whole number above 0, or the line is not finite
            (checked unless it is traced).

    Source: the blog's data set, drawn with a key instead of an unseeded
    global generator, and with unrounded probabilities.
    """
    if not is_whole(n, 1):
        raise ValueError(
            f"n must be a whole number of at least 1, got {brief(n)}"
        )
    if not is_key(key):
        raise TypeError(
            f"key must be one key of jax.random.key, got {brief(key)}"
        )
    if not isinstance(line, Line) or not are_arrays(*line):
        raise TypeError(
            f"line must be a Line of numbers or arrays, got {brief(line)}"
        )
    if not are_finite(*line):
        raise ValueError(f"line must be finite, got {brief(line)}")
    points_key, labels_key = jax.random.split(key)
    x, y = sample_points(points_key, n)
    label = sample_labels(labels_key, line_logit(line, x, y))
    return Dataset(x, y, label)


def to_frame(dataset: Dataset) -> pd.DataFrame:
    """Return the data set as a table with the columns x, y and label.

    Raises:
        ValueError: the columns differ in length.
    """
    if not isinstance(dataset, Dataset) or not are_numbers(*dataset):
        raise TypeError(
            f"dataset must be a Dataset of numbers, got {brief(dataset)}"
        )
    if {np.ndim(column) for column in dataset} != {1}:
        raise ValueError(
            "dataset must have columns of shape (n,), got "
            f"{[np.shape(column) for column in dataset]}"
        )
    if len({len(column) for column in dataset}) != 1:
        raise ValueError(
            "dataset must have columns of one length, got "
            f"{[len(column) for column in dataset]}"
        )
    columns = dataset._asdict()
    return pd.DataFrame({k: np.asarray(v) for k, v in columns.items()})
