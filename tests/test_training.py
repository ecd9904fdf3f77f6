"""One step, a run of them, and where the run ends."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import statsmodels.api as sm
from flax import linen as nn
from jax import random
from scipy import optimize, special
from sklearn.linear_model import LogisticRegression as SklearnRegression

from helpers import training
from helpers.data import Dataset, make_dataset
from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.training import History, fit, is_finite, train_step

model = LogisticRegression()
loss_fn = partial(mean_loss, model.apply)
sgd = optax.sgd(0.3)


@pytest.fixture(scope="module")
def data():
    return make_dataset(random.key(0), 60)


@pytest.fixture(scope="module")
def run(data):
    """The blog's optimizer for a few epochs."""
    return fit(loss_fn, BLOG_PARAMS, sgd, data, 5)


def as_vector(params):
    """Return the weights as double-precision rows (w1, w2, b)."""
    leaves = [params["params"][name] for name in ("w1", "w2", "b")]
    return np.stack([np.float64(leaf) for leaf in leaves], axis=-1)


def inputs_of(data):
    return np.column_stack(
        [np.float64(data.x), np.float64(data.y), np.ones(len(data.x))]
    )


def numpy_value_and_grad(weights, data):
    """The mean cross-entropy and its gradient by hand, in float64."""
    inputs, label = inputs_of(data), np.asarray(data.label)
    logit = inputs @ weights
    loss = -special.log_expit(np.where(label, logit, -logit)).mean()
    return loss, (special.expit(logit) - label) @ inputs / len(label)


def numpy_sgd(weights, data, epochs, rate, momentum=0.0):
    """Gradient descent by hand: losses before, weights after each step."""
    velocity, losses, rows = np.zeros(3), [], []
    for _ in range(epochs):
        loss, gradient = numpy_value_and_grad(weights, data)
        velocity = gradient + momentum * velocity
        weights = weights - rate * velocity
        losses.append(loss)
        rows.append(weights)
    return np.array(losses), np.array(rows)


def numpy_adamw(weights, data, epochs, rate, decay):
    """AdamW by hand (Loshchilov and Hutter 2019, algorithm 2)."""
    mean, square, rows = np.zeros(3), np.zeros(3), []
    for step in range(1, epochs + 1):
        _, gradient = numpy_value_and_grad(weights, data)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        unbiased = (mean / (1 - 0.9**step), square / (1 - 0.999**step))
        direction = unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
        weights = weights - rate * (direction + decay * weights)
        rows.append(weights)
    return np.array(rows)


def python_loop(optimizer, data, epochs, carry_state=True):
    """Return the weights after each of the steps of a plain loop."""
    params, state, rows = BLOG_PARAMS, optimizer.init(BLOG_PARAMS), []
    step = jax.jit(partial(train_step, loss_fn, optimizer))
    for _ in range(epochs):
        params, new_state, _ = step(params, state, data)
        state = new_state if carry_state else state
        rows.append(as_vector(params))
    return np.array(rows)


# One step


def test_a_step_of_sgd_equals_numpy_in_double_precision(data):
    start = optimizer_state = sgd.init(BLOG_PARAMS)
    params, state, loss = train_step(
        loss_fn, sgd, BLOG_PARAMS, optimizer_state, data
    )
    losses, rows = numpy_sgd(as_vector(BLOG_PARAMS), data, 1, 0.3)
    np.testing.assert_allclose(as_vector(params), rows[0], rtol=1e-5)
    # The loss is the one before the step.
    np.testing.assert_allclose(loss, losses[0], rtol=1e-5)
    assert loss == loss_fn(BLOG_PARAMS, data)
    assert jax.tree.structure(params) == jax.tree.structure(BLOG_PARAMS)
    assert jax.tree.structure(state) == jax.tree.structure(start)


def test_a_small_step_goes_downhill(data):
    optimizer = optax.sgd(1e-2)
    params, _, before = train_step(
        loss_fn, optimizer, BLOG_PARAMS, optimizer.init(BLOG_PARAMS), data
    )
    assert loss_fn(params, data) < before


