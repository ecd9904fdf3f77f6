"""What guards ask of arguments: each ``check_…`` passes, or raises by name.

Arguments come by name, and the names stand in the error: a TypeError for a
wrong kind, a ValueError for a wrong shape or value, as of a count that is not
whole. What is traced has a kind and a shape, and no values to ask for.
"""

import reprlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

KINDS = (jnp.floating, jnp.integer, jnp.bool_)
ARRAYS = (jax.Array, np.ndarray, np.generic, bool, int, float)


def brief(value: Any) -> str:
    """Return a line that tells what was given, however large."""
    if isinstance(value, np.generic):
        value = value.item()
    return " ".join(reprlib.repr(value).split())


def listed(words: Any) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last


def within(least: float, most: float) -> str:
    """Return the words for an interval."""
    return f"at least {least}" if most == np.inf else f"from {least} to {most}"


def refusal(wanted: str, arguments: dict, tell: Any = brief) -> str:
    """Return the line that says what was wanted and what was given."""
    given = listed(map(tell, arguments.values()))
    return f"{listed(arguments)} must {wanted}, got {given}"


# Kinds


def check_whole(least: int, most: float = np.inf, **arguments: Any) -> None:
    """Refuse what is no whole number, below ``least`` or above ``most``."""
    for name, n in arguments.items():
        if not isinstance(n, int | np.integer) or not least <= n <= most:
            wanted = f"be a whole number, {within(least, most)}"
            raise ValueError(refusal(wanted, {name: n}))


def is_key(value: Any) -> bool:
    """Tell whether it is a key, or many, of ``jax.random.key``."""
    return jnp.issubdtype(getattr(value, "dtype", int), jax.dtypes.prng_key)


def check_key(key: Any) -> None:
    """Refuse what is not one key of ``jax.random.key``."""
    if not is_key(key) or key.shape != ():
        raise TypeError(refusal("be one key of jax.random.key", {"key": key}))


def check_functions(**arguments: Any) -> None:
    """Refuse what cannot be called."""
    for name, value in arguments.items():
        if not callable(value):
            raise TypeError(refusal("be a function", {name: value}))


def are_numbers(*values: Any) -> bool:
    """Tell whether all are real numbers, or arrays or lists of them.

    Whole numbers that int32 does not hold, or uint32 where they are unsigned,
    are none: JAX would wrap them.
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
    if value.dtype.kind not in "iu" or not value.size:
        return True
    most = 2**32 if value.dtype.kind == "u" else 2**31
    return -(2**31) <= value.min() <= value.max() < most


def are_arrays(*values: Any) -> bool:
    """Tell whether all are numbers or arrays of them.

    Lists are none, nor columns of pandas: most would fail where compiled.
    """
    return all(isinstance(value, ARRAYS) for value in values) and are_numbers(
        *values
    )


def check_numbers(**arguments: Any) -> None:
    """Refuse what ``are_numbers`` does."""
    if not are_numbers(*arguments.values()):
        wanted = "be numbers, whole ones of at most 32 bits"
        raise TypeError(refusal(wanted, arguments))


def check_arrays(**arguments: Any) -> None:
    """Refuse what ``are_arrays`` does."""
    if not are_arrays(*arguments.values()):
        wanted = (
            "be numbers or arrays of NumPy or JAX, whole ones of at most 32 "
            "bits"
        )
        raise TypeError(refusal(wanted, arguments))


def check_number(**arguments: Any) -> None:
    """Refuse all but single numbers."""
    for name, value in arguments.items():
        if not are_arrays(value) or np.ndim(value):
            raise TypeError(refusal("be one number", {name: value}))


def check_type(kind: type, **arguments: Any) -> None:
    """Refuse what is of another type."""
    for name, value in arguments.items():
        if not isinstance(value, kind):
            wanted = f"be of type {kind.__name__}"
            raise TypeError(refusal(wanted, {name: value}))


def check_tuple(kind: type, **arguments: Any) -> None:
    """Refuse all but tuples of this type that hold arrays."""
    for name, value in arguments.items():
        if not isinstance(value, kind) or not are_arrays(*value):
            wanted = f"be a {kind.__name__} of numbers or arrays"
            raise TypeError(refusal(wanted, {name: value}))


def are_floats(params: Any) -> bool:
    """Tell whether a pytree is of floats, at least one."""
    leaves = jax.tree.leaves(params)
    return bool(leaves) and all(
        are_arrays(leaf)
        and jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
        for leaf in leaves
    )


def check_floats(params: Any) -> None:
    """Refuse what ``are_floats`` does, and what is not finite."""
    if not are_floats(params):
        raise TypeError(refusal("be floats", {"params": params}))
    check_finite(params=params)


def check_leaves(**arguments: Any) -> None:
    """Refuse pytrees but of arrays, or keys, such as a table of pandas."""
    for name, value in arguments.items():
        for leaf in jax.tree.leaves(value):
            if not are_arrays(leaf) and not is_key(leaf):
                wanted = "be a pytree of arrays, whole ones of at most 32 bits"
                raise TypeError(refusal(wanted, {name: value}))


def check_weights(params: Any) -> None:
    """Refuse params but finite ones, as ``LogisticRegression`` has them."""
    form = {"params": dict.fromkeys(("w1", "w2", "b"), ())}
    if not are_floats(params) or form != jax.tree.map(np.shape, params):
        wanted = "be those of LogisticRegression, three floats"
        raise TypeError(refusal(wanted, {"params": params}))
    check_finite(params=params)


def check_optimizer(optimizer: Any) -> None:
    """Refuse what is not of Optax, or like it."""
    if not hasattr(optimizer, "init") or not hasattr(optimizer, "update"):
        wanted = "be an Optax gradient transformation"
        raise TypeError(refusal(wanted, {"optimizer": optimizer}))


# Shapes


def check_state(optimizer: Any, params: Any, opt_state: Any) -> None:
    """Refuse an optimizer's state but of such params."""
    wanted = jax.eval_shape(optimizer.init, params)
    for look in (jax.tree.structure, partial(jax.tree.map, jnp.shape)):
        if look(opt_state) != look(wanted):
            raise ValueError(
                "opt_state must be what optimizer.init(params) or the last "
                f"step returned, got {brief(opt_state)}"
            )


