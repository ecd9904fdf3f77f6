"""The tumours as scikit-learn has them, and features on one scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.datasets
from sklearn.preprocessing import StandardScaler

from helpers.real_data import (
    find_scaling,
    load_breast_cancer,
    make_folds,
    standardize,
)

TABLE = np.array([[1, -2, 0.5], [4, 0, 0.25], [-2, 7, 1], [0, 3, 2]])
find = jax.jit(find_scaling)
scale = jax.jit(standardize)


@pytest.fixture(autouse=True)
def rows_beside_tables():
    """A table less a row of means is what is meant here."""
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture(scope="module")
def cancer():
    return load_breast_cancer()


@pytest.fixture(scope="module")
def bundled():
    return sklearn.datasets.load_breast_cancer()


def test_the_table_is_that_of_scikit_learn_with_label_1_malignant(
    cancer, bundled
):
    table, names = cancer
    np.testing.assert_allclose(table.features, bundled.data, rtol=1e-7)
    assert table.features.dtype == jnp.float32
    assert table.label.dtype == jnp.int32
    assert all(isinstance(array, jax.Array) for array in table)
    malignant = bundled.target_names[bundled.target] == "malignant"
    np.testing.assert_array_equal(table.label, malignant)
    assert np.bincount(table.label).tolist() == [357, 212]
    assert names == list(bundled.feature_names)
    assert {type(name) for name in names} == {str}


@pytest.mark.parametrize(
    "find, scale", [(find_scaling, standardize), (find, scale)]
)
def test_features_are_scaled_as_by_scikit_learn(cancer, bundled, find, scale):
    # The scaling is that of the training part, here every other row.
    oracle = StandardScaler().fit(bundled.data[::2])
    scaling = find(cancer[0].features[::2])
    np.testing.assert_allclose(scaling.mean, oracle.mean_, rtol=1e-5)
    np.testing.assert_allclose(scaling.sd, oracle.scale_, rtol=1e-5)
    ours = scale(cancer[0].features[1::2], scaling)
    np.testing.assert_allclose(
        ours, oracle.transform(bundled.data[1::2]), rtol=1e-4, atol=1e-5
    )
    for array in (*scaling, ours):
        assert isinstance(array, jax.Array)
        assert array.dtype == jnp.float32


def test_whole_numbers_in_numpy_are_scaled_too():
    table = np.array([[1, 200], [2, 200], [6, 100], [0, 7]], np.uint8)
    scaling = find_scaling(table)
    assert scaling.mean.dtype == scaling.sd.dtype == jnp.float32
    ours = standardize(table, scaling)
    oracle = (table - table.mean(axis=0)) / table.std(axis=0)
    np.testing.assert_allclose(ours, oracle, rtol=1e-5, atol=1e-6)


def test_a_row_is_scaled_as_in_its_table():
    scaling = find(TABLE)
    whole = scale(TABLE, scaling)
    np.testing.assert_allclose(scale(TABLE[1], scaling), whole[1], rtol=1e-6)


def test_a_constant_column_is_refused():
    # Its sd need not be 0: the mean of 569 times 0.1 is hardly 0.1.
    table = np.arange(569 * 2.0).reshape(569, 2)
    table[:, 1] = 0.1
    with pytest.raises(ValueError, match=r"^range of each column must"):
        find_scaling(table)


def test_a_number_that_is_missing_is_refused_in_long_columns_too():
    table = np.arange(20_000.0).reshape(10_000, 2)
    table[5_000, 1] = np.nan
    with pytest.raises(ValueError, match=r"^features must be numbers"):
        find_scaling(table)


@pytest.mark.parametrize("shape", [(5, 2), (5, 4), (3, 1), ()])
def test_another_number_of_columns_is_refused(shape):
    scaling = find(TABLE)
    for function in (standardize, scale):
        with pytest.raises(ValueError, match=r"^shapes must be equal"):
            function(np.zeros(shape), scaling)


@pytest.mark.parametrize("n, count", [(398, 5), (10, 3), (7, 7)])
def test_folds_share_rows_and_labels_alike(n, count):
    label = np.arange(n) % 3 == 0
    fold = np.asarray(make_folds(jax.random.key(0), label, count))
    for some in (fold, fold[label], fold[~label]):
        assert np.ptp(np.bincount(some, minlength=count)) <= 1
    assert (fold != make_folds(jax.random.key(1), label, count)).any()


def test_one_fold_is_refused():
    with pytest.raises(ValueError, match="count must be a whole number"):
        make_folds(jax.random.key(0), np.arange(9), 1)
