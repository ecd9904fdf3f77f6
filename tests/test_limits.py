"""The best that any rule can do, against quadrature and double precision."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax import random
from scipy import integrate, special, stats
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

from helpers.data import TRUE_LINE, Line, line_logit, make_dataset
from helpers.limits import (
    Scores,
    bayes_limits,
    expected_scores,
    logit_grid,
    scores,
)

LAW = settings(deadline=None, derandomize=True, max_examples=40)
# One shape for all laws, so that each is compiled once.
# XLA takes numbers below float32's normal ones for 0.
normal = st.floats(-15, 15, width=32, allow_subnormal=False)
logits = hnp.arrays(np.float32, 5, elements=normal)
masses = hnp.arrays(
    np.float32, 5, elements=st.floats(0.125, 8, width=32)
) | st.just(np.float32([0, 1, 0, 2, 3]))
judge = jax.jit(expected_scores)
grid = jax.jit(logit_grid, static_argnames="n")

LOGIT = np.array([-4.0, -0.2, 0.0, 0.3, 6.0])
TRUTH = np.array([0.5, -0.2, 1.0, -2.0, 4.0])
MASS = np.array([1.0, 0.0, 2.0, 0.5, 3.0])
LABEL = np.array([0, 1, 0, 1, 1])
# A test of chance may reject a right sample this often, but keys are fixed.
RARE = 1e-3


@pytest.fixture(scope="module")
def big():
    """A sample large enough to see a mean."""
    draw = jax.jit(make_dataset, static_argnames="n")
    return draw(random.key(0), n=100_000)


def on_each_label(logit, label):
    """The three scores of each logit for one label, in double precision."""
    right = (logit > 0) == label
    surprise = -special.log_expit(np.where(label, logit, -logit))
    return np.array([right, surprise, (special.expit(logit) - label) ** 2])


def by_both_labels(logit, truth, mass=None):
    """The expected scores: each label's, times its probability."""
    logit, truth = np.float64(logit), np.float64(truth)
    each = special.expit(truth) * on_each_label(logit, 1)
    each += special.expit(-truth) * on_each_label(logit, 0)
    return np.average(each.reshape(3, -1), axis=1, weights=mass)


def assert_close(ours, oracle, rtol=1e-5, atol=1e-6):
    assert isinstance(ours, Scores)
    for value in ours:
        assert isinstance(value, jax.Array)
        assert value.dtype == jnp.float32
    np.testing.assert_allclose(ours, oracle, rtol=rtol, atol=atol)


# The scores of a sample


def test_scores_equal_scikit_learn():
    probability = special.expit(LOGIT)
    oracle = (
        accuracy_score(LABEL, LOGIT > 0),
        log_loss(LABEL, probability),
        brier_score_loss(LABEL, probability),
    )
    for function in (scores, jax.jit(scores)):
        ours = function(LOGIT, LABEL)
        assert_close(ours, oracle)
        assert {value.shape for value in ours} == {()}
    assert ours._fields == ("accuracy", "log_loss", "brier")


@pytest.mark.parametrize(
    "logit, label",
    [
        (2, 1),
        (2.0, True),
        (np.int64(2), np.int8(1)),
        (jnp.array(2.0), jnp.array(1)),
        (np.full(5, 2), np.full(5, True)),
    ],
)
def test_scores_take_numbers_and_arrays_of_any_shape(logit, label):
    oracle = on_each_label(np.array(2.0), 1)
    assert_close(scores(logit, label), oracle, atol=0)


def test_a_logit_of_0_decides_for_label_0():
    for label in (0, 1):
        assert_close(scores(0.0, label), [1 - label, np.log(2), 0.25])


@pytest.mark.parametrize("logit", [-80.0, -20.0, -8.0, 8.0, 20.0, 80.0])
def test_what_a_sure_logit_risks_is_not_rounded_away(logit):
    for label in (0, 1):
        oracle = -special.log_expit(logit if label else -logit)
        loss = scores(logit, label).log_loss
        assert loss == pytest.approx(oracle, rel=1e-5, abs=0)
    # float32 has small probabilities, but none this close to 1.
    brier = scores(-20.0, 0).brier
    assert brier == pytest.approx(special.expit(-20) ** 2, rel=1e-5, abs=0)


