"""Every helper on every kind of input: a right limit, or an error by name."""

import importlib
import inspect
import re
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax import random
from manuscript import ROOT

from helpers.data import (
    TRUE_LINE,
    Dataset,
    Line,
    boundary_y,
    line_logit,
    make_dataset,
    sample_labels,
    sample_points,
    to_frame,
)
from helpers.limits import bayes_limits, expected_scores, logit_grid, scores
from helpers.loss import (
    binary_cross_entropy,
    mean_loss,
    per_example_value_and_grad,
)
from helpers.metrics import accuracy, predict
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.networks import MLP
from helpers.nnx_model import (
    NNXLogisticRegression,
    from_linen,
    model_loss,
    nnx_step,
    to_linen,
)
from helpers.real_data import (
    Scaling,
    find_scaling,
    load_breast_cancer,
    standardize,
)
from helpers.scale import (
    MAX_CHUNKS,
    add_up,
    by_chunks,
    chunk_rows,
    device_mesh,
    gather,
    make_chunk,
    rows_on,
    unpack,
)
from helpers.scrubber import training_scrubber
from helpers.solvers import (
    by_autodiff,
    by_sums,
    chunk_sums,
    derivatives,
    full_step,
    logistic_means,
    logistic_sums,
    minibatches,
    newton,
)
from helpers.training import fit, train_step
from helpers.uncertainty import (
    binomial_interval,
    covariance,
    reliability,
    standard_errors,
)

LAW = settings(deadline=None, derandomize=True, max_examples=12)

# What is right: few shapes, so that little is compiled.

KEY = random.key(0)
X = np.float32([0.5, -1.0, 2.0, 0.0, -3.0, 1.5])
Y = np.float32([1.0, 0.5, -2.0, -0.5, 0.0, 1.0])
LABEL = np.array([0, 1, 1, 0, 1, 0])
TABLE = np.column_stack([X, Y])
DATA = Dataset(X, Y, LABEL)
NONE = Dataset(X[:0], Y[:0], LABEL[:0])
ONE = Dataset(X[:1], Y[:1], LABEL[:1])
apply_fn = LogisticRegression().apply
loss_fn = jax.jit(partial(mean_loss, apply_fn))
sgd = optax.sgd(0.3)
# By hand: to compile what init needs would take longer than most tests.
MLP_PARAMS = {
    "params": {
        "Dense_0": {"kernel": TABLE[:2] / 3, "bias": np.zeros(2, np.float32)},
        "Dense_1": {"kernel": TABLE[2:3].T, "bias": np.zeros(1, np.float32)},
    }
}
MESH = device_mesh()
SCALING = Scaling(np.float32([0, 1]), np.float32([1, 2]))
LOSSES = np.array([0.9, 0.5])


def model():
    return NNXLogisticRegression(nnx.Rngs(0))


def with_params(rngs, params):
    of_these = NNXLogisticRegression(rngs)
    nnx.update(of_these, params["params"])
    return of_these


def nnx_optimizer():
    return nnx.Optimizer(model(), sgd, wrt=nnx.Param)


# What is wrong: each with the part of the error that names it, if another
# name than the argument's.

NAN = np.float32([np.nan] * 6)
INF = np.float32([np.inf] * 6)
NOT_NUMBERS = [None, "1", 1j, [[1.0], [1.0, 2.0]], {"a": 1}, KEY]
NOT_FINITE = [NAN, INF, -INF, np.full(6, 1e39)]
NOT_KEYS = [None, 0, "key", np.zeros(2), random.split(KEY)]
NO_ARRAYS = ["data", DATA._replace(x="x"), pd.DataFrame(DATA._asdict())]
NOT_LABELS = [LABEL + 2, -LABEL, LABEL / 2, NAN, INF]
NOT_WHOLE = [0, -1, 1.5, np.nan, np.inf, "3", None, [3]]
NOT_FUNCTIONS = [None, 1, "loss"]
NOT_LINES = [
    None,
    0,
    (1.0, 3.0, 0.1),
    Line("1", 3.0, 0.1),
    Line([1.0], 3.0, 0.1),
    Line(None, 3.0, 0.1),
    Line(np.nan, 3.0, 0.1),
    Line(1.0, np.inf, 0.1),
    Line(1.0, 3.0, 1e39),
]
SHAPES = [X[:5], X[:0], X[:, None]]
COLUMNS = [
    *(DATA._replace(x=x) for x in (*NOT_FINITE, X[:5], X[:0], 1.0)),
    *(DATA._replace(y=y) for y in (*NOT_FINITE, Y[:5])),
    DATA._replace(label=LABEL[:5]),
]
NO_TUPLES = [None, 1.0, "data", DATA._replace(x=None), DATA._replace(x="x")]
FRAMES = [DATA._replace(x=pd.Series(X)), pd.DataFrame(DATA._asdict())]
LABELS = [DATA._replace(label=label) for label in NOT_LABELS[:3]]
NOT_PARAMS = [None, {}, 1, "params", {"params": {"w1": None}}]
NOT_WEIGHTS = [
    *NOT_PARAMS,
    {"w1": 1.0, "w2": 1.0, "b": 0.0},
    {"params": {"w1": 1.0, "w2": 1.0}},
    {"params": {"w1": X, "w2": 1.0, "b": 0.0}},
    {"params": {"w1": "1", "w2": 1.0, "b": 0.0}},
]
# Compiled functions cannot say what is wrong with a string.
SOME_WEIGHTS = [p for p in NOT_WEIGHTS[:-1] if p != "params"]
# Of these the values are wrong, which is seen unless they are traced.
WILD = [
    {"params": {**BLOG_PARAMS["params"], "w2": np.float32(value)}}
    for value in (np.nan, np.inf)
]
NOT_PARAMS += WILD
NOT_WEIGHTS += WILD


