"""Sums in closed form, Newton's method and small batches."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from flax import linen as nn
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from scipy import special, stats
from sklearn.linear_model import LogisticRegression as SklearnRegression

from helpers import solvers
from helpers.data import Dataset, make_dataset
from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.real_data import (
    Table,
    find_scaling,
    load_breast_cancer,
    standardize,
)
from helpers.solvers import (
    ROWS,
    by_autodiff,
    by_sums,
    chunk_sums,
    full_step,
    logistic_means,
    logistic_sums,
    minibatches,
    newton,
)

LAW = settings(deadline=None, derandomize=True, max_examples=60)
# A test of chance may reject a right sample this often, but keys are fixed.
RARE = 1e-3
loss_fn = partial(mean_loss, LogisticRegression().apply)
chunk = jax.jit(chunk_sums)


def params_of(b, w1, w2):
    return {
        "params": {
            "w1": np.float32(w1),
            "w2": np.float32(w2),
            "b": np.float32(b),
        }
    }


def as_vector(params):
    """Return the weights in double precision, in alphabetical order."""
    return np.array([params["params"][k] for k in ("b", "w1", "w2")], float)


ZEROS = params_of(0, 0, 0)
SOME = params_of(0.3, -0.7, 1.9)
# So far that a full step ends where no coin is in doubt.
FAR = params_of(10, -30, 30)


def points(n, seed=0):
    """n points and labels by NumPy, without regard to each other."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal((0.5, -0.25), (2, 1), (n, 2)).astype(np.float32).T
    return Dataset(x, y, rng.integers(0, 2, n).astype(np.int32))


def columns_of(data):
    x, y = np.float64(data.x), np.float64(data.y)
    return np.column_stack([np.ones_like(x), x, y])


def numpy_means(weights, columns, label):
    """Mean loss, its gradient and Hessian by hand, in double precision."""
    logit, label = columns @ weights, np.asarray(label)
    loss = -special.log_expit(np.where(label, logit, -logit)).mean()
    p = special.expit(logit)
    gradient = (p - label) @ columns / len(label)
    hessian = (columns.T * (p * special.expit(-logit))) @ columns / len(label)
    return loss, gradient, hessian


def of_sums(params, data):
    return numpy_means(as_vector(params), columns_of(data), data.label)


def assert_same(ours, oracle, rtol=1e-5, atol=1e-6):
    shapes = [np.shape(part) for part in ours]
    assert shapes == [np.shape(part) for part in oracle]
    for part, other in zip(ours, oracle, strict=True):
        np.testing.assert_allclose(part, other, rtol=rtol, atol=atol)


def divided(sums, n):
    return [np.float64(total) / n for total in sums]


# Sums in closed form


@pytest.mark.parametrize("n", [1, 2, 50])
def test_the_sums_of_a_chunk_equal_numpy_in_double_precision(n):
    data = points(n)
    for params in (ZEROS, SOME):
        sums = chunk(params, *data)
        assert_same(divided(sums, n), of_sums(params, data))
    for part in sums:
        assert isinstance(part, jax.Array)
        assert part.dtype == jnp.float32
    assert [part.shape for part in sums] == [(), (3,), (3, 3)]


