"""Processes that share the endless data."""

import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import jax
import numpy as np
import psutil
import pytest
import statsmodels.api as sm
from sklearn.linear_model import LogisticRegression as SklearnRegression
from test_launch import QUIET
from test_scale import KEY, PARAMS, inputs_of, numpy_sums, whole

from helpers import launch, scale, worker
from helpers.scale import CHUNK, add_up, make_chunk, unpack
from helpers.worker import (
    chunks_of,
    load_passes,
    remembered,
    run,
    save_passes,
)

# The devices of this process, which the environment may say.
HERE = int(os.environ.get("JAX_NUM_CPU_DEVICES", 1))
# Chunks of a run with several groups a pass, for each of two processes.
CHUNKS = 120
POINTS = CHUNKS * CHUNK


def test_the_record_knows_how_many_points_there_were():
    points = 3 * 2**32 * CHUNK // 4  # 32,212,254,720,000
    assert len(chunks_of(points, 64)) * CHUNK == points
    one = numpy_sums(PARAMS, make_chunk(KEY, 0)) / CHUNK
    last = np.concatenate([[0.1, 1, 3], one])
    earlier = [np.ones(16), np.full(16, 2.0), np.full(16, 3.0)]
    record = worker.summary([*earlier, last], {"points": points})
    assert (record["points"], record["passes"]) == (points, 4)
    assert list(record["params"].values()) == [0.1, 1, 3]
    assert record["loss"] == one[0]
    assert record["gradient_norm"] == pytest.approx(np.hypot.reduce(one[1:4]))
    hessian = one[4:].reshape(3, 3)
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)) / points)
    np.testing.assert_allclose(
        list(record["standard_errors"].values()), errors, rtol=1e-12
    )


# The optimum


@pytest.fixture(scope="module")
def optimum():
    """A run of a hundred thousand points, and its data."""
    record = run(100_000)
    return record, whole(range(10))


def test_the_optimum_is_that_of_statsmodels(optimum):
    record, data = optimum
    oracle = sm.Logit(data.label, inputs_of(data)).fit(disp=0, tol=1e-12)
    params = list(record["params"].values())
    assert list(record["params"]) == ["b", "w1", "w2"]
    # The standard errors are 0.01 and more.
    np.testing.assert_allclose(params, oracle.params, atol=1e-5)
    errors = list(record["standard_errors"].values())
    np.testing.assert_allclose(errors, oracle.bse, rtol=1e-5)
    assert record["loss"] == pytest.approx(-oracle.llf / 100_000, rel=1e-6)
    assert record["gradient_norm"] <= record["tolerance"] == 1e-6
    assert (record["seed"], record["devices"], record["processes"]) == (
        1,
        1,
        1,
    )


def test_the_optimum_is_that_of_scikit_learn(optimum):
    record, data = optimum
    oracle = SklearnRegression(C=np.inf, tol=1e-9)
    oracle.fit(inputs_of(data)[:, 1:], data.label)
    expected = [*oracle.intercept_, *oracle.coef_[0]]
    params = list(record["params"].values())
    np.testing.assert_allclose(params, expected, atol=2e-5)