def test_momentum_carries_its_state(data):
    optimizer = optax.sgd(0.3, momentum=0.9)
    _, rows = numpy_sgd(as_vector(BLOG_PARAMS), data, 6, 0.3, momentum=0.9)
    carried = python_loop(optimizer, data, 6)
    np.testing.assert_allclose(carried, rows, rtol=1e-4)
    # With the state lost, as in the blog, momentum is plain descent.
    lost = python_loop(optimizer, data, 6, carry_state=False)
    _, plain = numpy_sgd(as_vector(BLOG_PARAMS), data, 6, 0.3)
    np.testing.assert_allclose(lost, plain, rtol=1e-4)
    assert abs(carried - lost)[-1].max() > 0.5
    fitted = fit(loss_fn, BLOG_PARAMS, optimizer, data, 6)[1].params
    np.testing.assert_allclose(as_vector(fitted), rows, rtol=1e-4)


def test_adamw_carries_its_state_and_sees_the_params(data):
    optimizer = optax.adamw(0.1, weight_decay=0.2)
    rows = numpy_adamw(as_vector(BLOG_PARAMS), data, 6, 0.1, 0.2)
    fitted = fit(loss_fn, BLOG_PARAMS, optimizer, data, 6)[1].params
    np.testing.assert_allclose(as_vector(fitted), rows, rtol=1e-3)
    carried = python_loop(optimizer, data, 6)
    np.testing.assert_allclose(carried, rows, rtol=1e-3)
    lost = python_loop(optimizer, data, 6, carry_state=False)
    assert abs(lost - rows)[-1].max() > 1e-2


def test_params_keep_their_dtype_whatever_the_updates_are():
    start = jnp.bfloat16(1)
    widen = optax.stateless(lambda grad, params: jnp.float32(grad))
    params, _, _ = train_step(
        lambda params, data: data * params, widen, start, widen.init(start), 2
    )
    assert params == 3
    assert params.dtype == jnp.bfloat16


# A run


def test_a_run_equals_numpy_in_double_precision(run, data):
    _, history = run
    losses, rows = numpy_sgd(as_vector(BLOG_PARAMS), data, 5, 0.3)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-5)
    np.testing.assert_allclose(as_vector(history.params), rows, rtol=1e-4)


def test_a_run_equals_a_loop_of_steps(run, data):
    _, history = run
    np.testing.assert_allclose(
        as_vector(history.params), python_loop(sgd, data, 5), rtol=1e-5
    )


def test_the_history_has_one_row_per_epoch_and_ends_at_the_result(run):
    params, history = run
    assert isinstance(history, History)
    assert (history.loss.shape, history.loss.dtype) == ((5,), jnp.float32)
    assert jax.tree.structure(history.params) == jax.tree.structure(params)
    for leaf, last in zip(
        jax.tree.leaves(history.params), jax.tree.leaves(params), strict=True
    ):
        assert leaf.shape == (5,)
        assert leaf[-1] == last


def test_each_loss_belongs_to_the_params_of_the_row_before(run, data):
    _, history = run
    before = [loss_fn(BLOG_PARAMS, data)]
    for k in range(4):
        row = jax.tree.map(lambda leaf, k=k: leaf[k], history.params)
        before.append(loss_fn(row, data))
    np.testing.assert_allclose(history.loss, before, rtol=1e-6)


@pytest.mark.parametrize("kind", [int, np.int64])
def test_one_epoch_is_one_step(data, kind):
    params, history = fit(loss_fn, BLOG_PARAMS, sgd, data, kind(1))
    once = train_step(loss_fn, sgd, BLOG_PARAMS, sgd.init(BLOG_PARAMS), data)
    np.testing.assert_allclose(as_vector(params), as_vector(once[0]), 1e-5)
    assert history.loss.shape == (1,)


