"""The NNX model is the Linen model, to the last digit."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from scipy import special

from helpers.data import Dataset, make_dataset
from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.nnx_model import (
    NNXLogisticRegression,
    from_linen,
    model_loss,
    nnx_step,
    to_linen,
)
from helpers.training import fit

LINEN = LogisticRegression()
LOSS_FN = partial(mean_loss, LINEN.apply)


@pytest.fixture(scope="module")
def dataset():
    return make_dataset(jax.random.key(1))


@pytest.fixture
def model():
    model = NNXLogisticRegression(nnx.Rngs(0))
    from_linen(model, BLOG_PARAMS)
    return model


def test_the_logit_is_the_formula_in_double_precision(model, dataset):
    w = {name: float(value) for name, value in BLOG_PARAMS["params"].items()}
    x, y = np.float64(dataset.x), np.float64(dataset.y)
    oracle = w["w1"] * x + w["w2"] * y + w["b"]
    np.testing.assert_allclose(model(x, y), oracle, rtol=1e-5, atol=1e-5)
    grid = model(x[:3, None], y[:4])
    assert grid.shape == (3, 4) and grid.dtype == jnp.float32


def test_weights_start_normal_and_independent_and_the_bias_at_zero():
    drawn = [NNXLogisticRegression(nnx.Rngs(seed)) for seed in range(200)]
    w1, w2, b = (
        np.array([getattr(model, name)[...] for model in drawn])
        for name in ("w1", "w2", "b")
    )
    assert (b == 0).all()
    for weights in (w1, w2):
        # Four standard errors of 200 normal numbers.
        assert abs(weights.mean()) < 4 / 200**0.5
        assert abs(weights.std() - 1) < 4 / 400**0.5
    assert abs(np.corrcoef(w1, w2)[0, 1]) < 4 / 200**0.5


def test_each_param_is_a_variable_of_kind_param(model):
    kinds = {type(model.w1), type(model.w2), type(model.b)}
    assert kinds == {nnx.Param}
    assert {leaf.dtype for leaf in jax.tree.leaves(to_linen(model))} == {
        jnp.dtype("float32")
    }


def test_the_loss_equals_scipy_in_double_precision(model, dataset):
    logit = np.float64(model(dataset.x, dataset.y))
    sign = 2 * np.asarray(dataset.label) - 1
    oracle = -special.log_expit(sign * logit).mean()
    assert model_loss(model, dataset) == pytest.approx(oracle, rel=1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [optax.sgd(0.3), optax.sgd(0.3, momentum=0.9), optax.adam(0.05)],
    ids=["sgd", "momentum", "adam"],
)
def test_a_run_is_that_of_linen(model, dataset, optimizer):
    params, history = fit(LOSS_FN, BLOG_PARAMS, optimizer, dataset, epochs=50)
    stepper = nnx.Optimizer(model, optimizer, wrt=nnx.Param)
    losses = [nnx_step(model, stepper, dataset) for _ in range(50)]
    np.testing.assert_allclose(losses, history.loss, rtol=0, atol=2e-7)
    for name, value in params["params"].items():
        here = to_linen(model)["params"][name]
        np.testing.assert_allclose(here, value, rtol=0, atol=1e-6)


def test_params_go_to_linen_and_back_unchanged(dataset):
    drawn = NNXLogisticRegression(nnx.Rngs(7))
    params = to_linen(drawn)
    assert params.keys() == {"params"}
    same = LINEN.apply(params, dataset.x, dataset.y)
    assert (drawn(dataset.x, dataset.y) == same).all()
    other = NNXLogisticRegression(nnx.Rngs(8))
    from_linen(other, params)
    assert to_linen(other) == params
    # A copy: the first model's later steps do not reach it.
    drawn.w1[...] = drawn.w1[...] + 1
    assert to_linen(other) == params


@pytest.mark.parametrize(
    "params",
    [
        {"params": {"w1": 1.0, "w2": 2.0}},
        {"params": {"w1": 1.0, "w2": 2.0, "b": 0.0, "c": 0.0}},
        {"params": {"w1": jnp.ones(2), "w2": 2.0, "b": 0.0}},
        {"w1": 1.0, "w2": 2.0, "b": 0.0},
    ],
    ids=["one less", "one more", "a shape", "no params"],
)
def test_params_of_another_model_are_refused(model, params):
    with pytest.raises(ValueError, match="params must have the names and sha"):
        from_linen(model, params)
    assert to_linen(model) == BLOG_PARAMS


class Silent(nnx.Module):
    def __call__(self, x, y):
        raise NotImplementedError


def test_labels_of_another_coding_are_refused(model, dataset):
    signs = Dataset(dataset.x, dataset.y, 2 * dataset.label - 1)
    # The guard comes first: a module of no kind could not be called.
    with pytest.raises(ValueError, match=r"^label must be 0 or 1, got \[-1\]"):
        model_loss(Silent(), signs)


def test_points_that_are_not_finite_are_refused(model, dataset):
    with pytest.raises(ValueError, match=r"^dataset must be finite, got NaN"):
        model_loss(model, dataset._replace(x=dataset.x / 0))
