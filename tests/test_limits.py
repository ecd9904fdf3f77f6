"""The best that any rule can do, against quadrature and double precision."""

import jax
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

LAW = settings(derandomize=True, deadline=None, max_examples=20)
# XLA takes numbers below float32's normal ones for 0.
normal = st.floats(-15, 15, width=32, allow_subnormal=False)
logits = hnp.arrays(np.float32, 5, elements=normal)
positive = st.floats(0.125, 8, width=32)
shares = hnp.arrays(np.float32, 5, elements=positive)
judge = jax.jit(expected_scores)
limits_of = jax.jit(lambda line: bayes_limits(*logit_grid(line)))

# The third rule is undecided, and its coin prefers 1.
LOGIT = np.array([-4.0, -0.2, 0.0, 0.3, 6.0])
TRUTH = np.array([0.5, -0.2, 1.0, -2.0, 4.0])
LABEL = np.array([0, 1, 0, 1, 1])


def assert_close(ours, oracle, rtol=1e-5, atol=1e-6):
    assert isinstance(ours, Scores)
    assert {(value.shape, str(value.dtype)) for value in ours} == {
        ((), "float32")
    }
    np.testing.assert_allclose(ours, oracle, rtol=rtol, atol=atol)


# The scores of a sample


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_scores_equal_scikit_learn(wrap):
    probability = special.expit(LOGIT)
    oracle = (
        accuracy_score(LABEL, LOGIT > 0),
        log_loss(LABEL, probability),
        brier_score_loss(LABEL, probability),
    )
    ours = wrap(scores)(LABEL, LOGIT)
    assert_close(ours, oracle)
    assert ours._fields == ("accuracy", "log_loss", "brier")


@pytest.mark.parametrize(
    "logit, label",
    [
        (LOGIT[:, None], LABEL),
        (LOGIT, LABEL[:, None]),
        (LOGIT, 2 * LABEL - 1),
        (np.nan * LOGIT, LABEL),
    ],
)
def test_scores_refuse_a_column_signs_and_nan(logit, label):
    with pytest.raises(ValueError, match=r"^(label|logit|shapes) must "):
        scores(label, logit)


# The scores that are expected


@LAW
@given(logits, logits, shares)
def test_expected_scores_equal_double_precision(logit, truth, weights):
    p, q = special.expit([np.float64(truth), np.float64(logit)])
    right = np.where(logit > 0, p, 1 - p)
    surprise = -p * np.log(q) - (1 - p) * np.log(1 - q)
    miss = p * (1 - q) ** 2 + (1 - p) * q**2
    oracle = np.average([right, surprise, miss], axis=1, weights=weights)
    assert_close(judge(logit, truth, weights), oracle)


@pytest.mark.parametrize("truth", [-80.0, -20.0, 20.0, 80.0])
def test_what_little_doubt_a_sure_coin_leaves_is_not_rounded_away(truth):
    p, rest = special.expit([abs(truth), -abs(truth)])
    surprise = -p * special.log_expit(abs(truth)) + rest * abs(truth)
    assert_close(bayes_limits(truth), (p, surprise, p * rest), atol=0)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_a_column_is_refused(wrap):
    for logit, truth in [(LOGIT[:, None], TRUTH), (LOGIT, TRUTH[:, None])]:
        with pytest.raises(ValueError, match=r"^shapes must be equal"):
            wrap(expected_scores)(logit, truth)


# The grid of logits


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("line", [Line(1.0, 3.0, 0.1), Line(-2, 0, 5)])
def test_the_grid_equals_numpy(line, n):
    sd = np.hypot(2.0 * line.w1, 1.0 * line.w2)
    oracle = line.b + sd * np.linspace(-8, 8, n)
    density = stats.norm.pdf(oracle, loc=line.b, scale=sd)
    logit, weights = logit_grid(line, n)
    np.testing.assert_allclose(logit, oracle, rtol=1e-5)
    np.testing.assert_allclose(weights, density / density.sum(), rtol=1e-5)


@pytest.mark.parametrize("n", [1, -3, 2.5])
def test_a_grid_of_fewer_than_two_points_is_refused(n):
    with pytest.raises(ValueError, match=r"^n must be a whole number, at lea"):
        logit_grid(TRUE_LINE, n)


# The limits


def by_quadrature(line):
    """The true rule's three scores, integrated on each side of the kink."""
    sd = np.hypot(2.0 * line.w1, line.w2)

    def integrand(z, score):
        p = special.expit(z)
        value = (max(p, 1 - p), special.entr([p, 1 - p]).sum(), p * (1 - p))
        return value[score] * stats.norm.pdf(z, line.b, sd)

    ends = line.b - 9 * sd, line.b + 9 * sd
    return [
        integrate.quad(integrand, *ends, args=score, points=[0], limit=200)[0]
        for score in range(3)
    ]


@pytest.mark.parametrize(
    "line", [TRUE_LINE, Line(0.1, 0.3, 0.01), Line(0.0, -2.0, 3.0)]
)
def test_the_limits_equal_quadrature(line):
    assert_close(limits_of(line), by_quadrature(line), atol=2e-6)


def test_the_limits_of_the_book():
    assert logit_grid(TRUE_LINE)[0].shape == (4001,)
    limits = limits_of(TRUE_LINE)
    assert_close(limits, (0.8592, 0.3152, 0.0993), rtol=0, atol=5e-5)
    # A large sample of the book's points scores nearly so.
    data = make_dataset(random.key(0), 100_000)
    ours = scores(data.label, line_logit(TRUE_LINE, data.x, data.y))
    assert_close(ours, limits, rtol=0, atol=5e-3)
