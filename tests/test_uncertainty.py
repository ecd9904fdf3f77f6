"""The errors of the weights and the honesty of the probabilities."""

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
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from statsmodels.stats.proportion import proportion_confint

from helpers._checks import brief
from helpers.data import TRUE_LINE, Dataset, make_dataset
from helpers.loss import mean_loss
from helpers.model import LogisticRegression
from helpers.uncertainty import (
    Reliability,
    binomial_interval,
    covariance,
    reliability,
    standard_errors,
)

LAW = settings(deadline=None, derandomize=True, max_examples=40)
# A test of chance may reject a right sample this often, but keys are fixed.
RARE = 1e-3
# Compiled, or each operation of each Hessian would be, one by one.
loss_fn = jax.jit(partial(mean_loss, LogisticRegression().apply))


def params_of(w1, w2, b):
    return {"params": {"w1": w1, "w2": w2, "b": b}}


# The covariance of the weights


@pytest.fixture(scope="module")
def data():
    draw = jax.jit(make_dataset, static_argnames="n")
    return Dataset(*map(np.asarray, draw(random.key(0), n=200)))


@pytest.fixture(scope="module")
def fitted(data):
    """The best fit by statsmodels, in double precision: b first, then w1, w2.

    That is the alphabetical order of our params.
    """
    x, y = np.float64(data.x), np.float64(data.y)
    columns = np.column_stack([np.ones(200), x, y])
    return sm.Logit(np.asarray(data.label), columns).fit(disp=0)


@pytest.fixture(scope="module")
def best(fitted):
    b, w1, w2 = fitted.params.tolist()
    return params_of(w1, w2, b)


jitted = jax.jit(covariance, static_argnums=0)


@pytest.mark.parametrize("function", [covariance, jitted])
def test_the_covariance_equals_statsmodels(data, fitted, best, function):
    ours = function(loss_fn, best, data)
    np.testing.assert_allclose(ours, fitted.cov_params(), rtol=2e-4)
    assert isinstance(ours, jax.Array)
    assert (ours.shape, ours.dtype) == ((3, 3), jnp.float32)


def test_the_standard_errors_equal_statsmodels(data, fitted, best):
    errors = standard_errors(loss_fn, best, data)
    assert jax.tree.structure(errors) == jax.tree.structure(best)
    for name, oracle in zip(("b", "w1", "w2"), fitted.bse, strict=True):
        error = errors["params"][name]
        assert error == pytest.approx(oracle, rel=1e-4)
        assert isinstance(error, jax.Array)
        assert (error.shape, error.dtype) == ((), jnp.float32)


def squares(params, dataset):
    """Half the squared miss of a line through (x, target)."""
    inputs, target = dataset
    return jnp.mean((inputs @ params["slope"] + params["a"] - target) ** 2) / 2


def test_the_covariance_of_least_squares_is_the_inverse_of_xtx():
    # Of noise with variance 1, X'X is known in every textbook.
    inputs = np.random.default_rng(0).normal(size=(30, 2))
    dataset = (np.float32(inputs), np.zeros(30, np.float32))
    params = {"slope": np.ones(2, np.float32), "a": np.float32(3)}
    columns = np.column_stack([np.ones(30), inputs])
    oracle = np.linalg.inv(columns.T @ columns)
    ours, errors = jax.jit(
        lambda *args: (
            covariance(squares, *args),
            standard_errors(squares, *args),
        )
    )(params, dataset)
    np.testing.assert_allclose(ours, oracle, rtol=1e-4, atol=1e-6)
    assert set(errors) == {"slope", "a"}
    a, *slope = np.sqrt(np.diag(oracle))
    np.testing.assert_allclose(errors["slope"], slope, rtol=1e-5)
    np.testing.assert_allclose(errors["a"], a, rtol=1e-5)


def loss_of_constant(b, dataset):
    (label,) = dataset
    logit = jnp.broadcast_to(b, jnp.shape(label))
    return -jnp.mean(jax.nn.log_sigmoid(jnp.where(label, logit, -logit)))


