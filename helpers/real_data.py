"""Data that nobody generated: cells from 569 tumours.

Taught in chapter 9.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import sklearn.datasets
from jax.typing import ArrayLike

from helpers._checks import (
    check_no_nan,
    check_positive,
    check_same_shape,
    check_whole,
)


class Table(NamedTuple):
    """Labelled rows: features float32 (n, d), label int32 (n,)."""

    features: jax.Array
    label: jax.Array


def load_breast_cancer() -> tuple[Table, list[str]]:
    """Return the Wisconsin diagnostic breast cancer data, label 1 malignant.

    Returns:
        A Table of 569 tumours with 30 features, and the features' names.
        Lengths are in a unit of the images, which their makers do not name.

    Source: W. N. Street, W. H. Wolberg and O. L. Mangasarian, "Nuclear
    Feature Extraction for Breast Tumor Diagnosis" (1993), bundled with
    scikit-learn, whose label 1 is benign.
    """
    bundled = sklearn.datasets.load_breast_cancer()
    features = jnp.asarray(bundled.data, dtype=jnp.float32)
    label = jnp.asarray(1 - bundled.target, dtype=jnp.int32)
    return Table(features, label), bundled.feature_names.tolist()


class Scaling(NamedTuple):
    """Each feature's mean and standard deviation, float32 of shape (d,)."""

    mean: jax.Array
    sd: jax.Array


def find_scaling(features: ArrayLike) -> Scaling:
    """Return the mean and standard deviation (divisor n) of each column.

    Args:
        features: of shape (n, d), from the training part only.

    Returns:
        A Scaling.

    Raises:
        ValueError: a column is constant, or a number is NaN. Neither is
            checked while it is traced.
    """
    features = jnp.asarray(features)
    # The range alone would not do: in a long column XLA may lose a NaN.
    check_no_nan(features=features)
    # The range of a constant column is exactly 0, while its sd need not be.
    check_positive(**{"range of each column": jnp.ptp(features, axis=0)})
    return Scaling(features.mean(axis=0), features.std(axis=0))


def standardize(features: ArrayLike, scaling: Scaling) -> jax.Array:
    """Return features as standard deviations above their mean.

    Args:
        features: of shape (..., d), such as a table or a single row.
        scaling: what ``find_scaling`` found in the *training* part.

    Returns:
        (features − mean) / sd, float32, of the shape of ``features``.
    """
    check_same_shape(row=np.empty(np.shape(features)[-1:]), sd=scaling.sd)
    return (jnp.asarray(features) - scaling.mean) / scaling.sd


def make_folds(key: jax.Array, label: ArrayLike, count: int = 5) -> jax.Array:
    """Deal rows into folds, so that each has nearly the same share of labels.

    Args:
        key: a key of ``jax.random.key``.
        label: of shape (n,), of any kind that can be sorted.
        count: how many folds, at least 2 and at most n.

    Returns:
        For each row the number of its fold, from 0 to ``count`` - 1, int32 of
        shape (n,). Any two folds differ by 1 at most in their number of rows,
        and in their number of rows with a given label.
    """
    check_whole(2, count=count)
    order = jax.random.permutation(key, len(label))
    shuffled = jnp.asarray(label)[order]
    order = order[jnp.argsort(shuffled)]  # keeps ties shuffled
    dealt = jnp.arange(len(label)) % count
    return jnp.zeros_like(dealt).at[order].set(dealt)
