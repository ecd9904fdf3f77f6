"""The network in Flax: its layers by hand, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax import random
from scipy import stats

from helpers.data import TRUE_LINE, line_logit
from helpers.model import LogisticRegression
from helpers.networks import MLP

LAW = settings(deadline=None, derandomize=True, max_examples=40)
# A test of chance may reject a right sample this often, but keys are fixed.
RARE = 1e-3
KEY = random.key(0)
X, Y = np.random.default_rng(0).normal(size=(2, 5))
# XLA takes numbers below float32's normal ones for 0.
normal = st.floats(-10, 10, width=32, allow_subnormal=False)
inputs = hnp.arrays(np.float32, 5, elements=normal)

model = MLP((3, 4))
apply = jax.jit(model.apply)


def shapes(params):
    """The shapes by layer: of its kernel, of its bias."""
    return {
        name: (layer["kernel"].shape, layer["bias"].shape)
        for name, layer in params["params"].items()
    }


def drawn(widths, inputs, seed=0):
    """Params whose biases are not zero, in double precision."""
    rng = np.random.default_rng(seed)
    sizes = [inputs, *widths, 1]
    return {
        "params": {
            f"Dense_{i}": {
                "kernel": rng.normal(size=(sizes[i], sizes[i + 1])),
                "bias": rng.normal(size=sizes[i + 1]),
            }
            for i in range(len(sizes) - 1)
        }
    }


def by_hand(params, *inputs):
    """The logit of each point: sums neuron by neuron, in double precision."""
    *hidden_layers, last = params["params"].values()
    logits = []
    for point in zip(*inputs, strict=True):
        values = list(point)
        for layer in hidden_layers:
            kernel, bias = layer["kernel"], layer["bias"]
            values = [
                np.tanh(
                    bias[j]
                    + sum(values[i] * kernel[i, j] for i in range(len(values)))
                )
                for j in range(len(bias))
            ]
        sums = zip(values, last["kernel"][:, 0], strict=True)
        logits.append(last["bias"][0] + sum(v * w for v, w in sums))
    return np.array(logits)


# The params


@pytest.mark.parametrize(
    "widths, inputs, oracle",
    [
        ((), 2, {"Dense_0": ((2, 1), (1,))}),
        (
            (32, 32),
            2,
            {
                "Dense_0": ((2, 32), (32,)),
                "Dense_1": ((32, 32), (32,)),
                "Dense_2": ((32, 1), (1,)),
            },
        ),
        ((7,), 1, {"Dense_0": ((1, 7), (7,)), "Dense_1": ((7, 1), (1,))}),
        ([3], 30, {"Dense_0": ((30, 3), (3,)), "Dense_1": ((3, 1), (1,))}),
    ],
)
def test_init_makes_one_layer_more_than_widths(widths, inputs, oracle):
    params = jax.eval_shape(MLP(widths).init, KEY, *np.ones((inputs, 5)))
    assert set(params) == {"params"}
    assert shapes(params) == oracle
    for leaf in jax.tree.leaves(params):
        assert leaf.dtype == jnp.float32


@jax.jit
def draw(x, y):
    """Params of 2000 keys, for one hidden layer."""
    keys = random.split(KEY, 2000)
    return jax.vmap(lambda key: MLP((3,)).init(key, x, y)["params"])(keys)


def test_kernels_are_drawn_by_lecuns_rule_and_biases_are_zero():
    for layer, fan_in in zip(draw(1.0, 2.0).values(), (2, 3), strict=True):
        assert not layer["bias"].any()
        # A normal cut off at two standard deviations, then of variance 1/n.
        cut = stats.truncnorm(-2, 2)
        scale = cut.std() * np.sqrt(fan_in)
        # One weight a key is too few to tell LeCun's rule from Glorot's.
        sample = np.float64(layer["kernel"]).ravel() * scale
        assert stats.kstest(sample, cut.cdf).pvalue > RARE


def test_init_does_not_depend_on_the_inputs():
    trees = draw(1.0, 2.0), draw(-5.0, 0.0)
    for leaf, other in zip(*map(jax.tree.leaves, trees), strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_no_key_is_used_twice():
    with jax.debug_key_reuse(True):
        jax.jit(MLP((3,)).init)(random.key(0), 1.0, 0.0)


# The logit


@pytest.mark.parametrize(
    "widths, inputs",
    [((), 1), ((), 3), ((1,), 2), ((3, 4), 2), ((2, 3, 2), 5)],
)
def test_the_logit_equals_sums_by_hand(widths, inputs):
    params = drawn(widths, inputs)
    values = np.random.default_rng(1).normal(size=(inputs, 5))
    logit = jax.jit(MLP(widths).apply)(params, *values)
    np.testing.assert_allclose(
        logit, by_hand(params, *values), rtol=1e-5, atol=1e-6
    )
    assert isinstance(logit, jax.Array)
    assert (logit.shape, logit.dtype) == ((5,), jnp.float32)


def test_without_hidden_layers_it_is_logistic_regression():
    w1, w2, b = TRUE_LINE
    layer = {"kernel": np.array([[w1], [w2]]), "bias": np.array([b])}
    logit = MLP(()).apply({"params": {"Dense_0": layer}}, X, Y)
    np.testing.assert_allclose(logit, line_logit(TRUE_LINE, X, Y), rtol=1e-5)
    line = {"params": TRUE_LINE._asdict()}
    same = LogisticRegression().apply(line, X, Y)
    np.testing.assert_allclose(logit, same, rtol=1e-5)


@pytest.mark.parametrize("kind", [int, float, np.float64, np.int64, jnp.array])
def test_inputs_may_be_any_number(kind):
    params = drawn((3, 4), 2)
    logit = model.apply(params, kind(2), kind(-1))
    assert isinstance(logit, jax.Array)
    assert (logit.shape, logit.dtype) == ((), jnp.float32)
    oracle = by_hand(params, [2], [-1])[0]
    assert logit == pytest.approx(oracle, rel=1e-5)


def test_inputs_may_be_of_any_shape_and_kind():
    params = drawn((3, 4), 2)
    oracle = by_hand(params, X, Y)
    for kind in (np.float64, np.float32, jnp.array):
        logit = model.apply(params, kind(X), kind(Y))
        np.testing.assert_allclose(logit, oracle, rtol=1e-5)
    for shape in ((5, 1), (1, 5, 1)):
        logit = apply(params, X.reshape(shape), Y.reshape(shape))
        np.testing.assert_allclose(logit, oracle.reshape(shape), rtol=1e-5)
    assert apply(params, np.zeros(0), np.zeros(0)).shape == (0,)
    whole = apply(params, np.arange(5), np.arange(5) > 2)
    oracle = by_hand(params, range(5), [0, 0, 0, 1, 1])
    np.testing.assert_allclose(whole, oracle, rtol=1e-5)


def test_widths_may_be_a_list_and_named():
    params = drawn((3, 4), 2)
    logit = MLP(widths=[3, 4]).apply(params, X, Y)
    np.testing.assert_array_equal(logit, model.apply(params, X, Y))


@LAW
@given(inputs, inputs)
def test_without_biases_it_is_odd_and_bounded(x, y):
    # As tanh is: the other way round, the other sign.
    params = drawn((3, 4), 2)
    for layer in params["params"].values():
        layer["bias"] *= 0
    logit = apply(params, x, y)
    np.testing.assert_allclose(apply(params, -x, -y), -logit, rtol=1e-6)
    bound = jnp.abs(params["params"]["Dense_2"]["kernel"]).sum()
    assert (jnp.abs(logit) <= bound * (1 + 1e-6)).all()


@LAW
@given(inputs, inputs, st.permutations(range(5)))
def test_each_point_is_judged_alone(x, y, order):
    params = drawn((3, 4), 2)
    logit, order = apply(params, x, y), np.array(order)
    shuffled = apply(params, x[order], y[order])
    np.testing.assert_allclose(shuffled, logit[order], rtol=1e-5, atol=1e-5)


def test_the_gradient_equals_finite_differences_by_hand():
    params = drawn((3, 4), 2)
    slopes = jax.jit(jax.jacobian(model.apply))(params, X, Y)["params"]
    step = 1e-6
    for name, layer in params["params"].items():
        for part, values in layer.items():
            for i in np.ndindex(values.shape):
                ends = []
                for sign in (1, -1):
                    moved = jax.tree.map(np.copy, params)
                    moved["params"][name][part][i] += sign * step
                    ends.append(by_hand(moved, X, Y))
                oracle = (ends[0] - ends[1]) / (2 * step)
                np.testing.assert_allclose(
                    slopes[name][part][:, *i], oracle, rtol=1e-4, atol=1e-5
                )


def test_vmap_over_params_and_over_points_equals_a_loop():
    both = [drawn((3, 4), 2, seed) for seed in range(2)]
    stack = jax.tree.map(lambda *leaves: np.stack(leaves), *both)
    over_params = jax.jit(jax.vmap(model.apply, (0, None, None)))
    mapped = over_params(stack, X, Y)
    for logit, params in zip(mapped, both, strict=True):
        np.testing.assert_allclose(logit, by_hand(params, X, Y), rtol=1e-5)
    over_points = jax.jit(jax.vmap(model.apply, (None, 0, 0)))
    np.testing.assert_allclose(
        over_points(both[0], X, Y), apply(both[0], X, Y), rtol=1e-5
    )


# The guard


@pytest.mark.parametrize(
    "given_shapes",
    [
        (),
        ((3,), (3, 1)),
        ((3,), ()),
        ((2,), (2,), (3,)),
        # Neither a count of two shapes nor the two ends give it away.
        ((2,), (3,), (4,), (2,)),
    ],
)
def test_inputs_of_unequal_shapes_are_refused_also_under_jit(given_shapes):
    values = [np.zeros(shape) for shape in given_shapes]
    key_and_params = {"init": KEY, "apply": drawn((3, 4), 2)}
    for name, first in key_and_params.items():
        function = getattr(model, name)
        for call in (function, jax.jit(function)):
            with pytest.raises(ValueError) as caught:
                call(first, *values)
            assert str(caught.value) == (
                "inputs must be at least one array, all of one shape, got "
                f"shapes {list(given_shapes)}"
            )


def test_one_of_one_shape_is_enough():
    # The guard asks for one shape, not for two inputs.
    params = drawn((3, 4), 1)
    logit = apply(params, X)
    np.testing.assert_allclose(logit, by_hand(params, X), rtol=1e-5)
