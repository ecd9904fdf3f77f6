"""Chunks without end, passes over them, and processes that share them."""

import json
import socket
import subprocess
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from jax import random
from manuscript import ROOT
from oracle import as_vector, columns_of, means_of, params_of

from helpers.data import Dataset, Line, make_dataset
from helpers.scale import (
    MAX_CHUNKS,
    Endless,
    add_compensated,
    device_mesh,
    endless_means,
    find_start,
    make_chunk,
    means_by_slices,
    newton_passes,
)
from helpers.solvers import newton

KEY = random.key(1)
SOME = params_of(0.3, 0.7, 2)
draw = jax.jit(make_chunk)


def whole(chunks):
    """The chunks as one data set of NumPy arrays."""
    parts = [draw(KEY, np.uint32(index)) for index in chunks]
    return Dataset(*(np.concatenate(c) for c in zip(*parts, strict=True)))


def assert_means(found, chunks):
    """They are what NumPy computes in double precision."""
    expected = means_of(as_vector(SOME), whole(chunks))
    for part, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, other, rtol=1e-5)


# Chunks


@pytest.mark.parametrize("index", [0, 7, MAX_CHUNKS - 1])
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


def test_nothing_is_lost_of_a_million_float32():
    def add(_, sums):
        return add_compensated(*sums, np.float32(0.1))

    start = (np.float32(0), np.float32(0))
    total, lost = jax.lax.fori_loop(0, 1_000_000, add, start)
    exact = 1_000_000 * float(np.float32(0.1))
    assert float(total) + float(lost) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("first", [0, 2, MAX_CHUNKS - 5])
def test_a_pass_equals_numpy_in_double_precision(first):
    data = Endless(KEY, 5, first)
    with jax.set_mesh(device_mesh()):
        assert_means(endless_means(SOME, data), range(first, first + 5))


def test_slices_make_the_whole(monkeypatch):
    calls = []

    def means(params, part):
        calls.append((part.first, part.chunks))
        return np.float32(part.first), np.ones(3), np.eye(3)

    monkeypatch.setattr("helpers.scale.endless_means", means)
    loss, gradient, _ = means_by_slices(SOME, Endless(KEY, 2500, 7))
    assert calls == [(7, 1000), (1007, 1000), (2007, 500)]
    assert loss == pytest.approx((7 * 2 + 1007 * 2 + 2007) / 5)
    assert gradient.dtype == np.float64
    calls.clear()
    means_by_slices(SOME, Endless(KEY, 1_000_001))
    assert len(calls) == 100


def test_the_optimum_is_that_of_statsmodels_and_passes_are_not_repeated():
    data = Endless(KEY, 10)
    start = find_start(data)
    passes = [*newton_passes(start, data, 1e-7)]
    here = passes[-1]
    points = whole(range(10))
    oracle = sm.Logit(points.label, columns_of(points)).fit(disp=0, tol=1e-12)
    # The standard errors are 0.01 and more.
    np.testing.assert_allclose(as_vector(here.params), oracle.params, 1e-5)
    errors = np.sqrt(np.diag(np.linalg.inv(here.hessian)) / 100_000)
    np.testing.assert_allclose(errors, oracle.bse, rtol=1e-5)
    assert here.loss == pytest.approx(-oracle.llf / 100_000, rel=1e-6)
    # newton takes the data as it is; a run goes on where another ended.
    with jax.set_mesh(device_mesh()):
        params, _ = newton(endless_means, start, data, 1e-7)
    np.testing.assert_allclose(as_vector(params), oracle.params, 1e-5)
    again = [*newton_passes(None, data, 1e-7, here=passes[0])]
    assert len(again) == len(passes) - 1
    for part, other in zip(again[-1][1:], here[1:], strict=True):
        np.testing.assert_array_equal(part, other)
    assert not [*newton_passes(None, data, 1e-7, here=here)]


def test_numbers_that_are_not_finite_are_refused(monkeypatch):
    means = np.float64(1), np.full(3, np.nan), np.eye(3)
    monkeypatch.setattr("helpers.scale.means_by_slices", lambda *_: means)
    with pytest.raises(ValueError, match=r"^step must be numbers"):
        [*newton_passes(SOME, Endless(KEY, 1))]


@pytest.mark.parametrize("devices", [99, -1])
def test_devices_that_are_not_there_are_refused(devices):
    with pytest.raises(ValueError, match=r"^devices must be"):
        device_mesh(devices)


