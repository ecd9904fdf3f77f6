"""What guards accept, and the line that they say of what they refuse."""

import ast
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from manuscript import ROOT

from helpers import _checks as checks
from helpers.data import Line

NUMBERS = [7, -1.5, True, 2**31 - 1, -(2**31), np.int64(2**31 - 1)]
NUMBERS += [np.uint64(2**32 - 1)]
LISTS = [[1, 2], (0.5, True), [[1], [2]]]
ARRAYS = [np.ones(3), np.zeros(0, int), np.uint32([5]), jnp.ones(2, bool)]
NONE = [None, "1", 1j, [[1.0], [1.0, 2.0]], 2**31, -(2**31) - 1, {"a": 1}]
NONE += [
    np.uint64(2**32),
    np.array([0, 2**31]),
    np.array([-(2**31) - 1, 0]),
    jnp.ones(2, "c8"),
]
WEIGHTS = {"params": {"w1": 1.0, "w2": np.float32(2), "b": jnp.zeros(())}}
ROWS = np.ones((3, 2))
KEYS = jax.random.split(jax.random.key(0))
INF = np.float32(np.inf)
COLUMN = pd.Series([1.0, 2.0])
ADAM = optax.adam(0.1)
WORDS = ", whole ones of at most 32 bits, got "


@pytest.mark.parametrize("value", [*NUMBERS, *LISTS, *ARRAYS])
def test_numbers_are_real_and_fit_32_bits(value):
    assert checks.are_numbers(value) and checks.are_numbers(1, value)
    assert checks.are_arrays(value) is not isinstance(value, list | tuple)
    if np.ndim(value) == 0:
        checks.check_number(n=value)


@pytest.mark.parametrize("value", NONE)
def test_other_values_are_no_numbers(value):
    for values in ([value], [value, 1], [1, value]):
        assert not checks.are_numbers(*values)
        assert not checks.are_arrays(*values)


@jax.jit
def look(traced):
    """Ask of what is traced."""
    assert checks.are_numbers([traced, 1]) and checks.is_traced({"a": traced})
    assert checks.are_numbers(traced) and checks.is_traced([1, traced])
    assert not checks.are_numbers(1j * traced)
    checks.check_finite(x=traced / 0)
    checks.check_positive(x=traced)
    checks.check_labels(x=traced)
    with pytest.raises(ValueError, match=r"^y must be finite"):
        checks.check_finite(x=traced, y=[traced, np.inf])
    with pytest.raises(ValueError, match=r"^y must be finite, got a number t"):
        checks.check_finite(x=traced, y=[traced, 1e39])
    checks.check_floats({"w": traced})
    with pytest.raises(ValueError, match=r"^y must be at least 0, got -1$"):
        checks.check_between(0, np.inf, x=traced, y=-1)
    return traced


def test_what_is_traced_has_a_kind_and_no_values():
    look(-1.0)
    assert not checks.is_traced([1, np.ones(2)])


