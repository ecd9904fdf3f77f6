"""Processes that share the endless data, and the parent over them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import psutil
import pytest
import statsmodels.api as sm
from test_scale import whole
from test_solvers import columns_of

from helpers import launch, scale, worker
from helpers.scale import CHUNK, add_up, unpack
from helpers.worker import (
    load_passes,
    remembered,
    run,
    save_passes,
)

QUIET = {
    "text": True,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
}
# A pass of each of two processes takes a group of 40 chunks, and one of 20.
POINTS = 120 * CHUNK

# The parent: its processes may be any programs

SLEEP = "import time; time.sleep(60)"
LOST = f"import os; os._exit({launch.LOST})"
FELL = (
    "import os; os.write(2, b'F1124 09:00:00.1 4 client.h:80] because the JAX "
    "distributed service detected fatal errors. absl::Status: UNAVAILABLE: x"
    "\\n at Error\\n'); "
)


def launched(*programs):
    commands = {k: [sys.executable, "-c", p] for k, p in enumerate(programs)}
    return launch.launch(commands, lambda *what: None)


@pytest.mark.parametrize(
    "program, line",
    [
        ("raise ValueError('x must')", "(exit 1): ValueError: x must"),
        ("import os; os.kill(os.getpid(), 9)", "(SIGKILL): it said nothing"),
        ("import sys; sys.exit(7)", "(exit 7): it said nothing"),
        ('print(\'{"error": "E: x"}\'); raise ValueError', "(exit 1): E: x"),
        (
            f"{FELL} os.abort()",
            "(SIGABRT): another process is gone or silent: UNAVAILABLE: x",
        ),
    ],
)
def test_the_process_that_fails_is_named_and_the_others_end(
    monkeypatch, program, line
):
    monkeypatch.setattr(launch, "GRACE", 0.1)
    begin = time.monotonic()
    failure = launched(SLEEP, program, SLEEP)
    assert failure == f"process 1 failed {line}"
    assert time.monotonic() - begin < 30  # less than they would sleep


def test_who_fell_over_another_is_not_blamed(monkeypatch):
    monkeypatch.setattr(launch, "GRACE", 10)
    cause = "import time; time.sleep(1); raise ValueError('the cause')"
    # Older runtimes end a process by 1, which is also how the cause exits.
    fell = ["import os; os.abort()", LOST, f"{FELL} os._exit(1)"]
    failure = launched(*fell, cause)
    assert failure == "process 3 failed (exit 1): ValueError: the cause"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--processes 0", "--processes must be at least 1, got 0"),
        ("--devices 0", "--devices must be at least 1, got 0"),
        ("--process 0", "--process and --coordinator must be given together"),
        ("--process 1 --coordinator a:1", "--process must be from 0 to 0, "),
        ("--checkpoint /no/such/file", "--checkpoint must be in a folder"),
        ("--output /no/such/file", "--output must be in a folder"),
    ],
)
def test_a_wrong_command_line_is_refused(capsys, arguments, message):
    with pytest.raises(SystemExit):
        launch.parse(["--points", "10000", *arguments.split()])
    assert f"error: {message}" in capsys.readouterr().err


# A run


def test_the_optimum_is_that_of_statsmodels():
    record, data = run(100_000), whole(range(10))
    oracle = sm.Logit(data.label, columns_of(data)).fit(disp=0, tol=1e-12)
    assert list(record["params"]) == ["b", "w1", "w2"]
    # The standard errors are 0.01 and more.
    params = list(record["params"].values())
    np.testing.assert_allclose(params, oracle.params, atol=1e-5)
    errors = list(record["standard_errors"].values())
    np.testing.assert_allclose(errors, oracle.bse, rtol=1e-5)
    assert record["loss"] == pytest.approx(-oracle.llf / 100_000, rel=1e-6)
    assert record["gradient_norm"] <= record["tolerance"] == 1e-6


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"points": 12_345},
            r"^points must be .*; nearest: 10,000 and 20,000",
        ),
        ({"points": 0}, r"^points must be from 1 to 42,949,672,960,000, got"),
        ({"seed": -1}, r"^seed must be from 0 to 4294967295, got -1$"),
        ({"seed": 2**32}, r"^seed must be from 0 to 4294967295, got 429"),
        ({"tolerance": 0.0}, r"^tolerance must be above 0, got 0\.0"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        run(**({"points": 10_000} | change))


def test_a_coordinator_out_of_reach_is_named(monkeypatch):
    monkeypatch.setattr(worker, "FIND", 0.3)
    address = launch.free_address()
    with pytest.raises(ValueError, match=f"^coordinator {address} must be"):
        worker.find(address)


# To go on after a stop


def rows(count):
    return [np.arange(16) + index / 7 for index in range(count)]


def test_passes_are_read_as_they_were_written(tmp_path):
    path, settings = tmp_path / "passes", {"points": 5, "tolerance": 0.1}
    assert load_passes(path, settings) == []
    save_passes(path, settings, rows(3))
    np.testing.assert_array_equal(load_passes(path, settings), rows(3))
    assert os.listdir(tmp_path) == ["passes"]
    with pytest.raises(ValueError, match=r"passes is of a run with \{'p"):
        load_passes(path, {"points": 6, "tolerance": 0.1})


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "passes"
    save_passes(path, {}, rows(1))

    def die(*_):
        raise KeyboardInterrupt

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, die)
            with pytest.raises(KeyboardInterrupt):
                save_passes(path, {}, rows(2))
        np.testing.assert_array_equal(load_passes(path, {}), rows(1))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("15.0", "15.1"),
        lambda text: text.replace('"digest"', '"digits"'),
        lambda text: "[1]",
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "passes"
    save_passes(path, {"points": 5}, rows(2))
    path.write_text(damage(path.read_text("utf-8")), "utf-8")
    with pytest.raises(ValueError, match=r"^checkpoint .*passes is damaged"):
        load_passes(path, {"points": 5})


def test_no_pass_is_made_again():
    called, saved, passes = [], [], []

    def objective(params):
        called.append(params[0])
        return 2 * params[0], params, np.tile(params, (3, 1))

    def on(*points):
        recall = remembered(
            objective, passes, lambda passes: saved.append(len(passes))
        )
        return [recall(np.full(3, at, np.float32))[0] for at in points]

    assert on(1, 2) == [2, 4]
    # The same way, and one step further; then another way from there on.
    assert on(1, 2, 3) == [2, 4, 6]
    assert (called, saved) == ([1, 2, 3], [1, 2, 3])
    assert on(1, 5, 3) == [2, 10, 6]
    assert called == [1, 2, 3, 5, 3] and len(passes) == 3
    loss, gradient, hessian = unpack(passes[1][3:])
    assert (loss, gradient[0], hessian.shape) == (10, 5, (3, 3))


def test_a_run_goes_on_from_its_last_pass(tmp_path, monkeypatch):
    path, reference, calls = str(tmp_path / "passes"), run(100_000), []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return add_up(*arguments)

    monkeypatch.setattr(scale, "add_up", dies)
    with pytest.raises(KeyboardInterrupt):
        run(100_000, checkpoint=path)
    record = run(100_000, checkpoint=path)
    assert len(calls) == reference["passes"] + 1
    assert len(record["seconds"]) == reference["passes"] - 3
    for name in ("params", "standard_errors", "gradient_norm", "passes"):
        assert record[name] == reference[name]
    # Once more: nothing is left to do.
    assert run(100_000, checkpoint=path)["seconds"] == []
    with pytest.raises(ValueError, match=r"passes is of a run with .*'seed'"):
        run(100_000, seed=2, checkpoint=path)
    # Another version might draw other points.
    monkeypatch.setattr(jax, "__version__", "0.0")
    with pytest.raises(ValueError, match=r"passes is of a run with .*'jax'"):
        run(100_000, checkpoint=path)


# The real processes


def command(*arguments):
    return [sys.executable, "-m", "helpers.scale", *map(str, arguments)]


# Process 1 dies in its second pass, once process 0 has kept the first.
KILLED = """
import os, signal, time
from helpers import worker
report, added = worker.report, []
def die(**message):
    report(**message)
    added.extend(["added"] * (message.get("of") == 60))
    if worker.jax.process_index() == 1 and len(added) == 3:
        while not os.path.exists({checkpoint!r}):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