class Case(NamedTuple):
    """A function, arguments that are right, and values that are wrong."""

    function: Callable
    right: dict[str, Any]
    wrong: dict[str, list] = MappingProxyType({})
    # Names in the error, where it speaks of a part.
    named: dict[str, str] = MappingProxyType({})


def wrong_dataset(*more):
    return {"dataset": [*NO_TUPLES, *COLUMNS, *LABELS, *FRAMES, *more]}


DATASET = {"dataset": "dataset|label"}
WRONG_LOSS = {"loss_fn": NOT_FUNCTIONS, "params": NOT_PARAMS}
WRONG_CHUNKS = {
    "mesh": [None, 1, "cpu"],
    "key": NOT_KEYS,
    "chunks": [
        None,
        3,
        [0, 1],
        range(-1, 1),
        range(MAX_CHUNKS, MAX_CHUNKS + 1),
    ],
    "progress": NOT_FUNCTIONS,
}

CASES = {
    "data.Line": Case(
        Line.scaled,
        {"self": TRUE_LINE, "factor": 2.0},
        {
            "self": [line for line in NOT_LINES if isinstance(line, Line)],
            "factor": [None, "2", [2.0], 0, -1, np.nan, np.inf, 1e39, 1j],
        },
        {"self": "line"},
    ),
    "data.line_logit": Case(
        line_logit,
        {"line": TRUE_LINE, "x": X, "y": Y},
        {
            "line": NOT_LINES,
            "x": [*NOT_NUMBERS, *NOT_FINITE, X[:5], 10**10],
            "y": [*NOT_NUMBERS, *NOT_FINITE, Y[:5]],
        },
    ),
    "data.boundary_y": Case(
        boundary_y,
        {"line": TRUE_LINE, "x": X},
        {
            "line": [*NOT_LINES, Line(1.0, 0.0, 0.1)],
            "x": [*NOT_NUMBERS, *NOT_FINITE],
        },
    ),
    "data.sample_points": Case(
        sample_points, {"key": KEY, "n": 1}, {"key": NOT_KEYS, "n": NOT_WHOLE}
    ),
    "data.sample_labels": Case(
        sample_labels,
        {"key": KEY, "logit": X},
        {"key": NOT_KEYS, "logit": [*NOT_NUMBERS, NAN]},
    ),
    "data.Dataset": Case(Dataset, DATA._asdict()),
    "data.make_dataset": Case(
        make_dataset,
        {"key": KEY, "n": 1, "line": TRUE_LINE},
        {"key": NOT_KEYS, "n": NOT_WHOLE, "line": NOT_LINES},
    ),
    "data.to_frame": Case(
        to_frame,
        {"dataset": DATA},
        {
            "dataset": [
                *NO_TUPLES,
                tuple(DATA),
                DATA._replace(x=X[:5]),
                Dataset(1.0, 1.0, 1),
                Dataset(TABLE, TABLE, TABLE),
            ]
        },
    ),
    "model.LogisticRegression": Case(
        lambda params, x, y: apply_fn(params, x, y),
        {"params": BLOG_PARAMS, "x": X, "y": Y},
        {
            "params": [{"params": {**BLOG_PARAMS["params"], "b": "0"}}, *WILD],
            "x": [*NOT_NUMBERS, *NOT_FINITE, X[:5]],
            "y": [*NOT_NUMBERS, *NOT_FINITE, Y[:5]],
        },
    ),
    "loss.binary_cross_entropy": Case(
        binary_cross_entropy,
        {"logit": X, "label": LABEL},
        {
            "logit": [*NOT_NUMBERS, *NOT_FINITE, *SHAPES],
            "label": [*NOT_NUMBERS, *NOT_LABELS, *SHAPES],
        },
    ),
    "loss.mean_loss": Case(
        mean_loss,
        {"apply_fn": apply_fn, "params": BLOG_PARAMS, "dataset": DATA},
        {
            "apply_fn": NOT_FUNCTIONS,
            "params": ["params", {"w1": {0}}, *WILD],
            **wrong_dataset(NONE, ()),
        },
        DATASET,
    ),
    "loss.per_example_value_and_grad": Case(
        per_example_value_and_grad,
        {"apply_fn": apply_fn, "params": BLOG_PARAMS, "dataset": DATA},
        {
            "apply_fn": NOT_FUNCTIONS,
            "params": NOT_PARAMS,
            **wrong_dataset((), Dataset(1.0, 1.0, 1)),
        },
        DATASET,
    ),
    "metrics.predict": Case(
        predict, {"logit": X}, {"logit": [*NOT_NUMBERS, NAN]}
    ),
    "metrics.accuracy": Case(
        accuracy,
        {"label": LABEL, "prediction": LABEL},
        {
            "label": [*NOT_NUMBERS, *NOT_LABELS, *SHAPES],
            "prediction": [*NOT_NUMBERS, *NOT_LABELS, *SHAPES],
        },
    ),
    "training.train_step": Case(
        train_step,
        {
            "loss_fn": loss_fn,
            "optimizer": sgd,
            "params": BLOG_PARAMS,
            "opt_state": sgd.init(BLOG_PARAMS),
            "dataset": DATA,
        },
        {
            **WRONG_LOSS,
            "optimizer": [None, "sgd", 0.3, optax.sgd],
            "opt_state": [None, (), optax.adam(1.0).init(BLOG_PARAMS)],
            "dataset": [*NO_ARRAYS, NONE, DATA._replace(x=X[:5])],
        },
    ),
    "training.fit": Case(
        fit,
        {
            "loss_fn": loss_fn,
            "params": BLOG_PARAMS,
            "optimizer": sgd,
            "dataset": DATA,
            "epochs": 2,
        },
        {
            **WRONG_LOSS,
            "optimizer": [None, "sgd", 0.3, optax.sgd],
            "dataset": [*NO_ARRAYS, NONE, DATA._replace(x=X[:5])],
            "epochs": NOT_WHOLE,
        },
    ),
    "limits.scores": Case(
        scores,
        {"logit": X, "label": LABEL},
        {
            "logit": [*NOT_NUMBERS, *NOT_FINITE, *SHAPES],
            "label": [*NOT_NUMBERS, *NOT_LABELS, *SHAPES],
        },
    ),
    "limits.expected_scores": Case(
        expected_scores,
        {"logit": X, "true_logit": Y, "mass": abs(X)},
        {
            "logit": [*NOT_NUMBERS, *NOT_FINITE, *SHAPES],
            "true_logit": [*NOT_NUMBERS, *NOT_FINITE, *SHAPES],
            "mass": [
                *NOT_NUMBERS[1:],
                *NOT_FINITE,
                *SHAPES,
                -abs(X),
                0 * X,
                [1.0] * 6,
            ],
        },
    ),
    "limits.logit_grid": Case(
        logit_grid,
        {"line": TRUE_LINE, "n": 5},
        {
            "line": [*NOT_LINES, Line(0.0, 0.0, 1.0), Line(X, X, X)],
            "n": [1, *NOT_WHOLE],
        },
    ),
    "limits.bayes_limits": Case(
        bayes_limits,
        {"logit": X, "mass": None},
        {
            "logit": [*NOT_NUMBERS, *NOT_FINITE, X[:0]],
            "mass": [*NOT_NUMBERS[1:], *NOT_FINITE, *SHAPES, -abs(X)],
        },
    ),
    "uncertainty.covariance": Case(
        covariance,
        {"loss_fn": loss_fn, "params": BLOG_PARAMS, "dataset": DATA},
        {
            **WRONG_LOSS,
            "dataset": [*NO_TUPLES, NONE, (), DATA._replace(x=X[:5])],
        },
    ),
    "uncertainty.standard_errors": Case(
        standard_errors,
        {"loss_fn": loss_fn, "params": BLOG_PARAMS, "dataset": DATA},
        {
            **WRONG_LOSS,
            "dataset": [*NO_TUPLES, NONE, (), DATA._replace(x=X[:5])],
        },
    ),
    "uncertainty.binomial_interval": Case(
        binomial_interval,
        {"count": 3, "n": 10, "level": 0.95},
        {
            "count": [*NOT_NUMBERS, -1, 11, np.nan, np.inf, 10**10],
            "n": [*NOT_NUMBERS, 0, -1, 2, np.nan, np.inf, 1e39, 10**10],
            "level": [*NOT_NUMBERS, 0, 1, -0.5, 95, np.nan, 1 - 1e-9, X],
        },
        {"n": "n|count"},
    ),
    "uncertainty.reliability": Case(
        reliability,
        {"probability": abs(X) / 3, "label": LABEL, "bins": 4},
        {
            "probability": [
                *NOT_NUMBERS,
                *NOT_FINITE,
                *SHAPES,
                X,
                0.5,
                LABEL == 1,
                LABEL.tolist(),
                (LABEL == 1).tolist(),
            ],
            "label": [
                *NOT_NUMBERS,
                *NOT_LABELS,
                *SHAPES,
                1,
                LABEL == 1,
                LABEL.tolist(),
            ],
            "bins": NOT_WHOLE,
        },
    ),
    "networks.MLP": Case(
        lambda params, widths, inputs: MLP(widths).apply(params, *inputs),
        {"params": MLP_PARAMS, "widths": (2,), "inputs": (X, Y)},
        {
            "params": [
                jax.tree.map(lambda leaf: np.nan * np.array(leaf), MLP_PARAMS),
                {"params": {"Dense_0": {"kernel": "1"}}},
            ],
            "widths": [None, 2, (0,), (-1,), (1.5,), ("2",)],
            "inputs": [
                (),
                *((bad, Y) for bad in (*NOT_NUMBERS, *NOT_FINITE, X[:5])),
            ],
        },
    ),
    "real_data.load_breast_cancer": Case(load_breast_cancer, {}),
    "real_data.find_scaling": Case(
        find_scaling,
        {"features": TABLE},
        {
            "features": [
                *NOT_NUMBERS,
                1.0,
                X,
                TABLE[:0],
                TABLE[:1],
                0 * TABLE,
                *(TABLE + bad[0] for bad in NOT_FINITE),
            ]
        },
    ),
    "real_data.standardize": Case(
        standardize,
        {"features": TABLE, "scaling": SCALING},
        {
            "features": [
                *NOT_NUMBERS,
                1.0,
                X,
                TABLE[:, :1],
                *(TABLE + bad[0] for bad in NOT_FINITE),
            ],
            "scaling": [
                None,
                tuple(SCALING),
                *(SCALING._replace(sd=bad) for bad in (None, "1", X[:1])),
                SCALING._replace(sd=X[:2]),
                SCALING._replace(sd=NAN[:2]),
                SCALING._replace(mean=INF[:2]),
            ],
        },
    ),
    "solvers.chunk_sums": Case(
        chunk_sums,
        {"params": BLOG_PARAMS, "x": X, "y": Y, "label": LABEL},
        {
            "params": NOT_WEIGHTS,
            "x": [*NOT_NUMBERS, *NOT_FINITE, *SHAPES, 1.0, [1.0] * 6],
            "y": [*NOT_NUMBERS, *NOT_FINITE, *SHAPES, 1.0, [1.0] * 6],
            "label": [*NOT_NUMBERS, *NOT_LABELS, *SHAPES, 1, [1] * 6],
        },
    ),
    "solvers.logistic_sums": Case(
        logistic_sums,
        {"params": BLOG_PARAMS, "dataset": DATA},
        {
            "params": SOME_WEIGHTS,
            "dataset": [None, tuple(DATA), DATA._replace(x=X[:5])],
        },
    ),
    "solvers.logistic_means": Case(
        logistic_means,
        {"params": BLOG_PARAMS, "dataset": DATA},
        {
            "params": SOME_WEIGHTS,
            "dataset": [None, tuple(DATA), DATA._replace(x=X[:5]), NONE],
        },
    ),
    "solvers.by_sums": Case(
        by_sums,
        {"dataset": DATA},
        wrong_dataset(NONE, (), tuple(DATA), Dataset(1.0, 1.0, 1)),
        DATASET,
    ),
    "solvers.derivatives": Case(
        derivatives,
        {"loss_fn": loss_fn, "params": BLOG_PARAMS, "dataset": DATA},
        {
            "loss_fn": [lambda params, dataset: dataset.x],
            "params": [None, {}, 1],
        },
    ),
    "solvers.by_autodiff": Case(
        by_autodiff,
        {"loss_fn": loss_fn, "dataset": DATA},
        {"loss_fn": NOT_FUNCTIONS, "dataset": NO_ARRAYS},
    ),
    "solvers.full_step": Case(
        full_step,
        {"gradient": X[:2], "hessian": np.eye(2)},
        {
            "gradient": [*NOT_NUMBERS, X, X[:0], 1.0, NAN[:2]],
            "hessian": [*NOT_NUMBERS, np.eye(3), NAN[:4].reshape(2, 2)],
        },
    ),
    "solvers.newton": Case(
        newton,
        {
            "objective": by_sums(DATA),
            "params": BLOG_PARAMS,
            "tolerance": 1e-4,
            "max_passes": 50,
        },
        {
            "objective": [
                *NOT_FUNCTIONS,
                lambda params: (1.0, np.ones(2), np.eye(2)),
                lambda params: (1.0, np.ones(3), np.eye(2)),
                lambda params: (1.0, np.ones(3)),
                lambda params: (np.ones(3), np.ones(3), np.eye(3)),
            ],
            "params": [*NOT_PARAMS, jax.tree.map(int, BLOG_PARAMS)],
            "tolerance": [*NOT_NUMBERS, 0, -1.0, np.nan, np.inf, X],
            "max_passes": NOT_WHOLE,
        },
    ),
    "solvers.minibatches": Case(
        minibatches,
        {"key": KEY, "dataset": DATA, "size": 2},
        {
            "key": NOT_KEYS,
            "dataset": [
                *NO_TUPLES,
                (),
                NONE,
                DATA._replace(x=X[:5]),
                (1.0, 2.0),
            ],
            "size": [*NOT_WHOLE, 7],
        },
    ),
    "scale.make_chunk": Case(
        make_chunk,
        {"key": KEY, "index": 0, "line": TRUE_LINE},
        {
            "key": NOT_KEYS,
            "index": [*NOT_NUMBERS, -1, 1.5, MAX_CHUNKS, np.nan, [1]],
            "line": [*NOT_LINES, Line(X, X, X)],
        },
    ),
    "scale.chunk_rows": Case(
        chunk_rows,
        {"params": BLOG_PARAMS, "key": KEY, "indices": np.uint32([0])},
        {
            "params": NOT_WEIGHTS,
            "key": NOT_KEYS,
            "indices": [*NOT_NUMBERS, 0, [0, 1], X, np.array([2**31])],
        },
    ),
    "scale.device_mesh": Case(
        device_mesh, {"devices": 1}, {"devices": [*NOT_WHOLE, 10**6]}
    ),
    "scale.rows_on": Case(rows_on, {"mesh": MESH}, {"mesh": [None, 1]}),
    "scale.unpack": Case(
        unpack, {"sums": np.arange(13.0)}, {"sums": [None, X, 1.0]}
    ),
    "scale.add_up": Case(
        add_up,
        {
            "mesh": MESH,
            "params": BLOG_PARAMS,
            "key": KEY,
            "chunks": range(0),
            "progress": print,
        },
        {"params": NOT_WEIGHTS, **WRONG_CHUNKS},
    ),
    "scale.gather": Case(
        gather,
        {"values": np.arange(2.0)},
        {"values": [None, "1", 1j, {"a": 1}, 1.0, np.eye(2)]},
    ),
    "scale.by_chunks": Case(
        by_chunks,
        {"mesh": MESH, "key": KEY, "chunks": range(1), "progress": print},
        {**WRONG_CHUNKS, "chunks": [*WRONG_CHUNKS["chunks"], range(0)]},
    ),
    "nnx_model.NNXLogisticRegression": Case(
        lambda rngs, params, x, y: with_params(rngs, params)(x, y),
        {"rngs": nnx.Rngs(0), "params": BLOG_PARAMS, "x": X, "y": Y},
        {
            "params": WILD,
            "rngs": [None, 0, KEY],
            "x": [*NOT_NUMBERS, *NOT_FINITE, X[:5]],
            "y": [*NOT_NUMBERS, *NOT_FINITE, Y[:5]],
        },
    ),
    "nnx_model.model_loss": Case(
        model_loss,
        {"model": model(), "dataset": DATA},
        {
            "model": [None, 1, apply_fn, nnx.Module()],
            **wrong_dataset(NONE, ()),
        },
        {"dataset": "dataset|label|x and y"},
    ),
    "nnx_model.nnx_step": Case(
        nnx_step,
        {"model": model(), "optimizer": nnx_optimizer(), "dataset": DATA},
        {
            "model": [None, 1],
            "optimizer": [None, 0.3],
            "dataset": [None, NONE, ()],
        },
    ),
    "nnx_model.from_linen": Case(
        from_linen,
        {"model": model(), "params": BLOG_PARAMS},
        {"model": [None, 1], "params": NOT_WEIGHTS},
    ),
    "nnx_model.to_linen": Case(
        to_linen, {"model": model()}, {"model": [None, 1, BLOG_PARAMS]}
    ),
    "scrubber.training_scrubber": Case(
        training_scrubber,
        {
            "dataset": DATA,
            "lines": [Line(1.0, 1.0, 0.0), TRUE_LINE],
            "losses": LOSSES,
            "true_line": TRUE_LINE,
            "still": 0,
        },
        {
            "dataset": [*NO_TUPLES, *COLUMNS, *LABELS, NONE],
            "lines": [
                None,
                3,
                [],
                [TRUE_LINE],
                *([TRUE_LINE, bad] for bad in NOT_LINES if bad != (1, 3, 0.1)),
                [TRUE_LINE, Line(X, X, X)],
                [TRUE_LINE, Line(0.0, 0.0, 1.0)],
            ],
            "losses": [*NOT_NUMBERS, LOSSES[:1], NAN[:2], INF[:2], -LOSSES],
            "true_line": [*NOT_LINES, Line(0.0, 0.0, 1.0)],
            "still": [-1, 2, 0.5, "0", None],
        },
        {"lines": "lines|losses"},
    ),
}

