"""The parent over processes, which may be any programs."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from manuscript import ROOT

from helpers import launch

QUIET = {
    "cwd": ROOT,
    "text": True,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
}
SLEEP = "import time; time.sleep(60)"
LOST = f"import os; os._exit({launch.LOST})"


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
        (
            # Under nohup it would be ignored.
            "import os, signal; signal.signal(1, signal.SIG_DFL); "
            "os.kill(os.getpid(), 1)",
            "(SIGHUP): it said nothing",
        ),
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


def test_who_fell_over_another_is_not_blamed(monkeypatch):
    monkeypatch.setattr(launch, "GRACE", 1.0)
    late = "import time; time.sleep(0.5); "
    cause = f"{late} raise ValueError('the cause')"
    # Older runtimes end a process so; 1 is also how the cause exits.
    old = (
        "import os; os.write(2, b'F1124 09:00:00.1 4 client.h:80] because "
        "the JAX distributed service detected fatal errors. absl::Status: "
        "UNAVAILABLE: x'); os._exit(1)"
    )
    failure, _ = launched("import os; os.abort()", LOST, old, cause)
    assert failure == "process 3 failed (exit 1): ValueError: the cause"
    # Without a better one, the first suspect it is.
    failure, seconds = launched(late + LOST, LOST, SLEEP)
    assert failure.startswith(f"process 1 failed (exit {launch.LOST})")
    assert launch.GRACE < seconds < 10


@pytest.mark.parametrize(
    ("stderr", "line"),
    [
        (b"ValueError: a\nKeyError: b\n  and more\n", "KeyError: b"),
        (b"a warning\nand its place\n\n", "and its place"),
        ("Caf\u00e9".encode("latin-1"), "Caf\ufffd"),
        (b"Error: " + b"long " * 200, "Error: " + ("long " * 200)[:393]),
        (b" \n", "it said nothing"),
    ],
)
def test_the_last_error_is_one_line_that_can_be_read(stderr, line):
    file = io.BytesIO(stderr)
    file.seek(0, io.SEEK_END)  # where the process left it
    assert launch.last_error(file) == line


def test_a_process_is_on_the_cpu_and_out_of_reach_of_ctrl_c():
    program = (
        "import json, os; print(json.dumps({'on': os.environ['JAX_PLATFORMS'],"
        " 'alone': os.getsid(0) == os.getpid(), 'home': os.getcwd()}))"
    )
    heard = []
    launched(program, hear=lambda *what: heard.append(what))
    expected = {"on": "cpu", "alone": True, "home": os.getcwd()}
    assert heard == [(0, expected), (0, {"exit": 0})]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--processes 0", "--processes must be at least 1, got 0"),
        ("--devices 0", "--devices must be at least 1, got 0"),
        ("--process 0", "--process and --coordinator must be given together"),
        ("--coordinator a:1", "--process and --coordinator must be given"),
        ("--process 2 --processes 2 --coordinator a:1", "--process must be f"),
        ("--process -1 --coordinator a:1", "--process must be from 0 to 0, "),
        ("--process 0 --coordinator nowhere", "--coordinator must be HOST:P"),
        ("--checkpoint /no/such/file", "--checkpoint must be in a folder"),
        ("--output /no/such/file", "--output must be in a folder"),
    ],
)
def test_a_wrong_command_line_is_refused(capsys, arguments, message):
    with pytest.raises(SystemExit):
        launch.parse(["--points", "10000", *arguments.split()])
    assert f"error: {message}" in capsys.readouterr().err


def test_a_free_address_can_be_listened_at():
    host, port = launch.free_address().split(":")
    assert host == "127.0.0.1"
    assert int(port) > 1023  # for anyone
    with socket.socket() as listener:
        listener.bind((host, int(port)))


def test_points_alone_are_enough(capsys):
    assert vars(launch.parse(["--points", "5"])) == {
        "points": 5,
        "seed": 1,
        "tolerance": 1e-6,
        "processes": 1,
        "devices": 1,
        "checkpoint": None,
        "output": None,
        "coordinator": None,
        "process": None,
    }
    with pytest.raises(SystemExit):
        launch.parse([])
    assert "required: --points" in capsys.readouterr().err


def told(arguments):
    """Return what each process is told, by its number."""
    commands = launch.commands_of(launch.parse(arguments.split()))
    return {k: json.loads(c[-1]) for k, c in commands.items()}


def test_each_process_is_told_its_place(tmp_path):
    here = told(
        f"--points 100000 --processes 3 --devices 2 --seed 4 --tolerance 0.1 "
        f"--checkpoint {tmp_path}/c --output {tmp_path}/o"
    )
    assert list(here) == [0, 1, 2]
    address = here[0]["join"]["coordinator"]
    for number, life in here.items():
        assert life["join"] == {
            "coordinator": address,
            "processes": 3,
            "process": number,
            "bind": address,  # no other machine gets in
        }
        assert life["run"] == {
            "points": 100_000,
            "seed": 4,
            "devices": 2,
            "tolerance": 0.1,
            "checkpoint": f"{tmp_path}/c",
        }
        assert life["output"] == f"{tmp_path}/o"
    there = told("--points 1 --processes 3 --process 2 --coordinator host:99")
    assert there[2]["join"]["coordinator"] == "host:99"
    assert list(there) == [2] and there[2]["join"]["bind"] is None
    only = told("--points 1 --process 0 --coordinator host:65535")
    assert list(only) == [0]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_follows_one_process_and_begins_anew_each_pass(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    screen = launch.Screen()
    screen.hear(1, {"added": 2, "of": 4})
    screen.hear(0, {"added": 2, "of": 4})
    assert (screen.bar.n, screen.bar.total) == (2, 4)
    screen.hear(1, {"record": "all"})
    screen.hear(1, {"added": 1, "of": 4})
    assert (screen.bar.n, screen.bar.total) == (3, 4)
    screen.hear(1, {"added": 1, "of": 4})
    screen.hear(1, {"added": 1, "of": 3})
    assert (screen.bar.n, screen.bar.total) == (1, 3)
    screen.close()
    assert screen.record == "all"
    # Both bars are wiped away.
    assert "0/4 [00:00<" in sys.stderr.getvalue()
    assert re.search(r"0/3 .*\r +\r$", sys.stderr.getvalue())


RECORD = {
    "points": 30_000,
    "passes": 2,
    "processes": 3,
    "devices": 1,
    "params": {"b": 0.5, "w1": -1.25},
    "standard_errors": {"b": 0.125, "w1": 2.0},
    "gradient_norm": 3e-9,
    "seconds": [0.125, 2.0],
    "peak_mib": [250.7, 3000.0],
}
TABLE = """\
30,000 points, 2 passes, processes: 3, devices of each: 1
b    0.500000 ± 0.125000
w1  -1.250000 ± 2.000000
length of the gradient: 3.0e-09
seconds of each pass made now: 0.12 2.00
peak memory of each process: 251 3000 MiB"""


def test_a_record_is_shown_as_a_table():
    assert launch.table(RECORD) == TABLE
    none = launch.table(RECORD | {"seconds": []})
    assert "seconds of each pass made now: none\n" in none


@pytest.fixture
def ended(monkeypatch):
    """What the program shows and returns if its processes run another."""
    before = signal.getsignal(signal.SIGTERM)

    def end(program, *arguments):
        monkeypatch.setattr(launch, "WORKER", program)
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        monkeypatch.setattr(sys, "stderr", Terminal())
        status = launch.main(["--points", "1", *arguments])
        return status, sys.stdout.getvalue(), sys.stderr.getvalue()

    yield end
    signal.signal(signal.SIGTERM, before)


def say(**message):
    return f"print({json.dumps(message)!r}, flush=True); "


def test_the_program_prints_what_came_of_it(ended):
    assert ended(say(record=RECORD)) == (0, f"{TABLE}\n", "")


def test_a_process_without_the_record_says_so(ended):
    elsewhere = ("--processes", "2", "--process", "1", "--coordinator", "a:1")
    said = "process 1 has done its share\n"
    assert ended("pass", *elsewhere) == (0, said, "")


def test_a_failure_stands_alone_on_the_screen(ended):
    program = say(record=RECORD) + say(added=1, of=2) + "1 / 0"
    status, out, err = ended(program)
    assert (status, out) == (1, "")
    line = "process 0 failed (exit 1): ZeroDivisionError: division by zero\n"
    assert re.search(rf"\r +\r{re.escape(line)}$", err)


TELL = "import json, os; print(json.dumps({'pid': os.getpid()}), flush=True); "
ENDED = f"""
import os, signal, sys
from helpers import launch
# Where tests run in the background, a shell has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
def hear(screen, number, message):
    print(message["pid"], flush=True)
    os.kill(os.getpid(), int(sys.argv[1]))
launch.Screen.hear = hear
launch.WORKER = {TELL + SLEEP!r}
sys.exit(launch.main(["--points", "1"]))
"""


@pytest.mark.parametrize(
    ("sent", "status", "line"),
    [
        (signal.SIGINT, 1, "interrupted\n"),
        (signal.SIGTERM, 128 + signal.SIGTERM, ""),
    ],
)
def test_a_program_that_is_ended_ends_its_processes(sent, status, line):
    command = [sys.executable, "-c", ENDED, str(int(sent))]
    done = subprocess.run(command, **QUIET, timeout=120)
    assert (done.returncode, done.stderr) == (status, line)
    assert not psutil.pid_exists(int(done.stdout))
