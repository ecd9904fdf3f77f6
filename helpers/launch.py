"""Start processes, watch over them, and end them together.

This parent imports no JAX: whatever becomes of the runtime in its children,
it can still say so.
"""

import argparse
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

# How a process exits whose only trouble is that another one is gone, and
# what is said of it.
LOST = 3
GONE = "another process is gone"
# Seconds to wait for the one that went first.
GRACE = 3.0
WORKER = "from helpers.worker import work; work()"


class Worker(NamedTuple):
    """A process, its number, and the file of what it writes to stderr."""

    number: int
    process: subprocess.Popen
    stderr: Any


def start(number: int, command: list[str]) -> Worker:
    """Start a process that a Ctrl-C in this terminal does not reach.

    Args:
        number: of the process, from 0.
        command: the program and its arguments.
    """
    stderr = tempfile.TemporaryFile()  # noqa: SIM115 (launch closes it)
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # closed when this one ends, however
        stdout=subprocess.PIPE,
        stderr=stderr,
        # Two processes cannot share one GPU.
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        start_new_session=True,
    )
    return Worker(number, process, stderr)


def follow(worker: Worker, events: queue.Queue) -> None:
    """Pass on each line of JSON that a process prints, and then its end."""
    with worker.process.stdout as lines:
        for line in lines:
            try:
                message = dict(json.loads(line))
            except (ValueError, TypeError):
                continue  # printed by something else
            events.put((worker, message))
    events.put((worker, {"exit": worker.process.wait()}))


def messages(workers: list[Worker]) -> Iterator[tuple[Worker | None, dict]]:
    """Yield what processes say, as they say it, and None twice a second."""
    events = queue.Queue()
    for worker in workers:
        threading.Thread(
            target=follow, args=(worker, events), daemon=True
        ).start()
    left = len(workers)
    while left:
        try:
            worker, message = events.get(timeout=0.5)
        except queue.Empty:
            worker, message = None, {}
        left -= "exit" in message
        yield worker, message


def last_error(stderr: Any) -> str:
    """Return the last line of a file that is an error, or else the last."""
    stderr.seek(0)
    text = stderr.read().decode("utf-8", "replace").strip()
    lines = text.split("\n") if text else ["it said nothing"]
    # Python's own, or one of the runtime: a letter, the date, …, a bracket.
    sign = re.compile(r"\w*(Error|Exception|Interrupt)\b|[EF]\d{4} .*?\] ")
    last = ([line for line in lines if sign.match(line)] or lines)[-1]
    if "distributed service detected" in last:
        status = last.rpartition("absl::Status: ")[2]
        return f"{GONE} or silent: {status}"
    return last[:400]


def why(worker: Worker, code: int, said: str | None) -> str:
    """Return the line that names a process and how it failed.

    Args:
        worker: the process.
        code: how it exited, below 0 for a signal.
        said: the error that it reported, if it could.
    """
    end = f"exit {code}" if code >= 0 else signal.Signals(-code).name
    reason = said or last_error(worker.stderr)
    return f"process {worker.number} failed ({end}): {reason}"


def watch(
    workers: list[Worker], hear: Callable[[int, dict], Any]
) -> str | None:
    """Wait until all processes end well, or one does not.

    Args:
        workers: the processes.
        hear: called with a process's number and each message of it.

    Returns:
        None, or the line that names the process that failed first.
    """
    said, suspects, deadline = {}, [], None
    for worker, message in messages(workers):
        code = message.get("exit", 0)
        if "error" in message:
            said[worker.number] = message["error"]
        elif message:
            hear(worker.number, message)
        if code != 0:
            failure = why(worker, code, said.get(worker.number))
            # One that fell over another is heard of before it, at times.
            # The runtime may end it, by SIGABRT or, older ones, by exit 1.
            if code not in (LOST, -signal.SIGABRT) and GONE not in failure:
                return failure
            suspects.append(failure)
            deadline = deadline or time.monotonic() + GRACE
        if deadline and time.monotonic() > deadline:
            break
    return suspects[0] if suspects else None


def launch(
    commands: dict[int, list[str]], hear: Callable[[int, dict], Any]
) -> str | None:
    """Run processes; when one fails, or this one is ended, end them all.

    Args:
        commands: the program and arguments of each, by number.
        hear: as in ``watch``.

    Returns:
        As ``watch``.
    """
    workers = []
    try:
        for number, command in commands.items():
            workers.append(start(number, command))
        return watch(workers, hear)
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
            worker.process.stdin.close()
            worker.stderr.close()