# Of these a caller above checks the arguments, or there are none to check.
INNER = {
    "training.run_epochs",
    "training.is_finite",
    "training.History",
    "limits.Scores",
    "uncertainty.Reliability",
    "real_data.Table",
    "real_data.Scaling",
    "solvers.shaped",
    "scrubber.Scrubber",
}
# These draw, or are programs.
OTHERS = {"plotting", "launch", "worker"}


def public_names():
    for path in sorted(ROOT.glob("helpers/[!_]*.py")):
        module = importlib.import_module(f"helpers.{path.stem}")
        for name, value in vars(module).items():
            if (
                path.stem not in OTHERS
                and not name.startswith("_")
                and callable(value)
                and getattr(value, "__module__", "") == module.__name__
            ):
                yield f"{path.stem}.{name}"


def test_each_public_function_is_here():
    assert set(public_names()) == CASES.keys() | INNER


@pytest.mark.parametrize("name", CASES)
def test_each_argument_is_here(name):
    case = CASES[name]
    if inspect.isfunction(case.function):
        assert list(inspect.signature(case.function).parameters) == list(
            case.right
        )


@pytest.mark.parametrize("name", CASES)
def test_right_arguments_are_accepted(name):
    case = CASES[name]
    case.function(**case.right)


WRONG = [
    pytest.param(case, argument, bad, id=f"{name}-{argument}-{i}")
    for name, case in CASES.items()
    for argument, values in case.wrong.items()
    for i, bad in enumerate(values)
]


