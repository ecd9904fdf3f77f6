"""Logistic regression in Flax: its params, its logit, the blog's start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy import stats

from helpers.data import TRUE_LINE, line_logit
from helpers.model import BLOG_PARAMS, LogisticRegression

model = LogisticRegression()
KEY = random.key(0)
# A test of chance may reject a right sample this often, but keys are fixed.
RARE = 1e-3


def params_of(w1, w2, b):
    return {"params": {"w1": w1, "w2": w2, "b": b}}


def test_init_makes_three_float32_scalars():
    params = model.init(KEY, 1, 0.0)
    assert set(params) == {"params"}
    assert set(params["params"]) == {"w1", "w2", "b"}
    for value in params["params"].values():
        assert (value.shape, value.dtype) == ((), jnp.float32)


def test_init_draws_independent_standard_normals_and_a_zero():
    keys = random.split(KEY, 2000)
    params = jax.vmap(lambda key: model.init(key, 1.0, 0.0))(keys)["params"]
    for name in ("w1", "w2"):
        assert stats.kstest(params[name], "norm").pvalue > RARE
    assert stats.pearsonr(params["w1"], params["w2"]).pvalue > RARE
    assert not params["b"].any()


def test_init_depends_on_the_key_and_not_on_the_inputs():
    start = model.init(KEY, 1, 0.0)
    for inputs in [(5.0, -3), (np.zeros(7), np.ones(7))]:
        assert model.init(KEY, *inputs) == start
    assert model.init(random.key(1), 1, 0.0) != start


def test_no_key_is_used_twice():
    with jax.debug_key_reuse(True):
        model.init(random.key(0), 1.0, 0.0)
        jax.jit(model.init)(random.key(1), 1.0, 0.0)


def test_the_logit_equals_numpy_in_double_precision():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    logit = model.apply(params_of(0.7, -1.3, 0.2), x, y)
    np.testing.assert_allclose(logit, 0.7 * x - 1.3 * y + 0.2, rtol=1e-5)
    assert logit.dtype == jnp.float32


def test_with_the_true_weights_it_is_the_true_line():
    x, y = np.random.default_rng(1).normal(size=(2, 50))
    logit = model.apply(params_of(*TRUE_LINE), x, y)
    np.testing.assert_array_equal(logit, line_logit(TRUE_LINE, x, y))


@pytest.mark.parametrize("kind", [int, float, np.float64, np.int64, jnp.array])
def test_inputs_may_be_any_number(kind):
    logit = model.apply(params_of(*TRUE_LINE), x=kind(2), y=kind(-1))
    assert isinstance(logit, jax.Array)
    assert (logit.shape, logit.dtype) == ((), jnp.float32)
    assert logit == pytest.approx(-0.9, rel=1e-6)


def test_inputs_broadcast():
    x, y = np.arange(3.0), np.arange(2.0)[:, None]
    logit = model.apply(params_of(*TRUE_LINE), x, y)
    np.testing.assert_allclose(logit, x + 3 * y + 0.1, rtol=1e-6)


def test_the_gradient_of_the_logit_is_the_coordinates():
    gradient = jax.jit(jax.grad(model.apply))(BLOG_PARAMS, 2.0, -5.0)
    assert gradient == params_of(2.0, -5.0, 1.0)


def test_vmap_over_params_equals_a_loop():
    stack = params_of(*np.float32(np.arange(12).reshape(3, 4)))
    mapped = jax.vmap(model.apply, (0, None, None))(stack, 2.0, -1.0)
    np.testing.assert_allclose(mapped, 2 * np.arange(4) + 4)


# The blog's start


def test_blog_params_have_the_form_of_init():
    fresh = model.init(KEY, 1, 0.0)
    assert jax.tree.structure(BLOG_PARAMS) == jax.tree.structure(fresh)
    for value in jax.tree.leaves(BLOG_PARAMS):
        assert (value.dtype, value.shape) == (np.float32, ())


def test_blog_params_are_the_printed_digits():
    printed = {"w1": "0.32724857", "w2": "-1.1509773", "b": "0.0"}
    params = BLOG_PARAMS["params"]
    assert {name: str(value) for name, value in params.items()} == printed


def test_seed_10_gives_the_blogs_start_under_the_old_random_stream():
    before = model.init(random.key(10), 1, 0.0)
    with jax.threefry_partitionable(False):
        assert model.init(random.key(10), 1, 0.0) == BLOG_PARAMS
    # Outside, nothing has changed.
    after = model.init(random.key(10), 1, 0.0)
    assert after == before
    assert after["params"]["w1"] != BLOG_PARAMS["params"]["w1"]
