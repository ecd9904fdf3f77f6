"""Processes that share the endless data, and the parent over them."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from manuscript import ROOT
from sklearn.linear_model import LogisticRegression as SklearnRegression
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

# Chunks of a run with several groups a pass, for each of two processes.
CHUNKS = 120
POINTS = CHUNKS * CHUNK


def test_the_record_knows_how_many_points_there_were():
    points = 3 * 2**32 * CHUNK // 4  # 32,212,254,720,000
    assert len(chunks_of(points, 64)) * CHUNK == points
    one = numpy_sums(PARAMS, make_chunk(KEY, 0)) / CHUNK
    record = worker.summary(
        [np.concatenate([[0.1, 1, 3], one])], {"points": points}
    )
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
    assert record["gradient_norm"] <= 1e-6


def test_the_optimum_is_that_of_scikit_learn(optimum):
    record, data = optimum
    oracle = SklearnRegression(C=np.inf, tol=1e-9)
    oracle.fit(inputs_of(data)[:, 1:], data.label)
    expected = [*oracle.intercept_, *oracle.coef_[0]]
    params = list(record["params"].values())
    np.testing.assert_allclose(params, expected, atol=2e-5)


def test_a_large_run_starts_near_its_optimum():
    record = run(POINTS)
    assert record["passes"] == len(record["seconds"]) <= 3
    assert run(100_000)["passes"] > 4
    far = np.abs(np.array(list(record["params"].values())) - [0.1, 1, 3])
    assert (far < 4 * np.array(list(record["standard_errors"].values()))).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"points": 12_345}, r"^points must be a multiple of 10,000, .*got "),
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
        ({"devices": 0}, "^devices must be a whole number, at least 1"),
        ({"devices": 99}, "^devices must be at most 1, .*, got 99"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        run(**({"points": 100_000} | change))


def test_points_must_be_shared_fairly():
    assert chunks_of(1_200_000, 6) == range(120)
    with pytest.raises(ValueError, match=r"nearest: 1,200,000 and 1,260,000$"):
        chunks_of(1_210_000, 6)
    with pytest.raises(ValueError, match=r"nearest: 60,000$"):
        chunks_of(10_000, 6)


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

    def die(*arguments):
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
    record = run(100_000, checkpoint=path)
    assert len(calls) == reference["passes"] + 1
    assert len(record["seconds"]) == reference["passes"] - 3
    for name in ("params", "standard_errors", "gradient_norm", "passes"):
        assert record[name] == reference[name]
    # Once more: nothing is left to do.
    assert run(100_000, checkpoint=path)["seconds"] == []
    with pytest.raises(ValueError, match=r"passes is of a run with .*'seed'"):
        run(100_000, seed=2, checkpoint=path)


# The parent: any programs will do

QUIET = {
    "cwd": ROOT,
    "text": True,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
}
SLEEP = "import time; time.sleep(60)"


def launched(*programs, hear=lambda number, message: None):
    """Run programs; return the parent's line and how long it took."""
    commands = {k: [sys.executable, "-c", p] for k, p in enumerate(programs)}
    start = time.monotonic()
    return launch.launch(commands, hear), time.monotonic() - start


def test_processes_are_heard_until_all_end_well():
    heard = []
    say = "import json; print(json.dumps({'added': %d})); print('noise', 3)"
    failure, _ = launched(
        say % 1, say % 2, hear=lambda *what: heard.append(what)
    )
    assert failure is None
    added = [what for what in heard if "added" in what[1]]
    assert sorted(added) == [(0, {"added": 1}), (1, {"added": 2})]