@pytest.mark.parametrize("p", [0.5, 0.25, 0.1])
def test_one_weight_has_a_closed_form(p):
    # The error of a logit from n tosses is 1/sqrt(n p (1 − p)).
    label = np.arange(40) < p * 40
    variance = 1 / (40 * p * (1 - p))
    ours = jitted(loss_of_constant, special.logit(p), (label,))
    np.testing.assert_allclose(ours, [[variance]], rtol=1e-5)


def test_scaling_an_input_scales_its_error(data, fitted, best):
    w1, w2, b = (best["params"][name] for name in ("w1", "w2", "b"))
    scaled = data._replace(x=2 * data.x)
    ours = jitted(loss_fn, params_of(w1 / 2, w2, b), scaled)
    factors = np.outer([1, 1 / 2, 1], [1, 1 / 2, 1])
    oracle = fitted.cov_params() * factors
    np.testing.assert_allclose(ours, oracle, rtol=2e-4)


def test_intervals_of_two_errors_cover_the_truth():
    # 200 data sets, each fitted by statsmodels in double precision.
    draw = jax.jit(jax.vmap(partial(make_dataset, n=200)))
    sets = draw(random.split(random.key(1), 200))
    x, y, label = (np.float64(column) for column in sets)
    columns = np.stack([np.ones_like(x), x, y], axis=2)
    fits = [
        sm.Logit(*pair).fit(disp=0).params
        for pair in zip(label, columns, strict=True)
    ]
    b, w1, w2 = np.array(fits).T
    over_sets = jax.jit(jax.vmap(partial(standard_errors, loss_fn)))
    errors = over_sets(params_of(w1, w2, b), sets)["params"]
    for name, fit in (("w1", w1), ("w2", w2), ("b", b)):
        distance = np.abs(fit - getattr(TRUE_LINE, name)) / errors[name]
        covered = int((distance < stats.norm.isf(0.025)).sum())
        assert stats.binomtest(covered, 200, 0.95).pvalue > RARE


MESSAGE = (
    "params must be determined by dataset, got a singular Hessian: an input "
    "is constant, a copy of others, or the labels are separable"
)
CURVED = np.float32(np.sin(np.arange(200)))


@pytest.mark.parametrize("function", [covariance, standard_errors])
@pytest.mark.parametrize(
    "x, y",
    [
        (np.full(200, 2.0), CURVED),
        (CURVED, np.zeros(200)),
        (CURVED, CURVED),
        (CURVED, 1 - 3 * CURVED),
    ],
)
def test_weights_that_the_data_leaves_open_are_refused(function, x, y):
    label = np.arange(200) % 2
    dataset = Dataset(np.float32(x), np.float32(y), label)
    with pytest.raises(ValueError) as caught:
        function(loss_fn, params_of(0.1, 0.2, 0.0), dataset)
    assert str(caught.value) == MESSAGE


def test_separable_labels_are_refused():
    # After a fit that drove the weights far, no coin is in doubt.
    dataset = Dataset(CURVED, CURVED**2, (CURVED > 0).astype(int))
    with pytest.raises(ValueError) as caught:
        covariance(loss_fn, params_of(1e5, 0.0, 0.0), dataset)
    assert str(caught.value) == MESSAGE


@jax.jit
def bowl(params, dataset):
    """A loss with the curvatures of the first column along its axes."""
    curvature, *_ = dataset
    return jnp.sum(curvature * params**2) / 2


def of_bowl(function, curvature):
    curvature = np.float32(curvature)
    # The last column tells the number of examples.
    return function(bowl, np.ones_like(curvature), (curvature, np.zeros(7)))


@pytest.mark.parametrize(
    "curvature",
    [
        (1.0, 0.0),
        (0.0, 0.0),
        (1.0, -1.0),
        (-1.0, -2.0),
        (1e6, 0.5),
        (1.0, 5e-7),
        (1.0, 5e-7, 5e-7),
    ],
)
def test_a_loss_that_is_no_bowl_is_refused(curvature):
    with pytest.raises(ValueError) as caught:
        of_bowl(covariance, curvature)
    assert str(caught.value) == MESSAGE