@pytest.mark.parametrize(
    "n", [3, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS, 5 * ROWS // 2]
)
def test_chunked_sums_and_means_equal_numpy_whatever_n(n):
    data = points(n)
    oracle = of_sums(SOME, data)
    assert_same(divided(logistic_sums(SOME, data), n), oracle)
    assert_same(logistic_means(SOME, data), oracle)


def test_gradient_and_hessian_equal_finite_differences():
    # Of the loss alone, by scipy, in double precision.
    data, at = points(40), as_vector(SOME)
    columns, label = columns_of(data), data.label

    def loss(weights):
        logit = columns @ weights
        return -special.log_expit(np.where(label, logit, -logit)).mean()

    h = 1e-4 * np.eye(3)
    slopes = [(loss(at + e) - loss(at - e)) / 2e-4 for e in h]
    bends = [
        [
            (loss(at + e + f) - loss(at + e - f))
            - (loss(at - e + f) - loss(at - e - f))
            for f in h
        ]
        for e in h
    ]
    _, gradient, hessian = chunk(SOME, *data)
    np.testing.assert_allclose(gradient / 40, slopes, atol=1e-6)
    np.testing.assert_allclose(hessian / 40, np.array(bends) / 4e-8, atol=1e-6)


@LAW
@given(
    st.floats(-1e4, 1e4, width=32, allow_subnormal=False),
    st.sampled_from([0, 1]),
)
def test_a_single_point_equals_scipy_at_any_logit(z, label):
    one = np.ones(1, np.float32)
    ours = chunk(params_of(0, z, 0), one, 0 * one, np.array([label]))
    p = special.expit(z)
    loss = -special.log_expit(z if label else -z)
    # Sums of 0 to 1 are good to float32's rounding, losses also where large.
    np.testing.assert_allclose(ours[0], loss, rtol=2e-7, atol=2e-7)
    np.testing.assert_allclose(ours[1], [p - label, p - label, 0], atol=2e-7)
    bend = p * special.expit(-z)
    filled = [[bend, bend, 0], [bend, bend, 0], [0, 0, 0]]
    np.testing.assert_allclose(ours[2], filled, atol=2e-7)


def test_huge_logits_leave_everything_finite():
    data = points(ROWS + 7)
    huge = params_of(1e4, -1e4, 1e4)
    loss, gradient, hessian = logistic_means(huge, data)
    logit = columns_of(data) @ as_vector(huge)
    oracle = -special.log_expit(np.where(data.label, logit, -logit)).mean()
    np.testing.assert_allclose(loss, oracle, rtol=1e-6)
    assert np.isfinite(gradient).all()
    assert np.isfinite(hessian).all()


def test_the_order_of_the_points_changes_next_to_nothing():
    data = points(2 * ROWS + 123)
    order = np.random.default_rng(1).permutation(2 * ROWS + 123)
    shuffled = Dataset(*(column[order] for column in data))
    assert_same(logistic_means(SOME, shuffled), logistic_means(SOME, data))


def test_the_sums_map_over_params_and_compile_in_other_functions():
    data = points(ROWS + 5)
    starts = jax.tree.map(lambda *rows: np.stack(rows), ZEROS, SOME, FAR)
    over_starts = jax.jit(jax.vmap(logistic_means, (0, None)))
    mapped = over_starts(starts, data)
    for i, params in enumerate((ZEROS, SOME, FAR)):
        # Mapped, XLA adds up in another order, which rounds more.
        ours = [part[i] for part in mapped]
        assert_same(ours, of_sums(params, data), rtol=1e-4)


def test_the_loss_in_closed_form_has_its_own_gradient():
    data = points(30)
    slopes = jax.grad(lambda params: logistic_means(params, data)[0])(SOME)
    np.testing.assert_allclose(
        as_vector(slopes), of_sums(SOME, data)[1], atol=1e-6
    )


@pytest.mark.parametrize("kind", [bool, np.int8, np.float32, np.float64])
def test_labels_and_points_of_any_kind_give_the_same_sums(kind):
    data = points(20)
    other = Dataset(
        np.float64(data.x), jnp.asarray(data.y), data.label.astype(kind)
    )
    start = jax.tree.map(float, SOME)
    assert_same(by_sums(other)(start), of_sums(SOME, data))


@pytest.fixture
def traced(monkeypatch):
    """The shapes of the chunks that are compiled."""
    shapes = []

    def watched(params, x, y, label):
        shapes.append((x.shape, y.shape, label.shape))
        return chunk_sums(params, x, y, label)

    monkeypatch.setattr(solvers, "chunk_sums", watched)
    return shapes


# Numbers of rows that no other test compiles anything for.
@pytest.mark.parametrize(
    "function, rest", [(logistic_sums, 11), (logistic_means, 13)]
)
def test_no_chunk_is_larger_than_rows_and_each_compiles_once(
    traced, function, rest
):
    function(SOME, points(3 * ROWS + rest))
    assert traced == [((rest,),) * 3, ((ROWS,),) * 3]
    function(ZEROS, points(3 * ROWS + rest, seed=1))
    assert len(traced) == 2


# Objectives


def test_both_objectives_are_the_same():
    data = points(60)
    for params in (ZEROS, SOME, BLOG_PARAMS):
        oracle = of_sums(params, data)
        assert_same(by_sums(data)(params), oracle)
        assert_same(by_autodiff(loss_fn, data)(params), oracle)


def test_autodiff_takes_any_params_in_their_flat_order():
    def loss(params, dataset):
        return (
            dataset * params["b"][0] * params["a"] ** 2 + params["b"][1] ** 3
        )

    params = {"b": np.float32([2, 3]), "a": np.float32(5)}
    ours = by_autodiff(loss, np.float32(7))(params)
    gradient = [7 * 2 * 10, 7 * 25, 27]
    hessian = [[28, 70, 0], [70, 0, 0], [0, 0, 18]]
    assert_same(ours, (7 * 2 * 25 + 27, gradient, hessian))


def test_a_kept_loss_compiles_once_and_a_new_one_anew():
    calls = []

    def loss(params, dataset):
        calls.append(params)
        return loss_fn(params, dataset)

    by_autodiff(loss, points(9))(ZEROS)
    before = len(calls)
    by_autodiff(loss, points(9, seed=1))(SOME)
    assert len(calls) == before > 0
    by_autodiff(lambda *args: loss(*args), points(9))(ZEROS)
    assert len(calls) > before


@pytest.mark.parametrize(
    "change",
    [
        {"x": np.float32([1, np.nan])},
        {"y": np.float32([np.inf, 1])},
        {"y": np.float32([1, -np.inf])},
    ],
)
def test_points_that_no_sum_survives_are_refused(change):
    with pytest.raises(ValueError) as caught:
        by_sums(points(2)._replace(**change))
    assert str(caught.value) == "dataset must be finite, got NaN or infinity"


def test_a_mean_of_no_points_is_refused():
    for function in (by_sums, partial(logistic_means, SOME)):
        with pytest.raises(ValueError) as caught:
            function(Dataset(*3 * [np.zeros(0, np.float32)]))
        assert str(caught.value) == (
            "dataset must hold at least one value, got none"
        )


@pytest.mark.parametrize(
    "label", [[1, -1], [0, 2], [0.5, 1], [np.nan, 1], [np.inf, 0]]
)
def test_labels_other_than_0_and_1_are_refused(label):
    with pytest.raises(ValueError) as caught:
        by_sums(points(2)._replace(label=np.array(label)))
    other = [value for value in label if value not in (0, 1)]
    assert str(caught.value) == (
        f"label must be 0 or 1, got {other} among them"
    )


def test_one_point_is_enough_for_sums():
    data = points(1)
    assert_same(by_sums(data)(SOME), of_sums(SOME, data))


@pytest.mark.parametrize(
    "shapes",
    [
        [(3,), (3,), (2,)],
        [(2,), (3,), (3,)],
        [(3,), (1,), (3,)],
        [(3,), (), (3,)],
        [(3, 1), (3, 1), (3, 1)],
        [(2, 2), (2, 2), (2, 2)],
        [(), (), ()],
    ],
)
def test_arrays_not_of_one_shape_n_are_refused(shapes):
    data = Dataset(*(np.zeros(shape, np.float32) for shape in shapes))
    for function in (logistic_sums, logistic_means):
        with pytest.raises(ValueError) as caught:
            function(SOME, data)
        assert str(caught.value) == (
            f"dataset must hold arrays of one shape (n,), got shapes {shapes}"
        )


# The full step


def test_the_full_step_leads_to_the_bottom_of_a_bowl():
    hessian = np.array([[4.0, 1.0], [1.0, 3.0]])
    bottom, at = np.array([2.0, -1.0]), np.array([5.0, 7.0])
    step = full_step(hessian @ (at - bottom), hessian)
    np.testing.assert_allclose(at + step, bottom, rtol=1e-12)


@pytest.mark.parametrize(
    "values", [(1, 1e-5), (1, 1.01e-6), (1e-12, 1e-12), (3e30, 1e30), (2,)]
)
def test_a_bowl_however_long_is_accepted(values):
    gradient = np.ones(len(values))
    step = full_step(gradient, np.diag(np.float64(values)))
    np.testing.assert_allclose(step, -1 / np.float64(values), rtol=1e-9)


@pytest.mark.parametrize(
    "values",
    [(1, 0.99e-6), (1, 5e-7, 5e-7), (1, 0), (0, 0), (1, -1), (-1, -2), (-3,)],
)
def test_a_hessian_that_is_no_bowl_is_refused(values):
    with pytest.raises(ValueError) as caught:
        full_step(np.ones(len(values)), np.diag(np.float64(values)))
    assert str(caught.value) == (
        "hessian of objective must be positive, got a singular one: an input "
        "is constant or a copy of others, the labels are separable, or params "
        "start too far away"
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    for change in (0, 1):
        parts = [np.ones(2), np.eye(2)]
        parts[change].flat[1] = bad
        with pytest.raises(ValueError) as caught:
            full_step(*parts)
        assert str(caught.value) == (
            "gradient and hessian of objective must be finite, got NaN or "
            "infinity: look for them in dataset and in params"
        )


# Newton's method


@pytest.fixture(scope="module", params=[1000, 100_000])
def drawn(request):
    """Points of our recipe, and their best weights by statsmodels."""
    data = make_dataset(random.key(4), request.param)
    fitted = sm.Logit(np.asarray(data.label), columns_of(data)).fit(
        disp=0, tol=1e-14
    )
    return data, fitted.params


@pytest.mark.parametrize("start", [ZEROS, BLOG_PARAMS, FAR])
def test_newton_ends_at_statsmodels_weights(drawn, start):
    data, best = drawn
    params, norms = newton(by_sums(data), start)
    # The slope is nearly zero also in double precision.
    _, gradient, hessian = of_sums(params, data)
    assert np.linalg.norm(gradient) <= 1.2e-6
    # So far from the best a slope of a millionth can be.
    far = 1e-6 / np.linalg.eigvalsh(hessian)[0]
    np.testing.assert_allclose(as_vector(params), best, rtol=1e-6, atol=far)
    assert norms[-1] <= 1e-6
    assert len(norms) < 20


def test_newton_ends_at_scikit_learns_weights(drawn):
    data, _ = drawn
    params, _ = newton(by_sums(data), ZEROS)
    # C=inf turns its default penalty off.
    oracle = SklearnRegression(C=np.inf, tol=1e-8, solver="newton-cholesky")
    oracle.fit(columns_of(data)[:, 1:], data.label)
    expected = [*oracle.intercept_, *oracle.coef_[0]]
    np.testing.assert_allclose(as_vector(params), expected, rtol=1e-5)


@pytest.fixture(scope="module")
def run():
    """A thousand points, and what a run from zeros returns."""
    data = make_dataset(random.key(4))
    return data, *newton(by_sums(data), ZEROS)


def test_the_lengths_are_those_of_the_gradients(run):
    data, params, norms = run
    assert isinstance(norms, np.ndarray)
    assert (norms.dtype, norms.ndim) == (np.float64, 1)
    _, first, _ = of_sums(ZEROS, data)
    assert norms[0] == pytest.approx(np.linalg.norm(first), rel=1e-5)
    _, last, _ = by_sums(data)(params)
    assert norms[-1] == np.linalg.norm(np.float64(last)) <= 1e-6
    assert (norms[:-1] > 1e-6).all()


def test_newton_squares_the_error_near_the_end(run):
    _, _, norms = run
    # Until float32 has no more digits.
    exact = norms[norms > 3e-6]
    assert 5 <= len(exact) <= len(norms) <= 8
    assert (exact[1:] < 20 * exact[:-1] ** 2).all()
    assert norms[-1] < 3e-7


def test_the_params_come_back_as_they_were_given(run):
    _, params, _ = run
    assert jax.tree.structure(params) == jax.tree.structure(ZEROS)
    for leaf in jax.tree.leaves(params):
        assert (leaf.shape, leaf.dtype) == ((), jnp.float32)


def test_a_start_at_the_end_stays(run):
    data, params, norms = run
    again, lengths = newton(by_sums(data), params, max_passes=1)
    np.testing.assert_array_equal(as_vector(again), as_vector(params))
    assert lengths.tolist() == [norms[-1]]


class Watched:
    """An objective that writes down where it was called."""

    def __init__(self, objective):
        self.objective = objective
        self.calls = []

    def __call__(self, params):
        result = self.objective(params)
        self.calls.append((params, *result))
        return result


def test_no_step_from_zeros_is_halved(run):
    data, _, norms = run
    watched = Watched(by_sums(data))
    newton(watched, ZEROS)
    assert len(watched.calls) == len(norms)


def test_undamped_steps_do_not_survive_the_far_start(drawn):
    data, best = drawn
    columns, weights = columns_of(data), as_vector(FAR)
    losses = []
    with np.errstate(all="ignore"):
        for _ in range(3):
            loss, gradient, hessian = numpy_means(weights, columns, data.label)
            losses.append(loss)
            weights = weights - np.linalg.pinv(hessian) @ gradient
    assert losses[1] > 5 * losses[0]
    assert losses[2] > losses[0]
    assert abs(weights - best).max() > 100


def test_damped_steps_from_the_far_start_never_go_up(drawn):
    data, _ = drawn
    watched = Watched(by_sums(data))
    _, norms = newton(watched, FAR)
    assert len(watched.calls) > len(norms)
    steps = {}
    for _, loss, gradient, _ in watched.calls:
        steps[np.linalg.norm(np.float64(gradient))] = float(loss)
    losses = np.array([steps[norm] for norm in norms])
    assert (losses[1:] <= losses[:-1] * (1 + 1e-6)).all()
    assert losses[-1] < losses[0] / 10


# Objectives by hand: a number p in a list, everything in double precision


def bowl(bottom, curvature=1.0, floor=0.0):
    def objective(params):
        way = np.float64(params[0]) - bottom
        loss = floor + curvature * way**2 / 2
        return loss, np.array([curvature * way]), np.array([[curvature]])

    return Watched(objective)


@pytest.mark.parametrize("floor", [0.0, 3.0, -5.0])
def test_one_step_finds_the_bottom_of_a_bowl(floor):
    objective = bowl(0.75, 0.3, floor)
    params, norms = newton(objective, [np.float32(2.0)])
    np.testing.assert_allclose(params, [0.75], rtol=1e-7)
    assert len(norms) == 2
    assert norms[0] == 0.3 * 1.25
    assert len(objective.calls) == 2


@pytest.mark.parametrize("floor", [1.0, -1.0])
def test_a_gain_that_float32_rounds_away_is_a_gain(floor):
    objective = bowl(1.0, floor=floor)
    newton(objective, [np.float32(1 - 2.0**-12)])
    assert len(objective.calls) == 2


def test_least_squares_with_many_weights_need_one_step():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, 4)).astype(np.float32)
    target = rng.normal(size=40).astype(np.float32)

    def loss(params, dataset):
        inputs, target = dataset
        miss = inputs @ params["slope"] + params["a"] - target
        return jnp.mean(miss**2) / 2

    start = {"slope": np.ones(4, np.float32), "a": np.float32(1)}
    objective = by_autodiff(loss, (inputs, target))
    params, norms = newton(objective, start)
    columns = np.column_stack([np.ones(40), inputs])
    a, *slope = np.linalg.lstsq(columns, target, rcond=None)[0]
    np.testing.assert_allclose(params["a"], a, atol=2e-6)
    np.testing.assert_allclose(params["slope"], slope, atol=2e-6)
    assert len(norms) == 2