def check_line(error, names=r"\w+"):
    """Ask for one line: the argument, what is wanted, what was given."""
    words = rf"(?=.*\b({names})\b.* must ).* must .*\bgot .+"
    # JAX may add lines on where it was.
    line, *_ = str(error).split("\n-----")
    assert re.fullmatch(words, line), error
    last = traceback.extract_tb(error.__traceback__)[-1]
    assert Path(last.filename).parent.name == "helpers", error


@pytest.mark.parametrize("case, argument, bad", WRONG)
def test_what_is_wrong_is_refused_by_name(case, argument, bad):
    with pytest.raises((ValueError, TypeError)) as caught:
        case.function(**{**case.right, argument: bad})
    check_line(caught.value, case.named.get(argument, argument))


# Any kind of number gives what float32 gives.

KINDS = {
    "float32": np.float32,
    "float64": np.float64,
    "whole": np.int64,
    "jax": jnp.asarray,
    "list": lambda values: np.asarray(values).tolist(),
}
# Whether it is true is a number, too.
TRUTHS = KINDS | {"bool": np.bool_}
network = partial(MLP((2,)).apply, MLP_PARAMS)
# What each takes (n: numbers, l: labels, t: a table; in capitals no lists).
TAKES = {
    "data.line_logit": (partial(line_logit, TRUE_LINE), "nn"),
    "data.boundary_y": (partial(boundary_y, TRUE_LINE), "n"),
    "data.sample_labels": (partial(sample_labels, KEY), "n"),
    "model.LogisticRegression": (partial(apply_fn, BLOG_PARAMS), "nn"),
    "nnx_model.NNXLogisticRegression": (model(), "nn"),
    "networks.MLP": (network, "NN"),
    "loss.binary_cross_entropy": (binary_cross_entropy, "nl"),
    "loss.mean_loss": (lambda *d: mean_loss(apply_fn, BLOG_PARAMS, d), "NNL"),
    "nnx_model.model_loss": (lambda *d: model_loss(model(), d), "NNL"),
    "metrics.predict": (predict, "n"),
    "metrics.accuracy": (accuracy, "ll"),
    "limits.scores": (scores, "nl"),
    "limits.expected_scores": (expected_scores, "nn"),
    "limits.bayes_limits": (bayes_limits, "n"),
    "uncertainty.binomial_interval": (
        lambda n: binomial_interval(0, abs(n)),
        "N",
    ),
    "uncertainty.reliability": (
        lambda *both: reliability(*(np.multiply(1, b) for b in both), 1),
        "ll",
    ),
    "real_data.find_scaling": (find_scaling, "t"),
    "real_data.standardize": (lambda x: standardize(x, SCALING), "t"),
    "solvers.chunk_sums": (partial(chunk_sums, BLOG_PARAMS), "NNL"),
    "solvers.by_sums": (lambda *d: by_sums(Dataset(*d))(BLOG_PARAMS), "NNL"),
    "solvers.minibatches": (lambda *d: minibatches(KEY, d, 3)[:2], "NNL"),
}
# Huge, and as large as float32, int32 and Python have them alike.
VALUES = {"n": [10_000, -10_000, 3], "l": [0, 1, 1]}
VALUES["t"] = np.transpose([VALUES["n"], [0, 1, 2]]).tolist()