@pytest.mark.parametrize("function", [covariance, standard_errors])
def test_a_loss_that_is_no_scalar_is_refused(function):
    with pytest.raises(ValueError, match=r"^loss_fn must .* the shape \(7,\)"):
        function(
            lambda params, dataset: params + dataset[0], 1.0, (CURVED[:7],)
        )


def test_labels_that_a_compiled_loss_takes_are_refused():
    # Their loss is NaN, its slopes are not.
    dataset = Dataset(CURVED, CURVED**2, 2 * (CURVED > 0))
    with pytest.raises(ValueError, match=r"^loss_fn\(params, dataset\) must "):
        covariance(jax.jit(loss_fn), params_of(0.1, 0.2, 0.0), dataset)


def kinked(params, dataset):
    """A finite loss whose slope at 0 is infinite."""
    return jnp.sqrt(params).sum()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_or_a_curvature_that_is_not_finite_is_refused(bad):
    for curvature in ((bad, 1.0, 1.0), (1.0, 1.0, bad)):
        with pytest.raises(ValueError) as caught:
            of_bowl(covariance, curvature)
        assert str(caught.value) == (
            "loss_fn(params, dataset) must be finite, got NaN or infinity"
        )
    with pytest.raises(ValueError) as caught:
        covariance(kinked, np.zeros(1, np.float32), (np.zeros(7),))
    assert str(caught.value) == (
        "the Hessian of loss_fn must be finite, got NaN or infinity"
    )


@pytest.mark.parametrize(
    "curvature", [(1.0, 2e-6), (5e5, 1.0), (1e-9, 1e-9), (3e30, 1e30)]
)
def test_a_bowl_however_long_is_accepted(curvature):
    oracle = np.diag(1 / (7 * np.array(curvature)))
    ours = of_bowl(covariance, curvature)
    np.testing.assert_allclose(ours, oracle, rtol=1e-5)


def undemanding(params, _):
    """A loss that asks nothing of the data."""
    return jnp.sum(params**2)


@pytest.mark.parametrize("dataset", [(), (1.0,), (np.zeros(0),)])
def test_a_covariance_needs_an_example(dataset):
    with pytest.raises(ValueError, match=r"^dataset must hold arrays of at l"):
        covariance(undemanding, np.ones(2), dataset)


@pytest.mark.parametrize("first", [1.0, np.zeros(0)])
def test_the_label_tells_how_many_examples_there_are(first):
    for n in (1, 2):
        found = covariance(undemanding, np.ones(2), (first, np.ones(n)))
        np.testing.assert_allclose(found, np.eye(2) / (2 * n))


def test_a_traced_hessian_is_not_checked():
    assert not jnp.isfinite(of_bowl(jitted, (0.0, 0.0))).any()


# An interval for a probability

