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
from scipy import special
from sklearn.linear_model import LogisticRegression as SklearnRegression

from helpers import scale
from helpers.data import TRUE_LINE, Dataset, Line, make_dataset
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
from helpers.solvers import logistic_sums, newton

KEY = random.key(1)
PARAMS = {
    "params": {
        "b": np.float32(0.3),
        "w1": np.float32(0.7),
        "w2": np.float32(2.0),
    }
}


def whole(chunks):
    """Return the chunks as one data set of NumPy arrays."""
    parts = [make_chunk(KEY, index) for index in chunks]
    return Dataset(*(np.concatenate(c) for c in zip(*parts, strict=True)))


def inputs_of(data):
    return np.column_stack([np.ones(len(data.x)), data.x, data.y]).astype(
        np.float64
    )


def numpy_sums(params, data):
    """Loss, gradient and Hessian, summed in float64, end to end."""
    weights = np.array([params["params"][n] for n in ("b", "w1", "w2")], float)
    inputs, label = inputs_of(data), np.asarray(data.label)
    z = inputs @ weights
    loss = -special.log_expit(np.where(label == 1, z, -z)).sum()
    p = special.expit(z)
    hessian = (inputs.T * (p * (1 - p))) @ inputs
    return np.concatenate([[loss], (p - label) @ inputs, hessian.ravel()])


# Chunks


def test_a_chunk_is_a_data_set_of_a_folded_key():
    for index in (0, 7, MAX_CHUNKS - 1):
        chunk = make_chunk(KEY, index)
        expected = make_dataset(random.fold_in(KEY, index), 10_000)
        for column, other in zip(chunk, expected, strict=True):
            assert column.shape == (CHUNK,) == (10_000,)
            np.testing.assert_array_equal(column, other)


def test_chunks_are_the_same_in_any_order_and_differ_from_each_other():
    forward = [make_chunk(KEY, index) for index in (0, 1, 2)]
    backward = [make_chunk(KEY, index) for index in (2, 1, 0)][::-1]
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.label, other.label)
    # Normals in float32 collide now and then.
    assert np.isin(forward[0].x, forward[1].x).mean() < 0.02
    assert np.isin(forward[0].x, make_chunk(random.key(2), 0).x).mean() < 0.02


@pytest.mark.parametrize("kind", [int, np.uint32, jnp.uint32, jnp.int32])
def test_a_traced_index_draws_the_same_chunk(kind):
    eager, traced = make_chunk(KEY, kind(5)), jax.jit(make_chunk)(KEY, kind(5))
    np.testing.assert_allclose(eager.x, traced.x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(eager.y, traced.y, rtol=1e-5, atol=1e-6)
    assert (eager.label != traced.label).sum() <= 1
    mapped = jax.vmap(partial(make_chunk, KEY))(jnp.arange(4, 6))
    np.testing.assert_allclose(mapped.x[1], eager.x, rtol=1e-5, atol=1e-6)


def test_another_line_loads_other_coins_for_the_same_points():
    chunk, other = make_chunk(KEY, 3), make_chunk(KEY, 3, Line(0.0, 0.0, 99.0))
    np.testing.assert_array_equal(chunk.x, other.x)
    assert other.label.all() and not chunk.label.all()


@pytest.mark.parametrize("kind", [int, np.int64, np.uint64])
def test_a_large_index_draws_the_same_chunk_whatever_its_kind(kind):
    chunk, same = make_chunk(KEY, kind(2**32 - 1)), np.uint32(2**32 - 1)
    np.testing.assert_array_equal(chunk.x, make_chunk(KEY, same).x)


@pytest.mark.parametrize("index", [-1, 2**32, 2**70, 1.0, True, [1]])
def test_an_index_out_of_range_is_refused(index):
    with pytest.raises(ValueError, match=r"^index must be .* 4294967295, got"):
        make_chunk(KEY, index)


def test_no_key_is_used_twice():
    with jax.debug_key_reuse(True):
        make_chunk(random.key(5), 1)


# Passes


@pytest.fixture(scope="module")
def mesh():
    return device_mesh(1)


def test_the_last_chunk_there_is_has_a_row():
    assert chunk_rows(PARAMS, KEY, np.uint32([2**32 - 1])).shape == (1, 13)


def test_a_row_for_each_chunk_equals_numpy_in_double_precision():
    rows = jax.jit(chunk_rows)(PARAMS, KEY, np.array([4, 1], np.uint32))
    assert (rows.shape, rows.dtype) == ((2, 13), jnp.float32)
    for row, index in zip(rows, (4, 1), strict=True):
        expected = numpy_sums(PARAMS, make_chunk(KEY, index))
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=0.05)