def free_address() -> str:
    """Return an address of this machine where nothing listens yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; what is wrong there ends the program."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.scale",
        description="Fit the line to points of the endless data set.",
    )
    add = parser.add_argument
    add("--points", type=int, required=True, help="how many")
    add("--seed", type=int, default=1, help="of the data set")
    add("--tolerance", type=float, default=1e-6, help="of the gradient")
    add("--processes", type=int, default=1, help="how many in all")
    add("--devices", type=int, default=1, help="how many per process")
    add("--checkpoint", metavar="FILE", help="to go on from after a stop")
    add("--output", metavar="FILE", help="where the record goes, as JSON")
    add("--coordinator", metavar="HOST:PORT", help="of process 0")
    add("--process", type=int, metavar="K", help="start only this one here")
    options = parser.parse_args(arguments)
    for problem in problems(options):
        parser.error(problem)
    return options


def problems(options: argparse.Namespace) -> Iterator[str]:
    """Yield what is wrong with a command line, seen without JAX."""
    for name in ("processes", "devices"):
        if (count := getattr(options, name)) < 1:
            yield f"--{name} must be at least 1, got {count}"
    if (options.process is None) != (options.coordinator is None):
        yield "--process and --coordinator must be given together"
    if not 0 <= (options.process or 0) < options.processes:
        yield (
            f"--process must be from 0 to {options.processes - 1}, got "
            f"{options.process}"
        )
    for name in ("checkpoint", "output"):
        path = getattr(options, name)
        if path and not Path(path).absolute().parent.is_dir():
            yield f"--{name} must be in a folder that exists, got {path}"


def commands_of(options: argparse.Namespace) -> dict[int, list[str]]:
    """Return the commands of the processes to start here, by number."""
    here = options.process
    address = options.coordinator or free_address()
    names = ("points", "seed", "devices", "tolerance", "checkpoint")
    settings = {name: getattr(options, name) for name in names}
    commands = {}
    for number in range(options.processes) if here is None else [here]:
        join = {
            "coordinator": address,
            "processes": options.processes,
            "process": number,
            # Without other machines no other machine need get in.
            "bind": address if here is None else None,
        }
        life = {"join": join, "run": settings, "output": options.output}
        command = [sys.executable, "-c", WORKER, json.dumps(life)]
        commands[number] = command
    return commands


class Screen:
    """The record of a run once there is one, and a bar until then."""

    def __init__(self) -> None:
        self.record = self.bar = self.speaker = None

    def hear(self, number: int, message: dict) -> None:
        """Show how far the process is that spoke first, which is as any."""
        self.record = message.get("record", self.record)
        if self.speaker is None:
            self.speaker = number
        if number == self.speaker and "added" in message:
            if self.bar is None or self.bar.n >= self.bar.total:
                self.close()
                self.bar = tqdm(
                    total=message["of"],
                    unit=" chunks",
                    leave=False,
                    disable=None,  # where there is no terminal
                )
            self.bar.update(message["added"])

    def close(self) -> None:
        """Take the bar off the screen."""
        if self.bar is not None:
            self.bar.close()


def table(record: dict) -> str:
    """Return a record for people to read."""
    errors = record["standard_errors"]
    lines = [
        f"{record['points']:,} points, {record['passes']} passes, processes: "
        f"{record['processes']}, devices of each: {record['devices']}"
    ]
    lines += [
        f"{name:3} {value:9.6f} ± {errors[name]:.6f}"
        for name, value in record["params"].items()
    ]
    seconds = " ".join(f"{value:.2f}" for value in record["seconds"])
    memory = " ".join(f"{value:.0f}" for value in record["peak_mib"])
    return "\n".join(
        [
            *lines,
            f"length of the gradient: {record['gradient_norm']:.1e}",
            f"seconds of each pass made now: {seconds or 'none'}",
            f"peak memory of each process: {memory} MiB",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Run ``python -m helpers.scale`` and return its exit status."""
    options = parse(arguments)
    # An ordinary end by SIGTERM would leave the processes behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    screen = Screen()
    try:
        failure = launch(commands_of(options), screen.hear)
    except KeyboardInterrupt:
        failure = "interrupted"
    finally:
        screen.close()
    if failure:
        print(failure, file=sys.stderr)
    elif screen.record:
        print(table(screen.record))
    else:
        print(f"process {options.process} has done its share")
    return 1 if failure else 0
