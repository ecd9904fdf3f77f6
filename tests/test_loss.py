"""The cross-entropy, its mean, and its gradient example by example."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax import random
from scipy import special, stats
from sklearn.metrics import log_loss

from helpers.data import TRUE_LINE, Dataset, make_dataset
from helpers.loss import (
    binary_cross_entropy,
    mean_loss,
    per_example_value_and_grad,
)
from helpers.model import BLOG_PARAMS, LogisticRegression

apply_fn = LogisticRegression().apply
LAW = settings(deadline=None, derandomize=True, max_examples=40)
number = st.floats(-10, 10, width=32)
label_of_two = st.sampled_from([0, 1])


def params_of(w1, w2, b):
    return {"params": {"w1": w1, "w2": w2, "b": b}}


@pytest.fixture(scope="module")
def data():
    return make_dataset(random.key(0), 40)


@pytest.fixture(scope="module")
def logit_model(data):
    """The same model in statsmodels, in double precision."""
    columns = [np.float64(data.x), np.float64(data.y), np.ones(40)]
    return sm.Logit(np.asarray(data.label), np.column_stack(columns))


# The loss of one example

LOGITS = np.array([-1e4, -104, -89, -17, -2, -1e-3, 0, 1e-6, 0.5, 16, 88, 1e4])


@pytest.mark.parametrize("label", [0, 1])
def test_cross_entropy_equals_scipy_in_double_precision(label):
    labels = np.full(len(LOGITS), label)
    loss = binary_cross_entropy(LOGITS, labels)
    oracle = -special.log_expit(LOGITS if label else -LOGITS)
    # Below 1e-37 float32 has no normal numbers.
    np.testing.assert_allclose(loss, oracle, rtol=2e-6, atol=1e-37)
    assert isinstance(loss, jax.Array)
    assert loss.dtype == jnp.float32


def test_cross_entropy_is_the_negative_bernoulli_log_likelihood():
    logit = np.linspace(-5, 5, 11)
    label = np.arange(11) % 2
    oracle = -stats.bernoulli.logpmf(label, special.expit(logit))
    np.testing.assert_allclose(
        binary_cross_entropy(logit, label), oracle, rtol=2e-6
    )


def test_at_logit_0_the_surprise_is_log_2():
    for label in (0, 1):
        assert binary_cross_entropy(0, label) == np.float32(np.log(2))


@pytest.mark.parametrize(
    "logit, label",
    [
        (2, 1),
        (2.0, True),
        (np.int64(2), np.int8(1)),
        (np.float64(2), 1.0),
        (jnp.array(2), jnp.array(1)),
        (np.array([2]), np.array([1.0])),
        (np.array([[2.0]]), np.array([[1]])),
    ],
)
def test_cross_entropy_takes_any_number(logit, label):
    loss = binary_cross_entropy(logit, label)
    assert isinstance(loss, jax.Array)
    assert (loss.shape, loss.dtype) == (np.shape(logit), jnp.float32)
    assert loss.item() == pytest.approx(np.log1p(np.exp(-2)), rel=1e-6)


def test_floats_keep_their_precision():
    assert binary_cross_entropy(jnp.bfloat16(1), 1).dtype == jnp.bfloat16
    assert binary_cross_entropy(np.zeros(0), np.zeros(0, int)).shape == (0,)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("logit", [*LOGITS, -3e38, 3e38])
def test_the_derivative_is_probability_minus_label_and_finite(logit, label):
    loss, slope = jax.value_and_grad(binary_cross_entropy)(logit, label)
    assert jnp.isfinite(loss)
    oracle = special.expit(logit) - label
    # 1 − a float32 probability is exact to its last digit only.
    np.testing.assert_allclose(slope, oracle, rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize("label", [0, 1])
def test_the_derivative_equals_a_finite_difference(label):
    def loss(logit):
        return -special.log_expit(logit if label else -logit)

    for logit in (-3.0, 0.2, 4.0):
        slope = jax.jit(jax.grad(binary_cross_entropy))(logit, label)
        step = 1e-6
        oracle = (loss(logit + step) - loss(logit - step)) / (2 * step)
        assert slope == pytest.approx(oracle, rel=1e-5)


def test_infinite_and_missing_logits_are_not_hidden():
    traced = jax.jit(binary_cross_entropy)
    for logit in (np.inf, -np.inf):
        assert traced(logit, int(logit < 0)) == np.inf
    for label in (0, 1):
        assert jnp.isnan(traced(np.nan, label))
        for bad in (np.inf, -np.inf, np.nan):
            with pytest.raises(ValueError, match=r"^logit must be finite"):
                binary_cross_entropy(bad, label)


@LAW
@given(st.floats(-(2.0**99), 2.0**99, width=32), label_of_two)
def test_flipping_logit_and_label_changes_nothing(logit, label):
    loss = binary_cross_entropy(logit, label)
    assert loss == binary_cross_entropy(-logit, 1 - label)
    assert loss >= 0


@pytest.mark.parametrize(
    "logit, label",
    [((3, 1), (3,)), ((3,), (3, 1)), ((), (3,)), ((3,), ()), ((2,), (3,))],
)
def test_unequal_shapes_are_refused_also_under_jit(logit, label):
    arrays = np.zeros(logit), np.zeros(label, int)
    for loss in (binary_cross_entropy, jax.jit(binary_cross_entropy)):
        with pytest.raises(ValueError, match=r"^logit and label") as error:
            loss(*arrays)
        assert str(error.value).endswith(f"got {logit} and {label}")


@pytest.mark.parametrize("bad", [-1, 2, 0.5, np.nan])
def test_labels_other_than_0_and_1_are_refused(bad):
    with pytest.raises(ValueError) as caught:
        binary_cross_entropy(np.zeros(3), np.array([0, bad, 1]))
    assert str(caught.value) == f"label must be 0 or 1, got [{bad}] among them"
    # Under grad the label is still known.
    with pytest.raises(ValueError, match=r"^label must be 0 or 1"):
        jax.grad(binary_cross_entropy)(0.0, bad)


def test_the_error_shows_three_labels_of_many():
    with pytest.raises(ValueError, match=r"got \[2, 3, 4\] among"):
        binary_cross_entropy(np.zeros(9), np.arange(9))


@pytest.mark.parametrize("bad", [-1, 2, 0.5, np.nan])
def test_a_traced_label_other_than_0_and_1_gives_nan(bad):
    labels = np.array([0, bad, 1])
    for traced in (
        jax.jit(binary_cross_entropy),
        jax.vmap(binary_cross_entropy),
    ):
        loss = traced(np.zeros(3), labels)
        np.testing.assert_array_equal(np.isnan(loss), [False, True, False])


# The mean


def test_mean_loss_equals_scikit_learn(data):
    logit = np.float64(data.x) + 3 * np.float64(data.y) + 0.1
    loss = mean_loss(apply_fn, params_of(*TRUE_LINE), data)
    oracle = log_loss(data.label, special.expit(logit))
    assert loss == pytest.approx(oracle, rel=1e-5)
    assert isinstance(loss, jax.Array)
    assert (loss.shape, loss.dtype) == ((), jnp.float32)


def test_mean_loss_and_its_gradient_equal_statsmodels(data, logit_model):
    weights = np.array([0.5, -1.0, 0.2])
    loss, grad = jax.jit(jax.value_and_grad(partial(mean_loss, apply_fn)))(
        params_of(*weights), data
    )
    assert loss == pytest.approx(-logit_model.loglike(weights) / 40, rel=1e-5)
    for name, oracle in zip(
        ("w1", "w2", "b"), -logit_model.score(weights) / 40, strict=True
    ):
        assert grad["params"][name] == pytest.approx(oracle, rel=1e-4)


def test_mean_loss_takes_numpy_lists_of_inputs_and_one_example(data):
    arrays = tuple(np.float64(column) for column in data)
    loss = mean_loss(apply_fn, BLOG_PARAMS, data)
    assert mean_loss(apply_fn, BLOG_PARAMS, arrays) == loss
    one = mean_loss(apply_fn, BLOG_PARAMS, (2, -1.0, 1))
    row = (np.array([2]), np.array([-1.0]), np.array([1]))
    assert one == mean_loss(apply_fn, BLOG_PARAMS, row)


def test_mean_loss_knows_nothing_of_the_model():
    features = np.random.default_rng(0).normal(size=(20, 5))
    weights = np.arange(5.0)
    label = np.arange(20) % 2
    loss = mean_loss(lambda w, f: f @ w, weights, (features, label))
    oracle = log_loss(label, special.expit(features @ weights))
    assert loss == pytest.approx(oracle, rel=1e-5)


def test_a_model_may_have_no_inputs_at_all():
    # Its best guess is the share of ones, its loss the entropy of that.
    label = np.array([0, 1, 1, 1])
    nothing = np.zeros((4, 0))
    loss = mean_loss(
        lambda b, x, y: b + x.sum(1) + y.sum(1),
        special.logit(0.75),
        (nothing, nothing, label),
    )
    assert loss == pytest.approx(stats.entropy([0.25, 0.75]), rel=1e-6)


def test_mean_loss_maps_over_params_and_over_data_sets(data):
    loss = partial(mean_loss, apply_fn)
    stack = params_of(*np.float32([[1, 2], [3, 0], [0.1, 4]]))
    over_params = jax.vmap(loss, (0, None))(stack, data)
    halves = jax.tree.map(lambda column: column.reshape(2, 20), data)
    over_data = jax.vmap(loss, (None, 0))(BLOG_PARAMS, halves)
    for i in range(2):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], stack)
        assert over_params[i] == pytest.approx(
            float(loss(one, data)), rel=1e-6
        )
    whole = float(loss(BLOG_PARAMS, data))
    assert over_data.mean() == pytest.approx(whole, rel=1e-6)


def a_dataset(x=(0.0, 0.0), y=(0.0, 0.0), label=(0, 1)):
    return Dataset(np.array(x), np.array(y), np.array(label))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    "dataset, shapes",
    [
        (a_dataset(x=(1.0,)), "[(1,), (2,), (2,)]"),
        (a_dataset(y=(1.0,)), "[(2,), (1,), (2,)]"),
        (a_dataset(label=(1,)), "[(2,), (2,), (1,)]"),
    ],
)
def test_mean_loss_refuses_unequal_lengths(dataset, shapes, jit):
    loss = partial(mean_loss, None)
    with pytest.raises(ValueError, match=r"^dataset must hold") as error:
        (jax.jit(loss) if jit else loss)(None, dataset)
    assert str(error.value).endswith(f"of one length, got shapes {shapes}")


def test_mean_loss_refuses_an_empty_dataset():
    loss = partial(mean_loss, None)
    for function in (loss, jax.jit(loss)):
        with pytest.raises(ValueError, match=r"^dataset must .* got none"):
            function(None, a_dataset((), (), ()))


@pytest.mark.parametrize("function", [mean_loss, per_example_value_and_grad])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["x", "y", "label"])
def test_what_is_not_finite_is_refused(function, name, bad):
    # The guard comes first: None could not be called.
    with pytest.raises(ValueError, match=r"^dataset must be finite, got NaN"):
        function(None, BLOG_PARAMS, a_dataset(**{name: (0, bad)}))


@pytest.mark.parametrize("function", [mean_loss, per_example_value_and_grad])
@pytest.mark.parametrize("bad", [-1, 2, 0.5])
def test_wrong_labels_are_refused(function, bad):
    three = a_dataset(np.zeros(3), np.zeros(3), (0, 1, bad))
    # The guard comes first: None could not be called.
    with pytest.raises(ValueError) as caught:
        function(None, BLOG_PARAMS, three)
    assert str(caught.value) == f"label must be 0 or 1, got [{bad}] among them"


@pytest.mark.parametrize("function", [mean_loss, per_example_value_and_grad])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_params_that_are_not_finite_are_refused_by_any_model(function, bad):
    def deaf(params, x, y):
        return x

    with pytest.raises(ValueError, match=r"^params must be finite, got NaN"):
        function(deaf, {"w": np.float32(bad)}, a_dataset())


def test_a_rule_needs_no_params():
    loss = mean_loss(lambda params, x, y: x, None, a_dataset())
    assert loss == binary_cross_entropy(*a_dataset()[::2]).mean()


@pytest.mark.parametrize("function", [mean_loss, per_example_value_and_grad])
def test_of_many_wrong_labels_the_error_shows_three(function):
    nine = a_dataset(np.zeros(9), np.zeros(9), range(9))
    with pytest.raises(ValueError, match=r"got \[2, 3, 4\] among"):
        function(apply_fn, BLOG_PARAMS, nine)


def test_a_gradient_with_respect_to_params_still_checks_values():
    gradient = jax.grad(partial(mean_loss, apply_fn))
    for bad in (a_dataset(label=(1, -1)), a_dataset(x=(0, np.nan))):
        with pytest.raises(ValueError, match=r"^(label|dataset) must be"):
            gradient(BLOG_PARAMS, bad)


@pytest.mark.parametrize("function", [mean_loss, per_example_value_and_grad])
@pytest.mark.parametrize("bad", [{"label": (1, -1)}, {"x": (1, np.nan)}])
def test_traced_values_that_are_wrong_give_nan(function, bad):
    traced = jax.jit(partial(function, apply_fn))
    result = jax.tree.leaves(traced(BLOG_PARAMS, a_dataset(**bad)))
    assert jnp.isnan(result[0]).any()


@pytest.mark.parametrize("function", [mean_loss, per_example_value_and_grad])
def test_of_partly_traced_data_the_known_part_is_checked(function):
    bad = a_dataset(label=(1, -1))

    def trace(name):
        return jax.jit(
            lambda values: function(
                apply_fn, BLOG_PARAMS, bad._replace(**{name: values})
            )
        )

    for name in ("x", "y"):
        with pytest.raises(ValueError, match=r"^label must be 0 or 1"):
            trace(name)(np.zeros(2))
    assert jnp.isnan(jax.tree.leaves(trace("label")(bad.label))[0]).any()


def test_mean_loss_refuses_logits_of_another_shape(data):
    def column(params, x, y):
        return x[:, None]

    with pytest.raises(ValueError, match=r"got \(40, 1\) and \(40,\)$"):
        mean_loss(column, BLOG_PARAMS, data)
    with pytest.raises(ValueError, match=r"got \(2,\) and \(\)$"):
        mean_loss(apply_fn, BLOG_PARAMS, a_dataset(label=1))


@LAW
@given(hnp.arrays(float, (2, 3), elements=number), st.floats(0, 1))
def test_the_loss_is_convex_in_the_params(data, ends, share):
    loss = partial(mean_loss, apply_fn)
    start, end = (loss(params_of(*weights), data) for weights in ends)
    between = loss(params_of(*(share * ends[0] + (1 - share) * ends[1])), data)
    chord = share * start + (1 - share) * end
    assert between <= chord * (1 + 1e-5) + 1e-6


@LAW
@given(st.permutations(range(40)))
def test_the_order_of_the_data_changes_nothing(data, order):
    shuffled = jax.tree.map(lambda column: column[np.array(order)], data)
    loss = partial(mean_loss, apply_fn, BLOG_PARAMS)
    assert loss(shuffled) == pytest.approx(float(loss(data)), rel=1e-6)


# Example by example

each_example = jax.jit(partial(per_example_value_and_grad, apply_fn))
all_examples = jax.jit(jax.value_and_grad(partial(mean_loss, apply_fn)))


def test_each_example_equals_statsmodels(data, logit_model):
    weights = np.array([0.5, -1.0, 0.2])
    losses, grads = per_example_value_and_grad(
        apply_fn, params_of(*weights), data
    )
    np.testing.assert_allclose(
        losses, -logit_model.loglikeobs(weights), rtol=1e-5, atol=1e-6
    )
    scores = -logit_model.score_obs(weights).T
    for name, oracle in zip(("w1", "w2", "b"), scores, strict=True):
        assert grads["params"][name].shape == (40,)
        np.testing.assert_allclose(
            grads["params"][name], oracle, rtol=1e-4, atol=1e-6
        )


@LAW
@given(number, number, number)
def test_their_mean_is_the_mean_loss_and_its_gradient(data, w1, w2, b):
    params = params_of(w1, w2, b)
    each = each_example(params, data)
    mean = jax.tree.map(jnp.mean, each)
    whole = all_examples(params, data)
    assert jax.tree.structure(mean) == jax.tree.structure(whole)
    for ours, oracle in zip(
        jax.tree.leaves(mean), jax.tree.leaves(whole), strict=True
    ):
        assert ours == pytest.approx(float(oracle), rel=1e-4, abs=1e-6)


def test_examples_of_many_features_and_params_of_any_form():
    features = np.random.default_rng(0).normal(size=(6, 3))
    label = np.array([0, 1, 1, 0, 1, 0])
    losses, grads = per_example_value_and_grad(
        lambda weights, row: row @ weights, np.ones(3), (features, label)
    )
    residual = special.expit(features.sum(1)) - label
    assert losses.shape == (6,)
    np.testing.assert_allclose(grads, residual[:, None] * features, rtol=1e-4)


def test_no_examples_give_no_losses():
    losses, grads = per_example_value_and_grad(
        apply_fn, BLOG_PARAMS, a_dataset((), (), ())
    )
    assert losses.shape == grads["params"]["b"].shape == (0,)


def test_examples_refuse_unequal_lengths_and_a_missing_axis():
    for bad in (a_dataset(x=(1.0, 2.0, 3.0)), a_dataset(0.0, 0.0, 1)):
        with pytest.raises(ValueError, match=r"^dataset must hold arrays"):
            per_example_value_and_grad(apply_fn, BLOG_PARAMS, bad)