CASES = [
    (count, n, level)
    for n in (1, 2, 10, 1000)
    for count in sorted({0, 1, n // 3, n - 1, n})
    for level in (0.5, 0.95, 0.99)
]


@pytest.mark.parametrize("count, n, level", CASES)
def test_the_interval_equals_statsmodels_and_scipy(count, n, level):
    ends = binomial_interval(count, n, level)
    oracle = proportion_confint(count, n, 1 - level, method="wilson")
    np.testing.assert_allclose(ends, oracle, rtol=2e-6, atol=1e-7)
    oracle = stats.binomtest(count, n).proportion_ci(level, "wilson")
    np.testing.assert_allclose(ends, oracle, rtol=2e-6, atol=1e-7)
    for end in ends:
        assert isinstance(end, jax.Array)
        assert (end.shape, end.dtype) == ((), jnp.float32)


def test_the_interval_holds_95_percent_by_default():
    assert binomial_interval(3, 10) == binomial_interval(3, 10, level=0.95)
    oracle = proportion_confint(3, 10, 0.05, method="wilson")
    np.testing.assert_allclose(binomial_interval(3, n=10), oracle, rtol=1e-6)


interval = jax.jit(binomial_interval)
tries = st.integers(1, 10_000)
levels = st.floats(0.01, 0.999)


@LAW
@given(tries.flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_ends_solve_wilsons_equation(case):
    # There the count lies z standard deviations from what is expected.
    count, n = case
    z = stats.norm.isf(0.05)
    for end in interval(count, n, 0.9):
        p = np.float64(end)
        assert (count / n - p) ** 2 == pytest.approx(
            z**2 * p * (1 - p) / n, rel=1e-3, abs=1e-6 / n + 1e-9
        )


@LAW
@given(
    tries.flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), levels
)
def test_the_interval_is_ordered_and_misses_mirror_hits(case, level):
    count, n = case
    low, high = interval(count, n, level)
    # Float32 rounds the ends, but not beyond 0 and 1.
    assert 0 <= low <= high <= 1
    assert low <= count / n + 2e-7
    assert high >= count / n - 2e-7
    mirrored = interval(n - count, n, level)
    np.testing.assert_allclose((1 - high, 1 - low), mirrored, atol=3e-7)
    wider = interval(count, n, (1 + level) / 2)
    assert wider[0] <= low + 2e-7
    assert wider[1] >= high - 2e-7


def test_no_hits_leave_a_chance_that_n_bounds():
    n = np.array([1, 10, 100, 1000])
    z = stats.norm.isf(0.025)
    low, high = interval(0, n)
    np.testing.assert_allclose(low, np.zeros(4), atol=1e-7)
    np.testing.assert_allclose(high, z**2 / (n + z**2), rtol=1e-6)
    many = np.arange(1, 1001)
    for low, high in (interval(0, many), interval(many, many)):
        assert low.min() >= 0
        assert high.max() <= 1


def test_the_interval_covers_as_often_as_it_says():
    # In closed form: the binomial chance of all counts that cover p.
    count = np.arange(51)
    low, high = (np.float64(end)[:, None] for end in interval(count, 50))
    p = np.linspace(0.05, 0.95, 181)
    chance = stats.binom.pmf(count[:, None], 50, p)
    covered = (chance * ((low <= p) & (p <= high))).sum(axis=0)
    assert covered.mean() == pytest.approx(0.95, abs=0.005)
    assert covered.min() > 0.9


@pytest.mark.parametrize(
    "function, count, n",
    [
        (binomial_interval, 3, 10),
        (binomial_interval, np.int8(3), np.int64(10)),
        (binomial_interval, jnp.array(3), np.float64(10)),
        (binomial_interval, np.array([3, 3]), 10),
        (interval, 3.0, np.array([10.0, 10.0])),
        (interval, np.array([[3], [3]]), np.array([10, 10, 10])),
    ],
)
def test_the_interval_takes_any_number_and_broadcasts(function, count, n):
    oracle = proportion_confint(3, 10, 0.05, method="wilson")
    shape = np.broadcast_shapes(np.shape(count), np.shape(n))
    for end, value in zip(function(count, n), oracle, strict=True):
        assert isinstance(end, jax.Array)
        assert (end.shape, end.dtype) == (shape, jnp.float32)
        np.testing.assert_allclose(end, value, rtol=2e-6)


def test_the_interval_maps_over_levels():
    level = np.array([0.5, 0.9])
    over_levels = jax.jit(jax.vmap(binomial_interval, (None, None, 0)))
    mapped = over_levels(3, 10, level)
    for i in range(2):
        oracle = proportion_confint(3, 10, 1 - level[i], method="wilson")
        np.testing.assert_allclose([e[i] for e in mapped], oracle, rtol=2e-6)


@pytest.mark.parametrize("level", [0, 1, 0.0, 1.0, -0.5, 95, np.nan])
def test_levels_that_are_no_share_are_refused(level):
    with pytest.raises(ValueError) as caught:
        binomial_interval(None, None, level)
    assert str(caught.value) == (
        f"level must be above 0 and below 1, got {level}"
    )


@pytest.mark.parametrize(
    "n, given",
    [
        (0, "0"),
        (-2, "-2"),
        (0.0, "0.0"),
        (np.nan, "nan"),
        (np.array([5, 0, -3]), "values from -3 to 5"),
        (jnp.array([4, 0]), "values from 0 to 4"),
    ],
)
def test_no_tries_are_refused(n, given):
    with pytest.raises(ValueError) as caught:
        binomial_interval(None, n)
    assert str(caught.value) == f"n must be finite and above 0, got {given}"


@pytest.mark.parametrize(
    "count, given",
    [
        (-1, "-1"),
        (-0.5, "-0.5"),
        (np.nan, "nan"),
        (np.array([5, -3]), "values from -3 to 5"),
        (jnp.array([4, -1]), "values from -1 to 4"),
    ],
)
def test_less_than_no_hits_are_refused(count, given):
    with pytest.raises(ValueError) as caught:
        binomial_interval(count, 10)
    assert str(caught.value) == f"count must be at least 0, got {given}"


@pytest.mark.parametrize(
    "count, n",
    [(2, 1), (1.5, 1), (np.array([1, 3]), 2), (3, jnp.array([4, 2]))],
)
def test_more_hits_than_tries_are_refused(count, n):
    with pytest.raises(ValueError) as caught:
        binomial_interval(count, n)
    assert str(caught.value) == (
        "count must be at most n, got more hits than tries: "
        f"{brief(count)} of {brief(n)}"
    )


def test_counts_and_tries_must_broadcast():
    for function in (binomial_interval, interval):
        with pytest.raises(ValueError, match=r"^count and n must have shapes"):
            function(np.ones(2), np.ones(3))


def test_traced_counts_and_levels_are_not_checked():
    for bad in ((1, 0), (-1, 10), (11, 10), (1, -1), (1, 10, 2.0)):
        assert len(interval(*bad)) == 2
    assert jnp.isnan(interval(1, 10, 2.0)[0])
    # Nor hits against tries, if either is traced.
    for trace, bad in (
        (lambda count: binomial_interval(count, 10), 11),
        (lambda n: binomial_interval(11, n), 10),
    ):
        assert jnp.isnan(jax.jit(trace)(bad)[0])


def test_known_jax_arrays_are_checked_beside_what_is_traced():
    # Under jit, what jnp does to a known array is traced too.
    count, n, level = jnp.array([3, 4]), jnp.array([10, 20]), jnp.array(0.5)
    low, _ = jax.jit(lambda count: binomial_interval(count, n, level))(count)
    oracle, _ = proportion_confint([3, 4], [10, 20], 0.5, method="wilson")
    np.testing.assert_allclose(low, oracle, rtol=2e-6)
    few, none, whole = count - 5, n - 20, 2 * level
    for trace, message in (
        (
            lambda n: binomial_interval(few, n),
            "count must be at least 0, got values from -2 to -1",
        ),
        (
            lambda count: binomial_interval(count, none),
            "n must be finite and above 0, got values from -10 to 0",
        ),
        (
            lambda count: binomial_interval(count, 10, whole),
            "level must be above 0 and below 1, got 1.0",
        ),
    ):
        with pytest.raises(ValueError) as caught:
            jax.jit(trace)(1)
        assert str(caught.value) == message


# What was said, and what came

sort = jax.jit(reliability, static_argnames="bins")


def a_sample(n=300, seed=0):
    rng = np.random.default_rng(seed)
    probability = rng.beta(0.7, 0.9, n).astype(np.float32)
    return probability, (rng.random(n) < probability).astype(int)


@pytest.mark.parametrize(
    "function, bins",
    [(reliability, 10), (sort, 33)],
)
def test_reliability_equals_scikit_learn_and_numpy(function, bins):
    probability, label = a_sample()
    edges = np.linspace(0, 1, bins + 1)
    counts = np.histogram(probability, edges)[0]
    came, said = calibration_curve(label, probability, n_bins=bins)
    ours = function(probability, label, bins=bins)
    assert isinstance(ours, Reliability)
    np.testing.assert_array_equal(ours.count, counts)
    full = counts > 0
    np.testing.assert_allclose(ours.said[full], said, rtol=2e-6)
    np.testing.assert_allclose(ours.came[full], came, rtol=2e-6)
    assert ours.count.dtype == jnp.int32
    assert ours.said.dtype == ours.came.dtype == jnp.float32
    for array in ours:
        assert isinstance(array, jax.Array)
        assert array.shape == (bins,)


def test_there_are_ten_bins_by_default():
    probability, label = a_sample()
    ours, asked = sort(probability, label), sort(probability, label, bins=10)
    for array, same in zip(ours, asked, strict=True):
        np.testing.assert_array_equal(array, same)
    assert ours._fields == ("count", "said", "came")


def test_a_bin_holds_its_lower_end_and_the_last_one_both():
    edges = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    label = np.array([0, 1, 0, 1, 1])
    ours = sort(edges, label, 4)
    np.testing.assert_array_equal(ours.count, [1, 1, 1, 2])
    np.testing.assert_array_equal(ours.said, [0, 0.25, 0.5, 0.875])
    np.testing.assert_array_equal(ours.came, [0, 1, 0, 1])
    below = np.nextafter(np.float32(edges), np.float32(0))
    ours = sort(below, label, 4)
    np.testing.assert_array_equal(ours.count, [2, 1, 1, 1])
    np.testing.assert_array_equal(ours.came, [0.5, 0, 1, 1])
    # Tenths, which float32 rounds, are on the right side too.
    ours = sort(np.arange(11) / 10, np.arange(11) % 2)
    np.testing.assert_array_equal(ours.count, [1] * 9 + [2])


def test_empty_bins_have_no_shares():
    ours = sort(np.full(5, 0.6), np.array([1, 0, 0, 1, 0]), 4)
    np.testing.assert_array_equal(ours.count, [0, 0, 5, 0])
    np.testing.assert_allclose(ours.said, [np.nan, np.nan, 0.6, np.nan])
    np.testing.assert_allclose(ours.came, [np.nan, np.nan, 0.4, np.nan])


pairs = st.lists(
    st.tuples(
        # XLA takes numbers below float32's normal ones for 0.
        st.floats(0, 1, width=32, allow_subnormal=False),
        st.sampled_from([0, 1]),
    ),
    min_size=20,
    max_size=20,
)


@LAW
@given(pairs, st.sampled_from([1, 10]))
def test_no_example_is_lost(rows, bins):
    probability, label = np.array(rows, np.float32).T
    count, said, came = (np.float64(a) for a in sort(probability, label, bins))
    assert count.sum() == 20
    assert np.nansum(count * came) == pytest.approx(label.sum(), rel=1e-5)
    assert np.nansum(count * said) == pytest.approx(
        np.float64(probability).sum(), rel=1e-5
    )
    lower = np.arange(bins) / bins
    full = count > 0
    assert (said[full] >= lower[full] - 1e-6).all()
    assert (said[full] <= lower[full] + 1 / bins + 1e-6).all()


@LAW
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([0, 1])),
        min_size=20,
        max_size=20,
    )
)
def test_brier_is_dishonesty_and_what_coins_leave(rows):
    # Murphy's decomposition, exact where a bin holds one probability.
    index, label = np.array(rows).T
    probability = (index + 0.5) / 10
    count, said, came = (np.float64(a) for a in sort(probability, label))
    share = count / 20
    dishonesty = np.nansum(share * (said - came) ** 2)
    left = np.nansum(share * came * (1 - came))
    oracle = brier_score_loss(label, probability)
    assert dishonesty + left == pytest.approx(oracle, rel=1e-5)


