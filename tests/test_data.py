"""The points, their labels, and the line that loads the coins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import random
from scipy import special, stats

from helpers.data import (
    TRUE_LINE,
    X_SD,
    Y_SD,
    Dataset,
    Line,
    boundary_y,
    line_logit,
    make_dataset,
    sample_labels,
    sample_points,
    to_frame,
)

KEY = random.key(0)
# A test of chance may reject a right sample this often, but keys are fixed.
RARE = 1e-3

LAW = settings(deadline=None, derandomize=True, max_examples=40)
# Sizes at which float32 neither over- nor underflows.
number = st.floats(-10, 10, width=32)
slope = number.filter(lambda value: abs(value) > 0.01)


@pytest.fixture(scope="module")
def big():
    """A data set large enough to see a distribution."""
    return make_dataset(KEY, 100_000)


# The line


def test_the_constants_are_those_of_the_blog():
    assert TRUE_LINE == (1.0, 3.0, 0.1)
    assert TRUE_LINE._fields == ("w1", "w2", "b")
    assert (X_SD, Y_SD) == (2.0, 1.0)


def test_line_logit_equals_numpy_in_double_precision():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    logit = line_logit(Line(0.7, -1.3, 0.2), x, y)
    np.testing.assert_allclose(logit, 0.7 * x - 1.3 * y + 0.2, rtol=1e-5)
    assert isinstance(logit, jax.Array)
    assert logit.dtype == jnp.float32


@pytest.mark.parametrize("kind", [int, float, np.float64, np.int64, jnp.array])
def test_line_functions_take_any_number(kind):
    logit = line_logit(TRUE_LINE, kind(2), kind(-1))
    height = boundary_y(TRUE_LINE, kind(2))
    assert logit == pytest.approx(-0.9, rel=1e-6)
    assert height == pytest.approx(-0.7, rel=1e-6)
    for result in (logit, height):
        assert isinstance(result, jax.Array)
        assert (result.shape, result.dtype) == ((), jnp.float32)


def test_line_logit_broadcasts():
    x, y = np.arange(3.0), np.arange(2.0)[:, None]
    logit = line_logit(TRUE_LINE, x, y)
    np.testing.assert_allclose(logit, x + 3 * y + 0.1, rtol=1e-6)


def test_a_line_is_a_pytree_with_the_coordinates_as_gradient():
    gradient = jax.grad(line_logit)(TRUE_LINE, 2.0, -5.0)
    assert gradient == Line(2.0, -5.0, 1.0)
    stack = Line(*np.arange(12.0).reshape(3, 4))
    mapped = jax.jit(jax.vmap(line_logit, (0, None, None)))(stack, 2.0, -1.0)
    np.testing.assert_allclose(mapped, line_logit(stack, 2.0, -1.0))
    np.testing.assert_allclose(mapped, np.arange(4) * 2 + 4)


@LAW
@given(number, slope, number, number)
def test_the_logit_on_the_boundary_is_zero(w1, w2, b, x):
    line = Line(w1, w2, b)
    y = boundary_y(line, x)
    # The rounding of y, times w2, and of the sum of three terms.
    scale = abs(w1 * x) + abs(b) + 1e-3
    assert abs(line_logit(line, x, y)) <= 1e-5 * scale


def test_boundary_y_maps_over_arrays_under_jit():
    x = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(
        jax.jit(boundary_y)(TRUE_LINE, x), -(x + 0.1) / 3, rtol=1e-6
    )


@pytest.mark.parametrize("w2", [0, 0.0, -0.0, np.array([1.0, 0.0])])
def test_boundary_y_refuses_a_vertical_line(w2):
    # The guard comes first: None could not be computed with.
    line = Line(1.0, w2, 0.1)
    with pytest.raises(ValueError) as caught:
        boundary_y(line, None)
    assert str(caught.value) == (
        f"line.w2 must not be 0, got {line}: "
        "a vertical line has no y over a given x"
    )


def test_a_known_line_is_checked_beside_what_is_traced():
    # Under jit, what jnp does to a known array is traced too.
    for w2 in (2.0, 0.0):
        line = Line(1.0, jnp.array(w2), 0.1)
        of_x = jax.jit(lambda x, line=line: boundary_y(line, x))
        if w2:
            assert of_x(1.0) == pytest.approx(-0.55)
        else:
            with pytest.raises(ValueError, match=r"^line.w2 must not be 0"):
                of_x(1.0)


def test_boundary_y_refuses_shapes_that_do_not_broadcast():
    lines = Line(np.ones(2), np.ones(2), np.ones(2))
    with pytest.raises(ValueError) as caught:
        boundary_y(lines, np.zeros(3))
    assert str(caught.value) == (
        "x, w1, w2 and b must have shapes that broadcast, got (3,), (2,), (2,)"
        " and (2,)"
    )


def test_boundary_y_lets_traced_slopes_pass():
    traced = jax.jit(boundary_y)(Line(1.0, 0.0, 0.1), 1.0)
    assert traced == -jnp.inf


@LAW
@given(number, slope, number, number, number, st.floats(0.01, 100))
def test_scaling_multiplies_logits_and_moves_no_boundary(
    w1, w2, b, x, y, factor
):
    line, scaled = Line(w1, w2, b), Line(w1, w2, b).scaled(factor)
    scale = abs(w1 * x) + abs(w2 * y) + abs(b) + 1e-3
    np.testing.assert_allclose(
        line_logit(scaled, x, y),
        factor * line_logit(line, x, y),
        atol=1e-5 * factor * scale,
    )
    scale = (abs(w1 * x) + abs(b) + 1e-3) / abs(w2)
    np.testing.assert_allclose(
        boundary_y(scaled, x), boundary_y(line, x), atol=1e-5 * scale
    )


def test_scaling_by_an_array_gives_a_line_of_arrays():
    scaled = TRUE_LINE.scaled(np.array([1.0, 2.0]))
    assert isinstance(scaled, Line)
    np.testing.assert_allclose(scaled.w2, [3.0, 6.0])
    assert TRUE_LINE.scaled(1) == TRUE_LINE


@pytest.mark.parametrize(
    "factor", [0, 0.0, -1.0, np.nan, np.inf, -np.inf, np.array([1.0, 0.0])]
)
def test_scaling_refuses_what_erases_or_flips_the_line(factor):
    given = "values from 0.0 to 1.0" if np.ndim(factor) else factor
    with pytest.raises(ValueError) as caught:
        Line(None, None, None).scaled(factor)
    assert str(caught.value) == (
        f"factor must be finite and above 0, got {given}: "
        "0 erases the line and a negative factor swaps the labels"
    )


@pytest.mark.parametrize(
    ("n", "line", "message"),
    [
        (0, TRUE_LINE, "n must be a whole number, at least 1, got 0"),
        (1, Line(np.nan, 1.0, 0.0), "line must be finite, got NaN or infin"),
        (1, Line(*np.ones((3, 2))), "line must hold single numbers, got the"),
    ],
)
def test_what_is_wrong_is_said_before_a_point_is_drawn(n, line, message):
    # None is no key.
    with pytest.raises(ValueError, match=f"^{message}"):
        make_dataset(None, n, line)


def test_scaling_lets_traced_factors_pass():
    assert jax.jit(TRUE_LINE.scaled)(-1.0) == Line(-1.0, -3.0, -0.1)
    assert jax.grad(lambda factor: TRUE_LINE.scaled(factor).w2)(0.0) == 3.0


# The points


def test_points_are_float32_and_as_many_as_asked():
    for n in (1, 2, 17, np.int64(3)):
        for values in sample_points(KEY, n):
            assert (values.shape, values.dtype) == ((n,), jnp.float32)


@pytest.mark.parametrize("axis, sd", [("x", 2.0), ("y", 1.0)])
def test_points_are_normal_with_their_standard_deviation(big, axis, sd):
    values = np.float64(getattr(big, axis))
    n = len(values)
    assert abs(values.mean()) < stats.norm.isf(RARE) * sd / n**0.5
    low, high = stats.chi2.ppf([RARE / 2, 1 - RARE / 2], n - 1)
    assert low < values.var(ddof=1) * (n - 1) / sd**2 < high
    assert stats.kstest(values / sd, "norm").pvalue > RARE


def test_x_and_y_are_independent(big):
    x, y = np.float64(big.x), np.float64(big.y)
    assert stats.pearsonr(x, y).pvalue > RARE
    # Points on a circle are uncorrelated too, their sizes are not.
    assert stats.pearsonr(abs(x), abs(y)).pvalue > RARE
    quarter = stats.contingency.crosstab(x > 0, y > 0).count
    assert stats.chi2_contingency(quarter).pvalue > RARE


@pytest.mark.parametrize("n", [0, -1])
@pytest.mark.parametrize("draw", [sample_points, make_dataset])
def test_drawing_no_points_is_refused(draw, n):
    with pytest.raises(ValueError, match=rf"^n must be a whole .* got {n}$"):
        draw(KEY, n)
    with pytest.raises(ValueError, match=r"^n must"):
        jax.jit(draw, static_argnums=1)(KEY, n)


def test_the_number_of_points_is_checked_before_any_draw():
    with pytest.raises(ValueError, match=r"^n must"):
        sample_points(None, 0)


# The labels


def test_labels_are_int32_of_the_shape_of_the_logit():
    for shape in [(), (1,), (4,), (2, 3), (0,)]:
        label = sample_labels(KEY, np.zeros(shape))
        assert (label.shape, label.dtype) == (shape, jnp.int32)


@pytest.mark.parametrize(
    "logit", [100, 100.0, np.int64(100), np.float64(1e4), np.inf]
)
def test_sure_logits_give_sure_labels(logit):
    assert sample_labels(KEY, logit) == 1
    assert sample_labels(KEY, -logit) == 0
    np.testing.assert_array_equal(
        sample_labels(KEY, np.array([logit, -logit])), [1, 0]
    )


@pytest.mark.parametrize("logit", [-3.0, -0.5, 0.0, 0.1, 2, np.int32(-1)])
def test_a_coin_falls_on_1_with_probability_sigmoid(logit):
    n = 20_000
    heads = int(sample_labels(KEY, np.full(n, logit)).sum())
    assert stats.binomtest(heads, n, special.expit(logit)).pvalue > RARE


def test_labels_refuse_nan():
    with pytest.raises(ValueError, match=r"^logit must be numbers, got NaN"):
        sample_labels(None, np.array([0.0, np.nan]))
    # Traced values are unknown: the check must not be in the way.
    assert jax.jit(sample_labels)(KEY, jnp.nan) in (0, 1)
    mapped = jax.vmap(sample_labels, (None, 0))(KEY, np.array([9e9, jnp.nan]))
    assert mapped[0] == 1


def p_value_of_labels(data, values, bins=50):
    """Return the p-value of label frequencies by bins of ``values``."""
    p = special.expit(np.float64(data.x) + 3 * np.float64(data.y) + 0.1)
    order = np.argsort(np.asarray(values))
    surplus, variance = (
        np.array([part.sum() for part in np.array_split(terms[order], bins)])
        for terms in (np.asarray(data.label) - p, p * (1 - p))
    )
    return stats.chi2.sf((surplus**2 / variance).sum(), bins)


def test_label_frequencies_follow_the_sigmoid_of_the_logit(big):
    assert p_value_of_labels(big, line_logit(TRUE_LINE, big.x, big.y)) > RARE


@pytest.mark.parametrize("axis", ["x", "y"])
def test_coins_know_nothing_of_the_points_but_the_logit(big, axis):
    # One key for points and coins would show here.
    values = np.asarray(getattr(big, axis))
    assert p_value_of_labels(big, values) > RARE
    assert p_value_of_labels(big, abs(values)) > RARE


def test_coins_know_nothing_of_each_other():
    label = np.asarray(sample_labels(KEY, np.zeros(20_001)))
    pairs = stats.contingency.crosstab(label[1:], label[:-1]).count
    assert stats.chi2_contingency(pairs).pvalue > RARE


# The data set


def test_statsmodels_recovers_the_line(big):
    data = Dataset(*(np.float64(column) for column in big))
    inputs = np.column_stack([data.x, data.y, np.ones(len(data.x))])
    result = sm.Logit(data.label, inputs).fit(disp=0)
    error = (result.params - TRUE_LINE) / result.bse
    assert (abs(error) < stats.norm.isf(RARE)).all()


def test_the_default_is_the_blogs_thousand_points():
    data = make_dataset(KEY)
    asked = make_dataset(KEY, 1000, Line(1.0, 3.0, 0.1))
    for column, other in zip(data, asked, strict=True):
        assert column.shape == (1000,)
        np.testing.assert_array_equal(column, other)
    assert [c.dtype for c in data] == [jnp.float32, jnp.float32, jnp.int32]
    assert data._fields == ("x", "y", "label")


def test_the_line_loads_the_coins():
    for b in (-100, 100):
        label = make_dataset(KEY, 50, Line(0, 0, b)).label
        assert (label == (b > 0)).all()
    data = make_dataset(KEY, 50, TRUE_LINE.scaled(1e6))
    side = np.asarray(data.x) + 3 * np.asarray(data.y) + 0.1 > 0
    np.testing.assert_array_equal(data.label, side)


def test_the_same_key_gives_the_same_data_and_another_key_another():
    again, other = make_dataset(random.key(0), 9), make_dataset(KEY, 9)
    for column, same in zip(again, other, strict=True):
        np.testing.assert_array_equal(column, same)
    other = make_dataset(random.key(1), 9)
    assert not np.isin(again.x, other.x).any()
    assert not np.isin(again.y, other.y).any()
    coins = [sample_labels(random.key(i), np.zeros(50)) for i in (0, 1)]
    assert (coins[0] != coins[1]).any()


def test_a_key_gives_the_same_data_in_every_version():
    data = make_dataset(random.key(0), 4)
    x, y = [-1.150, 1.600, -0.519, 2.860], [-1.257, -0.402, -1.121, 0.878]
    np.testing.assert_allclose((data.x, data.y), (x, y), atol=1e-3)
    np.testing.assert_array_equal(data.label, [1, 1, 0, 1])


def test_jit_and_vmap_draw_what_a_loop_draws():
    keys = random.split(KEY, 4)
    loop = [make_dataset(key, 30) for key in keys]
    loop = jax.tree.map(lambda *columns: jnp.stack(columns), *loop)
    mapped = jax.jit(jax.vmap(lambda key: make_dataset(key, 30)))(keys)
    assert isinstance(mapped, Dataset)
    for column, looped in zip(mapped, loop, strict=True):
        np.testing.assert_allclose(column, looped, rtol=1e-5)


def reuse(key):
    return random.normal(key), random.uniform(key)


def call_with_new_key(draw, how):
    """Call a function of one key, as the reuse checker watches."""
    # JAX up to 0.9.0 looks only into what it compiles meanwhile.
    jax.clear_caches()
    with jax.debug_key_reuse(True):
        # A draw uses its key up, so each call makes its own.
        if how is jax.vmap:
            return jax.vmap(draw)(random.split(random.key(5), 2))
        return how(draw)(random.key(5))


HOW = pytest.mark.parametrize("how", [lambda f: f, jax.jit, jax.vmap])


@HOW
@pytest.mark.parametrize(
    "draw",
    [
        lambda key: sample_points(key, 3),
        lambda key: sample_labels(key, np.zeros(3)),
        lambda key: make_dataset(key, 3),
    ],
)
def test_no_key_is_used_twice(draw, how):
    call_with_new_key(draw, how)


@HOW
def test_the_checker_sees_a_key_used_twice(how):
    with pytest.raises(jax.errors.KeyReuseError):
        call_with_new_key(reuse, how)


# The table


def test_to_frame_equals_the_columns():
    data = make_dataset(KEY, 5)
    frame = to_frame(data)
    assert list(frame.columns) == ["x", "y", "label"]
    assert list(frame.dtypes) == [np.float32, np.float32, np.int32]
    for name, column in data._asdict().items():
        np.testing.assert_array_equal(frame[name], column)


def test_to_frame_refuses_columns_of_unequal_length():
    data = Dataset(np.zeros(3), np.zeros(2), np.zeros(3, int))
    with pytest.raises(ValueError, match=r"^dataset must .* \(3,\)\]$"):
        to_frame(data)
