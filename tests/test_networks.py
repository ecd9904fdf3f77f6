"""The network in Flax: its layers by hand, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from helpers.networks import MLP


def drawn(*sizes):
    """Params in double precision, for inputs and layers of these sizes."""
    rng = np.random.default_rng(0)
    layers = {
        f"Dense_{i}": {
            "kernel": rng.normal(size=(sizes[i], sizes[i + 1])),
            "bias": rng.normal(size=sizes[i + 1]),
        }
        for i in range(len(sizes) - 1)
    }
    return {"params": layers}


def by_hand(params, *inputs):
    """The logit of each point, in double precision."""
    *hidden, last = params["params"].values()
    values = np.stack(inputs, axis=-1)
    for layer in hidden:
        values = np.tanh(values @ layer["kernel"] + layer["bias"])
    return (values @ last["kernel"] + last["bias"])[..., 0]


@pytest.mark.parametrize("sizes", [(2, 1), (2, 32, 32, 1), (30, 3, 1)])
def test_init_makes_one_layer_more_than_widths(sizes):
    columns = np.ones((sizes[0], 5))
    params = jax.eval_shape(MLP(sizes[1:-1]).init, random.key(0), *columns)
    wanted = drawn(*sizes)
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, wanted)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    "sizes", [(1, 1), (3, 1), (2, 1, 1), (2, 3, 4, 1), (5, 2, 3, 2, 1)]
)
def test_the_logit_equals_sums_by_hand(sizes):
    """Inputs apart, if there are several, or side by side in one array."""
    params, apply = drawn(*sizes), jax.jit(MLP(sizes[1:-1]).apply)
    points = np.random.default_rng(1).normal(size=(sizes[0], 4, 5))
    table = np.moveaxis(points, 0, -1)
    for inputs in [points, [table]] if sizes[0] > 1 else [[table]]:
        logit = apply(params, *inputs)
        oracle = by_hand(params, *points)
        np.testing.assert_allclose(logit, oracle, rtol=1e-5, atol=1e-6)
        assert isinstance(logit, jax.Array)
        assert logit.dtype == jnp.float32