@st.composite
def one_of_each_kind(draw, wants):
    """Draw a kind for each argument; labels may be bool."""
    kinds = []
    for want in wants:
        of = TRUTHS if want in "lL" else KINDS
        names = [n for n in of if want.islower() or n != "list"]
        kinds.append(of[draw(st.sampled_from(names))])
    return kinds


@pytest.mark.parametrize("name", TAKES)
@settings(LAW, max_examples=8)
@given(st.data())
def test_each_kind_of_number_gives_what_float32_gives(name, data):
    function, wants = TAKES[name]
    values = [VALUES[want.lower()] for want in wants]
    kinds = data.draw(one_of_each_kind(wants))
    ours = function(*(k(v) for k, v in zip(kinds, values, strict=True)))
    oracle = function(*map(np.float32, values))
    for one, other in zip(*map(jax.tree.leaves, (ours, oracle)), strict=True):
        assert jnp.isfinite(one).all()
        assert one.dtype in (jnp.float32, jnp.int32)
        np.testing.assert_allclose(one, other, rtol=1e-6)


# Arrays of any kind and shape: an error by name, or what float32 gives.

RIGHT = {"n": [0.5, -2.0, 1e4, -1e4], "l": [0, 1], "t": [0, 3, -5, 8]}
WRONG_NUMBER = [np.nan, np.inf, -np.inf, 1e39, -1, 2, 2**31]
ANY_KIND = st.sampled_from(["f4", "f8", "i4", "i8", "u1", "?", "c8", "O"])
ANY_SHAPE = st.sampled_from([(), (0,), (1,), (3,), (3, 2)])


