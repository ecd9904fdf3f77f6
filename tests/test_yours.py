"""The file to copy: beside scikit-learn, and what it refuses."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from helpers.yours import (
    MLP,
    class_loss,
    divide,
    find_scaling,
    load,
    save,
    squared_loss,
    train,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 2)).astype(np.float32)
LABEL = (X @ [[2, -1, 0], [0, 1, -2]] + RNG.gumbel(size=(300, 3))).argmax(1)
KEY = jax.random.key(0)
LINE = MLP((3,))
LOSS = partial(class_loss, LINE.apply)
START = LINE.init(KEY, X)
# Steps that shrink, so that minibatches settle at the optimum.
SHRINKING = optax.adam(optax.cosine_decay_schedule(0.1, 100 * 10))


def test_parts_hold_each_row_once_with_its_own_label():
    rows = np.arange(10)
    parts = divide(KEY, (rows, -rows), (2, 3))
    assert [len(part[0]) for part in parts] == [2, 3, 5]
    assert sorted(np.concatenate([part[0] for part in parts])) == [*rows]
    assert all((part[0] == -part[1]).all() for part in parts)


def test_scaling_is_that_of_scikit_learn_but_of_a_constant_column():
    # 0.1 has a standard deviation above 0 by rounding.
    table = np.column_stack([X, np.full(len(X), 0.1, np.float32)])
    oracle = StandardScaler().fit(table.astype(float))
    mean, sd = find_scaling(table)
    np.testing.assert_allclose(mean, oracle.mean_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(sd[:2], oracle.scale_[:2], rtol=1e-4)
    assert np.isinf(sd[2])  # so that no row differs there


def test_classes_are_learned_as_by_scikit_learn():
    data = (X, LABEL)
    params, losses = train(
        KEY, LOSS, START, SHRINKING, data, data, 30, 100, 100
    )
    peer = LogisticRegression(C=np.inf, tol=1e-8).fit(X, LABEL)
    oracle = peer.predict_proba(X)
    ours = jax.nn.softmax(LINE.apply(params, X))
    np.testing.assert_allclose(ours, oracle, atol=0.01)
    np.testing.assert_allclose(losses.min(), LOSS(params, data), atol=1e-6)


def test_a_number_is_learned_as_by_scikit_learn():
    target = X @ np.float32([1, -2]) + 3
    model = MLP((1,))
    loss_fn = partial(squared_loss, model.apply)
    start, data = model.init(KEY, X), (X, target)
    params, _ = train(KEY, loss_fn, start, SHRINKING, data, data, 30, 100, 100)
    oracle = LinearRegression().fit(X, target)
    dense = params["params"]["Dense_0"]
    np.testing.assert_allclose(dense["kernel"][:, 0], oracle.coef_, atol=0.01)
    np.testing.assert_allclose(dense["bias"][0], oracle.intercept_, atol=0.01)


@pytest.mark.parametrize("widths", [(3,), (5, 3), (4, 5, 3)])
def test_what_is_loaded_says_what_was_saved_of_a_row_too(tmp_path, widths):
    model, path = MLP(widths), tmp_path / "model.npz"
    params = model.init(KEY, X)
    mean, sd = np.float32([1, -2]), np.float32([3, 0.5])
    save(path, params, mean, sd, names=np.array(["a", "b", "c"]))
    outputs, wanted = load(path), model.apply(params, (X - mean) / sd)
    np.testing.assert_allclose(outputs(X), wanted, atol=1e-5)
    np.testing.assert_allclose(outputs(X[0]), wanted[0], atol=1e-5)
    with pytest.raises(ValueError, match=r"\(300, 1\)"):
        outputs(X[:, :1])  # would broadcast
    with pytest.raises(ValueError, match="missing"):
        outputs(np.full(2, np.nan))  # whose argmax would be 0
    with pytest.raises(ValueError, match="do not fit"):
        save(path, params, mean[:1], sd[:1])
    with pytest.raises(ValueError, match="objects"):  # would not load again
        save(path, params, mean, sd, names=np.array(["a", None]))


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_label_that_is_no_class_costs_nan(wrong):
    label = jnp.asarray(LABEL).at[7].set(wrong)
    assert jnp.isnan(jax.jit(LOSS)(START, (X, label)))
    with pytest.raises(ValueError, match="epoch 1: losses nan"):
        train(KEY, LOSS, START, SHRINKING, (X, label), (X, LABEL))


def test_shapes_and_sizes_that_would_answer_wrong_are_refused():
    column = LABEL[:, None]
    with pytest.raises(ValueError, match="labels"):
        LOSS(START, (X, column))
    with pytest.raises(ValueError, match="targets"):
        squared_loss(MLP((1,)).apply, MLP((1,)).init(KEY, X), (X, column))
    with pytest.raises(ValueError, match="targets"):
        squared_loss(LINE.apply, START, (X, LABEL))
    with pytest.raises(ValueError, match="differ in length"):
        train(KEY, LOSS, START, SHRINKING, (X, LABEL[:-1]), (X, LABEL))
    few = (X[:31], LABEL[:31])
    with pytest.raises(ValueError, match="31 rows fill no batch of 32"):
        train(KEY, LOSS, START, SHRINKING, few, few)
    with pytest.raises(ValueError, match="no row is left"):
        divide(KEY, few, (20, 11))
    with pytest.raises(ValueError, match="lengths differ"):
        divide(KEY, (X, LABEL[:-1]), (20, 11))
