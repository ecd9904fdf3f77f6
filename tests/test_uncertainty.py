"""The errors of the weights and the honesty of the probabilities."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import statsmodels.api as sm
from jax import random
from oracle import as_vector, columns_of, params_of
from scipy import special, stats
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_breast_cancer
from statsmodels.stats.proportion import proportion_confint

from helpers.data import TRUE_LINE, Dataset, line_logit, make_dataset
from helpers.loss import binary_cross_entropy, mean_loss
from helpers.model import LogisticRegression
from helpers.solvers import by_autodiff, newton
from helpers.training import fit
from helpers.uncertainty import (
    covariance,
    inverse,
    reliability,
    standard_errors,
    wilson_interval,
)

loss_fn = partial(mean_loss, LogisticRegression().apply)
# Compiled, or each operation of each Hessian would be, one by one.
jitted_loss = jax.jit(loss_fn)


# The covariance of the weights


@pytest.fixture(scope="module")
def data():
    return make_dataset(random.key(0), 200)


@pytest.fixture(scope="module")
def fitted(data):
    """The best fit in double precision, in the order of our params."""
    return sm.Logit(np.asarray(data.label), columns_of(data)).fit(disp=0)


def test_covariance_and_errors_equal_statsmodels(data, fitted):
    best = params_of(*fitted.params)
    jitted = jax.jit(covariance, static_argnums=0)
    for function in (covariance, jitted):
        ours = function(jitted_loss, best, data)
        np.testing.assert_allclose(ours, fitted.cov_params(), rtol=2e-4)
        assert isinstance(ours, jax.Array)
        assert ours.dtype == jnp.float32
    errors = standard_errors(jitted_loss, best, data)
    assert jax.tree.structure(errors) == jax.tree.structure(best)
    np.testing.assert_allclose(as_vector(errors), fitted.bse, rtol=1e-4)


@jax.jit
def plane_loss(params, dataset):
    features, label = dataset
    logit = features @ params["w"] + params["b"]
    return binary_cross_entropy(logit, label).mean()


@pytest.mark.parametrize(
    "chosen, units",
    [
        (["mean area"], [1]),
        (["mean area", "mean smoothness"], [1, 1]),
        (["mean area", "mean texture"], [1e6, 1e-6]),
    ],
)
def test_the_units_of_inputs_do_not_matter(chosen, units):
    table = load_breast_cancer(as_frame=True)
    # Far from 0 beside its spread, a feature costs float32 two digits.
    centred = table.data[chosen] - table.data[chosen].mean()
    design = sm.add_constant(centred)
    oracle = sm.Logit(table.target, design).fit(disp=0, maxiter=100)
    b, *w = np.float32(oracle.params / [1, *units])
    features = np.float32(centred * units)
    dataset = features, np.asarray(table.target)
    ours = covariance(plane_loss, {"b": b, "w": np.array(w)}, dataset)
    expected = oracle.cov_params() / np.outer([1, *units], [1, *units])
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


CURVED = np.float32(np.sin(np.arange(200)))
HALF = np.arange(200) % 2


@pytest.mark.parametrize(
    "x, y, label, w1",
    [
        (np.full(200, 2.0), CURVED, HALF, 0.1),  # a constant
        (CURVED, 1 - 3 * CURVED, HALF, 0.1),  # a copy
        (1e4 * CURVED, CURVED, HALF, 1e-5),  # a copy in another unit
        (CURVED, CURVED**2, np.int32(CURVED > 0), 1e5),  # separable
    ],
)
def test_weights_that_the_data_leaves_open_are_refused(x, y, label, w1):
    dataset = Dataset(np.float32(x), np.float32(y), label)
    with pytest.raises(ValueError, match=r"^inverse of the Hessian"):
        covariance(jitted_loss, params_of(0, w1, 0.2), dataset)


def separated(flipped):
    """Labels that the true line separates, but for those nearest to it."""
    data = make_dataset(random.key(0), 200)
    logit = np.asarray(line_logit(TRUE_LINE, data.x, data.y))
    label = np.int32(logit > 0)
    label[np.argsort(np.abs(logit))[:flipped]] ^= 1
    return plane_data(np.column_stack([data.x, data.y]), label)


def raw_columns():
    table = load_breast_cancer()
    return plane_data(table.data[:, :10], 1 - table.target)


def plane_data(features, label):
    return jnp.asarray(features, float), jnp.asarray(label)


def plane_start(data):
    return {"b": jnp.zeros(()), "w": jnp.zeros(data[0].shape[1])}


@pytest.mark.parametrize(
    "data, optimizer, epochs",
    [
        (separated(flipped=3), optax.sgd(2.0), 300),  # 3 ± 1, not 26 ± 15
        (separated(flipped=0), optax.sgd(2.0), 300),
        (separated(flipped=0), optax.sgd(2.0), 10_000),
        (raw_columns(), optax.adam(0.01), 1000),
    ],
)
def test_a_fit_that_has_not_arrived_is_refused(data, optimizer, epochs):
    stopped, _ = fit(plane_loss, plane_start(data), optimizer, data, epochs)
    said = r"^distance_to_the_bottom must be at most 0\.1 .* got \[\d+\.\d+\]$"
    with pytest.raises(ValueError, match=said):
        covariance(plane_loss, stopped, data)


def test_a_fit_that_only_looks_arrived_is_refused():
    """Its slopes are small, as far out on separable labels all are."""
    label = np.arange(50) % 2
    apart = np.outer(6 * label, [1, 0])
    features = random.normal(random.key(0), (50, 2)) + apart
    data = plane_data(stats.zscore(features), label)
    momentum = optax.sgd(0.3, momentum=0.95)
    stopped, _ = fit(plane_loss, plane_start(data), momentum, data, 1000)
    with pytest.raises(ValueError, match="loss_of_all_examples must be at"):
        covariance(plane_loss, stopped, data)


by_curvature = by_autodiff(plane_loss)


@pytest.mark.parametrize(
    "n, bias, mean, alike",
    [
        (50, 0, 0, 1),
        (100_000, 0, 0, 1),
        (100_000, -8, 0, 1),  # few of label 1
        (1000, 0, 3, 1),  # away from 0
        (100_000, 0, 0, 0.01),  # one column nearly a copy
    ],
)
def test_a_fit_that_has_arrived_is_not(n, bias, mean, alike):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, n))
    features = np.column_stack([first, first + alike * second])
    label = rng.random(n) < special.expit(features.sum(axis=1) + bias)
    data = plane_data(features + mean, label.astype(int))
    best, _ = newton(by_curvature, plane_start(data), data)
    errors = standard_errors(plane_loss, best, data)
    design = sm.add_constant(np.asarray(data[0], float))
    oracle = sm.Logit(np.asarray(data[1]), design).fit(disp=0)
    ours = [errors["b"], *errors["w"]]
    np.testing.assert_allclose(ours, oracle.bse, rtol=0.02)


def test_a_bowl_of_any_widths_has_an_inverse_and_nothing_else_has():
    for widths in ((1.0, 5e-7, 5e-7), (1e-9, 3e-9), (1e12, 1e-12), (2.0,)):
        oracle = np.diag(1 / np.array(widths))
        ours = inverse(jnp.diag(jnp.array(widths)))
        np.testing.assert_allclose(ours, oracle, rtol=1e-5)
    # Two inputs may be so much alike.
    for left, seen in ((3e-6, True), (1e-6, False)):
        ours = inverse(jnp.array([[1, 1 - left], [1 - left, 1]]))
        assert np.isfinite(ours).all() == seen
    for other in ([[1, 2], [2, 1]], [[1, 0], [0, -1]], np.zeros((2, 2))):
        assert np.isnan(inverse(jnp.array(other, float))).all()


# An interval for a probability

interval = jax.jit(wilson_interval)


@pytest.mark.parametrize("function", [wilson_interval, interval])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_the_interval_equals_statsmodels(function, level):
    count = np.array([0, 1, 0, 1, 2, 3, 10, 1, 333, 1000])
    n = np.array([1, 1, 2, 2, 2, 10, 10, 1000, 1000, 1000])
    ends = function(count, n, level)
    oracle = proportion_confint(count, n, 1 - level, method="wilson")
    np.testing.assert_allclose(ends, oracle, rtol=2e-6, atol=1e-7)
    for end in ends:
        assert isinstance(end, jax.Array)
        assert end.dtype == jnp.float32


def test_rounding_leads_to_no_share_below_0_or_above_1():
    n = np.arange(1, 1001)
    assert interval(0, n)[0].min() >= 0
    assert interval(n, n)[1].max() <= 1


def test_the_interval_broadcasts_and_holds_95_percent_by_default():
    # Twice 100 is more than eight bits hold.
    count, n = np.int8([[3], [4]]), np.int8([[10, 20, 100]])
    oracle = proportion_confint(count, 1.0 * n, 0.05, method="wilson")
    np.testing.assert_allclose(wilson_interval(count, n), oracle, rtol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((3, 10, 95), r"level must be from 0 to 1, got \[95\]"),
        ((3, 10, -0.5), "level must"),
        ((0, 0), "n must be above 0"),
        ((-3, -10), "n must be above 0"),
        ((-1, 10), "count / n must"),
        (([1, 3], [10, 2]), r"count / n must be from 0 to 1, got \[1.5\]"),
        ((np.nan, 10), "count / n must"),
    ],
)
def test_counts_and_levels_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        wilson_interval(*map(np.array, arguments))


# What was predicted, and what was observed

sort = jax.jit(reliability, static_argnames="bins")


def a_sample():
    rng = np.random.default_rng(0)
    probability = rng.beta(0.7, 0.9, 300).astype(np.float32)
    return probability, (rng.random(300) < probability).astype(int)


@pytest.mark.parametrize("function", [reliability, sort])
@pytest.mark.parametrize("asked", [{}, {"bins": 33}])
def test_reliability_equals_scikit_learn_and_numpy(function, asked):
    probability, label = a_sample()
    bins = asked.get("bins", 10)
    observed, predicted = calibration_curve(label, probability, n_bins=bins)
    ours = function(label, probability, **asked)
    counts, _ = np.histogram(probability, np.linspace(0, 1, bins + 1))
    np.testing.assert_array_equal(ours.count, counts)
    np.testing.assert_allclose(
        ours.predicted[counts > 0], predicted, rtol=2e-6
    )
    np.testing.assert_allclose(ours.observed[counts > 0], observed, rtol=2e-6)
    assert ours.count.dtype == jnp.int32
    assert ours.predicted.dtype == ours.observed.dtype == jnp.float32


def test_a_bin_holds_its_lower_end_and_the_last_one_both():
    edges, label = np.array([0.0, 0.25, 0.75, 1.0]), np.array([0, 1, 1, 0])
    ours = reliability(label, edges, 4)
    np.testing.assert_array_equal(ours.count, [1, 1, 0, 2])
    # An empty bin has no shares.
    np.testing.assert_array_equal(ours.predicted, [0, 0.25, np.nan, 0.875])
    np.testing.assert_array_equal(ours.observed, [0, 1, np.nan, 0.5])


def test_numbers_of_few_bits_are_added_as_floats():
    many = np.ones(5000, np.int8)
    _, predicted, observed = reliability(many, many, bins=1)
    assert predicted == observed == 1


@pytest.mark.parametrize("function", [reliability, sort])
def test_a_column_of_labels_and_half_a_bin_are_refused(function):
    probability, label = a_sample()
    with pytest.raises(ValueError, match=r"^shapes must be equal"):
        function(label[:, None], probability)
    for bins in (0, 2.5):
        with pytest.raises(ValueError, match="bins must be a whole number"):
            function(label, probability, bins=bins)


def test_what_is_no_probability_or_no_label_is_refused():
    probability, label = a_sample()
    for wrong in (probability - 1, probability + 1, probability * np.nan):
        with pytest.raises(ValueError, match="probability must be from 0"):
            reliability(label, wrong)
    with pytest.raises(ValueError, match="label must be 0 or 1"):
        reliability(2 * label - 1, probability)