@st.composite
def arrays(draw, wants):
    """Draw an array for each want; half of the time nothing is wrong."""
    wrong, drawn = draw(st.booleans()), []
    for want in wants.lower():
        length = st.lists(st.sampled_from(RIGHT[want]), min_size=6, max_size=6)
        values, kind = draw(length), draw(st.sampled_from(["f4", "f8", "i4"]))
        shape = (3, 2) if want == "t" else (3,)
        if wrong:
            values[draw(st.integers(0, 5))] = draw(
                st.sampled_from(WRONG_NUMBER)
            )
            kind, shape = draw(ANY_KIND), draw(ANY_SHAPE)
        with np.errstate(all="ignore"):
            drawn.append(np.resize(np.float64(values), shape).astype(kind))
    return drawn


# A batch is of what was there, NaN or not.
@pytest.mark.parametrize("name", [n for n in TAKES if "batches" not in n])
def test_any_arrays_give_what_float32_gives_or_an_error(name):
    function, wants = TAKES[name]
    names = "|".join(
        [*CASES[name].right, *CASES[name].named.values(), "logit"]
    )
    accepted = []

    @settings(LAW, max_examples=20)
    @given(arrays(wants))
    def ask(drawn):
        try:
            ours = function(*drawn)
        except (ValueError, TypeError) as error:
            check_line(error, names)
            return
        accepted.append(drawn)
        # An absolute value takes complex numbers, too.
        oracle = function(*(np.float32(array.real) for array in drawn))
        for one, other in zip(
            *map(jax.tree.leaves, (ours, oracle)), strict=True
        ):
            assert np.isfinite(one).all()
            np.testing.assert_allclose(one, other, rtol=1e-6)

    ask()
    assert len(accepted) > 3