def check_scalar_loss(loss_fn: Any, params: Any, dataset: Any) -> None:
    """Refuse a function that does not return a scalar."""
    out = jax.eval_shape(lambda params: loss_fn(params, dataset), params)
    if not isinstance(out, jax.ShapeDtypeStruct) or out.shape:
        raise ValueError(
            "loss_fn must return a scalar, such as a mean, got the shape "
            f"{jax.tree.map(np.shape, out)}"
        )


def check_scalars(**arguments: Any) -> None:
    """Refuse tuples but of single numbers."""
    for name, value in arguments.items():
        if any(map(np.ndim, value)):
            raise ValueError(
                f"{name} must hold single numbers, got the shapes "
                f"{list(map(np.shape, value))}: jax.vmap maps over many"
            )


def check_same_shape(**arguments: Any) -> None:
    """Refuse shapes that differ, even where they would broadcast."""
    if len(set(map(np.shape, arguments.values()))) > 1:
        raise ValueError(refusal("have the same shape", arguments, np.shape))


def check_vectors(**arguments: Any) -> None:
    """Refuse all shapes but one and the same (n,)."""
    shapes = set(map(np.shape, arguments.values()))
    if len(shapes) > 1 or len(*shapes) != 1:
        wanted = "have the same shape (n,)"
        raise ValueError(refusal(wanted, arguments, np.shape))


def check_broadcast(**arguments: Any) -> None:
    """Refuse shapes that do not broadcast."""
    try:
        np.broadcast_shapes(*map(np.shape, arguments.values()))
    except ValueError:
        wanted = "have shapes that broadcast"
        raise ValueError(refusal(wanted, arguments, np.shape)) from None


def check_some(**arguments: Any) -> None:
    """Refuse what holds nothing."""
    for name, value in arguments.items():
        if np.size(value) < 1:
            raise ValueError(f"{name} must hold at least one value, got none")


def check_columns(dataset: Any) -> None:
    """Refuse all but a tuple of arrays with one leading axis.

    Its last array is the label: where that is a scalar, the others are of one
    example, and may have any shapes.
    """
    check_tuple(tuple, dataset=dataset)
    shapes = list(map(np.shape, dataset))
    if not shapes or (shapes[-1] and len({s[:1] for s in shapes}) > 1):
        raise ValueError(
            f"dataset must hold arrays of one length, got shapes {shapes}"
        )


