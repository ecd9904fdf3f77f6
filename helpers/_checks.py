"""What guards ask of an argument; what is traced has no values to ask for."""

import reprlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

KINDS = (jnp.floating, jnp.integer, jnp.bool_)


def brief(value: Any) -> str:
    """Return a line that tells what was given, however large."""
    return " ".join(reprlib.repr(value).split())


def is_whole(n: Any, least: int) -> bool:
    """Tell whether n is a whole number, not below ``least``."""
    return isinstance(n, int | np.integer) and n >= least


def is_key(key: Any) -> bool:
    """Tell whether this is one key of ``jax.random.key``."""
    return (
        jnp.issubdtype(getattr(key, "dtype", int), jax.dtypes.prng_key)
        and key.shape == ()
    )


def are_numbers(*values: Any) -> bool:
    """Tell whether all are real numbers, or arrays or lists of them.

    Whole numbers that 32 bits do not hold are none: JAX would wrap them.
    """
    return all(map(_is_numbers, values))


def _is_numbers(value):
    if isinstance(value, jax.Array):  # a tracer, too
        return any(jnp.issubdtype(value.dtype, kind) for kind in KINDS)
    try:
        value = np.asarray(value)
    except jax.errors.TracerArrayConversionError:
        return True  # a list of tracers
    except ValueError:
        return False  # a ragged list
    if not any(jnp.issubdtype(value.dtype, kind) for kind in KINDS):
        return False
    wide = value.dtype.kind in "iu" and value.size
    return not wide or -(2**31) <= value.min() <= value.max() < 2**32


def are_arrays(*values: Any) -> bool:
    """Tell whether all are numbers or arrays of them, and no lists."""
    return are_numbers(*values) and not any(
        isinstance(value, list | tuple) for value in values
    )


def are_finite(*values: Any) -> bool:
    """Tell whether all numbers are finite in float32, unless traced."""
    with np.errstate(over="ignore"):
        return all(
            any(isinstance(part, Tracer) for part in jax.tree.leaves(value))
            or np.isfinite(np.asarray(value, np.float32)).all()
            for value in values
        )


def are_floats(tree: Any) -> bool:
    """Tell whether a pytree holds floats alone, at least one array."""
    leaves = jax.tree.leaves(tree)
    return bool(leaves) and all(
        are_arrays(leaf)
        and jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        for leaf in leaves
    )


def has_weights(params: Any) -> bool:
    """Tell whether params have the form of ``LogisticRegression``'s."""
    form = {"params": dict.fromkeys(("w1", "w2", "b"), ())}
    return are_numbers(*jax.tree.leaves(params)) and form == jax.tree.map(
        np.shape, params
    )


def are_columns(dataset: Any) -> bool:
    """Tell whether this is a tuple or list of numbers or arrays of them."""
    return (
        isinstance(dataset, tuple | list)
        and len(dataset) > 0
        and are_arrays(*dataset)
    )


def broadcast(*values: Any) -> bool:
    """Tell whether the shapes broadcast."""
    try:
        np.broadcast_shapes(*map(np.shape, values))
    except ValueError:
        return False
    return True
