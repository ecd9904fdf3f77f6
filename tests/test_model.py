"""Logistic regression in Flax: its params, its logit, the blog's start."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from oracle import params_of
from scipy import stats

from helpers.model import BLOG_PARAMS, LogisticRegression

model = LogisticRegression()


def test_init_draws_independent_standard_normals_and_a_zero():
    keys = random.split(random.key(0), 2000)
    params = jax.vmap(model.init, (0, None, None))(keys, 1, 0.0)
    assert jax.tree.structure(params) == jax.tree.structure(BLOG_PARAMS)
    w1, w2, b = (params["params"][name] for name in ("w1", "w2", "b"))
    for values in (w1, w2):
        # A p-value this small is rare, and the key is fixed.
        assert stats.kstest(values, "norm").pvalue > 1e-3
    assert stats.pearsonr(w1, w2).pvalue > 1e-3
    assert not b.any()
    assert {w1.dtype, w2.dtype, b.dtype} == {jnp.dtype("float32")}


def test_the_logit_equals_numpy():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    logit = jax.jit(model.apply)(params_of(0.2, 0.7, -1.3), x, y)
    np.testing.assert_allclose(logit, 0.7 * x - 1.3 * y + 0.2, rtol=1e-5)
    assert logit.dtype == jnp.float32
    assert model.apply(params_of(2, 1, 3), x=2, y=-1) == 1


def test_seed_10_gives_the_blogs_start_under_the_old_random_stream():
    with jax.threefry_partitionable(False):
        then = model.init(random.key(10), 1, 0.0)
    assert then == BLOG_PARAMS == params_of(0, 0.32724857, -1.1509773)
    for value in jax.tree.leaves(BLOG_PARAMS):
        assert isinstance(value, np.float32)
