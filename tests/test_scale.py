"""Chunks without end, passes over them, and processes that share them."""

import json
import re
import subprocess
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import psutil
import pytest
import statsmodels.api as sm
from jax import random
from manuscript import ROOT
from oracle import columns_of, means_of

from helpers.data import Dataset, Line, make_dataset
from helpers.scale import (
    CHUNK,
    GROUP,
    MAX_CHUNKS,
    chunk_rows,
    device_mesh,
    find_start,
    make_chunk,
    mean_row,
    newton_passes,
    unpack,
)

KEY = random.key(1)
WEIGHTS = np.float32([0.3, 0.7, 2])
draw = jax.jit(make_chunk)


def whole(chunks):
    """The chunks as one data set of NumPy arrays."""
    parts = [draw(KEY, np.uint32(index)) for index in chunks]
    return Dataset(*(np.concatenate(c) for c in zip(*parts, strict=True)))


def numpy_row(data):
    """Mean loss, gradient and Hessian, in float64, end to end."""
    return np.concatenate([*map(np.ravel, means_of(WEIGHTS, data))])


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


@pytest.mark.parametrize("index", [-1, 2**32, 1.5])
def test_an_index_out_of_range_is_refused(index):
    with pytest.raises((ValueError, OverflowError)):
        make_chunk(KEY, index)


# Passes


@pytest.fixture(scope="module")
def mesh():
    return device_mesh()


def test_a_row_for_each_chunk_equals_numpy_in_double_precision():
    indices = np.array([4, 1, 3, 9, 2], np.uint32)
    rows = jax.jit(chunk_rows)(WEIGHTS, KEY, indices)
    assert (rows.shape, rows.dtype) == ((5, 13), jnp.float32)
    for row, index in zip(rows, indices, strict=True):
        expected = CHUNK * numpy_row(whole([index]))
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=0.05)


def test_a_pass_equals_numpy_in_double_precision(mesh):
    # Ten chunks fill no group: what fills it up must not be added.
    for chunks in (range(10), range(MAX_CHUNKS - 2, MAX_CHUNKS)):
        means = mean_row(mesh, WEIGHTS, KEY, chunks)
        assert means.dtype == np.float64
        np.testing.assert_allclose(means, numpy_row(whole(chunks)), rtol=1e-5)


def test_progress_hears_of_each_chunk(mesh):
    heard, size = [], GROUP * mesh.size
    chunks = range(size + 3)
    mean_row(mesh, WEIGHTS, KEY, chunks, lambda *what: heard.append(what))
    assert heard == [(size, size + 3), (3, size + 3)]


def test_the_optimum_is_that_of_statsmodels_and_passes_are_not_repeated(mesh):
    def means_of(chunks, weights):
        calls.append(chunks)
        return mean_row(mesh, weights, KEY, chunks)

    calls, kept, chunks = [], [], range(10)
    start = find_start(means_of, chunks)
    assert set(calls) == {range(1)}
    *_, last = passes = newton_passes(
        partial(means_of, chunks), start, 1e-7, (), kept.append
    )
    loss, _, hessian = unpack(last[3:])
    data = whole(chunks)
    oracle = sm.Logit(data.label, columns_of(data)).fit(disp=0, tol=1e-12)
    # The standard errors are 0.01 and more.
    np.testing.assert_allclose(last[:3], oracle.params, atol=1e-5)
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)) / 100_000)
    np.testing.assert_allclose(errors, oracle.bse, rtol=1e-5)
    assert loss == pytest.approx(-oracle.llf / 100_000, rel=1e-6)
    calls.clear()
    again = newton_passes(partial(means_of, chunks), (), 1e-7, passes[:1])
    np.testing.assert_array_equal(again, passes)
    assert len(calls) == len(passes) - 1


def row_of(slope):
    return np.concatenate([[1.0], slope, np.eye(3).ravel()])


@pytest.mark.parametrize("k", range(3))
def test_each_pass_goes_on_from_the_last_until_all_slopes_are_small(k):
    slope = 1e-6 * np.eye(3)[k]
    rows = map(row_of, (2 * slope, 3 * slope, 0.9 * slope))
    passes = newton_passes(lambda weights: next(rows), np.zeros(3))
    weights = np.array(passes)[:, :3]
    steps = np.outer([0, -2, -5], slope)
    np.testing.assert_allclose(weights, steps, rtol=1e-6)


