"""What a helper refuses: arguments that would answer plausibly and wrong.

Arguments come by name, and the names stand in the error. All else is left to
JAX, whose own errors say more. What is traced has a shape, and no values.
"""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np


def check_same_shape(**arguments: Any) -> None:
    """Refuse shapes that differ, even where they would broadcast."""
    shapes = [np.shape(value) for value in arguments.values()]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"{' and '.join(arguments)} must have the same shape, got "
            f"{' and '.join(map(str, shapes))}"
        )


def check_whole(least: int, most: float = np.inf, **arguments: Any) -> None:
    """Refuse what is no whole number from ``least`` to ``most``."""
    for name, n in arguments.items():
        if not isinstance(n, int | np.integer) or not least <= n <= most:
            end = "" if most == np.inf else f" and at most {most}"
            raise ValueError(
                f"{name} must be a whole number, at least {least}{end}, got "
                f"{n!r}"
            )


def known(arguments: dict) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the names and values of what is not traced."""
    for name, value in arguments.items():
        if not isinstance(value, jax.core.Tracer):
            yield name, np.asarray(value)


def check_between(low: float, high: float, **arguments: Any) -> None:
    """Refuse numbers below ``low``, above ``high``, and NaN."""
    for name, value in known(arguments):
        if not ((value >= low) & (value <= high)).all():
            raise ValueError(
                f"{name} must be from {low} to {high}, got {value.min()} to "
                f"{value.max()}"
            )


def check_positive(hint: str = "", **arguments: Any) -> None:
    """Refuse what is not above 0, NaN too; the hint ends the error."""
    for name, value in known(arguments):
        if not (value > 0).all():
            raise ValueError(
                f"{name} must be above 0, got {value.min()}{hint}"
            )


def check_no_nan(**arguments: Any) -> None:
    """Refuse NaN."""
    for name, value in known(arguments):
        if np.isnan(value).any():
            raise ValueError(f"{name} must be numbers, got NaN among them")


def check_labels(hint: str = "", **arguments: Any) -> None:
    """Refuse numbers but 0 and 1; the hint ends the error."""
    for name, value in known(arguments):
        # isin would take ten times as long, more than a pass of chapter 10.
        if not ((value == 0) | (value == 1)).all():
            others = np.setdiff1d(value, (0, 1))[:3].tolist()
            raise ValueError(
                f"{name} must be 0 or 1, got {others} among them{hint}"
            )