def test_a_large_run_starts_near_its_optimum():
    begin = time.perf_counter()
    record = run(POINTS)
    assert 0 < sum(record["seconds"]) < time.perf_counter() - begin
    assert record["passes"] == len(record["seconds"]) <= 3
    assert run(100_000)["passes"] > 4
    far = np.abs(np.array(list(record["params"].values())) - [0.1, 1, 3])
    assert (far < 4 * np.array(list(record["standard_errors"].values()))).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"points": 12_345}, r"^points must be a multiple of 10,000, .*got "),
        ({"points": 1}, "^points must be a multiple of"),
        ({"points": 0}, r"^points must be from 1 to 42,949,672,960,000, got"),
        (
            {"points": 10**14},
            "^points must be from 1 to .*, got 100,000,000",
        ),
        ({"points": 1e6}, r"^points must be a whole number, got 1000000\.0$"),
        ({"seed": -1}, "^seed must be from 0 to 4294967295, got -1$"),
        (
            {"seed": 2**32},
            "^seed must be from 0 to 4294967295, got 429",
        ),
        ({"tolerance": 0.0}, r"^tolerance must be above 0, got 0\.0$"),
        ({"tolerance": np.nan}, "^tolerance must be above 0, got nan$"),
        ({"tolerance": -0.1}, r"^tolerance must be above 0, got -0\.1$"),
        ({"tolerance": np.inf}, "^tolerance must be above 0, got inf$"),
        ({"devices": 0}, "^devices must be a whole number, at least 1"),
        ({"devices": 99}, f"^devices must be at most {HERE}, .*, got 99"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        run(**({"points": 100_000} | change))


def test_any_seed_of_32_bits_will_do():
    first, last = run(CHUNK, seed=0), run(CHUNK, seed=2**32 - 1)
    assert first["params"] != last["params"]


def test_points_must_be_shared_fairly(monkeypatch):
    most = scale.MAX_CHUNKS * CHUNK
    assert chunks_of(np.int64(most), 1) == range(scale.MAX_CHUNKS)
    with pytest.raises(ValueError, match=f"points must be from 1 to {most:,}"):
        chunks_of(most + CHUNK, 1)
    assert chunks_of(1_200_000, 6) == range(120)
    with pytest.raises(ValueError, match=r"nearest: 1,200,000 and 1,260,000$"):
        chunks_of(1_210_000, 6)
    with pytest.raises(ValueError, match=r"nearest: 60,000$"):
        chunks_of(10_000, 6)
    # As if there were another process.
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match=f"^devices must .* {HERE} in all 2$"):
        run(CHUNK)
    monkeypatch.setattr(jax, "device_count", lambda: 2 * HERE)
    with pytest.raises(ValueError, match=r"nearest: 20,000$"):
        run(CHUNK)


# To go on after a stop


def rows(count):
    return [np.arange(16) + index / 7 for index in range(count)]


def test_passes_are_read_as_they_were_written(tmp_path):
    path, settings = tmp_path / "passes", {"points": 5, "tolerance": 0.1}
    assert load_passes(path, settings) == []
    save_passes(path, settings, rows(3))
    np.testing.assert_array_equal(load_passes(path, settings), rows(3))
    assert os.listdir(tmp_path) == ["passes"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path, settings = tmp_path / "passes", {"points": 5}
    save_passes(path, settings, rows(1))

    def die(file, *arguments):
        # The draft is complete before it is made to stay.
        assert json.loads(Path(f"{path}.part").read_text())["passes"]
        raise KeyboardInterrupt

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, die)
            with pytest.raises(KeyboardInterrupt):
                save_passes(path, settings, rows(2))
        np.testing.assert_array_equal(load_passes(path, settings), rows(1))
    save_passes(path, settings, rows(2))
    assert len(load_passes(path, settings)) == 2


@pytest.mark.parametrize("other", [{"points": 6}, {"seed": 1}, {}])
def test_passes_of_another_run_are_refused(tmp_path, other):
    path = tmp_path / "passes"
    save_passes(path, {"points": 5}, rows(1))
    with pytest.raises(ValueError, match=r"passes is of a run with \{'p"):
        load_passes(path, other)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("15.0", "15.1"),
        lambda text: text.replace('"passes"', '"pases"'),
        lambda text: text.replace('"digest"', '"digits"'),
        lambda text: "[1]",
        lambda text: "\udcff" + text,
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "passes"
    save_passes(path, {"points": 5}, rows(2))
    text = damage(path.read_text("utf-8"))
    path.write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(ValueError, match=r"^checkpoint .*passes is damaged"):
        load_passes(path, {"points": 5})