def test_start_and_data_may_be_python_and_numpy_numbers(data, run):
    start = jax.tree.map(float, BLOG_PARAMS)
    arrays = Dataset(*(np.asarray(column) for column in data))
    params, _ = fit(loss_fn, start, sgd, arrays, 5)
    np.testing.assert_allclose(as_vector(params), as_vector(run[0]), 1e-6)
    assert type(BLOG_PARAMS["params"]["w1"]) is np.float32


def test_any_loss_of_params_and_data_can_be_trained():
    def distance(point, target):
        return 0.5 * jnp.sum((point - target) ** 2)

    start, target = np.array([1.0, -2.0]), np.array([3.0, 0.5])
    _, history = fit(distance, start, optax.sgd(0.25), target, 6)
    # Each step keeps three quarters of the way.
    steps = np.arange(1, 7)[:, None]
    way = target + 0.75**steps * (start - target)
    np.testing.assert_allclose(history.params, way, rtol=1e-5)


def test_single_examples_and_constant_labels_leave_the_run_finite():
    one = Dataset(np.array([1.5]), np.array([-0.5]), np.array([1]))
    for optimizer in (sgd, optax.sgd(1e4)):
        params, history = fit(loss_fn, BLOG_PARAMS, optimizer, one, 3)
        assert jnp.isfinite(history.loss).all()
        assert history.loss[-1] < history.loss[0]
        assert np.isfinite(as_vector(params)).all()


# Where it ends


@pytest.fixture(scope="module")
def optimum():
    """A thousand points, and the weights at which their loss is least."""
    data = make_dataset(random.key(1))
    params, history = fit(loss_fn, BLOG_PARAMS, optax.sgd(2.0), data, 300)
    return data, as_vector(params), history


def test_a_long_run_ends_at_scikit_learns_weights(optimum):
    data, weights, _ = optimum
    # C=inf turns its default penalty off.
    oracle = SklearnRegression(C=np.inf, tol=1e-8)
    oracle.fit(inputs_of(data)[:, :2], data.label)
    expected = [*oracle.coef_[0], *oracle.intercept_]
    np.testing.assert_allclose(weights, expected, rtol=1e-3)


def test_a_long_run_ends_at_statsmodels_weights(optimum):
    data, weights, history = optimum
    inputs = inputs_of(data)
    oracle = sm.Logit(np.asarray(data.label), inputs).fit(disp=0)
    np.testing.assert_allclose(weights, oracle.params, rtol=1e-3)
    assert history.loss[-1] == pytest.approx(-oracle.llf / 1000, rel=1e-5)


def test_a_long_run_ends_at_scipys_minimum(optimum):
    data, weights, _ = optimum
    oracle = optimize.minimize(
        numpy_value_and_grad, np.zeros(3), args=(data,), jac=True, tol=1e-9
    )
    np.testing.assert_allclose(weights, oracle.x, rtol=1e-3)


# The blog's rows: epoch, accuracy (logit > 0.5), loss, w1, w2, b
BLOG_ROWS = np.array(
    [
        [10, 0.66, 0.61, 0.42, 0.13, 0.03],
        [20, 0.79, 0.44, 0.45, 0.80, 0.05],
        [30, 0.81, 0.38, 0.52, 1.19, 0.06],
        [40, 0.83, 0.36, 0.57, 1.47, 0.06],
        [50, 0.85, 0.34, 0.62, 1.68, 0.07],
        [60, 0.85, 0.33, 0.66, 1.84, 0.07],
        [70, 0.85, 0.32, 0.69, 1.98, 0.07],
        [80, 0.85, 0.32, 0.72, 2.10, 0.08],
        [90, 0.86, 0.31, 0.75, 2.20, 0.08],
        [100, 0.86, 0.31, 0.77, 2.29, 0.08],
    ]
)


