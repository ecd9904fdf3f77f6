"""One process among several that fit the endless data together.

``python -m helpers.scale --help`` says how to start them; the parent that
watches over them is ``helpers.launch``.
"""

import json
import os
import resource  # Windows has none: better to hear of it here
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import jax
import numpy as np
from jax import random
from jax.flatten_util import ravel_pytree

from helpers.launch import GONE, LOST
from helpers.scale import (
    CHUNK,
    MAX_CHUNKS,
    by_chunks,
    device_mesh,
    gather,
    unpack,
)
from helpers.solvers import newton

# A start is found from one chunk in so many.
SAMPLE = 20


# To go on where an earlier run stopped


def save_json(path: str | Path, content: Any) -> None:
    """Write a file whole or not at all, whenever the process dies."""
    draft = Path(f"{path}.part")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def digest(settings: dict, passes: list[list[float]]) -> int:
    """Return a number that another content would hardly have."""
    return crc32(json.dumps([settings, passes]).encode())


def save_passes(
    path: str | Path, settings: dict, passes: list[np.ndarray]
) -> None:
    """Write what ``load_passes`` reads; arguments are as there."""
    rows = [row.tolist() for row in passes]
    content = {"settings": settings, "passes": rows}
    save_json(path, content | {"digest": digest(settings, rows)})


def load_passes(path: str | Path, settings: dict) -> list[np.ndarray]:
    """Read the passes of an earlier run; none if there is no file.

    Args:
        path: of a file that ``save_passes`` wrote.
        settings: what must be as it was.

    Returns:
        For each pass its params, loss, gradient and Hessian, end to end,
        float64 of shape (16,).

    Raises:
        ValueError: the file is of other settings, or damaged.
    """
    if not Path(path).exists():
        return []
    try:
        saved = json.loads(Path(path).read_text("utf-8"))
        before, rows = saved["settings"], saved["passes"]
        whole = saved["digest"] == digest(before, rows)
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise ValueError(
            f"checkpoint {path} is damaged: delete it to start anew"
        )
    if before != settings:
        raise ValueError(
            f"checkpoint {path} is of a run with {before}, this one has "
            f"{settings}: name another file, or delete it to start anew"
        )
    return [np.array(row) for row in rows]


def remembered(
    objective: Callable[[Any], tuple[float, np.ndarray, np.ndarray]],
    passes: list[np.ndarray],
    save: Callable[[list[np.ndarray]], Any],
) -> Callable[[Any], tuple[float, np.ndarray, np.ndarray]]:
    """Return an objective that makes no pass again which was made before.

    Args:
        objective: of the params of ``LogisticRegression``.
        passes: those of an earlier run, of ``load_passes``; new ones are
            appended.
        save: called with the passes after each new one.

    Returns:
        An objective. A solver that starts where it started before takes the
        same way, fast as far as it is known.
    """
    calls = 0

    def recall(params):
        nonlocal calls
        # Of process 0: all must know a pass, or none.
        at = gather(ravel_pytree(params)[0])[0]
        if calls == len(passes) or (passes[calls][:3] != at).any():
            found = [np.ravel(part) for part in objective(params)]
            passes[calls:] = [np.concatenate([at, *found])]
            save(passes)
        calls += 1
        return unpack(passes[calls - 1][3:])

    return recall


# One process among several


