"""Sums in closed form, Newton's method and small batches."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from scipy import special, stats
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression as SklearnRegression

from helpers import solvers
from helpers.data import Dataset, make_dataset
from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.real_data import Table
from helpers.solvers import (
    by_autodiff,
    by_sums,
    chunk_sums,
    full_step,
    logistic_means,
    logistic_sums,
    minibatches,
    newton,
)

LAW = settings(deadline=None, derandomize=True, max_examples=30)
SINGULAR = r"^hessian of objective must be positive, got a singular one"
BOTTOMLESS = r"^the loss must have a lowest point, but the last step still"
loss_fn = partial(mean_loss, LogisticRegression().apply)


def params_of(b, w1, w2):
    weights = {"b": b, "w1": w1, "w2": w2}
    return {"params": jax.tree.map(np.float32, weights)}


def as_vector(params):
    return np.array([params["params"][k] for k in ("b", "w1", "w2")], float)


ZEROS = params_of(0, 0, 0)
SOME = params_of(0.3, -0.7, 1.9)
# So far that a full step ends where no coin is in doubt.
FAR = params_of(10, -30, 30)


def points(n):
    """n points and labels by NumPy, without regard to each other."""
    rng = np.random.default_rng(0)
    x, y = rng.normal((0.5, -0.25), (2, 1), (n, 2)).astype(np.float32).T
    return Dataset(x, y, rng.integers(0, 2, n).astype(np.int32))


def columns_of(data):
    x, y = np.float64(data.x), np.float64(data.y)
    return np.column_stack([np.ones_like(x), x, y])


def numpy_means(params, data):
    """Mean loss, gradient and Hessian by hand, in double precision."""
    columns, label = columns_of(data), np.asarray(data.label)
    logit = columns @ as_vector(params)
    loss = -special.log_expit(np.where(label, logit, -logit)).mean()
    p = special.expit(logit)
    gradient = (p - label) @ columns / len(label)
    hessian = (columns.T * (p * special.expit(-logit))) @ columns / len(label)
    return loss, gradient, hessian


def assert_same(ours, oracle, rtol=1e-5, atol=1e-6):
    for part, other in zip(ours, oracle, strict=True):
        assert np.shape(part) == np.shape(other)
        np.testing.assert_allclose(part, other, rtol=rtol, atol=atol)


# Sums and means


@pytest.mark.parametrize("n", [1, 10_000, 25_000])
def test_sums_and_means_equal_numpy_in_double_precision(n):
    data = points(n)
    oracle = numpy_means(SOME, data)
    assert_same(by_sums(data)(SOME), oracle)
    sums = logistic_sums(SOME, data)
    assert_same([np.float64(total) / n for total in sums], oracle)
    assert {part.dtype for part in sums} == {jnp.dtype("float32")}


@LAW
@given(st.floats(-1e4, 1e4, width=32), st.sampled_from([0, 1]))
def test_a_single_point_equals_numpy_at_any_logit(z, label):
    one = np.ones(1, np.float32)
    point = Dataset(one, 0 * one, np.array([label]))
    params = params_of(0, z, 0)
    ours = jax.jit(chunk_sums)(params, *point)
    assert_same(ours, numpy_means(params, point), rtol=2e-7, atol=2e-7)


def test_means_map_over_params():
    data = points(10_005)
    starts = jax.tree.map(lambda *rows: np.stack(rows), ZEROS, SOME)
    mapped = jax.jit(jax.vmap(logistic_means, (0, None)))(starts, data)
    for i, params in enumerate((ZEROS, SOME)):
        # Mapped, XLA adds up in another order, which rounds more.
        ours = [part[i] for part in mapped]
        assert_same(ours, numpy_means(params, data), rtol=1e-4)


def test_no_chunk_is_larger_than_ten_thousand_points(monkeypatch):
    lengths = []

    def watched(params, x, y, label):
        lengths.append(len(x))
        return chunk_sums(params, x, y, label)

    monkeypatch.setattr(solvers, "chunk_sums", watched)
    logistic_sums(SOME, points(30_011))
    assert lengths == [11, 10_000]


@pytest.mark.parametrize("label", [[1, -1], [0, 2], [0.5, 1], [np.nan, 1]])
def test_labels_other_than_0_and_1_are_refused(label):
    data = points(2)._replace(label=np.array(label))
    for function in (by_sums, lambda data: chunk_sums(SOME, *data)):
        with pytest.raises(ValueError, match=r"^label must be 0 or 1, got "):
            function(data)


# Ten thousand: where chunks are cut, a column would be made a row.
@pytest.mark.parametrize("n", [3, 10_000])
@pytest.mark.parametrize("name", ["x", "y", "label"])
def test_a_column_of_shape_n_1_is_refused(name, n):
    data = points(n)
    data = data._replace(**{name: getattr(data, name)[:, None]})
    for function in (
        lambda: chunk_sums(SOME, *data),
        lambda: logistic_sums(SOME, data),
        lambda: logistic_means(SOME, data),
        lambda: by_sums(data)(SOME),
    ):
        with pytest.raises(ValueError, match=r"^x and y and label must have"):
            function()


# Automatic differentiation


def test_autodiff_gives_the_same_as_the_closed_form():
    data = points(50)
    assert_same(by_autodiff(loss_fn, data)(SOME), numpy_means(SOME, data))


# The full step


@pytest.mark.parametrize("values", [(1, 1.01e-6), (1e-12, 1e-12), (2,)])
def test_a_step_leads_to_the_bottom_of_a_bowl_however_long(values):
    step = full_step(np.ones(len(values)), np.diag(values))
    np.testing.assert_allclose(step, -1 / np.float64(values))


@pytest.mark.parametrize(
    "values", [(1, 0.99e-6), (1, 5e-7, 5e-7), (1, 0), (0, 0), (1, -1), (-3,)]
)
def test_a_hessian_that_is_no_bowl_is_refused(values):
    with pytest.raises(ValueError, match=SINGULAR):
        full_step(np.ones(len(values)), np.diag(values))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    for parts in [([1, bad], np.eye(2)), (np.ones(2), np.diag([1, bad]))]:
        with pytest.raises(ValueError, match="must be finite, got NaN or inf"):
            full_step(*parts)


# Newton's method on data


@pytest.fixture(scope="module")
def data():
    return make_dataset(random.key(4))


@pytest.mark.parametrize("start", [ZEROS, BLOG_PARAMS, FAR])
def test_newton_ends_at_statsmodels_weights(data, start):
    params, norms = newton(by_sums(data), start)
    columns = columns_of(data)
    best = sm.Logit(np.asarray(data.label), columns).fit(disp=0, tol=1e-14)
    np.testing.assert_allclose(as_vector(params), best.params, rtol=2e-5)
    assert len(norms) < 20
    for leaf in jax.tree.leaves(params):
        assert (leaf.shape, leaf.dtype) == ((), jnp.float32)


def test_the_lengths_are_those_of_the_gradients(data):
    objective = by_sums(data)
    params, norms = newton(objective, ZEROS)
    assert (norms.dtype, norms.ndim) == (np.float64, 1)
    _, first, _ = numpy_means(ZEROS, data)
    assert norms[0] == pytest.approx(np.linalg.norm(first), rel=1e-5)
    _, last, _ = objective(params)
    assert norms[-1] == np.linalg.norm(np.float64(last)) <= 1e-6
    # Near the end each step squares the error.
    assert (norms[3:] < 20 * norms[2:-1] ** 2 + 3e-7).all()
    # A start at the end stays.
    again, lengths = newton(objective, params, max_passes=1)
    np.testing.assert_array_equal(as_vector(again), as_vector(params))
    assert lengths.tolist() == [norms[-1]]


def test_thirty_features_with_a_penalty_end_at_scikit_learns():
    raw, label = load_breast_cancer(return_X_y=True)
    features = np.float32((raw - raw.mean(axis=0)) / raw.std(axis=0))

    def penalized(params, table):
        of_model = mean_loss(lambda p, f: f @ p["w"] + p["b"], params, table)
        return of_model + 0.003 / 2 * jnp.sum(params["w"] ** 2)

    start = {"b": np.float32(0), "w": np.zeros(30, np.float32)}
    objective = by_autodiff(penalized, Table(features, label))
    params, _ = newton(objective, start)
    oracle = SklearnRegression(
        C=1 / (0.003 * 569), tol=1e-10, solver="newton-cholesky"
    )
    oracle.fit(np.float64(features), label)
    np.testing.assert_allclose(params["w"], oracle.coef_[0], atol=2e-4)
    np.testing.assert_allclose(params["b"], oracle.intercept_[0], atol=2e-4)


@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-6])
def test_labels_that_a_line_separates_are_refused(data, tolerance):
    certain = data._replace(label=data.x + 3 * data.y > 0)
    with pytest.raises(ValueError, match=f"{BOTTOMLESS}|{SINGULAR}"):
        newton(by_sums(certain), ZEROS, tolerance)


def test_weights_that_the_points_leave_open_are_refused(data):
    copied = data._replace(y=1 - 3 * data.x)
    with pytest.raises(ValueError, match=SINGULAR):
        newton(by_sums(copied), ZEROS)


def test_wrong_labels_do_not_pass_by_autodiff(data):
    # Traced, they make loss, gradient and Hessian NaN.
    signs = data._replace(label=2 * data.label - 1)
    with pytest.raises(ValueError, match="must be finite, got NaN"):
        newton(by_autodiff(loss_fn, signs), ZEROS, max_passes=5)
    column = data._replace(label=data.label[:, None])
    with pytest.raises(ValueError, match="must have the same shape, got"):
        newton(by_autodiff(loss_fn, column), ZEROS)


@pytest.mark.parametrize(
    "name, value",
    [
        ("tolerance", 0),
        ("tolerance", np.nan),
        ("max_passes", 0),
        ("max_passes", 1.5),
    ],
)
def test_options_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be "):
        newton(None, None, **{name: value})


# Newton's method by hand: objectives of one number in a list


def log_cosh(params):
    p = np.float64(params[0])
    bend = 4 * special.expit(2 * p) * special.expit(-2 * p)
    loss = np.logaddexp(p, -p) - np.log(2)
    return loss, np.array([np.tanh(p)]), np.array([[bend]])


@pytest.mark.parametrize("start, halves", [(1.2, 1), (-3.0, 5), (8.6, 19)])
def test_steps_are_halved_until_the_loss_is_lower(start, halves):
    params, norms = newton(log_cosh, [np.float32(start)])
    assert abs(params[0]) < 1e-6
    p = np.float64(np.float32(start))
    second = np.tanh(p - np.sinh(2 * p) / 2 * 0.5**halves)
    assert norms[1] == pytest.approx(abs(second), rel=1e-5)


def scripted(losses, gradients, curvatures):
    """An objective that returns what is written, call by call."""
    rows = zip(losses, gradients, curvatures, strict=True)
    calls = ((loss, np.array([g]), np.array([[c]])) for loss, g, c in rows)
    return lambda params: next(calls)


@pytest.mark.parametrize(
    "loss, rise, share",
    [
        (0.0, 0.0, 1),
        (1.0, 0.9e-6, 1),
        (1.0, 1.1e-6, 0.5),
        (-1.0, 0.9e-6, 1),
        (-1.0, 1.1e-6, 0.5),
    ],
)
def test_a_loss_may_rise_by_what_float32_rounds(loss, rise, share):
    objective = scripted([loss, loss + rise, loss], [1.0, 0.0, 0.0], [1.0] * 3)
    params, _ = newton(objective, [np.float32(0)])
    assert params == [-share]


@pytest.mark.parametrize("left", [1.22, 1.18, np.nan])
def test_a_bowl_that_the_last_step_flattens_has_no_bottom(left):
    objective = scripted([1.0, 1.0], [0.75, 0.1], [2.0, left])
    flatten = partial(newton, objective, [np.float32(3)], tolerance=0.5)
    if left > 0.6 * 2.0:
        params, norms = flatten()
        assert (params, norms.tolist()) == ([3 - 0.375], [0.75, 0.1])
    else:
        with pytest.raises(ValueError, match=BOTTOMLESS):
            flatten()


@pytest.mark.parametrize(
    "options, passes", [({}, 50), ({"max_passes": np.int64(3)}, 3)]
)
def test_no_more_passes_are_made_than_allowed(options, passes):
    # It never reaches a slope below 1.
    with pytest.raises(ValueError) as caught:
        newton(
            lambda params: (0.0, np.ones(1), np.eye(1)),
            [np.float32(0)],
            **options,
        )
    assert str(caught.value) == (
        f"tolerance of 1.0e-06 was not reached in {passes} passes: the "
        "gradient's length is 1.0e+00. Ask for less, start nearer, or allow "
        "more with max_passes"
    )


# Small batches


@LAW
@given(
    st.sampled_from([(1, 1), (7, 3), (12, 4), (12, 12)]),
    st.integers(0, 2**32 - 1),
)
def test_each_example_comes_at_most_once_and_whole(case, seed):
    n, size = case
    table = Table(np.arange(2 * n).reshape(n, 2), np.arange(n))
    cut = jax.jit(minibatches, static_argnames="size")
    batches = cut(random.key(seed), table, size=size)
    assert isinstance(batches, Table)
    features, label = map(np.asarray, batches)
    assert label.shape == (n // size, size)
    assert len(np.unique(label)) == label.size
    assert set(label.flat) <= set(range(n))
    np.testing.assert_array_equal(features[..., 1], 2 * label + 1)


def test_every_order_is_as_likely_as_any_other():
    keys = random.split(random.key(0), 6000)
    (batches,) = jax.jit(
        jax.vmap(lambda key: minibatches(key, (np.arange(4),), 2))
    )(keys)
    orders = np.asarray(batches).reshape(-1, 4) @ [64, 16, 4, 1]
    _, counts = np.unique(orders, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("size", [0, -1, 7, 1.5])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(ValueError, match=r"^size must be a whole number, at "):
        minibatches(random.key(0), (np.arange(6), np.arange(6)), size)


@pytest.mark.parametrize("lengths", [(5, 6), (6, 5)])
def test_columns_of_unequal_length_are_refused(lengths):
    with pytest.raises(ValueError, match=r"^dataset must hold arrays of one "):
        minibatches(random.key(0), tuple(map(np.arange, lengths)), 2)