@jax.jit
@jax.vmap
def blog_run(key):
    """Return the blog's rows for one seed, by its rule and by logit > 0."""
    data = make_dataset(key)
    _, history = fit(loss_fn, BLOG_PARAMS, sgd, data, 100)
    at = jax.tree.map(lambda leaf: leaf[9::10], history)
    weights = at.params["params"]
    logit = jax.vmap(model.apply, (0, None, None))(at.params, data.x, data.y)
    right = [(logit > cut) == (data.label > 0) for cut in (0.5, 0.0)]
    share = [jnp.mean(rows, axis=1) for rows in right]
    rest = [at.loss, weights["w1"], weights["w2"], weights["b"]]
    return tuple(jnp.stack([first, *rest], axis=1) for first in share)


def test_the_blogs_rows_are_ordinary_among_500_seeds():
    keys = random.split(random.key(3), 500)
    runs, corrected = map(np.float64, blog_run(keys))
    distance = abs(BLOG_ROWS[:, 1:] - runs.mean(0)) / runs.std(0)
    assert (distance < 2).all()
    # The test has teeth: by the right rule, epochs 20 to 40 are not.
    right = corrected[..., 0]
    distance = abs(BLOG_ROWS[:, 1] - right.mean(0)) / right.std(0)
    assert (distance > 2).tolist() == [False] + 3 * [True] + 6 * [False]


# What is refused


@pytest.mark.parametrize("epochs", [0, -1, np.int64(0), 1.5, 2.0])
def test_epochs_must_be_whole_and_positive(epochs):
    # The guard comes first: None could be neither called nor trained.
    with pytest.raises(ValueError, match=r"^epochs must be a whole") as error:
        fit(None, None, None, None, epochs)
    assert str(error.value).endswith(f"at least 1, got {epochs}")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"label": np.array([1, -1])}, "^label must be 0 or 1"),
        ({"x": np.array([0.0, np.nan])}, "^dataset must be finite"),
        ({"y": np.zeros(3)}, "^dataset must hold arrays of one length"),
    ],
)
def test_the_loss_checks_its_data_before_any_step(
    monkeypatch, change, message
):
    def step_nowhere(*arguments):
        raise AssertionError("trained before the checks")

    monkeypatch.setattr(training, "run_epochs", step_nowhere)
    data = Dataset(np.zeros(2), np.zeros(2), np.array([0, 1]))
    with pytest.raises(ValueError, match=message):
        fit(loss_fn, BLOG_PARAMS, sgd, data._replace(**change), 2)


def test_a_loss_without_a_fault_to_name_is_trained_to_its_nan():
    def overflows(params, dataset):
        return jnp.float32(3e38) * params

    _, history = fit(overflows, np.float32(9), sgd, None, 2)
    assert not np.isfinite(history.loss).any()


def test_a_start_so_far_away_that_the_logits_overflow_is_refused():
    data = Dataset(np.ones(1), np.ones(1), np.zeros(1, int))
    far = jax.tree.map(lambda value: np.float32(3e38), BLOG_PARAMS)
    with pytest.raises(ValueError, match=r"^logit must be finite"):
        fit(loss_fn, far, sgd, data, 2)


def test_infinite_inputs_of_a_bounded_network_are_refused():
    # Its loss is finite; its gradient is not.
    dense = nn.Dense(1)

    def apply_fn(params, x, y):
        table = jnp.stack([x, y], axis=1)
        return jnp.tanh(dense.apply(params, table))[:, 0]

    start = dense.init(random.key(0), np.zeros((1, 2)))
    start = jax.tree.map(jnp.ones_like, start)
    data = Dataset(np.array([np.inf, 1]), np.zeros(2), np.array([1, 0]))
    bounded = partial(mean_loss, apply_fn)
    assert np.isfinite(jax.jit(bounded)(start, data))
    with pytest.raises(ValueError, match=r"^dataset must be finite"):
        fit(bounded, start, sgd, data, 2)


def test_a_loss_that_is_no_scalar_is_refused():
    with pytest.raises(ValueError, match=r"^loss_fn must .* the shape \(3,\)"):
        fit(lambda params, dataset: params * dataset, 1.0, sgd, np.ones(3), 1)


