"""From logits to labels, and the share of them that is right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn.metrics import accuracy_score

from helpers.metrics import accuracy, predict

LAW = settings(deadline=None, derandomize=True, max_examples=40)
pairs = st.lists(
    st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 1])),
    min_size=1,
    max_size=30,
)


@LAW
@given(st.floats(-30, 30, width=32).filter(lambda z: abs(z) > 1e-6))
def test_predicts_1_where_the_probability_exceeds_one_half(logit):
    assert predict(logit) == (special.expit(np.float64(logit)) > 0.5)


@pytest.mark.parametrize(
    "logit, label",
    [(0, 0), (-0.0, 0), (1e-30, 1), (0.4, 1), (np.inf, 1), (-np.inf, 0)],
)
def test_the_threshold_is_logit_0_and_a_tie_is_a_0(logit, label):
    assert predict(logit) == label


@pytest.mark.parametrize("kind", [int, float, np.int64, np.float64, jnp.array])
def test_predict_takes_any_number(kind):
    for value in (-2, 2):
        label = predict(kind(value))
        assert isinstance(label, jax.Array)
        assert (label.shape, label.dtype) == ((), jnp.int32)
        assert label == (value > 0)


def test_predict_keeps_the_shape_also_under_jit_and_vmap():
    logit = np.array([[-1.0, 0.0, 1e-3], [5.0, -1e4, 1e4]])
    expected = [[0, 0, 1], [1, 0, 1]]
    for function in (predict, jax.jit(predict), jax.vmap(predict)):
        np.testing.assert_array_equal(function(logit), expected)
    assert predict(np.zeros(0)).shape == (0,)


def test_predict_refuses_nan():
    with pytest.raises(ValueError, match=r"^logit must be numbers, got NaN"):
        predict(np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match=r"^logit must"):
        predict(np.nan)
    # Traced values are unknown.
    assert jax.jit(predict)(np.nan) == 0


@LAW
@given(pairs)
def test_accuracy_equals_scikit_learn_and_is_symmetric(rows):
    label, prediction = np.array(rows).T
    ours = accuracy(label, prediction)
    assert ours == pytest.approx(accuracy_score(label, prediction), rel=1e-6)
    assert ours == accuracy(prediction, label)
    # Who turns each prediction around is right where it was wrong.
    turned = accuracy(label, 1 - prediction)
    assert ours + turned == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize(
    "label, prediction",
    [
        (1, 1),
        (True, 1),
        (1.0, jnp.array(1)),
        (np.ones((2, 2), int), np.ones((2, 2))),
        (np.array([True, False]), np.array([1, 0])),
    ],
)
def test_accuracy_takes_any_numbers_and_returns_a_float32(label, prediction):
    share = accuracy(label, prediction)
    assert isinstance(share, jax.Array)
    assert (share.shape, share.dtype) == ((), jnp.float32)
    assert share == 1


def test_accuracy_under_jit_and_vmap():
    label = np.array([[0, 1, 1], [0, 0, 1]])
    prediction = np.array([[0, 1, 0], [1, 1, 1]])
    assert jax.jit(accuracy)(label, prediction) == 0.5
    by_row = jax.vmap(accuracy)(label, prediction)
    np.testing.assert_allclose(by_row, [2 / 3, 1 / 3], rtol=1e-6)


@pytest.mark.parametrize("shapes", [((3, 1), (3,)), ((), (2,)), ((2,), (3,))])
def test_accuracy_refuses_unequal_shapes_also_under_jit(shapes):
    arrays = [np.zeros(shape, int) for shape in shapes]
    for function in (accuracy, jax.jit(accuracy)):
        with pytest.raises(ValueError, match=r"^label and pred") as error:
            function(*arrays)
        assert str(error.value).endswith(f"got {shapes[0]} and {shapes[1]}")


def test_accuracy_of_nothing_is_refused():
    for function in (accuracy, jax.jit(accuracy)):
        with pytest.raises(ValueError, match=r"^label must hold at least one"):
            function(np.zeros(0, int), np.zeros(0, int))


@pytest.mark.parametrize("bad", [-1, 2, 0.75, np.nan])
@pytest.mark.parametrize("name", ["label", "prediction"])
def test_accuracy_refuses_what_is_no_label(name, bad):
    arguments = {"label": np.array([0, 1]), "prediction": np.array([0, 1])}
    arguments[name] = np.array([0, bad])
    with pytest.raises(ValueError) as caught:
        accuracy(**arguments)
    expected = f"{name} must be 0 or 1, got [{bad}] among them"
    if name == "prediction":
        expected += ": predict(logit) turns logits into labels"
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", ["label", "prediction"])
def test_the_error_shows_three_values_of_many(name):
    arguments = {"label": np.zeros(9), "prediction": np.zeros(9)}
    arguments[name] = np.arange(9)
    with pytest.raises(ValueError, match=r"got \[2, 3, 4\] among them"):
        accuracy(**arguments)


def test_accuracy_does_not_check_traced_values():
    label = np.array([1, 1])
    bad = np.array([1, 7])
    assert jax.jit(accuracy)(label, bad) == 0.5
    assert jax.jit(accuracy)(bad, label) == 0.5
    assert jax.jit(lambda traced: accuracy(label, traced))(bad) == 0.5
    assert jax.jit(lambda traced: accuracy(traced, label))(bad) == 0.5
