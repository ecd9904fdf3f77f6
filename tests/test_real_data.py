"""The tumours as scikit-learn has them, and features on one scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import StandardScaler

from helpers.real_data import (
    Scaling,
    Table,
    find_scaling,
    load_breast_cancer,
    standardize,
)

LAW = settings(deadline=None, derandomize=True, max_examples=40)
# Multiples of 1/8, so that no column is almost constant.
tables = hnp.arrays(int, (5, 3), elements=st.integers(-800, 800)).map(
    lambda table: table / 8
)
varying = tables.filter(lambda table: np.ptp(table, axis=0).all())
TABLE = np.array(
    [
        [1.0, -2.0, 0.5],
        [4.0, 0.0, 0.25],
        [-2.0, 7.0, 1.0],
        [0, 3, 2],
        [3, 1, 4],
    ]
)
find = jax.jit(find_scaling)
scale = jax.jit(standardize)


@pytest.fixture(scope="module")
def cancer():
    return load_breast_cancer()


@pytest.fixture(scope="module")
def bundled():
    return sklearn.datasets.load_breast_cancer()


# The table


def test_the_table_has_569_tumours_with_30_features(cancer):
    table, names = cancer
    assert isinstance(table, Table)
    assert table._fields == ("features", "label")
    for array in table:
        assert isinstance(array, jax.Array)
    features, label = table
    assert (features.shape, features.dtype) == ((569, 30), jnp.float32)
    assert (label.shape, label.dtype) == ((569,), jnp.int32)
    assert len(names) == 30


def test_label_1_is_malignant(cancer, bundled):
    label = np.asarray(cancer[0].label)
    assert np.bincount(label).tolist() == [357, 212]
    assert bundled.target_names.tolist() == ["malignant", "benign"]
    malignant = bundled.target_names[bundled.target] == "malignant"
    np.testing.assert_array_equal(label == 1, malignant)
    # Malignant tumours are the larger ones.
    radius = np.asarray(cancer[0].features)[:, 0]
    assert radius[label == 1].mean() > 1.4 * radius[label == 0].mean()


def test_the_features_are_those_of_scikit_learn(cancer, bundled):
    features = np.float64(cancer[0].features)
    np.testing.assert_allclose(features, bundled.data, rtol=1e-7)
    np.testing.assert_allclose(
        features.mean(axis=0), bundled.data.mean(axis=0), rtol=1e-7
    )
    # From its description, printed with four digits at most.
    summary = dict(zip(cancer[1], features.T, strict=True))
    assert summary["mean radius"].min() == pytest.approx(6.981)
    assert summary["worst area"].max() == pytest.approx(4254)


def test_the_names_are_plain_strings_in_order(cancer, bundled):
    names = cancer[1]
    assert isinstance(names, list)
    assert {type(name) for name in names} == {str}
    assert names == list(bundled.feature_names)
    assert names[::10] == ["mean radius", "radius error", "worst radius"]


# The scaling


def test_the_scaling_equals_scikit_learn(cancer, bundled):
    for function in (find_scaling, find):
        scaling = function(cancer[0].features)
        oracle = StandardScaler().fit(bundled.data)
        assert isinstance(scaling, Scaling)
        np.testing.assert_allclose(scaling.mean, oracle.mean_, rtol=1e-5)
        np.testing.assert_allclose(scaling.sd, oracle.scale_, rtol=1e-5)
        for array in scaling:
            assert isinstance(array, jax.Array)
            assert (array.shape, array.dtype) == ((30,), jnp.float32)
    assert scaling._fields == ("mean", "sd")


@pytest.mark.parametrize("kind", [np.float64, np.float32, jnp.array])
def test_the_scaling_of_any_table_equals_numpy(kind):
    scaling = find_scaling(kind(TABLE))
    np.testing.assert_allclose(scaling.mean, TABLE.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scaling.sd, TABLE.std(axis=0), rtol=1e-6)
    assert scaling.mean.dtype == scaling.sd.dtype == jnp.float32


@pytest.mark.parametrize("kind", [np.int64, np.uint8, jnp.int32])
def test_whole_numbers_are_scaled_too(kind):
    table = np.array([[1, 200], [2, 200], [6, 100], [0, 7], [0, 7]])
    scaling = find_scaling(kind(table))
    np.testing.assert_allclose(scaling.mean, table.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scaling.sd, table.std(axis=0), rtol=1e-6)
    ours = standardize(kind(table), scaling)
    oracle = (table - table.mean(axis=0)) / table.std(axis=0)
    np.testing.assert_allclose(ours, oracle, rtol=1e-5, atol=1e-6)
    assert ours.dtype == jnp.float32


def test_a_large_mean_does_not_hide_a_small_spread():
    far = 4096 + TABLE / 8
    scaling = find(far)
    np.testing.assert_allclose(scaling.mean, far.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scaling.sd, far.std(axis=0), rtol=1e-3)


def test_scalings_map_over_tables():
    stack = np.stack([TABLE, TABLE[::-1] * 3 + 1])
    mapped = jax.jit(jax.vmap(find_scaling))(stack)
    for i, table in enumerate(stack):
        np.testing.assert_allclose(mapped.mean[i], table.mean(0), rtol=1e-6)
        np.testing.assert_allclose(mapped.sd[i], table.std(0), rtol=1e-6)


@pytest.mark.parametrize(
    "shape", [(), (3,), (0, 3), (2, 3, 1), (0,), (0, 3, 2)]
)
def test_what_is_no_table_is_refused_also_under_jit(shape):
    for function in (find_scaling, find):
        with pytest.raises(ValueError) as caught:
            function(np.zeros(shape))
        assert str(caught.value) == (
            "features must have the shape (n, d) with n at least 1, got "
            f"{shape}"
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused(bad):
    wrong = TABLE.copy()
    wrong[1, 2] = bad
    scaling = Scaling(np.zeros(3), np.ones(3))
    for call in (
        lambda: find_scaling(wrong),
        lambda: find_scaling(jnp.array(wrong)),
        lambda: standardize(wrong, scaling),
        lambda: standardize(jnp.array(wrong), scaling),
        lambda: standardize(wrong[1], scaling),
        # Known features are checked beside a scaling that is traced.
        lambda: jax.jit(lambda traced: standardize(wrong, traced))(scaling),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert str(caught.value) == (
            "features must be finite, got NaN or infinity"
        )


@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("kind", [np.float64, jnp.array])
@pytest.mark.parametrize("value", [0, 0.1, -7])
def test_a_constant_column_is_refused(column, kind, value):
    wrong = TABLE.copy()
    wrong[:, column] = value
    with pytest.raises(ValueError) as caught:
        find_scaling(kind(wrong))
    assert str(caught.value) == (
        "features must vary in float32, got a variance of 0 in column "
        f"{column}"
    )


@pytest.mark.parametrize(
    "table, column", [([[1, 2, 3], [0, 2, 3]], 1), ([[1, 2, 3]], 0)]
)
def test_of_several_constant_columns_the_first_is_named(table, column):
    with pytest.raises(ValueError, match=rf" in column {column}$"):
        find_scaling(np.array(table))


def test_a_column_that_varies_is_enough():
    # The first and the last value may be alike, as may many neighbours.
    table = np.zeros((5, 3))
    table[2] = 1e-3, 5.0, -1.0
    scaling = find_scaling(table)
    np.testing.assert_allclose(scaling.sd, table.std(axis=0), rtol=1e-6)


def test_traced_features_are_not_checked():
    wrong = TABLE.copy()
    wrong[:, 0], wrong[0, 1] = 0.0, np.nan
    scaling = find(wrong)
    assert scaling.sd[0] == 0
    assert jnp.isnan(scaling.sd[1])
    ours = scale(wrong, Scaling(np.zeros(3), np.array([1.0, 1.0, 0.0])))
    np.testing.assert_array_equal(ours[0], [0, np.nan, np.inf])
    # A scaling that is traced is not checked beside known features.
    known = jax.jit(lambda scaling: standardize(TABLE, scaling))
    assert known(Scaling(np.zeros(3), np.zeros(3)))[0, 0] == np.inf


# Standard deviations above the mean


def test_standardize_equals_scikit_learn(cancer, bundled):
    # The scaling is that of the training part, here every other row.
    oracle = StandardScaler().fit(bundled.data[::2])
    scaling = find(cancer[0].features[::2])
    test = cancer[0].features[1::2]
    for function in (standardize, scale):
        ours = function(test, scaling)
        np.testing.assert_allclose(
            ours, oracle.transform(bundled.data[1::2]), rtol=1e-4, atol=1e-5
        )
        assert isinstance(ours, jax.Array)
        assert (ours.shape, ours.dtype) == (test.shape, jnp.float32)


@LAW
@given(varying)
def test_standardized_features_have_mean_0_and_deviation_1(table):
    ours = np.float64(scale(table, find(table)))
    # The mean, up to 100, is exact to 1e-5; the deviation may be 1/20 only.
    np.testing.assert_allclose(ours.mean(axis=0), 0, atol=3e-4)
    np.testing.assert_allclose(ours.std(axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(find(ours).sd, 1, rtol=1e-4)


@LAW
@given(varying, st.floats(0.125, 8), st.floats(-10, 10))
def test_the_unit_and_the_zero_of_a_feature_change_nothing(table, unit, zero):
    moved = unit * table + zero
    np.testing.assert_allclose(
        scale(moved, find(moved)), scale(table, find(table)), atol=2e-3
    )
    turned = -table
    np.testing.assert_allclose(
        scale(turned, find(turned)), -scale(table, find(table)), atol=1e-5
    )


@LAW
@given(varying, varying)
def test_standardize_is_undone_by_times_sd_plus_mean(table, other):
    scaling = find(other)
    back = np.float64(scale(table, scaling)) * scaling.sd + scaling.mean
    np.testing.assert_allclose(back, table, atol=1e-4)


def test_a_row_is_standardized_as_its_table_is():
    scaling = find(TABLE)
    whole = scale(TABLE, scaling)
    for i, row in enumerate(TABLE):
        ours = scale(row, scaling)
        assert ours.shape == (3,)
        np.testing.assert_allclose(ours, whole[i], rtol=1e-6)
    deep = scale(np.stack([TABLE, TABLE]), scaling)
    np.testing.assert_allclose(deep[1], whole, rtol=1e-6)
    mapped = jax.jit(jax.vmap(standardize, (0, None)))(TABLE, scaling)
    np.testing.assert_allclose(mapped, whole, rtol=1e-6)
    slope = jax.jit(jax.grad(lambda row: standardize(row, scaling).sum()))
    np.testing.assert_allclose(
        slope(TABLE[0]), 1 / TABLE.std(axis=0), rtol=1e-6
    )


@pytest.mark.parametrize(
    "kind", [lambda value: value, np.float64, np.int64, jnp.array]
)
def test_one_feature_may_be_a_number(kind):
    ours = standardize(kind(7), Scaling(kind(1), kind(3)))
    assert isinstance(ours, jax.Array)
    assert (ours.shape, ours.dtype) == ((), jnp.float32)
    assert ours == 2


@pytest.mark.parametrize("shape", [(5, 2), (3, 4), (3, 1), (4,), ()])
def test_another_number_of_columns_is_refused_also_under_jit(shape):
    scaling = Scaling(np.zeros(3), np.ones(3))
    for function in (standardize, scale):
        with pytest.raises(ValueError) as caught:
            function(np.zeros(shape), scaling)
        assert str(caught.value) == (
            f"features must have 3 columns, as scaling has, got the shape "
            f"{shape}"
        )


@pytest.mark.parametrize(
    "sd, complaint",
    [
        (
            [1.0, 0.0, 2.0],
            ".sd must be finite and above 0, got values from 0.0 to 2.0",
        ),
        (
            [1.0, -0.5, 2.0],
            ".sd must be finite and above 0, got values from -0.5 to 2.0",
        ),
        ([3, 0, 2], ".sd must be finite and above 0, got values from 0 to 3"),
        ([1.0, np.nan, 2.0], " must be finite, got NaN or infinity"),
        ([1.0, np.inf, 2.0], " must be finite, got NaN or infinity"),
    ],
)
def test_deviations_that_scale_nothing_are_refused(sd, complaint):
    message = f"scaling{complaint}"
    mean, sd = np.ones(3), np.array(sd)
    for call in (
        lambda: standardize(TABLE, Scaling(mean, sd)),
        lambda: standardize(TABLE, Scaling(mean, jnp.array(sd))),
        # Known deviations are checked beside what is traced.
        lambda: jax.jit(lambda t: standardize(t, Scaling(mean, sd)))(TABLE),
        lambda: jax.jit(lambda m: standardize(TABLE, Scaling(m, sd)))(mean),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert str(caught.value) == message