def test_a_lowest_loss_of_zero_is_a_lowest_point():
    # As many weights as targets: none is missed.
    inputs = np.float32([[2, 1, 0], [-1, 3, 1], [0, 1, 2]])
    target = np.float32([1, 2, 3])

    def loss(params, dataset):
        inputs, target = dataset
        return jnp.mean((inputs @ params - target) ** 2)

    objective = by_autodiff(loss, (inputs, target))
    params, _ = newton(objective, np.zeros(3, np.float32), 1e-5)
    expected = np.linalg.solve(np.float64(inputs), target)
    np.testing.assert_allclose(params, expected, rtol=1e-5)


def log_cosh(params):
    p = np.float64(params[0])
    bend = 4 * special.expit(2 * p) * special.expit(-2 * p)
    loss = np.logaddexp(p, -p) - np.log(2)
    return loss, np.array([np.tanh(p)]), np.array([[bend]])


@pytest.mark.parametrize("start", [1.2, -3.0, 8.6])
def test_steps_are_halved_until_the_loss_is_lower(start):
    objective = Watched(log_cosh)
    params, norms = newton(objective, [np.float32(start)])
    assert abs(params[0]) < 1e-6
    # A full step misses by sinh(2p)/2; the first half that is lower is taken.
    p = np.float64(np.float32(start))
    full = -np.sinh(2 * p) / 2
    halves = np.ceil(np.log2(abs(full / (2 * p))))
    assert halves == {1.2: 1, -3.0: 5, 8.6: 19}[start]
    second = np.tanh(p + full * 0.5**halves)
    assert norms[1] == pytest.approx(abs(second), rel=1e-5)