def test_scores_map_over_rows():
    logit, label = np.stack([LOGIT, TRUTH]), np.stack([LABEL, 1 - LABEL])
    mapped = np.array(jax.jit(jax.vmap(scores))(logit, label))
    for i in range(2):
        oracle = on_each_label(logit[i], label[i]).mean(axis=1)
        np.testing.assert_allclose(mapped[:, i], oracle, rtol=1e-5)
    # All points of a table are one sample.
    assert_close(jax.jit(scores)(logit, label), mapped.mean(axis=1))


def test_the_slopes_of_the_sample_scores_are_the_closed_forms():
    p = special.expit(LOGIT)
    oracle = (0 * p, p - LABEL, 2 * (p - LABEL) * p * (1 - p))
    slopes = jax.jit(jax.jacobian(scores))(LOGIT, LABEL)
    np.testing.assert_allclose(
        np.array(slopes), np.array(oracle) / 5, rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("function", [scores, jax.jit(scores)])
def test_scores_refuse_unequal_shapes_and_no_labels(function):
    with pytest.raises(ValueError) as caught:
        function(np.zeros((3, 1)), np.zeros(3, int))
    assert str(caught.value) == (
        "logit and label must have the same shape, got (3, 1) and (3,)"
    )
    with pytest.raises(ValueError) as caught:
        function(np.zeros(0), np.zeros(0, int))
    assert str(caught.value) == "label must hold at least one value, got none"


def test_scores_refuse_wrong_values_unless_they_are_traced():
    with pytest.raises(ValueError) as caught:
        scores(np.zeros(2), np.array([-1, 1]))
    assert str(caught.value) == "label must be 0 or 1, got [-1] among them"
    with pytest.raises(ValueError) as caught:
        scores(np.array([0, np.nan]), np.array([0, 1]))
    assert str(caught.value) == "logit must be finite, got NaN or infinity"
    assert jnp.isnan(jax.jit(scores)(np.nan, -1).log_loss)


# The scores that are expected


@pytest.mark.parametrize("mass", [None, MASS])
def test_expected_scores_equal_the_sum_over_both_labels(mass):
    oracle = by_both_labels(LOGIT, TRUTH, mass)
    for function in (expected_scores, judge):
        ours = function(LOGIT, TRUTH, mass)
        assert_close(ours, oracle)
        assert {value.shape for value in ours} == {()}


def test_expected_scores_are_the_mean_over_all_labels_that_could_come():
    labels = np.array(list(product([0, 1], repeat=5)))
    chance = special.expit(np.where(labels, TRUTH, -TRUTH)).prod(axis=1)
    assert chance.sum() == pytest.approx(1)
    each = jax.jit(jax.vmap(scores, (None, 0)))(LOGIT, labels)
    oracle = [chance @ np.float64(score) for score in each]
    assert_close(judge(LOGIT, TRUTH), oracle)


@pytest.mark.parametrize(
    "logit, truth, mass",
    [
        (2, -1, None),
        (2.0, -1, 0.5),
        (np.int64(2), np.int8(-1), np.float64(0.1)),
        (jnp.array(2), np.array(-1.0), None),
        (np.full(5, 2), np.full(5, -1), np.arange(5)),
        (jnp.full(5, 2.0), np.full(5, -1.0), jnp.array(MASS)),
    ],
)
def test_expected_scores_take_numbers_and_arrays_of_any_shape(
    logit, truth, mass
):
    oracle = by_both_labels(2, -1)
    assert_close(expected_scores(logit, truth, mass), oracle, atol=0)


def test_expected_scores_of_a_table_are_those_of_all_its_points():
    table = [np.stack([half, half[::-1]]) for half in (LOGIT, TRUTH, MASS)]
    ours = judge(*table)
    assert_close(ours, by_both_labels(LOGIT, TRUTH, MASS))
    assert {value.shape for value in ours} == {()}


# The last is 0 in float32, as under jit.
@pytest.mark.parametrize("tie", [0, 0.0, -0.0, 1e-50])
def test_a_tie_is_a_0_also_when_the_coin_prefers_1(tie):
    right = expected_scores(tie, 2.0).accuracy
    assert right == pytest.approx(special.expit(-2), rel=1e-6)


@pytest.mark.parametrize("logit", [-3e38, -1e4, -40, 40, 1e4, 3e38])
def test_sure_rules_have_finite_scores(logit):
    p = special.expit(0.5)
    right = p if logit > 0 else 1 - p
    # Who is sure loses |logit| on each coin that falls the other way.
    oracle = (right, (1 - right) * abs(logit), 1 - right)
    assert_close(expected_scores(logit, 0.5), oracle)


@pytest.mark.parametrize("truth", [-80.0, -20.0, -8.0, 8.0, 20.0, 80.0])
def test_what_little_doubt_a_sure_coin_leaves_is_not_rounded_away(truth):
    p, rest = special.expit([abs(truth), -abs(truth)])
    surprise = -p * special.log_expit(abs(truth))
    surprise += -rest * special.log_expit(-abs(truth))
    oracle = (p, surprise, p * rest)
    assert_close(bayes_limits(truth), oracle, atol=0)
    # Who says the other label is right that seldom.
    seldom = expected_scores(-truth, truth)
    np.testing.assert_allclose(seldom.accuracy, rest, rtol=1e-5)


def test_mass_counts_points_and_0_leaves_them_out():
    counts = np.array([2, 0, 1, 1, 1])
    repeated = judge(*np.repeat([LOGIT, TRUTH], counts, axis=1))
    assert_close(judge(LOGIT, TRUTH, counts), repeated)


@LAW
@given(logits, logits, masses, st.floats(1e-6, 1e6))
def test_the_size_of_the_mass_changes_nothing(logit, truth, mass, factor):
    ours = judge(logit, truth, mass)
    assert_close(judge(logit, truth, np.float32(factor * mass)), ours)
    even = judge(logit, truth, np.full(5, np.float32(factor)))
    assert_close(even, judge(logit, truth))


@LAW
@given(logits, logits, masses)
def test_expected_scores_equal_double_precision(logit, truth, mass):
    assert_close(judge(logit, truth, mass), by_both_labels(logit, truth, mass))


@LAW
@given(logits, logits, masses)
def test_no_rule_beats_the_true_one(logit, truth, mass):
    ours, best = judge(logit, truth, mass), judge(truth, truth, mass)
    # The slack is float32's.
    assert ours.accuracy <= best.accuracy * (1 + 1e-6)
    assert ours.log_loss >= best.log_loss * (1 - 2e-6)
    assert ours.brier >= best.brier * (1 - 2e-6)


@LAW
@given(logits, logits, masses)
def test_what_a_rule_loses_is_its_distance_from_the_truth(logit, truth, mass):
    ours, best = judge(logit, truth, mass), judge(truth, truth, mass)
    p, q = special.expit([np.float64(truth), np.float64(logit)])
    coin, said = np.array([p, 1 - p]), np.array([q, 1 - q])
    divergence = special.rel_entr(coin, said).sum(axis=0)
    assert ours.log_loss - best.log_loss == pytest.approx(
        np.average(divergence, weights=mass), rel=1e-5, abs=4e-6
    )
    assert ours.brier - best.brier == pytest.approx(
        np.average((p - q) ** 2, weights=mass), rel=1e-5, abs=1e-6
    )


@LAW
@given(logits, masses)
def test_the_truth_about_itself_is_entropy_and_variance(truth, mass):
    p = special.expit(np.float64(truth))
    entropy = special.entr(p) + special.entr(1 - p)
    each = np.array([np.maximum(p, 1 - p), entropy, p * (1 - p)])
    oracle = np.average(each, axis=1, weights=mass)
    limits = jax.jit(bayes_limits)(truth, mass)
    assert_close(limits, oracle)
    assert limits.accuracy >= 0.5
    assert limits.log_loss <= np.float32(np.log(2)) * (1 + 1e-6)
    assert limits.brier <= 0.25 * (1 + 1e-6)


@LAW
@given(logits.filter(np.all), logits, masses)
def test_swapping_the_labels_changes_nothing(logit, truth, mass):
    ours = judge(logit, truth, mass)
    assert_close(judge(-logit, -truth, mass), ours)


slopes_of = jax.jit(jax.jacobian(expected_scores))


def test_the_slopes_of_expected_scores_are_the_closed_forms():
    p, q = special.expit(TRUTH), special.expit(LOGIT)
    oracle = (0 * p, q - p, 2 * (q - p) * q * (1 - q))
    slopes = slopes_of(LOGIT, TRUTH, MASS)
    np.testing.assert_allclose(
        np.array(slopes),
        np.array(oracle) * MASS / MASS.sum(),
        rtol=1e-4,
        atol=1e-7,
    )
    # At the truth each is flat: scores that are proper have their best there.
    at_truth = slopes_of(TRUTH, TRUTH, MASS)
    np.testing.assert_allclose(np.array(at_truth), 0, atol=1e-7)


def test_the_slopes_in_the_truth_are_the_closed_forms():
    p, q = special.expit(TRUTH), special.expit(LOGIT)
    # All three scores are straight lines in p.
    oracle = np.array([2 * (LOGIT > 0) - 1, -LOGIT, 1 - 2 * q])
    oracle = oracle * p * (1 - p) * MASS / MASS.sum()
    slopes = jax.jit(jax.jacobian(expected_scores, 1))(LOGIT, TRUTH, MASS)
    np.testing.assert_allclose(np.array(slopes), oracle, rtol=1e-4, atol=1e-7)


def test_the_slopes_equal_finite_differences_of_the_oracle():
    step = 1e-5
    for score in (1, 2):
        for i, slope in enumerate(slopes_of(LOGIT, TRUTH, MASS)[score]):
            move = step * (np.arange(5) == i)
            up, down = (
                by_both_labels(LOGIT + sign * move, TRUTH, MASS)[score]
                for sign in (1, -1)
            )
            oracle = (up - down) / (2 * step)
            assert slope == pytest.approx(oracle, rel=1e-4, abs=1e-7)


def test_expected_scores_map_over_rules():
    rules = np.stack([LOGIT, TRUTH, -TRUTH])
    over_rules = jax.jit(jax.vmap(expected_scores, (0, None, None)))
    mapped = np.array(over_rules(rules, TRUTH, MASS))
    for i, rule in enumerate(rules):
        oracle = by_both_labels(rule, TRUTH, MASS)
        np.testing.assert_allclose(mapped[:, i], oracle, rtol=1e-5)


@pytest.mark.parametrize(
    "logit, truth",
    [((3, 1), (3,)), ((3,), (3, 1)), ((), (3,)), ((3,), ()), ((2,), (3,))],
)
def test_logits_of_unequal_shapes_are_refused_also_under_jit(logit, truth):
    for function in (expected_scores, judge):
        with pytest.raises(ValueError) as caught:
            function(np.zeros(logit), np.zeros(truth))
        assert str(caught.value) == (
            "logit and true_logit must have the same shape, got "
            f"{logit} and {truth}"
        )


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (), (2,)])
def test_mass_of_another_shape_is_refused_also_under_jit(shape):
    for function in (
        expected_scores,
        judge,
        lambda logit, truth, mass: bayes_limits(logit, mass),
    ):
        with pytest.raises(ValueError) as caught:
            function(np.zeros(3), np.zeros(3), np.ones(shape))
        assert str(caught.value) == (
            f"mass and logit must have the same shape, got {shape} and (3,)"
        )