class Counted:
    """An objective that notes where it was called."""

    def __init__(self):
        self.calls = []

    def __call__(self, params):
        self.calls.append(params[0])
        return 2 * params[0], params, np.tile(params, (3, 1))


def test_no_pass_is_made_again():
    objective, saved, passes = Counted(), [], []

    def on(*points):
        recall = remembered(
            objective, passes, lambda passes: saved.append(len(passes))
        )
        return [recall(np.full(3, at, np.float32))[0] for at in points]

    assert on(1, 2) == [2, 4]
    assert objective.calls == [1, 2] and saved == [1, 2]
    # The same way, and one step further.
    assert on(1, 2, 3) == [2, 4, 6]
    assert objective.calls == [1, 2, 3] and saved == [1, 2, 3]
    # Another way from the second step on.
    assert on(1, 5, 3) == [2, 10, 6]
    assert objective.calls == [1, 2, 3, 5, 3] and len(passes) == 3
    loss, gradient, hessian = unpack(passes[1][3:])
    assert (loss, gradient[0], hessian.shape) == (10, 5, (3, 3))


def test_a_run_goes_on_from_its_last_pass(tmp_path, monkeypatch):
    path = str(tmp_path / "passes")
    reference = run(100_000)
    calls = []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return add_up(*arguments)

    monkeypatch.setattr(scale, "add_up", dies)
    with pytest.raises(KeyboardInterrupt):
        run(100_000, checkpoint=path)
    # Few points are fitted from zero on.
    assert json.loads(Path(path).read_text())["passes"][0][:3] == [0, 0, 0]
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


# One process among several


def test_nobody_at_the_address_is_an_error(monkeypatch):
    monkeypatch.setattr(worker, "FIND", 0.3)
    address = launch.free_address()
    with pytest.raises(ValueError, match=f"^coordinator {address} must be"):
        worker.find(address)


def test_the_first_process_may_come_later():
    address = launch.free_address()
    host, port = address.split(":")
    with socket.socket() as late:
        late.bind((host, int(port)))
        timer = threading.Timer(0.5, late.listen)
        timer.start()
        worker.find(address)
        timer.join()


def test_all_but_the_first_look_for_it(monkeypatch):
    looked, joined = [], []
    monkeypatch.setattr(worker, "find", looked.append)
    monkeypatch.setattr(
        jax.distributed, "initialize", lambda **how: joined.append(how)
    )
    for process in range(3):
        worker.join("host:1", 3, process, None)
        assert joined[-1]["process_id"] == process
        assert looked == ["host:1"] * process


@pytest.mark.parametrize(
    "where", [(jax.distributed, "initialize"), (jax, "devices")]
)
def test_a_process_that_is_gone_at_the_start_is_missed(monkeypatch, where):
    def fail(**_):
        raise RuntimeError("UNAVAILABLE: Connection reset by peer")

    monkeypatch.setattr(worker, "find", lambda _: None)
    monkeypatch.setattr(jax.distributed, "initialize", lambda **_: None)
    monkeypatch.setattr(*where, fail)
    with pytest.raises(
        ConnectionError, match=r"^another process is gone or silent: UNAVAIL"
    ):
        worker.join("host:1", 2, 1, None)


def test_a_setting_that_differs_is_named(monkeypatch):
    others = [[1, 5], [1, 5]]
    monkeypatch.setattr(
        worker, "gather", lambda here: np.array([*others, here])
    )
    worker.agree(points=1, seed=5)
    with pytest.raises(ValueError, match=r"^seed must .* got \[5, 5, 6\]$"):
        worker.agree(points=1, seed=6)