def test_a_pass_equals_numpy_and_the_whole_data_at_once(mesh):
    # Ten chunks fill no group: what fills it up must not be added.
    total, data = add_up(mesh, PARAMS, KEY, range(10)), whole(range(10))
    assert total.dtype == np.float64
    np.testing.assert_allclose(total, numpy_sums(PARAMS, data), rtol=2e-6)
    sums = jax.tree.leaves(logistic_sums(PARAMS, data))
    sums = np.concatenate([np.ravel(part) for part in sums])
    np.testing.assert_allclose(total, sums, rtol=1e-5)


def test_passes_over_parts_add_up(mesh):
    chunks = range(GROUP + 7)
    total = add_up(mesh, PARAMS, KEY, chunks)
    for parts in (
        [chunks[:5], chunks[5:]],
        [chunks[k::3] for k in range(3)],
        [chunks[::-1], range(0)],
    ):
        added = sum(add_up(mesh, PARAMS, KEY, part) for part in parts)
        np.testing.assert_allclose(added, total, rtol=1e-13)


def test_progress_hears_of_each_chunk_once(mesh):
    heard = []
    chunks = range(2 * GROUP + 3)
    add_up(mesh, PARAMS, KEY, chunks, lambda *what: heard.append(what))
    assert heard == [(added, len(chunks)) for added in (GROUP, GROUP, 3)]


def test_a_pass_may_end_with_the_last_chunk_of_all(mesh):
    total = add_up(mesh, PARAMS, KEY, range(MAX_CHUNKS - 2, MAX_CHUNKS))
    data = whole([MAX_CHUNKS - 2, MAX_CHUNKS - 1])
    expected = numpy_sums(PARAMS, data)
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    for wrong in (range(MAX_CHUNKS, MAX_CHUNKS + 1), range(-1, 3)):
        with pytest.raises(ValueError, match=r"^chunks must be from 0"):
            add_up(mesh, PARAMS, KEY, wrong)