@pytest.mark.parametrize(
    "kind, bins",
    [
        (np.float32, 4),
        (np.float64, np.int64(4)),
        (jnp.array, np.int8(4)),
    ],
)
def test_reliability_takes_arrays_of_any_kind(kind, bins):
    probability, label = [0.2, 0.7, 0.2, 0.7, 0.0], [0, 1, 1, 1, 0]
    ours = reliability(kind(probability), kind(label), bins)
    np.testing.assert_array_equal(ours.count, [3, 0, 2, 0])
    np.testing.assert_allclose(ours.said[::2], [0.4 / 3, 0.7], rtol=1e-6)
    np.testing.assert_allclose(ours.came[::2], [1 / 3, 1], rtol=1e-6)
    ours = reliability(np.array(label), kind(label), bins)
    np.testing.assert_array_equal(ours.count, [2, 0, 0, 3])
    np.testing.assert_array_equal(ours.said[::3], [0, 1])


def test_one_example_is_enough():
    ours = sort(np.array([0.3]), np.array([1]), bins=2)
    np.testing.assert_array_equal(ours.count, [1, 0])
    assert ours.came[0] == 1


def test_numbers_of_double_precision_are_sorted_as_those_of_float32():
    # The nearest float32 is a quarter, the lower end of the second bin.
    probability, label = np.full(5, 0.25 - 1e-12), np.ones(5)
    for function in (reliability, sort):
        assert function(probability, label, bins=4).count[1] == 5


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.float16])
def test_numbers_of_few_bits_are_added_as_floats(kind):
    many = kind([1] * 5000)
    for pair in ((many, np.ones(5000)), (np.ones(5000), many)):
        _, said, came = reliability(*pair, bins=1)
        assert (said, came) == (1, 1)