def test_finite_means_loss_and_each_gradient():
    def loss(params, dataset):
        # At 0 the slope of the root is infinite, its value is not.
        return jnp.sqrt(params["a"]) + dataset * params["b"]

    for a, b, dataset, finite in [
        (1.0, 1.0, 1.0, True),
        (0.0, 1.0, 1.0, False),
        (1.0, 0.0, np.inf, False),
        (1.0, np.nan, 1.0, False),
        (-1.0, 1.0, 1.0, False),
    ]:
        assert is_finite(loss, {"a": a, "b": b}, dataset) == finite


# What is compiled, and when


class Counted:
    """A loss that counts how often Python, not compiled code, runs it."""

    def __init__(self):
        self.calls = 0

    def __call__(self, params, dataset):
        self.calls += 1
        return loss_fn(params, dataset)


def test_kept_functions_compile_once_and_new_ones_anew(data):
    loss, optimizer = Counted(), optax.sgd(0.3)

    def calls(*arguments):
        before = loss.calls
        fit(loss, *arguments)
        return loss.calls - before

    assert calls(BLOG_PARAMS, optimizer, data, 2) > 0
    assert calls(BLOG_PARAMS, optimizer, data, 2) == 0
    other_start = jax.tree.map(lambda value: value + 1, BLOG_PARAMS)
    assert calls(other_start, optimizer, data, 2) == 0
    assert calls(BLOG_PARAMS, optax.sgd(0.3), data, 2) > 0
    assert calls(BLOG_PARAMS, optimizer, data, 3) > 0
    half = jax.tree.map(lambda column: column[:30], data)
    assert calls(BLOG_PARAMS, optimizer, half, 2) > 0


def test_the_length_of_the_run_does_not_lengthen_the_program(data):
    counts = []
    for epochs in (2, 50):
        loss = Counted()
        fit(loss, BLOG_PARAMS, sgd, data, epochs)
        counts.append(loss.calls)
    assert counts[0] == counts[1] < 10


def test_a_step_computes_the_loss_once(data):
    loss = Counted()
    train_step(loss, sgd, BLOG_PARAMS, sgd.init(BLOG_PARAMS), data)
    assert loss.calls == 1


def test_vmap_over_learning_rates_equals_a_loop(data):
    def final(rate):
        return fit(loss_fn, BLOG_PARAMS, optax.sgd(rate), data, 4)[0]

    rates = np.array([0.01, 0.3, 5.0])
    mapped = as_vector(jax.jit(jax.vmap(final))(rates))
    for row, rate in zip(mapped, rates, strict=True):
        expected = numpy_sgd(as_vector(BLOG_PARAMS), data, 4, rate)[1][-1]
        np.testing.assert_allclose(row, expected, rtol=1e-4)


def test_vmap_over_starts_equals_a_loop(data):
    keys = random.split(random.key(3), 3)
    starts = jax.vmap(lambda key: model.init(key, 0.0, 0.0))(keys)
    train = jax.vmap(lambda start: fit(loss_fn, start, sgd, data, 4)[0])
    for row, start in zip(
        as_vector(train(starts)), as_vector(starts), strict=True
    ):
        expected = numpy_sgd(start, data, 4, 0.3)[1][-1]
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-6)


def test_a_run_can_be_differentiated_by_its_learning_rate(data):
    def final_loss(rate):
        optimizer = optax.sgd(rate)
        params, _ = fit(loss_fn, BLOG_PARAMS, optimizer, data, 3)
        return loss_fn(params, data)

    def oracle(rate):
        rows = numpy_sgd(as_vector(BLOG_PARAMS), data, 3, rate)[1]
        return numpy_value_and_grad(rows[-1], data)[0]

    slope = (oracle(0.3 + 1e-5) - oracle(0.3 - 1e-5)) / 2e-5
    assert jax.grad(final_loss)(0.3) == pytest.approx(slope, rel=1e-3)