FINE = [
    partial(checks.check_whole, 1, a=1, b=np.int32(10**9)),
    partial(checks.check_whole, 0, 2, a=0, b=2),
    partial(checks.check_key, jax.random.key(0)),
    partial(checks.check_functions, f=len),
    partial(checks.check_numbers, x=[1, 2], y=3),
    partial(checks.check_arrays, x=np.ones(2), y=3),
    partial(checks.check_type, range, r=range(3)),
    partial(checks.check_tuple, Line, line=Line(1, np.ones(2), 3.0)),
    partial(checks.check_floats, {"a": 1.0, "b": [jnp.ones(2)]}),
    partial(checks.check_weights, WEIGHTS),
    partial(checks.check_leaves, a=(), b={"x": ROWS, "keys": KEYS}),
    partial(checks.check_scalar_loss, lambda p, d: (p * d).sum(), 1.0, ROWS),
    partial(checks.check_scalar_loss, lambda p, d: p * np.sum(d), 1.0, ROWS),
    partial(checks.check_scalars, a=(1, 2), line=Line(1, 2, jnp.ones(()))),
    partial(checks.check_optimizer, optax.sgd(0.1)),
    partial(checks.check_state, ADAM, {"w": 1.0}, ADAM.init({"w": 2.0})),
    partial(checks.check_varied, x=[[1, 2], [3, 5]], y=np.eye(2, dtype=bool)),
    partial(checks.check_varied, x=1e19 * ROWS[:2] * [[1.0], [2.0]]),
    partial(checks.check_varied, x=[[0], [2.0**-62]]),
    partial(checks.check_same_shape, x=1, y=2.0),
    partial(checks.check_same_shape, x=ROWS, y=ROWS),
    partial(checks.check_vectors, x=[], y=np.ones(0)),
    partial(checks.check_vectors, x=[1, 2], y=np.ones(2)),
    partial(checks.check_broadcast, x=ROWS, y=ROWS[0]),
    partial(checks.check_some, x=1, y=[2]),
    partial(checks.check_columns, (ROWS, np.ones((3, 1)), np.ones(3))),
    partial(checks.check_columns, (ROWS, np.ones(7), 1)),
    partial(checks.check_columns, (1, 2)),
    partial(checks.check_table, tuple, t=(np.ones(2), np.zeros(2))),
    partial(checks.check_table, tuple, t=(np.ones(0),)),
    partial(checks.check_examples, (ROWS, np.ones(3))),
    partial(checks.check_range, 5, r=range(5), s=range(0), t=range(0, 5, 4)),
    partial(checks.check_finite, x=[1, {"a": 2}], y=ROWS),
    partial(checks.check_finite, x=jnp.ones(2, "bfloat16"), key=KEYS),
    partial(checks.check_no_nan, x=[np.inf, 1]),
    partial(checks.check_between, 0, 1, p=[0, 0.5, 1], q=0),
    partial(checks.check_positive, x=0.1, y=[1e-30, 2]),
    partial(checks.check_labels, label=[0, 1, 1.0], other=True),
]


@pytest.mark.parametrize("check", FINE)
def test_what_is_right_passes(check):
    check()


WRONG_KINDS = [
    (
        partial(checks.check_key, 0),
        "key must be one key of jax.random.key, got 0",
    ),
    (partial(checks.check_key, jax.random.split(jax.random.key(0))), "key"),
    (
        partial(checks.check_functions, f=len, g="len"),
        "g must be a function, got 'len'",
    ),
    (
        partial(checks.check_numbers, x=1, y="2", z=np.float32(3)),
        f"x, y and z must be numbers{WORDS}1, '2' and 3.0",
    ),
    (
        partial(checks.check_arrays, x=1, y=[2]),
        f"x and y must be numbers or arrays of NumPy or JAX{WORDS}1 and [2]",
    ),
    (
        partial(checks.check_number, x=1, y=np.ones(1)),
        "y must be one number, got array([1.])",
    ),
    (partial(checks.check_number, x="1"), "x must be one number, got '1'"),
    (partial(checks.check_arrays, x=1, y=COLUMN), "x and y must be numbers "),
    (
        partial(checks.check_leaves, a=(), b={"x": "1"}),
        f"b must be a pytree of arrays{WORDS}{{'x': '1'}}",
    ),
    (partial(checks.check_leaves, a=[1, COLUMN]), "a must be a pytree of arr"),
    (partial(checks.check_leaves, a=jnp.ones(2, "c8")), "a must be a pytree "),
    (
        partial(checks.check_type, range, a=range(1), b=[0]),
        "b must be of type range, got [0]",
    ),
    (
        partial(checks.check_tuple, Line, line=(1, 2, 3)),
        "line must be a Line of numbers or arrays, got (1, 2, 3)",
    ),
    (partial(checks.check_tuple, Line, line=Line(1, [2], 3)), "line must be"),
    (
        partial(checks.check_floats, {"a": 1.0, "b": 2}),
        "params must be floats",
    ),
    (partial(checks.check_floats, {"a": "1"}), "params must be floats, got"),
    (partial(checks.check_floats, {}), "params must be floats, got {}"),
    (
        partial(checks.check_weights, {"params": {"w1": 1.0, "w2": 2.0}}),
        "params must be those of LogisticRegression, three floats, got {",
    ),
    (
        partial(
            checks.check_weights, {"params": WEIGHTS["params"] | {"b": 0}}
        ),
        "params must be those of LogisticRegression, three floats, got {",
    ),
    (
        partial(
            checks.check_weights, {"params": WEIGHTS["params"] | {"b": "0"}}
        ),
        "params must be those of LogisticRegression",
    ),
    (
        partial(checks.check_optimizer, optax.sgd),
        "optimizer must be an Optax gradient transformation, got <function",
    ),
    (partial(checks.check_optimizer, SimpleNamespace(init=1)), "optimizer"),
    (partial(checks.check_optimizer, SimpleNamespace(update=1)), "optimizer"),
    (partial(checks.check_columns, [ROWS]), "dataset must be a tuple of num"),
    (partial(checks.check_columns, ("x",)), "dataset must be a tuple of num"),
    (partial(checks.check_table, Line, t=(1, 2, 3)), "t must be a Line of nu"),
    (partial(checks.check_examples, None), "dataset must be a tuple of numb"),
    (partial(checks.check_range, 3, r=[0]), "r must be of type range, got [0"),
]