def test_what_does_not_converge_is_refused():
    row, calls = row_of(np.ones(3)), []
    with pytest.raises(ValueError, match="not reached in 20 passes"):
        newton_passes(lambda weights: row, WEIGHTS, keep=calls.append)
    assert len(calls) == 20
    with pytest.raises(ValueError, match="means must be finite"):
        newton_passes(lambda weights: row * np.nan, WEIGHTS)


# In a process of its own: an earlier test's peak would hide a later one.
ALONE = """
import jax, json, numpy, resource
jax.config.update("jax_num_cpu_devices", 8)
from helpers.scale import GROUP, device_mesh, mean_row
weights, peaks = numpy.float32([0.1, 1, 3]), []
def means(devices, chunks):
    mesh = device_mesh(devices)
    return mean_row(mesh, weights, jax.random.key(1), range(chunks)).tolist()
for chunks in (2 * GROUP, 10 * GROUP):
    means(1, chunks)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(json.dumps([peaks, [means(devices, 43) for devices in (1, 2, 8)]]))
"""


def test_memory_does_not_grow_and_eight_devices_give_what_one_gives():
    done = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, check=True
    )
    (before, after), (one, *others) = json.loads(done.stdout)
    # In kB on Linux, in bytes on macOS; the points are 120 MB.
    unit = 1 if sys.platform == "darwin" else 1024
    assert (after - before) * unit < 25e6
    for means in others:
        np.testing.assert_allclose(means, one, rtol=1e-13)


# The command


def command(*options):
    return [sys.executable, "-m", "helpers.scale", *map(str, options)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--points 12345", "--points must be a multiple of 10,000, from"),
        ("--points 10000 --seed -1", "--seed must be from 0 to 4294967295"),
        ("--points 10000 --process 0", "--process and --coordinator must be"),
    ],
)
def test_bad_options_get_one_line(options, message):
    done = subprocess.run(
        command(*options.split()), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"python -m helpers.scale: {message}" in done.stderr


def test_two_processes_one_killed_go_on_to_what_one_gives(tmp_path):
    folder = tmp_path / "passes"

    def fit(*options, points=30_000_000):
        line = command("--points", points, "--checkpoint", folder, *options)
        return psutil.Popen(line, stderr=subprocess.PIPE, text=True)

    first = fit("--processes", 2)
    while not (folder / "1").exists() and first.poll() is None:
        time.sleep(0.01)
    begin = time.monotonic()
    first.children()[0].kill()
    _, said = first.communicate()
    assert re.search("another (process is gone|task died)", said)
    assert first.returncode != 0 and time.monotonic() - begin < 20
    records = []
    # The rest by two, nothing by one, and all by one.
    for number, where in (("2", folder), ("1", folder), ("1", tmp_path / "x")):
        output = tmp_path / "record"
        more = ("--checkpoint", where, "--output", output)
        done = fit("--processes", number, *more)
        _, said = done.communicate()
        assert done.returncode == 0, said
        records.append(json.loads(output.read_text("utf-8")))
    two, none, one = records
    assert two["params"] == none["params"] == one["params"]
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-12)
    made = [len(record["seconds"]) for record in records]
    assert made == [one["passes"] - 1, 0, one["passes"]]
    assert len(two["peak_mib"]) == 2
    assert all(100 < peak < 400 for peak in two["peak_mib"])
    for settings in ({"points": 10_000}, {}):
        other = fit("--seed", 2**32 - 1, **settings)
        _, said = other.communicate()
        assert (other.returncode, said.count("\n")) == (1, 1)
        assert "passes is of a run with {'points': 30000000" in said


# The record of large runs, made by benchmarks/record.py


def test_the_record_holds_the_truth_in_constant_memory():
    text = (ROOT / "helpers" / "records.json").read_text("utf-8")
    for run in json.loads(text)["runs"]:
        assert max(run["peak_mib"]) <= 400
        for name, true in {"b": 0.1, "w1": 1, "w2": 3}.items():
            error = run["standard_errors"][name]
            assert abs(run["params"][name] - true) < 4 * error
