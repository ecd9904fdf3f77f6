"""Sums in closed form, and Newton's method."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from oracle import as_vector, columns_of, means_of, params_of
from scipy import special
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression as SklearnRegression

from helpers.data import Dataset, make_dataset
from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.real_data import Table
from helpers.solvers import (
    by_autodiff,
    chunk_sums,
    descend,
    full_step,
    logistic_means,
    newton,
)

LAW = settings(deadline=None, derandomize=True, max_examples=30)
SINGULAR = "^hessian must be positive definite"
BOTTOMLESS = "^the loss must have a lowest point"
loss_fn = partial(mean_loss, LogisticRegression().apply)


ZEROS = params_of(0, 0, 0)
SOME = params_of(0.3, -0.7, 1.9)
# So far that a full step ends where no coin is in doubt.
FAR = params_of(10, -30, 30)


def points(n):
    """n points and labels by NumPy, without regard to each other."""
    rng = np.random.default_rng(0)
    x, y = rng.normal((0.5, -0.25), (2, 1), (n, 2)).astype(np.float32).T
    return Dataset(x, y, rng.integers(0, 2, n).astype(np.int32))


def assert_same(ours, oracle, rtol=1e-5, atol=1e-6):
    for part, other in zip(ours, oracle, strict=True):
        assert np.shape(part) == np.shape(other)
        np.testing.assert_allclose(part, other, rtol=rtol, atol=atol)


# Sums and means


@pytest.mark.parametrize("n", [1, 10_000, 25_000])
def test_sums_and_means_equal_numpy_in_double_precision(n):
    data = points(n)
    oracle = means_of(as_vector(SOME), data)
    assert_same(logistic_means(SOME, data), oracle)
    sums = chunk_sums(SOME, *data)
    assert_same([np.float64(total) / n for total in sums], oracle)
    assert {part.dtype for part in sums} == {jnp.dtype("float32")}


@LAW
@given(st.floats(-1e4, 1e4, width=32), st.sampled_from([0, 1]))
def test_a_single_point_equals_numpy_at_any_logit(z, label):
    one = np.ones(1, np.float32)
    point = Dataset(one, 0 * one, np.array([label]))
    ours = jax.jit(chunk_sums)(params_of(0, z, 0), *point)
    assert_same(ours, means_of([0, z, 0], point), rtol=2e-7, atol=2e-7)
    if abs(z) < 80:  # nor is anything lost of a loss that is nearly 0
        (loss, (slope, *_), _), sign = ours, 1 - 2 * label
        np.testing.assert_allclose(loss, -special.log_expit(-sign * z), 1e-5)
        np.testing.assert_allclose(slope, sign * special.expit(sign * z), 1e-5)


@pytest.mark.parametrize("label", [[1, -1], [0, 2], [0.5, 1], [np.nan, 1]])
def test_labels_other_than_0_and_1_are_refused(label):
    data = points(2)._replace(label=np.array(label))
    loss, gradient, _ = logistic_means(SOME, data)
    assert np.isnan(loss) and np.isnan(gradient).all()
    with pytest.raises(ValueError, match="must return finite numbers"):
        newton(logistic_means, SOME, data)


# Ten thousand: where chunks are cut, a column would be made a row.
@pytest.mark.parametrize("n", [3, 10_000])
@pytest.mark.parametrize("name", ["x", "y", "label"])
def test_a_column_of_shape_n_1_is_refused(name, n):
    data = points(n)
    data = data._replace(**{name: getattr(data, name)[:, None]})
    with pytest.raises(ValueError, match=r"^shapes must be equal"):
        logistic_means(SOME, data)


# Automatic differentiation


def test_autodiff_gives_the_same_as_the_closed_form():
    data = points(50)
    objective = by_autodiff(loss_fn)
    assert_same(objective(SOME, data), means_of(as_vector(SOME), data))


# The full step


@pytest.mark.parametrize("values", [(1, 1e-9), (1e-12, 1e-12), (2,)])
def test_a_step_leads_to_the_bottom_of_a_bowl_in_any_unit(values):
    step = full_step(jnp.ones(len(values)), jnp.diag(jnp.array(values, float)))
    np.testing.assert_allclose(step, -1 / np.float64(values), rtol=1e-6)


@pytest.mark.parametrize("values", [(1, 0), (1, -1), (-3,)])
def test_a_hessian_that_is_no_bowl_is_refused(values):
    hessian = jnp.diag(jnp.array(values, float))
    gradient = jnp.ones(len(values))
    with pytest.raises(ValueError, match=SINGULAR):
        newton(lambda *_: (0.0, gradient, hessian), 0 * gradient, None)


# Newton's method on data


@pytest.fixture(scope="module")
def data():
    return make_dataset(random.key(4))


@pytest.mark.parametrize("start", [ZEROS, BLOG_PARAMS, FAR])
def test_newton_ends_at_statsmodels_weights(data, start):
    params, _ = newton(logistic_means, start, data)
    columns = columns_of(data)
    best = sm.Logit(np.asarray(data.label), columns).fit(disp=0, tol=1e-14)
    np.testing.assert_allclose(as_vector(params), best.params, rtol=2e-5)
    for leaf in jax.tree.leaves(params):
        assert (leaf.shape, leaf.dtype) == ((), jnp.float32)


def test_a_start_at_the_end_stays(data):
    params, _ = newton(logistic_means, ZEROS, data)
    again, passes = newton(logistic_means, params, data, max_passes=1)
    np.testing.assert_array_equal(as_vector(again), as_vector(params))
    assert passes == 1


def test_the_first_hessian_serves_from_a_near_start_to_the_same_end():
    data = make_dataset(random.key(5), 100_000)
    sample = jax.tree.map(lambda column: column[:10_000], data)
    near, _ = newton(logistic_means, ZEROS, sample, tolerance=1e-3)
    params, passes = newton(logistic_means, near, data, keep=True)
    exact, _ = newton(logistic_means, near, data)
    np.testing.assert_allclose(as_vector(params), as_vector(exact), 2e-5)
    # Each step leaves a share of the gradient, not its square.
    assert 3 <= passes <= 8
    half = jax.tree.map(lambda leaf: leaf / 2, exact)
    with pytest.raises(ValueError, match=BOTTOMLESS):
        newton(logistic_means, half, data, keep=True)
    # It computes neither the loss nor another Hessian, so only these count.
    with pytest.raises(ValueError, match="after 100 passes"):
        newton(logistic_means, FAR, data, keep=True)


def test_many_fits_in_one_call_are_those_one_by_one(data):
    apart = data._replace(label=(data.x + 3 * data.y > 0).astype(int))
    wrong = data._replace(label=2 * data.label)
    copied = data._replace(y=1 - 3 * data.x)
    other = make_dataset(random.key(6))
    all_sets = jax.tree.map(
        lambda *columns: jnp.stack(columns), data, other, apart, wrong, copied
    )
    fit_all = jax.vmap(partial(descend, logistic_means, ZEROS))
    many, passes, *_ = fit_all(all_sets)
    for k, one in enumerate((data, other)):
        params, its_own = newton(logistic_means, ZEROS, one)
        mine = jax.tree.map(lambda leaf, k=k: leaf[k], many)
        np.testing.assert_allclose(as_vector(mine), as_vector(params), 1e-5)
        assert passes[k] == its_own
    # What is refused elsewhere is NaN here.
    for leaf in jax.tree.leaves(many):
        assert np.isnan(leaf).tolist() == [False, False, True, True, True]


def test_thirty_features_with_a_penalty_end_at_scikit_learns():
    raw, label = load_breast_cancer(return_X_y=True)
    features = np.float32((raw - raw.mean(axis=0)) / raw.std(axis=0))

    def penalized(params, table):
        of_model = mean_loss(lambda p, f: f @ p["w"] + p["b"], params, table)
        return of_model + 0.003 / 2 * jnp.sum(params["w"] ** 2)

    start = {"b": np.float32(0), "w": np.zeros(30, np.float32)}
    table = Table(features, label)
    params, _ = newton(by_autodiff(penalized), start, table)
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
        newton(logistic_means, ZEROS, certain, tolerance)


@pytest.mark.parametrize("tolerance", [0, -1e-6, np.nan])
def test_a_tolerance_not_above_0_is_refused(tolerance):
    with pytest.raises(ValueError, match=r"^tolerance must be above 0"):
        newton(None, None, None, tolerance)


# Newton's method by hand: objectives of one number


def log_cosh(p, _):
    loss = jnp.logaddexp(p, -p) - jnp.log(2)
    bend = 4 * jax.nn.sigmoid(2 * p) * jax.nn.sigmoid(-2 * p)
    return loss, jnp.tanh(p)[None], bend[None, None]


@pytest.mark.parametrize("start, halves", [(1.2, 1), (-3.0, 5)])
def test_steps_are_halved_until_the_loss_is_lower(start, halves):
    tried = []

    def objective(p, _):
        tried.append(float(p))
        return log_cosh(p, _)

    with jax.disable_jit():
        p, _ = newton(objective, np.float32(start), None)
    assert abs(p) < 1e-6
    trials = start - np.sinh(2 * start) / 2 * 0.5 ** np.arange(halves + 1)
    np.testing.assert_allclose(tried[1 : halves + 2], trials, 1e-4)
    assert abs(trials[-1]) < abs(start) <= abs(trials[-2])


@pytest.mark.parametrize(
    "loss, rise, share",
    [
        (0.0, 0.0, 1),
        (4.0, 3e-6, 1),
        (1.0, 1.1e-6, 0.5),
        (-1.0, 0.9e-6, 1),
        (-1.0, 1.1e-6, 0.5),
    ],
)
def test_a_loss_may_rise_by_what_float32_rounds(loss, rise, share):
    def objective(p, _):
        gradient = jnp.where(p == 0, 1.0, 0.0)[None]
        return jnp.where(p == -1, loss + rise, loss), gradient, jnp.eye(1)

    assert newton(objective, np.float32(0), None)[0] == -share


@pytest.mark.parametrize("left", [0.17, 0.2, np.nan])
def test_a_bowl_that_the_last_step_flattens_has_no_bottom(left):
    def objective(p, left):
        gradient = jnp.where(p == 3, 0.75, left)[None]
        return 1.0, gradient, jnp.array([[2.0]])

    flatten = partial(newton, objective, np.float32(3), left, tolerance=0.5)
    if left < 0.25 * 0.75:
        params, passes = flatten()
        assert (params, passes) == (3 - 0.375, 2)
    else:
        with pytest.raises(
            ValueError, match=f"{BOTTOMLESS}|must return finite"
        ):
            flatten()


@pytest.mark.parametrize("options", [{}, {"max_passes": 3}])
def test_passes_end_at_a_millionth_or_when_no_more_are_allowed(options):
    def objective(p, slope):
        return 0.0, jnp.full(1, slope), jnp.eye(1)

    search = partial(newton, objective, np.float32(0), **options)
    assert search(0.9e-6) == (0, 1)
    said = f"got 1.1e-06 after {options.get('max_passes', 100)} passes"
    with pytest.raises(ValueError, match=said):
        search(1.1e-6)
