"""A planted fault must turn its rule red: what the tests of that share."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """How to damage a copy, and what the rule then says."""

    rule: Callable[..., Iterator[str]]
    damage: Callable[[Any], Any]
    says: str  # a regular expression
    where: str = ""


def rule_of(fault: Fault) -> str:
    return fault.rule.__name__


def red(fault: Fault, *copy: Any, named: str = "") -> int:
    """Return the line of the yield that says what the fault wants said.

    Somewhere it must say, too, where the fault is.
    """
    problems = fault.rule(*copy)
    said = []
    for problem in problems:
        if named in problem and re.search(fault.says, problem, re.DOTALL):
            return problems.gi_frame.f_lineno
        said.append(problem)
    raise AssertionError(
        f"{rule_of(fault)} should say {fault.says!r} of what was planted "
        f"{named and 'in ' + named}, and says {said}"
    )


def yields(rule: Callable) -> list[range]:
    """Return the lines of each ``yield`` of a rule."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(rule)))
    before = rule.__code__.co_firstlineno - 1
    return [
        range(before + node.lineno, before + node.end_lineno + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.Yield)
    ]


def unplanted(
    rules: Iterable[Callable], found: dict[Fault, int]
) -> Iterator[str]:
    """Yield each yield that no fault reaches; print how many are reached."""
    for rule in rules:
        lines = [at for fault, at in found.items() if fault.rule is rule]
        places = yields(rule)
        dead = [p.start for p in places if not any(at in p for at in lines)]
        print(
            f"{rule.__name__}: {len(lines)} faults reach "
            f"{len(places) - len(dead)} of {len(places)} yields"
        )
        for line in dead:
            yield (
                f"{rule.__name__}: no planted fault reaches the yield in line "
                f"{line} of {rule.__code__.co_filename.rpartition('/')[2]}; "
                "plant one in FAULTS"
            )


def unlisted(module: ModuleType, listed: list[Callable]) -> Iterator[str]:
    """Yield each rule of a module that no list has, so that none runs it."""
    for each in vars(module).values():
        wanted = inspect.isgeneratorfunction(each) and (
            each.__module__ == module.__name__
            and each.__annotations__.get("return") is module.Problems
        )
        if wanted and each not in listed:
            yield (
                f"{module.__name__}.{each.__name__} is a rule that no test "
                "runs; name it in RULES"
            )