def test_counts_do_not_overflow(monkeypatch, mesh):
    chunks = range(3 * 2**32 // 4)
    assert len(chunks) * CHUNK > 2**31
    one = numpy_sums(PARAMS, make_chunk(KEY, 0))
    monkeypatch.setattr(
        scale, "add_up", lambda mesh, p, k, chunks, progress: len(chunks) * one
    )
    loss, gradient, hessian = by_chunks(mesh, KEY, chunks)(PARAMS)
    means = np.concatenate([[loss], gradient, hessian.ravel()])
    np.testing.assert_allclose(means, one / CHUNK, rtol=1e-12)


# In a process of its own: an earlier test's peak would hide a later one.
MEMORY = """
import jax, resource
from helpers.data import TRUE_LINE
from helpers.scale import GROUP, add_up, device_mesh
mesh, key = device_mesh(1), jax.random.key(1)
params = {"params": TRUE_LINE._asdict()}
for last in (2 * GROUP, 1000):
    add_up(mesh, params, key, range(last))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_pass():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    before, after = map(int, done.stdout.split())
    # In kB on Linux, in bytes on macOS; the points are 120 MB.
    unit = 1 if sys.platform == "darwin" else 1024
    assert (after - before) * unit < 25e6


# The optimum


@pytest.fixture(scope="module")
def optimum(mesh):
    """The optimum of a hundred thousand points, and these points."""
    objective = by_chunks(mesh, KEY, range(10))
    params, _ = newton(objective, PARAMS, tolerance=1e-7)
    return params, objective(params), whole(range(10))


def test_the_optimum_is_that_of_statsmodels(optimum):
    params, (loss, gradient, hessian), data = optimum
    oracle = sm.Logit(data.label, inputs_of(data)).fit(disp=0, tol=1e-12)
    found = [params["params"][name] for name in ("b", "w1", "w2")]
    # The standard errors are 0.01 and more.
    np.testing.assert_allclose(found, oracle.params, atol=1e-5)
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)) / 100_000)
    np.testing.assert_allclose(errors, oracle.bse, rtol=1e-5)
    assert loss == pytest.approx(-oracle.llf / 100_000, rel=1e-6)
    assert np.linalg.norm(gradient) <= 1e-7


def test_the_optimum_is_that_of_scikit_learn(optimum):
    params, _, data = optimum
    oracle = SklearnRegression(C=np.inf, tol=1e-9)
    oracle.fit(inputs_of(data)[:, 1:], data.label)
    expected = [*oracle.intercept_, *oracle.coef_[0]]
    found = [params["params"][name] for name in ("b", "w1", "w2")]
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_an_objective_needs_chunks(mesh):
    with pytest.raises(ValueError, match=r"^chunks must hold at least one"):
        by_chunks(mesh, KEY, range(0))


def test_the_program_starts_without_jax():
    program = (
        "import sys, runpy; sys.modules['jax'] = None; "
        "sys.argv = ['scale', '--help']; "
        "runpy.run_module('helpers.scale', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--coordinator HOST:PORT" in done.stdout


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


# Devices

DEVICES = """
import json, jax, numpy as np
jax.config.update("jax_num_cpu_devices", 8)
from helpers.data import TRUE_LINE
from helpers.scale import add_up, device_mesh
key, params = jax.random.key(1), {"params": TRUE_LINE._asdict()}
for last in (40, 43):
    one, *others = (
        add_up(device_mesh(devices), params, key, range(last))
        for devices in (1, 2, 8)
    )
    for total in others:
        np.testing.assert_allclose(total, one, rtol=1e-13)
try:
    device_mesh(9)
except ValueError as error:
    refused = str(error)
print(json.dumps([refused, len(set(device_mesh(8).devices.tolist()))]))
"""


def test_eight_devices_give_what_one_gives():
    done = subprocess.run(
        [sys.executable, "-c", DEVICES],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    refused, different = json.loads(done.stdout)
    assert refused.startswith("devices must be at most 8") and different == 8


# The record of large runs, made by benchmarks/record.py

RECORDS = json.loads((ROOT / "helpers" / "records.json").read_text("utf-8"))[
    "runs"
]


def test_the_record_goes_to_ten_billion_in_constant_memory():
    points = [run["points"] for run in RECORDS]
    assert sorted(points) == points
    assert (points[0], points[-1]) == (10**8, 10**10)
    assert max(max(run["peak_mib"]) for run in RECORDS) <= 400
    for run in RECORDS:
        assert run["chunk"] == CHUNK
        assert len(run["peak_mib"]) == run["processes"]
        assert len(run["seconds"]) == run["passes"]  # all made in one go
        assert run["gradient_norm"] <= run["tolerance"]


def test_the_record_holds_the_truth_as_surely_as_predicted(mesh):
    _, _, hessian = by_chunks(mesh, random.key(9), range(200))(
        {"params": TRUE_LINE._asdict()}
    )
    of_one = np.sqrt(np.diag(np.linalg.inv(hessian)))
    for run in RECORDS:
        found, errors = (
            np.array([run[part][name] for name in ("b", "w1", "w2")])
            for part in ("params", "standard_errors")
        )
        np.testing.assert_allclose(
            errors, of_one / np.sqrt(run["points"]), rtol=5e-3
        )
        assert (np.abs(found - [0.1, 1, 3]) < 4 * errors).all()


def test_the_record_is_the_same_from_one_process_and_from_two():
    runs = {(r["points"], r["seed"], r["processes"]): r for r in RECORDS}
    assert len(runs) == len(RECORDS)
    for points in (10**8, 10**9):
        one, two = (runs[points, 1, processes] for processes in (1, 2))
        for name, value in one["params"].items():
            assert value == pytest.approx(two["params"][name], abs=1e-6)


@pytest.mark.parametrize("devices", [0, -1, 1.5])
def test_devices_must_be_a_whole_number(devices):
    with pytest.raises(ValueError, match=r"^devices must be a whole number"):
        device_mesh(devices)


def test_a_mesh_is_of_one_device_unless_told_otherwise():
    assert device_mesh().devices.tolist() == jax.local_devices()[:1]


def test_devices_must_exist():
    have = len(jax.local_devices())
    with pytest.raises(ValueError, match=f"^devices must be at most {have}, "):
        device_mesh(have + 1)