ROW = jnp.ones(2)
# As large as eight bits hold; a sum or a product of them is larger.
NARROW = {"n": [120, -120, 3], "l": [0, 1, 1], "t": [[120, 1], [-120, 0]]}


@pytest.mark.parametrize("name", TAKES)
def test_whole_numbers_of_few_bits_give_what_float32_gives(name):
    function, wants = TAKES[name]
    values = [NARROW[want.lower()] for want in wants]
    ours, oracle = (function(*map(k, values)) for k in (np.int8, np.float32))
    for one, other in zip(*map(jax.tree.leaves, (ours, oracle)), strict=True):
        np.testing.assert_allclose(np.float64(one), other, rtol=1e-6)


def test_whole_numbers_do_not_wrap():
    whole, line = Line(3, 1, 2), Line(3.0, 1.0, 2.0)
    assert line_logit(whole, 10**9, np.int8(7)) == line_logit(line, 1e9, 7)
    assert boundary_y(whole, 10**9) == boundary_y(line, 1e9)
    ends = binomial_interval(np.float32(10**9), 2 * 10**9)
    np.testing.assert_array_equal(ends, binomial_interval(1e9, 2e9))
    for kind in (np.int8, np.uint8, np.float16):
        many = reliability(kind([1] * 5000), kind([1] * 5000), 1)
        assert (many.said, many.came) == (1, 1)
    float16 = reliability(np.full(5000, 0.5, np.float16), np.ones(5000), 1)
    assert float16.said == 0.5


TINY_SD = Scaling(np.zeros(1), np.full(1, 1e-50))


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (partial(boundary_y, Line(1.0, 1e-50, 0.1), 1.0), "line.w2 must not"),
        (partial(binomial_interval, 0, 1e-50), "n must be finite and above"),
        (partial(expected_scores, 1.0, 1.0, 1e-50), "the sum of mass must be"),
        (
            partial(expected_scores, ROW, ROW, 3e38 * ROW),
            "the sum of mass mus",
        ),
        (partial(logit_grid, Line(1e-50, 0.0, 0.1)), "line must have w1 or"),
        (
            partial(logit_grid, Line(3e38, 3.0, 0.1)),
            "line.w1 must be from -1e",
        ),
        (partial(standardize, [[1.0]], TINY_SD), "scaling.sd must be finite"),
        (partial(find_scaling, [[1e9], [1e9 + 1]]), "features must vary in"),
        (partial(find_scaling, [[1e20], [2e20]]), "the variance of features"),
        (
            partial(find_scaling, [[1e-25], [2e-25]]),
            "features must vary in fl",
        ),
    ],
)
def test_what_float32_does_not_hold_is_refused(function, line):
    with np.errstate(all="ignore"), pytest.raises(ValueError) as caught:
        function()
    assert str(caught.value).startswith(line)


def test_true_and_false_are_features():
    scaling = find_scaling(np.array([[True], [False]]))
    assert (scaling.mean, scaling.sd) == (0.5, 0.5)


def test_params_are_floats():
    whole = {"params": {"w1": 1, "w2": 2, "b": 3}}
    with pytest.raises(TypeError, match=r"^params must be floats, got"):
        from_linen(model(), whole)
    with pytest.raises(TypeError, match=r"^params must be .* three floats"):
        chunk_sums(whole, *np.ones((3, 2)))


@pytest.mark.parametrize("optimizer", [optax.adam(0.1), optax.sgd(0.1, 0.9)])
def test_a_state_is_of_params_of_these_shapes(optimizer):
    state = optimizer.init({"w": jnp.zeros(())})
    with pytest.raises(ValueError, match=r"^opt_state must be what"):
        train_step(lambda p, _: p["w"].sum(), optimizer, {"w": ROW}, state, ())


def test_an_index_of_a_chunk_is_in_range():
    with pytest.raises(ValueError, match=r"^indices must be from 0 to 42949"):
        chunk_rows(BLOG_PARAMS, KEY, np.int32([-1]))


# Huge, single and none

HUGE = np.float32([1e4, -1e4, 1e4, -1e4])
BOTH = np.array([1, 0, 0, 1])
EMPTY = np.zeros(0)


def test_a_huge_logit_costs_itself_or_nothing():
    loss = binary_cross_entropy(HUGE, BOTH)
    np.testing.assert_array_equal(loss, [0, 0, 1e4, 1e4])
    assert [float(s) for s in scores(HUGE, BOTH)] == [0.5, 5000, 0.5]
    assert [float(s) for s in bayes_limits(HUGE)] == [1, 0, 0]