def scripted(losses, curvatures, gradients):
    """An objective that returns what is written, call by call."""
    rows = zip(losses, gradients, curvatures, strict=True)
    return Watched(
        lambda params: next(
            (loss, np.array([g]), np.array([[c]])) for loss, g, c in rows
        )
    )


@pytest.mark.parametrize("loss", [1.0, -1.0])
@pytest.mark.parametrize("rise, calls", [(0.9e-6, 2), (1.1e-6, 3)])
def test_a_loss_may_rise_by_what_float32_rounds(loss, rise, calls):
    objective = scripted([loss, loss + rise, loss], [1.0] * 3, [1.0, 0.0, 0.0])
    params, _ = newton(objective, [np.float32(0)])
    assert len(objective.calls) == calls
    assert params == [-1 if calls == 2 else -0.5]


@pytest.mark.parametrize("left", [0.61, 1.0, 3.0])
def test_a_bowl_that_the_last_step_hardly_flattens_has_a_bottom(left):
    objective = scripted([1.0, 1.0], [2.0, 2 * left], [0.75, 0.1])
    params, norms = newton(objective, [np.float32(3)], tolerance=0.5)
    assert (params, norms.tolist()) == ([3 - 0.375], [0.75, 0.1])


@pytest.mark.parametrize("left", [0.59, 0.0, -1.0, np.nan])
def test_a_bowl_that_the_last_step_flattens_has_none(left):
    objective = scripted([1.0, 1.0], [2.0, 2 * left], [0.75, 0.1])
    with pytest.raises(ValueError) as caught:
        newton(objective, [np.float32(3)], tolerance=0.5)
    assert str(caught.value) == BOTTOMLESS