def test_reliability_maps_over_models():
    samples = [a_sample(seed=seed) for seed in range(3)]
    over_models = jax.jit(jax.vmap(partial(reliability, bins=10)))
    mapped = over_models(*map(np.stack, zip(*samples, strict=True)))
    for i, sample in enumerate(samples):
        for array, alone in zip(mapped, sort(*sample, bins=10), strict=True):
            np.testing.assert_allclose(array[i], alone, rtol=1e-6)


@pytest.mark.parametrize(
    "probability, label",
    [((2,), (3,)), ((3, 1), (3,)), ((3,), (3, 1)), ((2, 2), (2, 2)), ((), ())],
)
def test_wrong_shapes_are_refused_also_under_jit(probability, label):
    for function in (reliability, sort):
        with pytest.raises(ValueError) as caught:
            function(np.zeros(probability), np.zeros(label, int))
        assert str(caught.value) == (
            "probability and label must have the same shape (n,), got "
            f"{probability} and {label}"
        )


def test_no_examples_are_refused():
    for function in (reliability, sort):
        with pytest.raises(ValueError) as caught:
            function(np.zeros(0), np.zeros(0, int))
        assert (
            str(caught.value) == "label must hold at least one value, got none"
        )


@pytest.mark.parametrize("bins", [0, -1, 2.0, 2.5, np.float64(3), None])
def test_bins_that_are_no_number_above_0_are_refused(bins):
    for function in (reliability, sort):
        with pytest.raises(ValueError) as caught:
            function(np.zeros(3), np.zeros(3, int), bins=bins)
        assert str(caught.value) == (
            f"bins must be a whole number, at least 1, got {bins}"
        )