def test_a_decision_and_a_coin_take_infinite_logits():
    sure = [np.inf, -np.inf]
    assert predict(sure).tolist() == [1, 0]
    assert sample_labels(KEY, sure).tolist() == [1, 0]


@pytest.mark.parametrize(
    "function",
    [
        partial(line_logit, TRUE_LINE, EMPTY),
        partial(boundary_y, TRUE_LINE),
        partial(sample_labels, KEY),
        predict,
        partial(apply_fn, BLOG_PARAMS, EMPTY),
        partial(network, EMPTY),
        partial(binary_cross_entropy, EMPTY),
    ],
)
def test_of_nothing_comes_nothing(function):
    assert function(EMPTY).shape == (0,)


def test_sums_over_no_points_are_0_and_a_table_of_them_is_empty():
    for total in chunk_sums(BLOG_PARAMS, *NONE):
        assert not total.any()
    assert len(to_frame(NONE)) == 0


def test_one_example_is_enough():
    loss = mean_loss(apply_fn, BLOG_PARAMS, ONE)
    (each,), _ = per_example_value_and_grad(apply_fn, BLOG_PARAMS, ONE)
    assert loss == each
    assert by_sums(ONE)(BLOG_PARAMS)[0] == pytest.approx(float(loss))
    _, history = fit(loss_fn, BLOG_PARAMS, sgd, ONE, 2)
    assert history.loss[0] == pytest.approx(float(loss))
    assert jnp.isfinite(history.loss).all()


def test_one_example_leaves_the_weights_open():
    for run in (
        lambda: covariance(loss_fn, BLOG_PARAMS, ONE),
        lambda: newton(by_sums(ONE), BLOG_PARAMS),
    ):
        with pytest.raises(ValueError, match=r" must be .*, got a singular "):
            run()


# Where a loss is finite, its slopes are.

any_float = st.floats(width=32)
large = st.floats(-1e4, 1e4, width=32)
mass = st.floats(0, 1e4, width=32)
three = partial(hnp.arrays, np.float32, 3)
labels = hnp.arrays(np.int32, 3, elements=st.sampled_from([0, 1]))


def all_slopes(loss):
    """Compile the loss and its gradient in each float argument."""

    def of_floats(floats, *label):
        return loss(*floats, *label)

    return jax.jit(jax.value_and_grad(of_floats))


def logistic(w1, w2, b, x, y, label):
    params = {"params": {"w1": w1, "w2": w2, "b": b}}
    return mean_loss(apply_fn, params, (x, y, label))


def network_loss(params, x, y, label):
    return mean_loss(MLP((2,)).apply, params, (x, y, label))


sums = jax.jit(chunk_sums)
slopes_of_logits = all_slopes(lambda z, t: binary_cross_entropy(z, t).sum())
slopes_of_model = all_slopes(logistic)
slopes_of_network = all_slopes(network_loss)
slopes_of_each = jax.jit(partial(per_example_value_and_grad, apply_fn))
slopes_of_scores = [
    all_slopes(lambda z, t, i=i: scores(z, t)[i]) for i in (1, 2)
]
slopes_of_truth = [
    all_slopes(lambda z, t, m, i=i: expected_scores(z, t, m)[i])
    for i in range(3)
]


def check(loss, slopes):
    if jnp.isfinite(loss):
        for leaf in jax.tree.leaves(slopes):
            assert jnp.isfinite(leaf).all()


@LAW
@given(three(elements=any_float), labels)
def test_slopes_in_the_logit_are_finite_where_the_loss_is(logit, label):
    for function in (slopes_of_logits, *slopes_of_scores):
        check(*function((logit,), label))


@LAW
@given(
    three(elements=any_float), three(elements=any_float), three(elements=mass)
)
def test_slopes_of_expected_scores_are_finite_where_they_are(
    logit, truth, mass
):
    for function in slopes_of_truth:
        check(*function((logit, truth, mass)))


@LAW
@given(
    three(elements=large), three(elements=large), three(elements=large), labels
)
def test_slopes_in_the_weights_are_finite_where_the_loss_is(w, x, y, label):
    loss, slopes = slopes_of_model((*w, x, y), label)
    assert jnp.isfinite(loss)
    check(loss, slopes)
    check(*slopes_of_network((MLP_PARAMS, x, y), label))
    params = {"params": dict(zip(("w1", "w2", "b"), w, strict=True))}
    for part in jax.tree.leaves(slopes_of_each(params, (x, y, label))):
        assert jnp.isfinite(part).all()


@LAW
@given(
    three(elements=large), three(elements=large), three(elements=large), labels
)
def test_sums_in_closed_form_are_finite(w, x, y, label):
    params = dict(zip(("w1", "w2", "b"), w, strict=True))
    for total in sums({"params": params}, x, y, label):
        assert jnp.isfinite(total).all()


def test_weights_that_overflow_are_no_silent_nan():
    params = {"params": {"w1": 3e38, "w2": -3e38, "b": 0.0}}
    with pytest.raises(ValueError, match=r"^logit must be finite, got NaN"):
        mean_loss(apply_fn, params, DATA)
