"""Chunks without end, and passes over them."""

import json
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from jax import random
from jax.experimental import multihost_utils
from manuscript import ROOT
from test_solvers import as_vector, columns_of, numpy_means, params_of

from helpers import scale
from helpers.data import Dataset, Line, make_dataset
from helpers.scale import (
    CHUNK,
    GROUP,
    MAX_CHUNKS,
    add_up,
    by_chunks,
    chunk_rows,
    device_mesh,
    gather,
    make_chunk,
)
from helpers.solvers import newton

KEY = random.key(1)
PARAMS = params_of(0.3, 0.7, 2)
draw = jax.jit(make_chunk)


def whole(chunks):
    """The chunks as one data set of NumPy arrays."""
    parts = [draw(KEY, np.uint32(index)) for index in chunks]
    return Dataset(*(np.concatenate(c) for c in zip(*parts, strict=True)))


def numpy_sums(params, data):
    """Loss, gradient and Hessian, summed in float64, end to end."""
    means = numpy_means(params, data)
    return len(data.label) * np.concatenate([*map(np.ravel, means)])


# Chunks


@pytest.mark.parametrize("index", [0, 7, 2**32 - 1])
def test_a_chunk_is_ten_thousand_points_of_a_folded_key(index):
    expected = make_dataset(random.fold_in(KEY, index), 10_000)
    for column, other in zip(make_chunk(KEY, index), expected, strict=True):
        np.testing.assert_array_equal(column, other)


def test_a_traced_index_draws_the_same_chunk():
    eager = make_chunk(KEY, np.int64(5))
    mapped = jax.vmap(partial(make_chunk, KEY))(jnp.arange(4, 6))
    for traced in (draw(KEY, 5), Dataset(*(part[1] for part in mapped))):
        np.testing.assert_allclose(traced.x, eager.x, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(traced.y, eager.y, rtol=1e-5, atol=1e-6)
        assert (traced.label != eager.label).sum() <= 1


def test_another_line_loads_other_coins_for_the_same_points():
    chunk, other = make_chunk(KEY, 3), make_chunk(KEY, 3, Line(0.0, 0.0, 99.0))
    np.testing.assert_array_equal(chunk.x, other.x)
    assert other.label.all() and not chunk.label.all()


@pytest.mark.parametrize("index", [-1, 2**32, 1.5, [1]])
def test_an_index_out_of_range_is_refused(index):
    with pytest.raises(ValueError, match=r"^index must be a whole number, at"):
        make_chunk(KEY, index)


# Passes


@pytest.fixture(scope="module")
def mesh():
    return device_mesh()


def test_a_row_for_each_chunk_equals_numpy_in_double_precision():
    rows = jax.jit(chunk_rows)(PARAMS, KEY, np.array([4, 1], np.uint32))
    assert (rows.shape, rows.dtype) == ((2, 13), jnp.float32)
    for row, index in zip(rows, (4, 1), strict=True):
        expected = numpy_sums(PARAMS, whole([index]))
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=0.05)


def test_a_pass_equals_numpy_in_double_precision(mesh):
    # Ten chunks fill no group: what fills it up must not be added.
    for chunks in (range(10), range(MAX_CHUNKS - 2, MAX_CHUNKS)):
        total = add_up(mesh, PARAMS, KEY, chunks)
        assert total.dtype == np.float64
        expected = numpy_sums(PARAMS, whole(chunks))
        np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_parts_of_a_pass_add_up_and_progress_hears_of_each_chunk(mesh):
    heard, chunks = [], range(2 * GROUP + 3)
    total = add_up(mesh, PARAMS, KEY, chunks, lambda *what: heard.append(what))
    parts = [add_up(mesh, PARAMS, KEY, chunks[k::3]) for k in range(3)]
    np.testing.assert_allclose(sum(parts), total, rtol=1e-13)
    assert heard == [(added, len(chunks)) for added in (GROUP, GROUP, 3)]


def test_the_optimum_is_that_of_statsmodels(mesh):
    objective = by_chunks(mesh, KEY, range(10))
    params, _ = newton(objective, PARAMS, tolerance=1e-7)
    loss, _, hessian = objective(params)
    data = whole(range(10))
    oracle = sm.Logit(data.label, columns_of(data)).fit(disp=0, tol=1e-12)
    # The standard errors are 0.01 and more.
    np.testing.assert_allclose(as_vector(params), oracle.params, atol=1e-5)
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)) / 100_000)
    np.testing.assert_allclose(errors, oracle.bse, rtol=1e-5)
    assert loss == pytest.approx(-oracle.llf / 100_000, rel=1e-6)


# In a process of its own: an earlier test's peak would hide a later one.
ALONE = """
import jax, json, resource
jax.config.update("jax_num_cpu_devices", 8)
from helpers.data import TRUE_LINE
from helpers.scale import GROUP, add_up, device_mesh
params, peaks = {"params": TRUE_LINE._asdict()}, []
def sums(devices, chunks):
    mesh = device_mesh(devices)
    return add_up(mesh, params, jax.random.key(1), range(chunks)).tolist()
for chunks in (2 * GROUP, 1000):
    sums(1, chunks)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(json.dumps([peaks, [sums(devices, 43) for devices in (1, 2, 8)]]))
"""


def test_memory_does_not_grow_and_eight_devices_give_what_one_gives():
    done = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, check=True
    )
    (before, after), (one, *others) = json.loads(done.stdout)
    # In kB on Linux, in bytes on macOS; the points are 120 MB.
    unit = 1 if sys.platform == "darwin" else 1024
    assert (after - before) * unit < 25e6
    for total in others:
        np.testing.assert_allclose(total, one, rtol=1e-13)


def test_a_mesh_holds_the_first_devices():
    for devices in (1, len(jax.local_devices())):
        mesh = device_mesh(devices)
        assert mesh.devices.tolist() == jax.local_devices()[:devices]


# Between processes


def test_what_is_gathered_is_not_rounded():
    values = [1 / 3, -1e300, 2.0**53 - 1]
    assert gather(values).tolist() == [values]


@pytest.mark.parametrize("kind", [RuntimeError, ValueError])
def test_a_process_that_is_gone_is_an_error_of_one_line(monkeypatch, kind):
    def lost(bits):
        raise kind("heartbeat\nand where\nit was")

    monkeypatch.setattr(multihost_utils, "process_allgather", lost)
    with pytest.raises(ConnectionError) as caught:
        gather([1.0])
    assert str(caught.value) == "another process is gone: heartbeat"


def test_processes_share_more_points_than_an_int32_counts(monkeypatch, mesh):
    chunks, one, mine = range(3 * 2**30), np.arange(13.0), []
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(scale, "gather", lambda sums: np.stack(3 * [sums]))

    def add_up(mesh, params, key, share, progress):
        mine.append(share)
        return len(share) * one

    monkeypatch.setattr(scale, "add_up", add_up)
    loss, gradient, hessian = by_chunks(mesh, KEY, chunks)(PARAMS)
    assert mine == [range(1, 3 * 2**30, 3)]
    assert (loss, hessian.shape) == (0, (3, 3))
    np.testing.assert_allclose([*gradient, *hessian.flat], one[1:] / CHUNK)


# The record of large runs, made by benchmarks/record.py


def test_the_record_holds_the_truth_in_constant_memory():
    text = (ROOT / "helpers" / "records.json").read_text("utf-8")
    for run in json.loads(text)["runs"]:
        assert max(run["peak_mib"]) <= 400
        for name, true in {"b": 0.1, "w1": 1, "w2": 3}.items():
            error = run["standard_errors"][name]
            assert abs(run["params"][name] - true) < 4 * error