@pytest.mark.parametrize("process", [0, 1])
def test_passes_are_those_that_the_first_process_reads(
    monkeypatch, tmp_path, process
):
    path, sent = tmp_path / "passes", iter([[2], *rows(2)])
    # To the file of another process nobody listens.
    save_passes(path, {}, rows(2 if process == 0 else 1))

    def gather(here):
        first = next(sent)
        return np.stack([first, here if process else np.zeros_like(here)])

    monkeypatch.setattr(worker, "gather", gather)
    monkeypatch.setattr(jax, "process_index", lambda: process)
    passes = worker.earlier_passes(path, {})
    np.testing.assert_array_equal(passes, rows(2))


def test_peak_memory_is_in_mib_on_any_system(monkeypatch):
    most = worker.peak_memory()
    now = psutil.Process().memory_info().rss / 2**20
    assert now / 2 < most < 8 * now
    # There the system counts bytes, here kibibytes.
    monkeypatch.setattr(sys, "platform", "linux")
    here = worker.peak_memory()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert worker.peak_memory() == pytest.approx(here / 1024, rel=0.1)


def test_a_message_is_sent_at_once(monkeypatch):
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe))
    worker.report(added=1, of=2)
    assert pipe.getvalue() == b'{"added": 1, "of": 2}\n'


@pytest.mark.parametrize(("seconds", "status"), [(0, 0), (60, launch.LOST)])
def test_a_process_ends_with_its_parent_or_before(seconds, status):
    program = (
        "import time; from helpers.worker import end_with_parent; "
        f"end_with_parent(); print('on', flush=True); time.sleep({seconds})"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, **QUIET, stdin=subprocess.PIPE)
    assert process.stdout.readline() == "on\n"
    if seconds:
        process.stdin.close()
    assert process.wait(timeout=120) == status
    for file in (process.stdin, process.stdout, process.stderr):
        file.close()


# The real processes


def command(*arguments):
    return [sys.executable, "-m", "helpers.scale", *map(str, arguments)]


def finished(*arguments, timeout=120):
    """Run the program; return exit status, stdout, stderr and seconds."""
    start = time.monotonic()
    done = subprocess.run(command(*arguments), **QUIET, timeout=timeout)
    seconds = time.monotonic() - start
    return done.returncode, done.stdout, done.stderr, seconds


SABOTAGED = """
import os, signal
from helpers import worker
report, added = worker.report, []
def sabotaged(**message):
    report(**message)
    added.extend(["added"] * (message.get("of") == 60))
    here = worker.jax.process_index() == {victim}
    if here and len(added) == {after} and "added" in message:
        {act}
worker.report = sabotaged
worker.work()
"""


# A run of two processes, one of which stands still from its second pass on.
STAND = "os.kill(os.getpid(), signal.SIGSTOP)"
STANDING = SABOTAGED.format(act=STAND, after=3, victim=1)
FROZEN = f"""
import time
from helpers import launch
launch.WORKER = {STANDING!r}
start = time.monotonic()
code = launch.main(["--points", "{POINTS}", "--processes", "2"])
print(code, time.monotonic() - start)
"""


@pytest.fixture(scope="module")
def slow():
    """Two runs that fail in their time, while other tests run."""
    address = launch.free_address()
    arguments = ("--points", POINTS, "--processes", 2, "--process", 1)
    searching = command(*arguments, "--coordinator", address)
    searching = subprocess.Popen(searching, **QUIET)
    frozen = subprocess.Popen([sys.executable, "-c", FROZEN], **QUIET)
    yield address, searching, frozen
    for process in (searching, frozen):
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def alone(tmp_path_factory, slow):
    """The record of one process, what it printed, and its bar."""
    output = tmp_path_factory.mktemp("alone") / "record"
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    arguments = ("--points", POINTS, "--output", output)
    done = subprocess.run(
        command(*arguments), **(QUIET | {"stderr": theirs}), timeout=120
    )
    os.close(theirs)
    bar = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0, bar
    return json.loads(output.read_text()), done.stdout, bar