@pytest.mark.parametrize(
    "bad, given",
    [
        (-0.1, "-0.1 to 0.5"),
        (1.1, "0.2 to 1.1"),
        (np.nan, "nan to nan"),
        (np.inf, "0.2 to inf"),
        (-np.inf, "-inf to 0.5"),
    ],
)
def test_what_is_no_probability_is_refused(bad, given):
    probability, label = np.array([0.5, bad, 0.2]), np.array([0, 1, 1])
    for function in (
        reliability,
        lambda p, label: jax.jit(lambda z: reliability(p, z))(label),
    ):
        with pytest.raises(ValueError) as caught:
            function(probability, label)
        assert str(caught.value) == (
            f"probability must be from 0 to 1, got values from {given}"
        )


def test_labels_other_than_0_and_1_are_refused():
    probability, label = np.full(9, 0.5), np.arange(9)
    for function in (
        reliability,
        lambda p, label: jax.jit(lambda z: reliability(z, label))(p),
    ):
        with pytest.raises(ValueError) as caught:
            function(probability, label)
        assert str(caught.value) == (
            "label must be 0 or 1, got [2, 3, 4] among them"
        )


def test_traced_probabilities_and_labels_are_not_checked():
    probability, label = (
        np.array([0.5, 3, 0.2, 0.2, 1]),
        np.array([0, 5, 1, 1, 4]),
    )
    ours = sort(probability, label, 4)
    np.testing.assert_array_equal(ours.count, [2, 0, 1, 2])
    assert ours.came[-1] == 4.5
