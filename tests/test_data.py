"""The points, their labels, and the line that loads the coins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from scipy import special, stats

from helpers.data import (
    TRUE_LINE,
    Dataset,
    Line,
    boundary_y,
    line_logit,
    make_dataset,
    rows,
    sample_labels,
    to_frame,
)
from helpers.real_data import Table

KEY = random.key(0)
# A test of chance may reject a right sample this often, but keys are fixed.
RARE = 1e-3
LAW = settings(derandomize=True, deadline=None, max_examples=20)
number = st.floats(-10, 10, width=32)
slope = number.filter(lambda value: abs(value) > 0.01)


@pytest.fixture(scope="module")
def big():
    """A data set large enough to see a distribution, in float64."""
    return Dataset(*map(np.float64, make_dataset(KEY, 100_000)))


# The line


def test_line_logit_equals_numpy():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    logit = line_logit(Line(0.7, -1.3, 0.2), x, y)
    np.testing.assert_allclose(logit, 0.7 * x - 1.3 * y + 0.2, rtol=1e-5)
    assert logit.dtype == jnp.float32


def test_line_functions_take_whole_numbers():
    for result, value in [
        (line_logit(Line(1, 3, 2), 2, -1), 1),
        (boundary_y(Line(1, 4, 2), 4), -1.5),
    ]:
        assert (result, result.shape, result.dtype) == (value, (), "float32")


def test_a_line_is_a_pytree():
    assert jax.grad(line_logit)(TRUE_LINE, 2.0, -5.0) == Line(2, -5, 1)


@LAW
@given(number, slope, number, number, st.floats(0.01, 100))
def test_scaling_multiplies_logits_and_moves_no_boundary(w1, w2, b, x, factor):
    line = Line(w1, w2, b)
    y = jax.jit(boundary_y)(line, x)
    # The rounding of y, times w2, and of the sum of three terms.
    rounding = 1e-5 * (abs(w1 * x) + abs(b) + 1e-3)
    assert abs(line_logit(line, x, y)) <= rounding
    assert abs(line_logit(line.scaled(factor), x, y)) <= factor * rounding
    np.testing.assert_allclose(line.scaled(factor), np.multiply(line, factor))


@pytest.mark.parametrize("factor", [0, -1.0, np.nan, np.array([1.0, 0.0])])
def test_scaling_refuses_what_erases_the_line_or_swaps_the_labels(factor):
    with pytest.raises(ValueError, match=r"^factor must be above 0, got"):
        TRUE_LINE.scaled(factor)


# The points and the labels


def test_points_are_normal_with_standard_deviations_2_and_1(big):
    assert stats.kstest(big.x / 2, "norm").pvalue > RARE
    assert stats.kstest(big.y, "norm").pvalue > RARE
    assert stats.pearsonr(big.x, big.y).pvalue > RARE


@pytest.mark.parametrize("logit", [-3.0, -0.5, 0.0, 0.1, 2])
def test_a_coin_falls_on_1_with_probability_sigmoid(logit):
    labels = sample_labels(KEY, np.full(20_000, logit))
    ones = int(labels.sum())
    assert stats.binomtest(ones, 20_000, special.expit(logit)).pvalue > RARE


@pytest.mark.parametrize("logit", [100, 1e4, np.inf])
def test_sure_logits_give_sure_labels_of_their_shape(logit):
    labels = sample_labels(KEY, np.array([[logit], [-logit]]))
    np.testing.assert_array_equal(labels, [[1], [0]])
    assert labels.dtype == jnp.int32
    assert sample_labels(KEY, logit) == 1


def test_labels_refuse_nan():
    with pytest.raises(ValueError, match=r"^logit must be numbers, got"):
        sample_labels(KEY, np.array([0.0, np.nan]))


# The data set


def test_the_default_is_the_blogs_thousand_points():
    data = make_dataset(KEY)
    asked = make_dataset(KEY, 1000, Line(w1=1.0, w2=3.0, b=0.1))
    for column, other in zip(data, asked, strict=True):
        assert column.shape == (1000,)
        np.testing.assert_array_equal(column, other)
    assert [c.dtype for c in data] == [jnp.float32, jnp.float32, jnp.int32]


def test_the_line_loads_the_coins():
    data = make_dataset(KEY, 1000, Line(-1e6, 2e6, 3e6))
    np.testing.assert_array_equal(data.label, 2 * data.y - data.x + 3 > 0)


def test_a_key_gives_the_same_data_in_every_version():
    data = make_dataset(random.key(0), 4)
    x, y = [-1.150, 1.600, -0.519, 2.860], [-1.257, -0.402, -1.121, 0.878]
    np.testing.assert_allclose((data.x, data.y), (x, y), atol=1e-3)
    np.testing.assert_array_equal(data.label, [1, 1, 0, 1])


def test_rows_and_frames_have_all_columns():
    data = make_dataset(KEY, 4)
    frame, last = to_frame(data), rows(data, slice(2, None))
    assert list(frame.columns) == ["x", "y", "label"]
    for name, column in data._asdict().items():
        np.testing.assert_array_equal(frame[name], column)
        assert frame[name].dtype == column.dtype
        np.testing.assert_array_equal(getattr(last, name), column[2:])


def test_rows_are_of_any_tuple_of_arrays():
    table = Table(np.arange(6.0).reshape(3, 2), np.array([0, 1, 1]))
    for which in [1, slice(1, None), table.label == 1, jnp.array([2, 0])]:
        features, label = picked = rows(table, which)
        assert isinstance(picked, Table)
        np.testing.assert_array_equal(features, table.features[which])
        np.testing.assert_array_equal(label, table.label[which])
    assert rows(tuple(table), 2)[1] == 1