worker.report = die
worker.work()
"""


def test_a_killed_process_is_named_and_two_go_on_to_what_one_gives(
    monkeypatch, tmp_path
):
    checkpoint, output = str(tmp_path / "passes"), tmp_path / "record"
    options = ["--points", str(POINTS), "--processes", "2"]
    options += ["--checkpoint", checkpoint, "--output", str(output)]
    with monkeypatch.context() as patch:
        patch.setattr(launch, "WORKER", KILLED.format(checkpoint=checkpoint))
        commands = launch.commands_of(launch.parse(options))
        failure = launch.launch(commands, lambda *what: None)
    assert failure == "process 1 failed (SIGKILL): it said nothing"
    assert len(json.loads(Path(checkpoint).read_text())["passes"]) == 1
    assert not output.exists()
    done = subprocess.run(command(*options, "--devices", 2), **QUIET)
    assert (done.returncode, done.stderr) == (0, "")
    record, one = json.loads(output.read_text()), run(POINTS)
    assert record["params"] == one["params"]
    assert record["loss"] == pytest.approx(one["loss"], rel=1e-12)
    w2, error = record["params"]["w2"], record["standard_errors"]["w2"]
    assert f"\nw2 {w2:10.6f} ± {error:.6f}\n" in done.stdout
    # From a start near the optimum; the first pass is not made again.
    assert 2 <= record["passes"] == len(record["seconds"]) + 1 <= 3
    assert (record["processes"], record["devices"]) == (2, 2)
    assert all(100 < peak < 400 for peak in record["peak_mib"])


def test_processes_with_their_own_parents_must_agree():
    options = ("--points", POINTS, "--processes", 2)
    options = (*options, "--coordinator", launch.free_address())
    parents = [
        subprocess.Popen(
            command(*options, "--process", number, "--seed", number), **QUIET
        )
        for number in (0, 1)
    ]
    errors = [parent.communicate()[1] for parent in parents]
    assert [parent.returncode for parent in parents] == [1, 1]
    assert [error.count("\n") for error in errors] == [1, 1]
    # The later one, or its runtime, may find that the other is gone.
    said = ["seed must be the same" in error for error in errors]
    gone = ["another process is gone" in error for error in errors]
    assert any(said) and all(map(any, zip(said, gone, strict=True))), errors


def is_gone(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_no_process_outlives_its_parent(monkeypatch):
    # Process 0 says nothing while it waits a minute for process 1.
    options = ("--points", POINTS, "--processes", 2, "--process", 0)
    address = launch.free_address()
    parent = subprocess.Popen(
        command(*options, "--coordinator", address), **QUIET
    )
    monkeypatch.setattr(worker, "FIND", 60)
    worker.find(address)
    (child,) = psutil.Process(parent.pid).children()
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 30
    while not is_gone(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert is_gone(child)