def test_a_gradient_as_long_as_the_tolerance_is_short_enough():
    _, norms = newton(bowl(1.0), [np.float32(3)], tolerance=2.0)
    assert norms.tolist() == [2.0]


def test_the_tolerance_is_a_millionth_by_default():
    assert len(newton(bowl(2.0**-20), [np.float32(0)])[1]) == 1
    assert len(newton(bowl(1.01e-6), [np.float32(0)])[1]) == 2


# Models of chapter 8


class DenseLogit(nn.Module):
    """logit = features @ kernel + bias."""

    @nn.compact
    def __call__(self, features):
        return nn.Dense(1)(features)[..., 0]


dense = DenseLogit()
dense_loss = partial(mean_loss, dense.apply)


def penalized_loss(penalty, params, dataset):
    kernel = params["params"]["Dense_0"]["kernel"]
    loss = mean_loss(dense.apply, params, dataset)
    return loss + penalty / 2 * jnp.sum(kernel**2)


def dense_start(d):
    layer = {"kernel": np.zeros((d, 1)), "bias": np.zeros(1)}
    return {"params": {"Dense_0": jax.tree.map(np.float32, layer)}}


@pytest.fixture(scope="module")
def tumours():
    table, _ = load_breast_cancer()
    scaling = find_scaling(table.features)
    return Table(standardize(table.features, scaling), table.label)