def chunks_of(points: int, workers: int) -> range:
    """Return the chunks that hold the first ``points`` points.

    Args:
        points: how many, a multiple of ``CHUNK`` times ``workers``.
        workers: all devices of all processes.

    Raises:
        ValueError: points cannot be shared fairly; the message names the
            nearest numbers that can.
    """
    if not 0 < points <= MAX_CHUNKS * CHUNK:
        raise ValueError(
            f"points must be from 1 to {MAX_CHUNKS * CHUNK:,}, got {points:,}"
        )
    if points % (CHUNK * workers):
        unit = CHUNK * workers
        below = points // unit * unit
        nearest = [f"{n:,}" for n in (below, below + unit) if n]
        raise ValueError(
            f"points must be a multiple of {unit:,}, a chunk of {CHUNK:,} for "
            f"each of {workers} devices, got {points:,}; nearest: "
            f"{' and '.join(nearest)}"
        )
    return range(points // CHUNK)


# Seconds to find the coordinator, and then to wait for the other processes.
FIND = 10
WAIT = 60


def find(coordinator: str) -> None:
    """Wait until something listens at an address.

    Args:
        coordinator: "host:port".

    Raises:
        ValueError: nothing listens for ``FIND`` seconds.
    """
    host, _, port = coordinator.rpartition(":")
    deadline = time.monotonic() + FIND
    while True:
        try:
            return socket.create_connection((host, int(port)), 2).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise ValueError(
                    f"coordinator {coordinator} must be within reach, got "
                    f"no answer in {FIND} s: {error}"
                ) from error
        time.sleep(0.2)


def join(coordinator: str, processes: int, process: int, bind: Any) -> None:
    """Make this process one of several; the first one coordinates.

    Args:
        coordinator: "host:port" of process 0.
        processes: how many there are.
        process: which one this is, from 0.
        bind: where process 0 listens; None is all addresses of its host.

    Raises:
        ValueError: the coordinator cannot be reached.
        ConnectionError: another process is gone, or does not come.
    """
    if process > 0:
        find(coordinator)
    try:
        jax.distributed.initialize(
            coordinator_address=coordinator,
            num_processes=processes,
            process_id=process,
            cluster_detection_method="deactivate",
            coordinator_bind_address=bind,
            initialization_timeout=WAIT,
            # By default a process waits minutes for others that are gone.
            heartbeat_timeout_seconds=10,
        )
        jax.devices()  # the processes tell each other which they have
    except RuntimeError as error:
        raise ConnectionError(f"{GONE} or silent: {error}") from error


def agree(**settings: float) -> None:
    """Check that all processes were started alike; all of them must call.

    Raises:
        ValueError: a setting is not the same in all of them.
    """
    columns = gather(list(settings.values())).T
    for name, column in zip(settings, columns, strict=True):
        if len(set(column)) > 1:
            raise ValueError(
                f"{name} must be the same in all processes, got "
                f"{column.tolist()}"
            )


def earlier_passes(checkpoint: str | None, settings: dict) -> list[np.ndarray]:
    """Return what process 0 reads by ``load_passes``; all must call."""
    first = jax.process_index() == 0
    passes = load_passes(checkpoint, settings) if checkpoint and first else []
    count = int(gather([len(passes)])[0, 0])
    rows = passes if first else [np.zeros(16)] * count
    return [gather(row)[0] for row in rows]


def peak_memory() -> float:
    """Return the most memory that this process has held, in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


ZERO = {"params": dict.fromkeys(["b", "w1", "w2"], np.float32(0))}


def find_start(
    key: jax.Array, chunks: range, progress: Callable[[int, int], Any]
) -> Any:
    """Return the optimum of a sample; all processes must call.

    Args:
        key: of the data set.
        chunks: which are to be fitted.
        progress: as in ``add_up``.

    Returns:
        Params of ``LogisticRegression``, so near to the optimum of all that
        few passes are left to be made.
    """
    sample = chunks[: len(chunks) // SAMPLE]
    if not sample:
        return ZERO
    start = find_start(key, sample, progress)
    objective = by_chunks(device_mesh(1), key, sample, progress)
    return newton(objective, start, 1e-4)[0]


def timed(call: Callable, seconds: list[float]) -> Callable:
    """Return a function that also notes how long each call of it took."""

    def timed_call(*arguments):
        start = time.perf_counter()
        result = call(*arguments)
        seconds.append(time.perf_counter() - start)
        return result

    return timed_call


def summary(passes: list[np.ndarray], settings: dict) -> dict[str, Any]:
    """Return what is known at the end of a run, for ``json.dump``.

    Args:
        passes: params, loss, gradient and Hessian of each, end to end,
            float64 of shape (16,); the last one is at the optimum.
        settings: of the run, "points" among them.
    """
    at, (loss, gradient, hessian) = passes[-1][:3], unpack(passes[-1][3:])
    covariance = np.linalg.inv(settings["points"] * hessian)
    names = ["b", "w1", "w2"]
    errors = np.sqrt(np.diag(covariance)).tolist()
    return settings | {
        "params": dict(zip(names, at.tolist(), strict=True)),
        "standard_errors": dict(zip(names, errors, strict=True)),
        "loss": loss,
        "gradient_norm": float(np.linalg.norm(gradient)),
        "passes": len(passes),
    }


def run(
    points: int,
    seed: int = 1,
    devices: int = 1,
    tolerance: float = 1e-6,
    checkpoint: str | None = None,
    progress: Callable[[int, int], Any] = lambda added, of: None,
) -> dict[str, Any]:
    """Fit ``LogisticRegression`` to points; every process must call.

    Args:
        points: how many, a multiple of ``CHUNK`` times all devices.
        seed: of the data set, from 0, below 2**32.
        devices: how many devices of each process to use.
        tolerance: how long the gradient may be at the end, above 0.
        checkpoint: a file to which process 0 writes each pass, and from
            which a later run with the same settings goes on.
        progress: as in ``add_up``.

    Returns:
        The record of the run, for ``json.dump``.

    Raises:
        ValueError: an argument is out of range or not the same in all
            processes, the checkpoint is damaged or of another run, or
            ``newton`` fails.
        ConnectionError: another process is gone.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be from 0 to {2**32 - 1}, got {seed}")
    mesh = device_mesh(devices)
    here, processes = jax.local_device_count(), jax.process_count()
    if jax.device_count() != here * processes:
        raise ValueError(
            f"devices must be the same in all processes, got {here} in this "
            f"one and {jax.device_count()} in all {processes}"
        )
    chunks = chunks_of(points, devices * processes)
    settings = dict(points=points, seed=seed, tolerance=tolerance, chunk=CHUNK)
    agree(**settings, devices=devices)
    settings["jax"] = jax.__version__  # others may draw other points
    passes = earlier_passes(checkpoint, settings)

    def save(passes):
        if checkpoint and jax.process_index() == 0:
            save_passes(checkpoint, settings, passes)

    key, seconds = random.key(seed), []
    if passes:
        start = ravel_pytree(ZERO)[1](np.float32(passes[0][:3]))
    else:
        start = find_start(key, chunks, progress)
    objective = timed(by_chunks(mesh, key, chunks, progress), seconds)
    newton(remembered(objective, passes, save), start, tolerance)
    return summary(passes, settings) | {
        "processes": processes,
        "devices": devices,
        "seconds": seconds,
        "peak_mib": gather([peak_memory()])[:, 0].tolist(),
    }


def report(**message: Any) -> None:
    """Tell the parent, in a line of JSON."""
    print(json.dumps(message), flush=True)


def end_with_parent() -> None:
    """End this process as soon as its parent is gone."""

    def wait():
        sys.stdin.read()  # until the other end is closed
        os._exit(LOST)

    threading.Thread(target=wait, daemon=True).start()


def work() -> None:
    """Live the life of a process that ``helpers.launch`` started."""
    options = json.loads(sys.argv[1])
    end_with_parent()
    devices = options["run"]["devices"]
    jax.config.update("jax_num_cpu_devices", devices)
    # XLA reads one of them, new or old, as it starts. More threads than
    # devices slow a chunk down.
    os.environ["PJRT_NPROC"] = os.environ["NPROC"] = str(devices)
    try:
        join(**options["join"])
        record = run(
            **options["run"],
            progress=lambda added, of: report(added=added, of=of),
        )
        if jax.process_index() == 0:
            if options["output"]:
                save_json(options["output"], record)
            report(record=record)
        jax.distributed.shutdown()
    except BaseException as error:
        reason = [*str(error).splitlines(), ""][0]
        try:
            report(error=f"{type(error).__name__}: {reason}")
        finally:
            # An ordinary exit would wait minutes for the other processes.
            os._exit(LOST if isinstance(error, ConnectionError) else 1)
