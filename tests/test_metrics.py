"""From logits to labels, and the share of them that is right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from helpers.metrics import accuracy, predict

LABEL = np.array([[0, 1, 1], [0, 0, 1]])
GUESS = np.array([[0, 1, 0], [1, 1, 1]])


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_the_threshold_is_logit_0_and_a_tie_is_a_0(wrap):
    logit = np.array([[-np.inf, -0.4, -0.0], [0.0, 0.4, np.inf]])
    labels = wrap(predict)(logit)
    np.testing.assert_array_equal(labels, [[0, 0, 0], [0, 1, 1]])
    assert labels.dtype == jnp.int32
    assert wrap(predict)(2) == 1


def test_predict_refuses_nan():
    with pytest.raises(ValueError, match=r"^logit must be numbers, got"):
        predict(np.array([0.0, np.nan]))


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_logits_of_several_labels_get_no_accuracy(wrap):
    logits, label = np.zeros((4, 3)), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"^shapes must be equal"):
        wrap(lambda: accuracy(label, predict(logits)))()


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_accuracy_equals_scikit_learn(wrap):
    share = wrap(accuracy)(LABEL, GUESS)
    assert share == accuracy_score(LABEL.ravel(), GUESS.ravel())
    assert (share.shape, share.dtype) == ((), jnp.float32)
    assert accuracy(True, 1.0) == 1


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit])
def test_accuracy_refuses_unequal_shapes(wrap):
    for shapes in [((3, 1), (3,)), ((3,), ())]:
        label, prediction = (np.zeros(shape, int) for shape in shapes)
        with pytest.raises(ValueError, match=r"^shapes must be equal"):
            wrap(accuracy)(label, prediction)


@pytest.mark.parametrize("bad", [-1, 2, 0.75, np.nan])
def test_accuracy_refuses_what_is_no_label(bad):
    good, bad = np.array([0, 1]), np.array([bad, 1])
    with pytest.raises(ValueError, match=r"^label must be 0 or 1, got \["):
        accuracy(bad, good)
    with pytest.raises(ValueError, match=r"^prediction must be 0 or 1"):
        accuracy(good, bad)
