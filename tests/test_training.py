"""One step, a run of them, and where the run ends."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import statsmodels.api as sm
from jax import random
from oracle import as_vector, columns_of, means_of

from helpers.data import make_dataset
from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.training import fit, train_step

loss_fn = partial(mean_loss, LogisticRegression().apply)
sgd = optax.sgd(0.3)
START = np.array([0.0, 0.32724857, -1.1509773])


@pytest.fixture(scope="module")
def data():
    return make_dataset(random.key(0), 60)


def numpy_sgd(data, epochs, rate, momentum=0.0):
    """Gradient descent by hand: losses before, weights after each step."""
    weights, velocity, losses, rows = START, np.zeros(3), [], []
    for _ in range(epochs):
        loss, gradient, _ = means_of(weights, data)
        velocity = gradient + momentum * velocity
        weights = weights - rate * velocity
        losses.append(loss)
        rows.append(weights)
    return np.array(losses), np.array(rows)


def test_two_steps_equal_numpy_in_double_precision(data):
    optimizer = optax.sgd(0.3, momentum=0.9)
    step = jax.jit(partial(train_step, loss_fn, optimizer))
    state = optimizer.init(BLOG_PARAMS)
    params, state, first = step(BLOG_PARAMS, state, data)
    params, _, second = step(params, state, data)
    losses, rows = numpy_sgd(data, 2, 0.3, momentum=0.9)
    # Each loss is the one before its step.
    np.testing.assert_allclose([first, second], losses, rtol=1e-5)
    np.testing.assert_allclose(as_vector(params), rows[1], rtol=1e-5)


def test_a_run_equals_numpy_in_double_precision(data):
    optimizer = optax.sgd(0.3, momentum=0.9)
    params, history = fit(loss_fn, BLOG_PARAMS, optimizer, data, 6)
    losses, rows = numpy_sgd(data, 6, 0.3, momentum=0.9)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-5)
    np.testing.assert_allclose(as_vector(history.params), rows, rtol=1e-4)
    np.testing.assert_array_equal(
        as_vector(params), as_vector(history.params)[-1]
    )


def test_any_loss_can_be_trained_and_an_optimizer_sees_the_params():
    def pull(point, force):
        return jnp.sum(point * force)

    start, force = np.array([1.0, -2.0]), np.array([3.0, 0.5])
    optimizer = optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.5))
    _, history = fit(pull, start, optimizer, force, 6)
    # Each step keeps three quarters of the way to where decay and force are
    # equal.
    shares = 0.75 ** np.arange(1, 7)[:, None]
    way = -2 * force + shares * (start + 2 * force)
    np.testing.assert_allclose(history.params, way, rtol=1e-5)


def test_a_long_run_ends_at_statsmodels_weights():
    data = make_dataset(random.key(1))
    params, history = fit(loss_fn, BLOG_PARAMS, optax.sgd(2.0), data, 300)
    oracle = sm.Logit(np.asarray(data.label), columns_of(data)).fit(disp=0)
    np.testing.assert_allclose(as_vector(params), oracle.params, rtol=1e-3)
    assert history.loss[-1] == pytest.approx(-oracle.llf / 1000, rel=1e-5)


@pytest.mark.parametrize("epochs", [0, -1, 1.5, 2.0])
def test_epochs_must_be_whole_and_positive(epochs):
    with pytest.raises(ValueError, match=r"^epochs must be a whole number, a"):
        fit(loss_fn, BLOG_PARAMS, sgd, None, epochs)


def test_a_run_is_one_program_and_compiled_once(data):
    calls = []

    def counted(params, dataset):
        calls.append(1)
        return loss_fn(params, dataset)

    once, _ = fit(counted, BLOG_PARAMS, sgd, data, np.int64(1))
    assert 0 < len(calls) < 5
    fit(counted, once, sgd, data, np.int64(1))
    assert len(calls) < 5
    fit(counted, once, sgd, data, 50)
    assert len(calls) < 10