@pytest.mark.parametrize(("check", "line"), WRONG_KINDS)
def test_a_wrong_kind_is_named(check, line):
    with pytest.raises(TypeError) as caught:
        check()
    assert str(caught.value).startswith(line)


LENGTHS = "dataset must hold arrays of one length, got shapes "
WRONG_VALUES = [
    (
        partial(checks.check_whole, 1, a=1, b=0),
        "b must be a whole number, at least 1, got 0",
    ),
    (
        partial(checks.check_whole, 1, 4, n=5),
        "n must be a whole number, from 1 to 4, got 5",
    ),
    (partial(checks.check_whole, 1, n=1.5), "n must be a whole number, at"),
    (partial(checks.check_whole, 1, n="2"), "n must be a whole number, at"),
    (
        partial(checks.check_same_shape, x=1, y=ROWS),
        "x and y must have the same shape, got () and (3, 2)",
    ),
    (
        partial(checks.check_vectors, x=[1], y=[1, 2]),
        "x and y must have the same shape (n,), got (1,) and (2,)",
    ),
    (partial(checks.check_vectors, x=1), "x must have the same shape (n,), "),
    (partial(checks.check_vectors, x=ROWS, y=ROWS), "x and y must have the s"),
    (
        partial(checks.check_broadcast, x=ROWS, y=np.ones(3)),
        "x and y must have shapes that broadcast, got (3, 2) and (3,)",
    ),
    (
        partial(checks.check_some, x=1, y=[]),
        "y must hold at least one value, got none",
    ),
    (partial(checks.check_columns, ()), f"{LENGTHS}[]"),
    (
        partial(checks.check_columns, (np.ones(2), np.ones(3))),
        f"{LENGTHS}[(2,), (3,)]",
    ),
    (partial(checks.check_columns, (1, np.ones(3))), f"{LENGTHS}[(), (3,)]"),
    (
        partial(checks.check_columns, (np.ones(1), 1, 2, np.ones(3))),
        f"{LENGTHS}[(1,), (), (), (3,)]",
    ),
    (
        partial(checks.check_table, tuple, t=(np.ones(2), np.ones(3))),
        "t must hold arrays of one shape (n,), got shapes [(2,), (3,)]",
    ),
    (partial(checks.check_table, tuple, t=(ROWS, ROWS)), "t must hold arrays"),
    (partial(checks.check_examples, (ROWS, 1)), f"{LENGTHS}[(3, 2), ()]"),
    (
        partial(checks.check_examples, (ROWS, np.ones(2))),
        f"{LENGTHS}[(3, 2), (2,)]",
    ),
    (
        partial(checks.check_range, 3, r=range(4)),
        "r must be from 0 to 2, got range(0, 4)",
    ),
    (partial(checks.check_range, 3, r=range(-1, 2)), "r must be from 0 to 2"),
    (partial(checks.check_range, 3, r=range(2, -2, -1)), "r must be from 0 t"),
    (
        partial(checks.check_finite, x=1, y=np.float64(1e39)),
        "y must be finite, got a number too large for float32",
    ),
    (
        partial(checks.check_finite, x=1, y=[1e39, np.inf]),
        "y must be finite, got NaN or infinity",
    ),
    (
        partial(checks.check_floats, {"a": 1.0, "b": np.float32(np.nan)}),
        "params must be finite, got NaN or infinity",
    ),
    (
        partial(
            checks.check_weights, {"params": WEIGHTS["params"] | {"b": INF}}
        ),
        "params must be finite, got NaN or infinity",
    ),
    (
        partial(checks.check_scalar_loss, lambda p, d: p * d, 1.0, ROWS),
        "loss_fn must return a scalar, such as a mean, got the shape (3, 2)",
    ),
    (
        partial(checks.check_scalar_loss, lambda p, d: (p, d), 1.0, 2.0),
        "loss_fn must return a scalar, such as a mean, got the shape ((), ())",
    ),
    (
        partial(checks.check_scalar_loss, lambda p, d: (), 1.0, 2.0),
        "loss_fn must return a scalar, such as a mean, got the shape ()",
    ),
    (
        partial(checks.check_scalars, a=(1, 2), line=Line(1, 2, np.ones(2))),
        "line must hold single numbers, got the shapes [(), (), (2,)]: jax.vm",
    ),
    (
        partial(checks.check_no_nan, x=1, y=[1, np.nan]),
        "y must be numbers, got NaN among them",
    ),
    (
        partial(checks.check_between, 0, 1, p=[0.5, -0.5]),
        "p must be from 0 to 1, got values from -0.5 to 0.5",
    ),
    (partial(checks.check_between, 0, 1, p=2), "p must be from 0 to 1, got 2"),
    (partial(checks.check_between, 0, 1, p=np.nan), "p must be from 0 to 1"),
    (
        partial(checks.check_positive, ": say why", x=[0, 1]),
        "x must be finite and above 0, got values from 0 to 1: say why",
    ),
    (partial(checks.check_positive, x=np.inf), "x must be finite and above 0"),
    (partial(checks.check_positive, x=1e-50), "x must be finite and above 0"),
    (
        partial(checks.check_state, ADAM, {"w": 1.0}, ADAM.init({"v": 1.0})),
        "opt_state must be what optimizer.init(params) or the last step ret",
    ),
    (
        partial(checks.check_state, ADAM, {"w": ROWS}, ADAM.init({"w": 1.0})),
        "opt_state must be what optimizer.init(params) or the last step ret",
    ),
    (
        partial(checks.check_varied, x=[[1, 1e9], [2, 1e9 + 1]]),
        "x must vary in float32, got a variance of 0 in column 1",
    ),
    (
        partial(checks.check_varied, x=[[1e20], [2e20]]),
        "the variance of x must be finite, got a number too large for float32",
    ),
    (
        partial(checks.check_varied, x=[[1e19], [-1e19]] * 2),
        "the variance of x must be finite, got a number too large for float32",
    ),
    (
        partial(checks.check_varied, x=[[1, 0], [2, 2.0**-62 - 2.0**-86]]),
        "x must vary in float32, got a variance of 0 in column 1",
    ),
    (
        partial(checks.check_labels, ", see", label=[-1, 0, 0.5, 1, 2, 3]),
        "label must be 0 or 1, got [-1.0, 0.5, 2.0] among them, see",
    ),
]