@pytest.mark.parametrize(
    "program, line",
    [
        (
            "raise ValueError('x must')",
            "(exit 1): ValueError: x must",
        ),
        ("import no_such", "(exit 1): ModuleNotFoundError: No module named"),
        ("import os; os.kill(os.getpid(), 9)", "(SIGKILL): it said nothing"),
        ("import sys; sys.exit(7)", "(exit 7): it said nothing"),
        ("import os; os.abort()", "(SIGABRT): it said nothing"),
        (
            "print('{\"error\": \"E: here\"}'); raise ValueError('there')",
            "(exit 1): E: here",
        ),
        (
            "import os; os.write(2, b'E1124 09:00:00.1 4 a.cc:5] bad\\n*** @')"
            "; os.abort()",
            "(SIGABRT): E1124 09:00:00.1 4 a.cc:5] bad",
        ),
        (
            "import os; os.write(2, b'F1124 09:00:00.1 4 client.h:80] because "
            "the JAX distributed service detected fatal errors. absl::Status: "
            "UNAVAILABLE: x\\n at Error\\n'); os.abort()",
            "(SIGABRT): another process is gone or silent: UNAVAILABLE: x",
        ),
    ],
)
def test_the_process_that_fails_is_named_and_the_others_end(
    monkeypatch, program, line
):
    monkeypatch.setattr(launch, "GRACE", 0.1)
    failure, seconds = launched(SLEEP, program, SLEEP)
    assert failure.startswith(f"process 1 failed {line}")
    assert "\n" not in failure
    assert seconds < 10


def test_who_fell_over_another_is_not_blamed():
    lost = f"import os; os._exit({launch.LOST})"
    late = "import time; time.sleep(1); raise ValueError('the cause')"
    failure, _ = launched("import os; os.abort()", lost, late)
    assert failure == "process 2 failed (exit 1): ValueError: the cause"
    # Without a better one, the first suspect it is.
    failure, seconds = launched(SLEEP, lost)
    assert failure.startswith(f"process 1 failed (exit {launch.LOST})")
    assert launch.GRACE < seconds < 10


def test_the_parent_needs_no_jax():
    program = (
        "import sys, runpy; sys.modules['jax'] = None; "
        "sys.argv = ['scale', '--help']; "
        "runpy.run_module('helpers.scale', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], **QUIET, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--coordinator HOST:PORT" in done.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--processes 0", "--processes must be at least 1, got 0"),
        ("--devices 0", "--devices must be at least 1, got 0"),
        ("--process 0", "--process and --coordinator must be given together"),
        ("--coordinator a:1", "--process and --coordinator must be given"),
        ("--process 2 --processes 2 --coordinator a:1", "--process must be f"),
        ("--process 0 --coordinator nowhere", "--coordinator must be HOST:P"),
        ("--checkpoint /no/such/file", "--checkpoint must be in a folder"),
        ("--output /no/such/file", "--output must be in a folder"),
    ],
)
def test_a_wrong_command_line_is_refused(capsys, arguments, message):
    with pytest.raises(SystemExit):
        launch.parse(["--points", "10000", *arguments.split()])
    assert f"error: {message}" in capsys.readouterr().err


def test_each_process_is_told_its_place():
    def told(arguments):
        commands = launch.commands_of(launch.parse(arguments.split()))
        return {k: json.loads(c[-1]) for k, c in commands.items()}

    here = told("--points 100000 --processes 3 --devices 2 --seed 4")
    assert list(here) == [0, 1, 2]
    address = here[0]["join"]["coordinator"]
    for number, life in here.items():
        assert life["join"] == {
            "coordinator": address,
            "processes": 3,
            "process": number,
            "bind": address,  # no other machine gets in
        }
        assert life["run"]["devices"] == 2 and life["run"]["seed"] == 4
    there = told("--points 1 --processes 3 --process 2 --coordinator host:99")
    assert there[2]["join"]["coordinator"] == "host:99"
    assert list(there) == [2] and there[2]["join"]["bind"] is None


def test_nobody_at_the_address_is_an_error(monkeypatch):
    monkeypatch.setattr(worker, "FIND", 0.3)
    address = launch.free_address()
    with pytest.raises(ValueError, match=f"^coordinator {address} must be"):
        worker.find(address)


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
    printed = [parent.communicate(timeout=40) for parent in parents]
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
    errors = [parent.communicate(timeout=40)[1] for parent in parents]
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
    printed, error = slow[2].communicate(timeout=40)
    code, seconds = printed.split()
    assert code == "1" and float(seconds) < 30
    assert error.startswith(
        "process 0 failed (SIGABRT): another process is gone or silent: "
        "UNAVAILABLE"
    )
    assert error.count("\n") == 1