def test_one_process_prints_its_record_and_shows_a_bar(alone):
    record, printed, bar = alone
    b, error = record["params"]["b"], record["standard_errors"]["b"]
    assert f"b   {b:9.6f} ± {error:.6f}\n" in printed
    assert f"length of the gradient: {record['gradient_norm']:.1e}" in printed
    assert "| 0/120 [00:00<" in bar and "chunks/s]" in bar
    assert record["processes"] == 1 and len(record["peak_mib"]) == 1
    assert 100 < record["peak_mib"][0] < 400


def test_the_program_and_the_function_give_the_same(alone):
    record = run(POINTS)
    for name in ("params", "standard_errors", "loss", "passes"):
        assert alone[0][name] == record[name]


def same(record, other):
    for name in ("points", "seed", "tolerance", "chunk", "params", "passes"):
        assert record[name] == other[name]
    for name in ("standard_errors", "loss"):
        assert record[name] == pytest.approx(other[name], rel=1e-12)
    # A small difference of large sums
    norm = pytest.approx(other["gradient_norm"], rel=1e-5)
    assert record["gradient_norm"] == norm


def test_two_processes_give_what_one_gives(tmp_path, alone):
    output = tmp_path / "record"
    code, printed, error, _ = finished(
        "--points", POINTS, "--processes", 2, "--output", output
    )
    assert (code, error) == (0, "")
    record = json.loads(output.read_text())
    assert record["processes"] == 2 and len(record["peak_mib"]) == 2
    same(record, alone[0])
    assert printed.split("\n")[1:5] == alone[1].split("\n")[1:5]


def sabotage(monkeypatch, act, *arguments, after=3, victim=1):
    """Launch two processes, one of which meets with an accident.

    It has two groups of chunks a pass: the third is in its second pass.
    """
    program = SABOTAGED.format(act=act, after=after, victim=victim)
    monkeypatch.setattr(launch, "WORKER", program)
    arguments = ("--points", POINTS, "--processes", 2, *arguments)
    options = launch.parse([str(argument) for argument in arguments])
    heard = []
    start = time.monotonic()
    failure = launch.launch(
        launch.commands_of(options), lambda *what: heard.append(what)
    )
    return failure, time.monotonic() - start, heard


def test_a_process_that_raises_is_named(monkeypatch):
    act = "raise RuntimeError('an accident\\nof two lines')"
    failure, seconds, _ = sabotage(monkeypatch, act)
    assert failure == "process 1 failed (exit 1): RuntimeError: an accident"
    assert seconds < 20


def test_a_process_that_lost_another_says_so(monkeypatch):
    # Both have; the parent may hear of either first.
    failure, seconds, _ = sabotage(monkeypatch, "raise ConnectionError('no')")
    assert f"failed (exit {launch.LOST}): ConnectionError: " in failure
    assert seconds < 20


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_is_named_and_the_run_can_go_on(
    monkeypatch, tmp_path, alone, victim
):
    checkpoint, output = tmp_path / "passes", tmp_path / "record"
    # Late enough for process 0 to have kept the first pass.
    act = "__import__('time').sleep(1); os.kill(os.getpid(), signal.SIGKILL)"
    failure, seconds, heard = sabotage(
        monkeypatch, act, "--checkpoint", checkpoint, victim=victim
    )
    assert failure == f"process {victim} failed (SIGKILL): it said nothing"
    assert seconds < 20
    assert "record" not in str(heard)
    # It died in its second pass; the first is kept, for any number of
    # processes.
    assert len(json.loads(checkpoint.read_text())["passes"]) == 1
    arguments = ("--points", POINTS, "--processes", 2 - victim)
    code, _, error, _ = finished(
        *arguments, "--checkpoint", checkpoint, "--output", output
    )
    assert (code, error) == (0, "")
    record = json.loads(output.read_text())
    same(record, alone[0])
    assert len(record["seconds"]) == record["passes"] - 1