def test_thirty_features_with_a_penalty_end_at_scikit_learns(tumours):
    penalty = 0.003
    objective = by_autodiff(partial(penalized_loss, penalty), tumours)
    params, _ = newton(objective, dense_start(30))
    oracle = SklearnRegression(
        C=1 / (penalty * 569), tol=1e-10, solver="newton-cholesky"
    )
    oracle.fit(np.float64(tumours.features), tumours.label)
    layer = params["params"]["Dense_0"]
    assert layer["kernel"].shape == (30, 1)
    np.testing.assert_allclose(layer["kernel"].T, oracle.coef_, atol=2e-4)
    np.testing.assert_allclose(layer["bias"], oracle.intercept_, atol=2e-4)


def test_four_features_end_at_statsmodels():
    rng = np.random.default_rng(2)
    features = rng.normal(size=(300, 4)).astype(np.float32)
    chance = special.expit(features @ [1.0, -2.0, 0.5, 0.0] + 0.3)
    label = (rng.random(300) < chance).astype(int)
    objective = by_autodiff(dense_loss, Table(features, label))
    params, _ = newton(objective, dense_start(4))
    columns = sm.add_constant(np.float64(features))
    b, *weights = sm.Logit(label, columns).fit(disp=0, tol=1e-14).params
    layer = params["params"]["Dense_0"]
    np.testing.assert_allclose(layer["bias"], [b], atol=5e-6)
    np.testing.assert_allclose(layer["kernel"][:, 0], weights, atol=5e-6)


# What Newton's method refuses

BOTTOMLESS = (
    "the loss must have a lowest point, but the last step still flattened "
    "its bowl: the labels are separable, or tolerance is too large"
)
NO_BOTTOM = "^the loss must have a lowest point|got a singular one"


@pytest.mark.parametrize("tolerance", [0, 0.0, -1e-6, np.nan, np.inf])
def test_tolerances_out_of_range_are_refused(tolerance):
    # The guards come first: None is no objective.
    with pytest.raises(ValueError) as caught:
        newton(None, None, tolerance)
    assert str(caught.value) == (
        f"tolerance must be finite and above 0, got {tolerance}"
    )


@pytest.mark.parametrize("passes", [0, -1, 1.5, 2.0, np.int64(0), None])
def test_passes_must_be_whole_and_positive(passes):
    with pytest.raises(ValueError) as caught:
        newton(None, None, max_passes=passes)
    assert str(caught.value) == (
        f"max_passes must be a whole number, at least 1, got {passes}"
    )


def test_params_that_no_step_could_move_are_refused():
    whole = {"params": {"b": 0, "w1": 1, "w2": 2}}
    with pytest.raises(TypeError, match=r"^params must be floats, got "):
        newton(None, whole)


