"""One step, a run of them, and where the run ends."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import statsmodels.api as sm
from jax import random
from scipy import special

from helpers.data import make_dataset
from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.training import fit, train_step

model = LogisticRegression()
loss_fn = partial(mean_loss, model.apply)
sgd = optax.sgd(0.3)
START = np.array([0.32724857, -1.1509773, 0.0])


@pytest.fixture(scope="module")
def data():
    return make_dataset(random.key(0), 60)


def as_vector(params):
    """Return the weights as double-precision rows (w1, w2, b)."""
    leaves = [params["params"][name] for name in ("w1", "w2", "b")]
    return np.stack([np.float64(leaf) for leaf in leaves], axis=-1)


def inputs_of(data):
    return np.column_stack(
        [np.float64(data.x), np.float64(data.y), np.ones(len(data.x))]
    )


def loss_and_gradient(weights, data):
    """The mean cross-entropy and its gradient by hand, in float64."""
    inputs, label = inputs_of(data), np.asarray(data.label)
    logit = inputs @ weights
    loss = -special.log_expit(np.where(label, logit, -logit)).mean()
    return loss, (special.expit(logit) - label) @ inputs / len(label)


def numpy_sgd(data, epochs, rate, momentum=0.0):
    """Gradient descent by hand: losses before, weights after each step."""
    weights, velocity, losses, rows = START, np.zeros(3), [], []
    for _ in range(epochs):
        loss, gradient = loss_and_gradient(weights, data)
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
    oracle = sm.Logit(np.asarray(data.label), inputs_of(data)).fit(disp=0)
    np.testing.assert_allclose(as_vector(params), oracle.params, rtol=1e-3)
    assert history.loss[-1] == pytest.approx(-oracle.llf / 1000, rel=1e-5)


# What the blog prints at epochs 10, 20, …, 100: accuracy, loss, w1, w2, b.
BLOG = np.array(
    [
        [0.66, 0.79, 0.81, 0.83, 0.85, 0.85, 0.85, 0.85, 0.86, 0.86],
        [0.61, 0.44, 0.38, 0.36, 0.34, 0.33, 0.32, 0.32, 0.31, 0.31],
        [0.42, 0.45, 0.52, 0.57, 0.62, 0.66, 0.69, 0.72, 0.75, 0.77],
        [0.13, 0.80, 1.19, 1.47, 1.68, 1.84, 1.98, 2.10, 2.20, 2.29],
        [0.03, 0.05, 0.06, 0.06, 0.07, 0.07, 0.07, 0.08, 0.08, 0.08],
    ]
)


@jax.jit
@jax.vmap
def blog_run(key):
    """Return every tenth epoch of the blog's run, on other points."""
    data = make_dataset(key)
    _, history = fit(loss_fn, BLOG_PARAMS, sgd, data, 100)
    loss, params = jax.tree.map(lambda leaf: leaf[9::10], history)

    def accuracy(params):
        # The blog says 1 where the logit exceeds one half.
        said = model.apply(params, data.x, data.y) > 0.5
        return jnp.mean(said == data.label)

    w1, w2, b = (params["params"][name] for name in ("w1", "w2", "b"))
    return jnp.stack([jax.vmap(accuracy)(params), loss, w1, w2, b])


def test_the_blogs_numbers_are_ordinary_among_500_seeds():
    runs = np.float64(blog_run(random.split(random.key(3), 500)))
    distance = abs(BLOG - runs.mean(axis=0)) / runs.std(axis=0)
    assert (distance < 2).all()


@pytest.mark.parametrize("epochs", [0, -1, 1.5, 2.0])
def test_epochs_must_be_whole_and_positive(epochs):
    with pytest.raises(ValueError, match=r"^epochs must be a whole number, a"):
        fit(loss_fn, BLOG_PARAMS, sgd, None, epochs)


def test_wrong_labels_and_a_column_of_logits_show(data):
    signs = data._replace(label=2 * data.label - 1)
    _, history = fit(loss_fn, BLOG_PARAMS, sgd, signs, 2)
    assert jnp.isnan(history.loss).all()
    column = data._replace(x=data.x[:, None], y=data.y[:, None])
    with pytest.raises(ValueError, match="^shapes must be equal"):
        fit(loss_fn, BLOG_PARAMS, sgd, column, 2)


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


def test_a_run_maps_over_rates_and_can_be_differentiated_by_them(data):
    def last_loss(rate):
        return fit(loss_fn, BLOG_PARAMS, optax.sgd(rate), data, 4)[1].loss[-1]

    rates = np.array([0.01, 0.3, 5.0])
    losses, slopes = jax.jit(jax.vmap(jax.value_and_grad(last_loss)))(rates)
    oracle = [numpy_sgd(data, 4, rate)[0][-1] for rate in rates]
    above = [numpy_sgd(data, 4, rate + 1e-6)[0][-1] for rate in rates]
    np.testing.assert_allclose(losses, oracle, rtol=1e-4)
    np.testing.assert_allclose(
        slopes, np.subtract(above, oracle) / 1e-6, rtol=1e-3
    )