def test_a_damaged_checkpoint_is_named_by_the_program(tmp_path):
    path = tmp_path / "passes"
    path.write_text("{")
    code, printed, error, seconds = finished(
        "--points", POINTS, "--processes", 2, "--checkpoint", path
    )
    assert (code, printed) == (1, "")
    assert error == (
        f"process 0 failed (exit 1): ValueError: checkpoint {path} is damaged:"
        " delete it to start anew\n"
    )
    assert seconds < 20


def test_a_process_has_as_many_devices_as_it_is_told(tmp_path, alone):
    output = tmp_path / "record"
    code, _, error, _ = finished(
        "--points", POINTS, "--devices", 3, "--output", output
    )
    assert (code, error) == (0, "")
    record = json.loads(output.read_text())
    assert record["devices"] == 3
    same(record, alone[0])


def children(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return path.read_text().split()


def alive(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_no_process_outlives_its_parent():
    busy = ("--points", 10**12, "--processes", 2)
    # Process 0 says nothing while it waits for process 1.
    waiting = (*busy, "--process", 0, "--coordinator", launch.free_address())
    parents = [
        subprocess.Popen(command(*arguments), **QUIET)
        for arguments in (busy, busy, waiting)
    ]
    time.sleep(6)
    workers = [pid for parent in parents for pid in children(parent.pid)]
    assert len(workers) == 5 and all(map(alive, workers))
    parents[0].terminate()
    parents[1].kill()
    parents[2].kill()
    deadline = time.monotonic() + 15
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, workers))
    assert [p.wait() for p in parents] == [128 + signal.SIGTERM, -9, -9]
    for parent in parents:
        parent.communicate()


def test_processes_with_their_own_parents_find_each_other(tmp_path, alone):
    address, output = launch.free_address(), tmp_path / "record"
    arguments = ("--points", POINTS, "--processes", 2, "--output", output)
    arguments = (*arguments, "--coordinator", address, "--process")
    parents = [
        subprocess.Popen(command(*arguments, number), **QUIET)
        for number in (1, 0)
    ]
    printed = [parent.communicate(timeout=120) for parent in parents]
    assert [parent.returncode for parent in parents] == [0, 0], printed
    assert printed[0] == ("process 1 has done its share\n", "")
    same(json.loads(output.read_text()), alone[0])


@pytest.mark.parametrize("option", ["seed", "devices"])
def test_processes_that_disagree_are_refused(option):
    address = launch.free_address()
    arguments = ("--points", POINTS, "--processes", 2)
    arguments = (*arguments, "--coordinator", address)
    parents = [
        subprocess.Popen(
            command(
                *arguments, "--process", number, f"--{option}", number + 1
            ),
            **QUIET,
        )
        for number in (0, 1)
    ]
    errors = [parent.communicate(timeout=120)[1] for parent in parents]
    assert [parent.returncode for parent in parents] == [1, 1]
    # The later one, or its runtime, may find that the other is gone.
    said = [f"{option} must be the same" in error for error in errors]
    gone = ["another process is gone" in error for error in errors]
    assert any(said) and all(map(any, zip(said, gone, strict=True))), errors


def test_a_coordinator_out_of_reach_is_named(slow):
    address, process, _ = slow
    printed, error = process.communicate(timeout=120)
    assert (process.returncode, printed) == (1, "")
    assert error.startswith(
        f"process 1 failed (exit 1): ValueError: coordinator {address} must "
        "be within reach"
    )
    assert error.count("\n") == 1


def test_a_process_that_stands_still_does_not_hold_up_the_end(slow):
    printed, error = slow[2].communicate(timeout=120)
    code, seconds = printed.split()
    assert code == "1" and float(seconds) < 30
    # Older runtimes end by themselves, newer ones by a signal.
    assert re.fullmatch(
        r"process 0 failed \((exit 1|SIGABRT)\): another process is gone or "
        r"silent: UNAVAILABLE.*\n",
        error,
    )