@pytest.mark.parametrize("kind", [int, np.int64])
def test_the_passes_asked_for_are_allowed_and_no_more(run, kind):
    data, params, norms = run
    objective, passes = by_sums(data), len(norms)
    again, _ = newton(objective, ZEROS, max_passes=kind(passes))
    np.testing.assert_array_equal(as_vector(again), as_vector(params))
    with pytest.raises(ValueError) as caught:
        newton(objective, ZEROS, max_passes=kind(passes - 1))
    assert str(caught.value) == (
        f"tolerance of 1.0e-06 was not reached in {passes - 1} passes: the "
        f"gradient's length is {norms[-2]:.1e}. Ask for less, start nearer, "
        "or allow more with max_passes"
    )


def test_fifty_passes_are_allowed_by_default():
    # It never reaches a slope below 1.
    watched = Watched(lambda params: (0.0, np.ones(1), np.eye(1)))
    with pytest.raises(ValueError, match="not reached in 50 passes: the grad"):
        newton(watched, [np.float32(0)])
    assert len(watched.calls) == 50


def test_more_than_float32_can_tell_is_not_reached(run):
    with pytest.raises(ValueError, match=r"^tolerance of 1.0e-12 was not re"):
        newton(by_sums(run[0]), ZEROS, 1e-12)


CURVED = np.float32(np.sin(np.arange(200)))


@pytest.mark.parametrize(
    "x, y",
    [
        (np.full(200, 2, np.float32), CURVED),
        (CURVED, np.zeros(200, np.float32)),
        (CURVED, CURVED),
        (CURVED, 1 - 3 * CURVED),
    ],
)
def test_weights_that_the_points_leave_open_are_refused(x, y):
    data = Dataset(x, y, np.arange(200) % 2)
    for objective in (by_sums(data), by_autodiff(loss_fn, data)):
        with pytest.raises(ValueError, match="got a singular one: an input"):
            newton(objective, ZEROS)


def test_a_start_beyond_all_doubt_is_refused(run):
    # Every coin is certain there, so nothing bends.
    far = params_of(1e6, 0, 0)
    with pytest.raises(ValueError, match=r"params start too far away$"):
        newton(by_sums(run[0]), far)


@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-5, 1e-6, 1e-9])
def test_separable_labels_are_refused_however_loose(run, tolerance):
    data, *_ = run
    certain = np.asarray(data.x + 3 * data.y > 0).astype(int)
    with pytest.raises(ValueError, match=NO_BOTTOM):
        newton(by_sums(data._replace(label=certain)), ZEROS, tolerance)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-6])
@pytest.mark.parametrize("ones", [10, 100])
def test_a_weight_that_runs_away_alone_is_refused(tolerance, ones):
    # Some labels stay in doubt, but those where x is 1 are certain.
    y = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    chance = special.expit(y)
    label = np.random.default_rng(1).random(1000) < chance
    x = np.float32(np.arange(1000) < ones)
    data = Dataset(x, y, np.where(x, 1, label))
    with pytest.raises(ValueError, match=NO_BOTTOM):
        newton(by_sums(data), ZEROS, tolerance)


def test_separable_tumours_are_refused(tumours):
    with pytest.raises(ValueError, match=NO_BOTTOM):
        newton(by_autodiff(dense_loss, tumours), dense_start(30), 1e-4)


def test_a_tolerance_far_from_the_bottom_is_refused(run):
    with pytest.raises(ValueError) as caught:
        newton(by_sums(run[0]), ZEROS, 0.1)
    assert str(caught.value) == BOTTOMLESS


@pytest.mark.parametrize("name", ["x", "y", "label"])
def test_nan_in_the_data_is_found_by_autodiff(name):
    data = points(30)
    column = np.float32(getattr(data, name))
    column[3] = np.nan
    objective = by_autodiff(loss_fn, data._replace(**{name: column}))
    with pytest.raises(ValueError, match=r"^the loss of objective\(params\) "):
        newton(objective, ZEROS)


def test_labels_that_a_compiled_loss_takes_are_refused():
    # Their loss is NaN, its slopes are not.
    data = points(30)
    wrong = data._replace(label=2 * np.asarray(data.label))
    with pytest.raises(ValueError, match=r"^the loss of objective\(params\) "):
        newton(by_autodiff(jax.jit(loss_fn), wrong), ZEROS)


def test_a_loss_that_is_no_scalar_is_refused():
    objective = by_autodiff(lambda params, data: params + data, np.ones(3))
    with pytest.raises(ValueError, match=r"^loss_fn must .* the shape \(3,\)"):
        objective(1.0)


@pytest.mark.parametrize(
    "parts",
    [
        (1.0, np.ones(2), np.eye(2)),
        (1.0, np.ones(3), np.eye(2)),
        (1.0, np.ones(3)),
        (np.ones(3), np.ones(3), np.eye(3)),
    ],
)
def test_an_objective_returns_a_part_for_each_param(parts):
    with pytest.raises(ValueError) as caught:
        newton(lambda params: parts, ZEROS)
    assert str(caught.value) == (
        "objective must return a loss, a gradient and a Hessian, of 3 params, "
        f"got the shapes {[*map(np.shape, parts)]}"
    )