@pytest.mark.parametrize(("check", "line"), WRONG_VALUES)
def test_a_wrong_value_is_named(check, line):
    with pytest.raises(ValueError) as caught:
        check()
    assert str(caught.value).startswith(line)


def test_what_is_large_is_told_in_one_short_line():
    for value in (np.ones((99, 99)), [*range(999)], "long " * 99):
        line = checks.brief(value)
        assert "\n" not in line and len(line) < 120


def functions(name):
    """Return the functions and methods of a module, by their names."""
    tree = ast.parse((ROOT / "helpers" / f"{name}.py").read_text("utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return {
        node.name: node
        for part in (tree, *classes)
        for node in part.body
        if isinstance(node, ast.FunctionDef)
    }


def raised(function, others):
    """Return what a function raises, itself or by others that it calls."""
    errors = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            errors.add(ast.unparse(node.exc.func))
        elif isinstance(node, ast.Call):
            called = others.get(ast.unparse(node.func))
            errors |= raised(called, others) if called else set()
    return errors


def unsaid(name):
    """Yield the errors that the docstrings of a module leave out."""
    own, checks = functions(name), functions("_checks")
    private = {key: own[key] for key in own if key.startswith("_")}
    for key, function in own.items():
        if key == "__call__" or key not in private:
            said = ast.get_docstring(function) or ""
            for error in raised(function, private | checks):
                if error not in said:
                    yield f"{name}.{key} must say when it raises {error}"


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in ROOT.glob("helpers/[a-z]*.py"))
)
def test_docstrings_say_what_a_function_raises(name):
    assert list(unsaid(name)) == []