def check_table(kind: type, **arguments: Any) -> None:
    """Refuse all but such tuples of arrays of one and the same shape (n,)."""
    check_tuple(kind, **arguments)
    for name, value in arguments.items():
        if {np.shape(column) for column in value} != {(np.size(value[0]),)}:
            raise ValueError(
                f"{name} must hold arrays of one shape (n,), got shapes "
                f"{list(map(np.shape, value))}"
            )


def check_examples(dataset: Any) -> None:
    """Refuse what ``check_columns`` does, and scalars."""
    check_columns(dataset)
    shapes = list(map(np.shape, dataset))
    if () in shapes:
        raise ValueError(
            f"dataset must hold arrays of one length, got shapes {shapes}"
        )


def check_range(below: int, **arguments: Any) -> None:
    """Refuse all but ranges of numbers from 0, below ``below``."""
    check_type(range, **arguments)
    for name, value in arguments.items():
        if value and not all(0 <= value[end] < below for end in (0, -1)):
            raise ValueError(
                f"{name} must be from 0 to {below - 1}, got {value}"
            )


# Values, unless they are traced


def is_traced(value: Any) -> bool:
    """Tell whether any number of a pytree is."""
    return any(isinstance(part, Tracer) for part in jax.tree.leaves(value))


def known(arguments: dict) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and values of what is not traced."""
    for name, value in arguments.items():
        if not is_traced(value):
            yield name, np.asarray(value)


def are_finite(*values: Any, dtype: Any = np.float32) -> bool:
    """Tell whether all numbers are finite in a dtype, unless traced."""
    return all(_is_finite(value, dtype) for value in values)


def _is_finite(value, dtype):
    if is_traced(value) or is_key(value):
        return True
    with np.errstate(over="ignore"):
        return np.isfinite(np.asarray(value).astype(dtype)).all()


def check_finite(**arguments: Any) -> None:
    """Refuse NaN, infinity, and what float32 takes for it."""
    for name, value in arguments.items():
        leaves = jax.tree.leaves(value)
        if not are_finite(*leaves):
            given = "NaN or infinity"
            if are_finite(*leaves, dtype=np.float64):
                given = "a number too large for float32"
            raise ValueError(f"{name} must be finite, got {given}")


def check_no_nan(**arguments: Any) -> None:
    """Refuse NaN."""
    for name, value in known(arguments):
        if np.isnan(value).any():
            raise ValueError(f"{name} must be numbers, got NaN among them")


def spread(value: np.ndarray) -> str:
    """Return a number, or from where to where several are."""
    if value.ndim == 0:
        return f"{value}"
    return f"values from {value.min()} to {value.max()}"


def check_between(low: float, high: float, **arguments: Any) -> None:
    """Refuse numbers below ``low``, above ``high``, and NaN."""
    for name, value in known(arguments):
        if not ((value >= low) & (value <= high)).all():
            raise ValueError(
                f"{name} must be {within(low, high)}, got {spread(value)}"
            )


def check_positive(hint: str = "", **arguments: Any) -> None:
    """Refuse numbers but those that float32 holds as finite and above 0.

    The hint ends the error.
    """
    for name, value in known(arguments):
        if not are_finite(value) or not (np.float32(value) > 0).all():
            raise ValueError(
                f"{name} must be finite and above 0, got {spread(value)}{hint}"
            )


def check_varied(**arguments: Any) -> None:
    """Refuse tables with a column of no, or infinite, variance in float32."""
    for name, table in known(arguments):
        table = table.astype(np.float32)
        width = np.ptp(table, axis=0)
        variance = np.var(table, axis=0, dtype=np.float64)
        # JAX takes numbers below the least normal one for 0.
        flat = variance < np.finfo(np.float32).tiny
        if flat.any():
            raise ValueError(
                f"{name} must vary in float32, got a variance of 0 in column "
                f"{np.flatnonzero(flat)[0]}"
            )
        total = len(table) * np.square(width, dtype=np.float64)
        check_finite(**{f"the variance of {name}": total})


def check_labels(hint: str = "", **arguments: Any) -> None:
    """Refuse numbers but 0 and 1; the hint ends the error."""
    for name, value in known(arguments):
        # isin would take ten times as long, more than a pass of chapter 9.
        if not ((value == 0) | (value == 1)).all():
            others = np.setdiff1d(value, (0, 1))[:3].tolist()
            raise ValueError(
                f"{name} must be 0 or 1, got {others} among them{hint}"
            )
