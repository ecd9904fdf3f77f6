"""The NNX model is the Linen model, to the last digit."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from helpers.data import make_dataset
from helpers.loss import mean_loss
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.nnx_model import (
    NNXLogisticRegression,
    from_linen,
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
    model = NNXLogisticRegression(rngs=nnx.Rngs(0))
    from_linen(model, BLOG_PARAMS)
    return model


def test_the_weights_are_drawn_one_after_the_other_and_the_bias_is_zero():
    drawn, keys = NNXLogisticRegression(rngs=nnx.Rngs(7)), nnx.Rngs(7)
    assert drawn.w1[...] == jax.random.normal(keys.params())
    assert drawn.w2[...] == jax.random.normal(keys.params())
    assert drawn.b[...] == 0
    assert set(to_linen(drawn)["params"]) == {"w1", "w2", "b"}


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
    drawn, other = (
        NNXLogisticRegression(rngs=nnx.Rngs(seed)) for seed in (7, 8)
    )
    params = to_linen(drawn)
    same = LINEN.apply(params, dataset.x, dataset.y)
    assert (drawn(dataset.x, dataset.y) == same).all()
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
    with pytest.raises(ValueError, match=r"^params must be like"):
        from_linen(model, params)
    assert to_linen(model) == BLOG_PARAMS