def test_what_is_no_array_is_refused_before_it_is_compiled():
    with pytest.raises(
        TypeError, match=r"^dataset must be a pytree of arrays"
    ):
        by_autodiff(loss_fn, points(30)._replace(x="x"))


def test_no_warnings_come_with_a_far_start(run):
    with warnings.catch_warnings(action="error"):
        newton(by_sums(run[0]), FAR)


# Small batches

cut = jax.jit(minibatches, static_argnames="size")


def numbered(n):
    """Every example tells its number in each of its columns."""
    index = np.arange(n)
    return Dataset(np.float32(index), -np.float32(index), np.int32(index))


@LAW
@given(
    st.sampled_from([(1, 1), (7, 1), (7, 3), (12, 4), (12, 5), (12, 12)]),
    st.integers(0, 2**32 - 1),
)
def test_each_example_comes_at_most_once_and_whole(case, seed):
    n, size = case
    batches = cut(random.key(seed), numbered(n), size=size)
    x, y, label = map(np.asarray, batches)
    assert x.shape == y.shape == label.shape == (n // size, size)
    np.testing.assert_array_equal(x, label)
    np.testing.assert_array_equal(y, -x)
    assert len(np.unique(label)) == label.size
    assert set(label.flat) <= set(range(n))


def test_every_order_is_as_likely_as_any_other():
    keys = random.split(random.key(0), 6000)
    (batches,) = jax.jit(
        jax.vmap(lambda key: minibatches(key, (np.arange(4),), 2))
    )(keys)
    orders = np.asarray(batches).reshape(-1, 4) @ [64, 16, 4, 1]
    _, counts = np.unique(orders, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > RARE


def test_the_key_alone_decides_the_order():
    def order(seed):
        return cut(random.key(seed), numbered(50), size=10).label.tolist()

    orders = [order(seed) for seed in range(20)]
    assert orders == [order(seed) for seed in range(20)]
    assert len({str(each) for each in orders}) == 20


@pytest.mark.parametrize("function", [minibatches, cut])
def test_tables_and_plain_tuples_keep_their_kind(function):
    features = np.arange(20, dtype=np.float32).reshape(10, 2)
    table = Table(features, np.arange(10, dtype=np.int32))
    ours = function(random.key(0), table, size=3)
    assert isinstance(ours, Table)
    assert ours.features.shape == (3, 3, 2)
    np.testing.assert_array_equal(ours.features[..., 0], 2 * ours.label)
    np.testing.assert_array_equal(ours.features[..., 1], 2 * ours.label + 1)
    assert (ours.features.dtype, ours.label.dtype) == (jnp.float32, jnp.int32)
    plain = function(random.key(0), tuple(table), size=np.int64(3))
    assert type(plain) is tuple
    for array, same in zip(plain, ours, strict=True):
        assert isinstance(array, jax.Array)
        np.testing.assert_array_equal(array, same)


@pytest.mark.parametrize("how", [lambda f: f, jax.jit, jax.vmap])
def test_no_key_is_used_twice(how):
    draw = how(lambda key: minibatches(key, numbered(6), 2))
    with jax.debug_key_reuse(True):
        keys = random.key(5)
        draw(random.split(keys, 3) if how is jax.vmap else keys)


def test_a_key_that_was_used_is_found():
    with jax.debug_key_reuse(True):
        key = random.key(5)
        minibatches(key, numbered(6), 2)
        with pytest.raises(jax.errors.KeyReuseError):
            minibatches(key, numbered(6), 2)


@pytest.mark.parametrize("size", [0, -1, 7, 1.5, 2.0, np.int64(7), None])
def test_sizes_out_of_range_are_refused(size):
    # The guard comes first: None is no key.
    with pytest.raises(ValueError) as caught:
        minibatches(None, numbered(6), size)
    assert str(caught.value) == (
        f"size must be a whole number, from 1 to 6, got {size}"
    )


def test_arrays_of_unequal_length_are_refused():
    data = numbered(6)._replace(y=np.zeros((5, 2)))
    with pytest.raises(ValueError) as caught:
        minibatches(None, data, 2)
    assert str(caught.value) == (
        "dataset must hold arrays of one length, got shapes "
        "[(6,), (5, 2), (6,)]"
    )
    with pytest.raises(ValueError, match=r"^dataset must hold at least one"):
        minibatches(None, numbered(0), 1)
