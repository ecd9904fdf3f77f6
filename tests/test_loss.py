"""The cross-entropy, its mean, and its gradient example by example."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from jax import random
from oracle import columns_of, params_of
from scipy import special
from sklearn.metrics import log_loss

from helpers.data import make_dataset
from helpers.loss import (
    binary_cross_entropy,
    mean_loss,
    per_example_value_and_grad,
)
from helpers.model import LogisticRegression

apply_fn = LogisticRegression().apply
loss_and_grad = jax.jit(jax.value_and_grad(partial(mean_loss, apply_fn)))
each_loss_and_grad = jax.jit(partial(per_example_value_and_grad, apply_fn))


@pytest.fixture(scope="module")
def data():
    return make_dataset(random.key(0), 40)


# The loss of one example

# Beyond ±87, up to 1e4, losses are below float32’s normal numbers or exact.
LOGITS = np.array([-1e4, -85, -17, -2, -1e-3, 0, 1e-6, 0.5, 16, 85, 1e4])


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
@pytest.mark.parametrize("label", [0, 1])
def test_cross_entropy_equals_scipy_in_double_precision(label, wrap):
    loss = wrap(binary_cross_entropy)(LOGITS, np.full(len(LOGITS), label))
    oracle = -special.log_expit(LOGITS if label else -LOGITS)
    np.testing.assert_allclose(loss, oracle, rtol=2e-6)
    assert loss.dtype == jnp.float32


@pytest.mark.parametrize("label", [0, 1])
def test_its_derivative_is_probability_minus_label(label):
    slope_of = jax.vmap(jax.grad(binary_cross_entropy), (0, None))
    oracle = special.expit(LOGITS) - label
    # 1 − a float32 probability is exact to its last digit only.
    np.testing.assert_allclose(
        slope_of(LOGITS, label), oracle, rtol=1e-5, atol=2e-7
    )


def test_cross_entropy_takes_whole_numbers_and_keeps_precision():
    for logit, label in [(2, 1), (np.int64(2), True), (-2, 0.0)]:
        loss = binary_cross_entropy(logit, label)
        assert loss == pytest.approx(np.log1p(np.exp(-2)), rel=1e-6)
    assert binary_cross_entropy(jnp.bfloat16(1), 1).dtype == jnp.bfloat16


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
@pytest.mark.parametrize(
    "shapes", [((3, 1), (3,)), ((3,), (3, 1)), ((3,), ())]
)
def test_unequal_shapes_are_refused(shapes, wrap):
    logit, label = np.zeros(shapes[0]), np.zeros(shapes[1], int)
    with pytest.raises(ValueError, match=r"^shapes must be equal"):
        wrap(binary_cross_entropy)(logit, label)


@pytest.mark.parametrize("bad", [-1, 2, 0.5, np.nan])
def test_labels_other_than_0_and_1_give_nan(bad):
    labels = np.array([0, bad, 1])
    loss_and_slope = jax.value_and_grad(binary_cross_entropy)
    for values in jax.vmap(loss_and_slope)(np.zeros(3), labels):
        np.testing.assert_array_equal(np.isnan(values), [False, True, False])


# The mean, and example by example


def test_losses_and_gradients_equal_statsmodels(data):
    weights = np.array([0.2, 0.5, -1.0])
    oracle = sm.Logit(np.asarray(data.label), columns_of(data))
    loss, grad = loss_and_grad(params_of(*weights), data)
    losses, grads = each_loss_and_grad(params_of(*weights), data)
    assert loss == pytest.approx(-oracle.loglike(weights) / 40, rel=1e-5)
    np.testing.assert_allclose(
        losses, -oracle.loglikeobs(weights), rtol=1e-5, atol=1e-6
    )
    for k, name in enumerate(["b", "w1", "w2"]):
        np.testing.assert_allclose(
            grad["params"][name], -oracle.score(weights)[k] / 40, rtol=1e-4
        )
        np.testing.assert_allclose(
            grads["params"][name],
            -oracle.score_obs(weights)[:, k],
            rtol=1e-4,
            atol=1e-6,
        )


def test_any_model_and_number_of_inputs():
    features = np.random.default_rng(0).normal(size=(6, 3))
    label = np.array([0, 1, 1, 0, 1, 0])
    losses, grads = per_example_value_and_grad(
        lambda weights, row: row @ weights, np.ones(3), (features, label)
    )
    p = special.expit(features.sum(axis=1))
    assert losses.mean() == pytest.approx(log_loss(label, p), rel=1e-5)
    oracle = (p - label)[:, None] * features
    np.testing.assert_allclose(grads, oracle, rtol=1e-4)


def test_a_single_example_has_a_mean_loss():
    loss = mean_loss(apply_fn, params_of(0, 1, 3), (2, -1.0, 0))
    assert loss == pytest.approx(np.log1p(np.exp(-1)), rel=1e-6)