# In a process of its own: an earlier test's peak would hide a later one.
ALONE = """
import jax, json, resource
jax.config.update("jax_num_cpu_devices", 8)
from helpers.scale import ZEROS, Endless, device_mesh, endless_means
peaks = []
def means(devices, chunks):
    with jax.set_mesh(device_mesh(devices)):
        data = Endless(jax.random.key(1), chunks)
        return [a.tolist() for a in endless_means(ZEROS, data)]
for chunks in (200, 1000):
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
        for part, other in zip(means, one, strict=True):
            np.testing.assert_allclose(part, other, rtol=1e-6)


# The command


def start(*options, processes=1, own=((), ())):
    """Start it once for each process, which may have options of its own."""
    with socket.socket() as any_free:
        any_free.bind(("localhost", 0))
        port = any_free.getsockname()[1]
    line = [sys.executable, "-m", "helpers.scale", *options]
    if processes > 1:
        line += ["--coordinator", f"localhost:{port}"]
        line += ["--processes", processes]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return [
        subprocess.Popen(
            [str(part) for part in (*line, "--process", k, *own[k])],
            **pipes,
            text=True,
        )
        for k in range(processes)
    ]


def ended(processes):
    """Wait for all; return their statuses, and what they complained of."""
    said = [process.communicate()[1] for process in processes]
    return [process.returncode for process in processes], said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--points 12345", "--points must be a multiple of 10,000, above 0"),
        ("--points 10000 --seed -1", "--seed must be below 2**32"),
        ("--points 10000 --processes 2", "--coordinator must be given"),
    ],
)
def test_bad_options_get_one_line(options, message):
    status, (said,) = ended(start(*options.split()))
    assert (status, said.count("\n")) == ([2], 1)
    assert f"python -m helpers.scale: {message}" in said


@pytest.mark.parametrize("name", ["--seed", "--checkpoint"])
def test_what_differs_between_processes_is_refused_in_both(name, tmp_path):
    values = (1, 2) if name == "--seed" else (tmp_path / "a", tmp_path / "b")
    own = [(name, value) for value in values]
    status, said = ended(start("--points", 10_000, processes=2, own=own))
    assert status == [1, 1]
    what = "options" if name == "--seed" else "folder"
    assert said == [f"{what} must be equal in all processes\n"] * 2


def test_two_processes_one_killed_one_goes_on_to_what_one_gives(tmp_path):
    def fit(folder, *more, processes=1):
        folder = ("--checkpoint", tmp_path / folder)
        options = "--points", 30_000_000, *folder, *more
        return start(*options, processes=processes)

    both = fit("passes", processes=2)
    while not (tmp_path / "passes/1").exists() and both[0].poll() is None:
        time.sleep(0.01)
    begin = time.monotonic()
    both[1].kill()
    (status, _), (said, _) = ended(both)
    assert status and time.monotonic() - begin < 20
    assert "closed by peer" in said or "another task died" in said
    records = []
    # The rest by two, nothing by one, and all by one.
    for processes, folder in ((2, "passes"), (1, "passes"), (1, "other")):
        output = "--output", tmp_path / "record"
        status, said = ended(fit(folder, *output, processes=processes))
        assert not any(status), said
        records.append(json.loads((tmp_path / "record").read_text("utf-8")))
    two, none, one = records
    assert two["params"] == none["params"] == one["params"]
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-6)
    made = [len(record["seconds"]) for record in records]
    assert made == [one["passes"] - 1, 0, one["passes"]]
    assert len(two["mib"]) == 2
    for last in (tmp_path / "other").glob(f"{one['passes']}/default/_META*"):
        last.write_text("{", "utf-8")
    for more, message in (
        (("--seed", 2**32 - 1), "other is of a run with {'points': 30000000"),
        ((), "other is damaged: name another"),
    ):
        status, (said,) = ended(fit("other", *more))
        assert (status, said.count("\n")) == ([1], 1)
        assert message in said


# The record of large runs, made by benchmarks/record.py


def test_the_record_holds_the_truth_in_constant_memory():
    text = (ROOT / "helpers" / "records.json").read_text("utf-8")
    for run in json.loads(text)["runs"]:
        assert max(run["mib"]) <= 400
        for name, true in {"b": 0.1, "w1": 1, "w2": 3}.items():
            error = run["standard_errors"][name]
            assert abs(run["params"][name] - true) < 4 * error