def test_expected_scores_of_nothing_are_refused():
    for function in (expected_scores, judge):
        for mass in (None, np.zeros(0)):
            with pytest.raises(ValueError) as caught:
                function(np.zeros(0), np.zeros(0), mass)
            assert str(caught.value) == (
                "logit must hold at least one value, got none"
            )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(bad):
    good, wrong = np.zeros(2), np.array([0, bad])
    message = "^(true_)?logit must be finite, got NaN or infinity"
    calls = [
        lambda: expected_scores(wrong, good),
        lambda: expected_scores(good, wrong),
        lambda: expected_scores(0, bad),
        lambda: expected_scores(good, jnp.array(wrong)),
        lambda: bayes_limits(wrong),
        # What is known is checked beside what is traced.
        lambda: jax.jit(lambda truth: expected_scores(wrong, truth))(good),
        lambda: jax.jit(lambda logit: expected_scores(logit, wrong))(good),
        lambda: jax.grad(lambda z: expected_scores(z, wrong).brier)(0 * good),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    "mass, message",
    [
        ([1.0, -0.5], "mass must be at least 0, got values from -0.5 to 1.0"),
        ([2, -2], "mass must be at least 0, got values from -2 to 2"),
        ([0, 0], "the sum of mass must be finite and above 0, got 0.0"),
        ([1e-50, 0.0], "the sum of mass must be finite and above 0, got 0.0"),
        ([1.0, np.nan], "mass must be finite, got NaN or infinity"),
        ([1.0, np.inf], "mass must be finite, got NaN or infinity"),
    ],
)
def test_masses_that_weigh_nothing_are_refused(mass, message):
    mass = np.array(mass)
    known = jnp.array(mass)
    for call in (
        lambda: expected_scores(np.zeros(2), np.zeros(2), mass),
        lambda: bayes_limits(np.zeros(2), mass),
        lambda: jax.jit(lambda z: expected_scores(z, z, known))(np.zeros(2)),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert str(caught.value) == message


def test_known_jax_arrays_are_weighed_beside_what_is_traced():
    # Under jit, what jnp does to a known array is traced too.
    truth, mass = jnp.array(TRUTH), jnp.array(MASS)
    ours = jax.jit(lambda logit: expected_scores(logit, truth, mass))(LOGIT)
    assert_close(ours, by_both_labels(LOGIT, TRUTH, MASS))


def test_traced_logits_and_masses_are_not_checked():
    bad = np.array([0, np.nan])
    for ours in (judge(bad, bad), judge(np.zeros(2), np.zeros(2), bad)):
        assert jnp.isnan(ours.log_loss)
    good = np.zeros(2)
    some = jax.jit(lambda mass: expected_scores(good, good, mass))
    assert some(np.array([-1.0, 3.0])).brier == 0.25


# The grid of logits


@pytest.mark.parametrize("n", [2, 5, 100])
@pytest.mark.parametrize(
    "line",
    [
        TRUE_LINE,
        Line(-2.0, 0.0, 0.5),
        Line(0.0, 0.5, -3.0),
        Line(1e-3, -7.0, 0.0),
        # Their sum is 0, their squares are too large for float32.
        Line(-3e25, 3e25, 0.0),
    ],
)
def test_the_grid_equals_numpy_in_double_precision(line, n):
    w1, w2, b = line
    z = np.linspace(-8, 8, n)
    sd = np.sqrt((2.0 * w1) ** 2 + (1.0 * w2) ** 2)
    logit, mass = (logit_grid if n == 5 else grid)(line, n)
    np.testing.assert_allclose(logit, b + sd * z, rtol=1e-5, atol=1e-5 * sd)
    density = stats.norm.pdf(b + sd * z, loc=b, scale=sd)
    # The exponent is as large as 32: its rounding shows in the far tails.
    np.testing.assert_allclose(mass, density / density.sum(), rtol=1e-5)
    for array in (logit, mass):
        assert isinstance(array, jax.Array)
        assert (array.shape, array.dtype) == ((n,), jnp.float32)


def test_the_grid_is_as_wide_as_the_points(monkeypatch):
    # A factor of 1, as Y_SD is, could be left out unseen.
    monkeypatch.setattr("helpers.limits.X_SD", 0.5)
    monkeypatch.setattr("helpers.limits.Y_SD", 4.0)
    logit, _ = logit_grid(Line(2.0, -3.0, 0.0), 3)
    oracle = np.hypot(1, 12) * np.array([-8, 0, 8])
    np.testing.assert_allclose(logit, oracle, rtol=1e-6)


def test_the_grid_has_the_moments_of_the_logit():
    logit, mass = (np.float64(array) for array in grid(TRUE_LINE))
    assert logit.shape == mass.shape == (4001,)
    assert logit[2000] == pytest.approx(0.1, abs=4e-6)
    assert mass.sum() == pytest.approx(1, rel=1e-6)
    assert mass @ logit == pytest.approx(0.1, rel=1e-4)
    # The variance is (w1·2)² + (w2·1)².
    assert mass @ (logit - 0.1) ** 2 == pytest.approx(13, rel=1e-5)


def test_the_books_points_have_such_logits(big):
    drawn = np.float64(line_logit(TRUE_LINE, big.x, big.y))
    logit, mass = (np.float64(array) for array in grid(TRUE_LINE))
    share = np.searchsorted(np.sort(drawn), logit, side="right") / len(drawn)
    # The largest gap between distributions, as Kolmogorov and Smirnov have it;
    # half of a step's mass lies beyond its grid point.
    gap = np.abs(share - (mass.cumsum() - mass / 2)).max()
    assert stats.kstwo.sf(gap, len(drawn)) > RARE


@pytest.mark.parametrize("kind", [int, float, np.float64, np.int64, jnp.array])
def test_the_grid_takes_any_number(kind):
    line = Line(kind(1), kind(-3), kind(2))
    for n in (5, np.int64(5)):
        logit, mass = logit_grid(line, n)
        assert logit.dtype == mass.dtype == jnp.float32
        sd = np.sqrt(4 + 9)
        oracle = 2 + sd * np.array([-8, -4, 0, 4, 8])
        np.testing.assert_allclose(logit, oracle, rtol=1e-6)


def test_the_grid_under_jit_vmap_and_grad():
    stack = Line(*np.array([[1.0, 0.0], [3.0, 2.0], [0.1, -1.0]]))
    mapped, mass = jax.jit(jax.vmap(partial(logit_grid, n=5)))(stack)
    for i, line in enumerate([TRUE_LINE, Line(0.0, 2.0, -1.0)]):
        np.testing.assert_allclose(mapped[i], grid(line, 5)[0], rtol=1e-6)
        np.testing.assert_allclose(mass[i], grid(line, 5)[1], rtol=1e-6)
    last = jax.jit(jax.grad(lambda line: logit_grid(line, 5)[0][-1]))
    slope = last(TRUE_LINE)
    sd = np.sqrt(13)
    np.testing.assert_allclose(slope, [8 * 4 / sd, 8 * 3 / sd, 1], rtol=1e-6)


@pytest.mark.parametrize("n", [1, 0, -3])
def test_a_grid_of_fewer_than_two_points_is_refused(n):
    # The guard comes first: None is no line.
    with pytest.raises(ValueError) as caught:
        logit_grid(None, n)
    message = f"n must be a whole number, at least 2, got {n}"
    assert str(caught.value) == message


@pytest.mark.parametrize("zero", [0, 0.0, -0.0, np.float32(0), jnp.array(0.0)])
def test_a_line_without_a_slope_is_refused(zero):
    line = Line(zero, zero, 0.3)
    with pytest.raises(ValueError) as caught:
        logit_grid(line)
    assert str(caught.value) == (
        f"line must have w1 or w2 other than 0, got {line}: its logit is b "
        "everywhere"
    )


@pytest.mark.parametrize("name", Line._fields)
def test_a_line_whose_logits_would_overflow_is_refused(name):
    for sign in (-1, 1):
        logit, _ = logit_grid(TRUE_LINE._replace(**{name: sign * 1e30}), 5)
        assert np.isfinite(logit).all()
        for value in (sign * 1.1e30, sign * np.inf, np.nan):
            with pytest.raises(ValueError) as caught:
                logit_grid(TRUE_LINE._replace(**{name: value}))
            assert str(caught.value) == (
                f"line.{name} must be from -1e+30 to 1e+30, got {value}"
            )


def test_traced_slopes_of_0_give_b_everywhere():
    flat = Line(0.0, 0.0, 0.3)
    logit, mass = grid(flat, 5)
    np.testing.assert_allclose(logit, np.full(5, 0.3), rtol=1e-6)
    assert mass.sum() == pytest.approx(1, rel=1e-6)
    for name in ("w1", "w2"):
        logit, _ = jax.jit(
            lambda w, name=name: logit_grid(flat._replace(**{name: w}), 5)
        )(0.0)
        np.testing.assert_allclose(logit, np.full(5, 0.3), rtol=1e-6)
    # The intercept alone being traced hides nothing.
    with pytest.raises(ValueError, match=r"^line must have w1 or w2"):
        jax.jit(lambda b: logit_grid(Line(0.0, 0.0, b)))(0.3)


# The limits


def by_quadrature(line):
    """The true rule's three scores, integrated on each side of the kink."""
    sd = np.hypot(2.0 * line.w1, line.w2)

    def integrand(z, score):
        p = special.expit(z)
        value = (max(p, 1 - p), special.entr([p, 1 - p]).sum(), p * (1 - p))
        return value[score] * stats.norm.pdf(z, line.b, sd)

    ends = line.b + sd * np.array([-9.0, 9.0])
    return [
        integrate.quad(
            integrand, *ends, args=(score,), points=[0.0], limit=200
        )[0]
        for score in range(3)
    ]


@pytest.mark.parametrize(
    "line",
    [
        TRUE_LINE,
        TRUE_LINE.scaled(0.1),
        TRUE_LINE.scaled(4),
        Line(0.7, 0.0, -1.0),
        Line(0.0, -2.0, 3.0),
    ],
)
def test_the_limits_equal_quadrature(line):
    limits = jax.jit(bayes_limits)(*grid(line))
    assert_close(limits, by_quadrature(line), atol=2e-6)
    assert {value.shape for value in limits} == {()}


def test_the_limits_of_the_book():
    limits = jax.jit(bayes_limits)(*grid(TRUE_LINE))
    np.testing.assert_allclose(limits, (0.8592, 0.3152, 0.0993), atol=5e-5)


def test_the_limits_are_the_scores_of_the_truth():
    for mass in (None, MASS):
        limits = bayes_limits(TRUTH, mass)
        assert limits == expected_scores(TRUTH, TRUTH, mass)
        assert limits == bayes_limits(logit=TRUTH, mass=mass)
        assert_close(jax.jit(bayes_limits)(TRUTH, mass), limits)
    assert_close(bayes_limits(0), (0.5, np.log(2), 0.25), atol=0)


def test_the_limits_rise_with_the_scale_of_the_line():
    limits = [
        jax.jit(bayes_limits)(*grid(TRUE_LINE.scaled(factor)))
        for factor in (0.1, 0.5, 1.0, 4.0)
    ]
    accuracy, log_loss, brier = np.diff(limits, axis=0).T
    assert (accuracy > 0).all()
    assert (log_loss < 0).all()
    assert (brier < 0).all()


def test_samples_score_near_the_limits(big):
    logit = line_logit(TRUE_LINE, big.x, big.y)
    limits = np.array(jax.jit(bayes_limits)(*grid(TRUE_LINE)))
    each = on_each_label(np.float64(logit), np.asarray(big.label))
    error = each.std(axis=1) / np.sqrt(len(logit))
    # Averaged over the coins of the same points, chance has less say.
    for ours in (
        jax.jit(scores)(logit, big.label),
        jax.jit(bayes_limits)(logit),
    ):
        distance = np.abs(np.array(ours) - limits)
        assert (distance < stats.norm.isf(RARE / 2) * error).all()
