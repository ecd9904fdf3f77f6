"""What a helper refuses: arguments that would give a plausible wrong answer.

Arguments are passed by name, so that an error can name them. All else is left
to JAX, whose own errors say more. A traced argument has a shape but no values,
so only its shape is checked.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from zlib import crc32

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather


def check_same_shape(**arguments: Any) -> None:
    """Refuse shapes that differ, even where they would broadcast."""
    shapes = {name: np.shape(value) for name, value in arguments.items()}
    if len({*shapes.values()}) > 1:
        raise ValueError(f"shapes must be equal, got {shapes}")


def check_whole(least: int, **arguments: Any) -> None:
    """Refuse what is not a whole number, or is below ``least``."""
    for name, n in arguments.items():
        if not isinstance(n, int | np.integer) or n < least:
            wanted = f"a whole number, at least {least}"
            raise ValueError(f"{name} must be {wanted}, got {n!r}")


def check_values(wanted: str, holds: Callable, **arguments: Any) -> None:
    """Refuse values for which ``holds`` is false, and show three of them."""
    for name, value in arguments.items():
        if not isinstance(value, jax.core.Tracer):
            value = np.asarray(value)
            if wrong := value[~holds(value)][:3].tolist():
                raise ValueError(f"{name} must be {wanted}, got {wrong}")


# NaN fails each of these checks.
check_no_nan = partial(check_values, "numbers", lambda value: value == value)
check_positive = partial(check_values, "above 0", lambda value: value > 0)
check_share = partial(
    check_values, "from 0 to 1", lambda value: (value >= 0) & (value <= 1)
)
# isin would take ten times as long, longer than a pass of chapter 10.
check_labels = partial(
    check_values, "0 or 1", lambda value: (value == 0) | (value == 1)
)


def check_everywhere(**things: Any) -> None:
    """Refuse what differs between processes, since JAX assumes it equal."""
    for name, thing in things.items():
        seen = process_allgather(np.uint32(crc32(repr(thing).encode())))
        if np.ptp(seen):
            raise ValueError(f"{name} must be equal in all processes")
