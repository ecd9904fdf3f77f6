"""The same fit on data that fits no memory.

Taught in chapter 11. The data set has no end: chunk i is drawn when it is
needed, from a key and i alone, and forgotten. ``python -m helpers.scale
--help`` says how to fit it in several processes; what begins with an
underscore serves that command alone.
"""

import argparse
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.flatten_util import ravel_pytree
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.typing import ArrayLike
from tqdm import tqdm

from helpers._checks import check_whole
from helpers.data import TRUE_LINE, Dataset, Line, make_dataset
from helpers.solvers import chunk_sums

# Points in a chunk. Another number gives other data.
CHUNK = 10_000
# As many as fold_in can tell apart.
MAX_CHUNKS = 2**32
# Chunks that a device holds at a time: what is added up is in the cache.
FEW = 5
# Chunks that a device makes in one call.
GROUP = 100
# More passes than Newton's method needs where it works.
MAX_PASSES = 20


def make_chunk(
    key: jax.Array, index: ArrayLike, line: Line = TRUE_LINE
) -> Dataset:
    """Draw chunk ``index`` of the endless data set of ``key``.

    Args:
        key: a key of ``jax.random.key``; the same key gives the same data.
        index: which chunk, a whole number from 0, below ``MAX_CHUNKS``.
        line: the line whose logits load the coins.

    Returns:
        A Dataset of ``CHUNK`` points, the same in whichever order, process
        or device chunks are drawn (compiled otherwise, but for last digits,
        and rarely a label).

    Raises:
        ValueError: index is no whole number (a JAX array is taken as it is).
    """
    # fold_in rounds 1.5 down without a word.
    if not isinstance(index, jax.Array):
        check_whole(0, index=index)
    return make_dataset(jax.random.fold_in(key, index), CHUNK, line)


def chunk_row(weights: ArrayLike, chunk: Dataset) -> jax.Array:
    """Return what ``chunk_sums`` does, end to end: float32 of shape (13,).

    Args:
        weights: b, w1 and w2, of shape (3,).
        chunk: of ``make_chunk``.
    """
    b, w1, w2 = weights
    params = {"params": {"b": b, "w1": w1, "w2": w2}}
    return ravel_pytree(chunk_sums(params, *chunk))[0]


def chunk_rows(
    weights: ArrayLike, key: jax.Array, indices: ArrayLike
) -> jax.Array:
    """Draw chunks, a few at a time, and keep only the row of each.

    Args:
        weights: as in ``chunk_row``.
        key: of the data set.
        indices: which chunks, uint32 of shape (k,), k a multiple of ``FEW``.

    Returns:
        Float32 of shape (k, 13).
    """

    def few(indices):
        # Two loops: one that draws and adds up takes a tenth longer.
        chunks = jax.lax.map(partial(make_chunk, key), indices)
        return jax.lax.map(partial(chunk_row, weights), chunks)

    return jax.lax.map(few, indices.reshape(-1, FEW)).reshape(-1, 13)


def device_mesh(devices: int | None = None) -> Mesh:
    """Return the first devices of all processes together, in a row.

    Args:
        devices: how many; all by default. A CPU counts as more if
            jax_num_cpu_devices says so.

    Returns:
        A mesh whose one axis is named "devices".
    """
    some = jax.devices()[:devices]
    return jax.make_mesh(
        (len(some),), ("devices",), (AxisType.Auto,), devices=some
    )


@partial(jax.jit, static_argnames="mesh")
def rows_on(
    mesh: Mesh, weights: ArrayLike, key: jax.Array, indices: ArrayLike
) -> jax.Array:
    """Return ``chunk_rows``, with the chunks dealt to devices.

    Of several processes all must call it at the same time, and all are given
    all rows.

    Args:
        mesh: of ``device_mesh``. Its size times ``FEW`` must divide the number
            of chunks.
        weights, key, indices: as in ``chunk_rows``, equal in all processes.
    """
    dealt = jax.P("devices")
    each_its_own = jax.shard_map(
        chunk_rows,
        mesh=mesh,
        in_specs=(jax.P(), jax.P(), dealt),
        out_specs=dealt,
    )
    rows = each_its_own(weights, key, indices)
    everywhere = NamedSharding(mesh, jax.P())
    return jax.lax.with_sharding_constraint(rows, everywhere)


def unpack(sums: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Take apart loss, gradient and Hessian, of shapes (), (3,), (3, 3).

    Args:
        sums: all three, end to end, of shape (13,).
    """
    return float(sums[0]), sums[1:4], sums[4:].reshape(3, 3)


def mean_row(
    mesh: Mesh,
    weights: ArrayLike,
    key: jax.Array,
    chunks: range,
    progress: Callable[[int, int], Any] = lambda added, of: None,
) -> np.ndarray:
    """Pass over chunks once, in constant memory.

    Args:
        mesh: the devices that share the work, of ``device_mesh``. The
            processes that they belong to must call at the same time.
        weights: b, w1 and w2, float32 of shape (3,).
        key: of the data set.
        chunks: which chunks, at least one.
        progress: called now and then with how many chunks were added since,
            and how many there are in all.

    Returns:
        Mean loss, gradient and Hessian, end to end, float64 of shape (13,).
    """
    total, size = np.zeros(13), GROUP * mesh.size
    for start in range(0, len(chunks), size):
        group = np.array(chunks[start : start + size], np.uint32)
        # Filled up, since another shape would be compiled anew.
        rows = rows_on(mesh, weights, key, np.resize(group, size))
        # float32 is exact enough within a chunk, but not across chunks.
        rows = np.asarray(rows, np.float64)[: len(group)]
        total += rows.sum(axis=0)
        progress(len(group), len(chunks))
    return total / (len(chunks) * CHUNK)


def next_weights(made: np.ndarray) -> np.ndarray:
    """Return the weights to which Newton's step leads from a pass.

    Args:
        made: weights and means of the pass, end to end, of shape (16,).
    """
    _, gradient, hessian = unpack(made[3:])
    return np.float32(made[:3] - np.linalg.solve(hessian, gradient))


def newton_passes(
    means_at: Callable[[np.ndarray], np.ndarray],
    weights: ArrayLike,
    tolerance: float = 1e-6,
    passes: ArrayLike = (),
    keep: Callable[[list[np.ndarray]], Any] = lambda passes: None,
) -> list[np.ndarray]:
    """Take Newton's full steps, on the host, until the gradient is short.

    Args:
        means_at: returns what ``mean_row`` does, at weights.
        weights: where to start, float32 of shape (3,).
        tolerance: how long the gradient may be at the end, above 0.
        passes: what an earlier call had kept: this one goes on from there.
        keep: called with all passes after each new one.

    Returns:
        Weights and means of each pass, end to end, float64 of shape (16,).

    Raises:
        ValueError: tolerance was not reached, or a number is not finite.
    """
    passes = [*passes]
    while not passes or not np.linalg.norm(passes[-1][4:7]) <= tolerance:
        if len(passes) == MAX_PASSES:
            raise ValueError(f"tolerance not reached in {MAX_PASSES} passes")
        if passes:
            weights = next_weights(passes[-1])
        means = means_at(weights)
        if not np.isfinite(means).all():
            raise ValueError("means must be finite: start nearer")
        passes.append(np.concatenate([weights, means]))
        keep(passes)
    return passes


def find_start(
    means_of: Callable[[range, np.ndarray], np.ndarray], chunks: range
) -> np.ndarray:
    """Return the optimum of a sample, so near that few passes are left.

    Args:
        means_of: returns what ``mean_row`` does, of chunks, at weights.
        chunks: which are to be fitted.
    """
    weights = np.zeros(3, np.float32)
    for count in (1, len(chunks) // 400, len(chunks) // 20):
        if count:
            sample = partial(means_of, chunks[:count])
            passes = newton_passes(sample, weights, tolerance=1e-4)
            weights = next_weights(passes[-1])
    return weights


# The command

_SHARED = "--checkpoint must be in a folder that all processes share"


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; what is wrong there ends the program."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.scale",
        description="Fit the line to points of the endless data set. Under "
        "srun, mpirun or a Kubernetes JobSet the processes find each other.",
    )
    parser.error = lambda said: parser.exit(2, f"{parser.prog}: {said}\n")
    add = parser.add_argument
    add("--points", type=int, required=True, help=f"a multiple of {CHUNK}")
    add("--seed", type=int, default=1, help="of the data set")
    add("--tolerance", type=float, default=1e-6, help="of the gradient")
    add("--devices", type=int, default=1, help="of a process, if of a CPU")
    add("--checkpoint", metavar="FOLDER", help="for passes; all must see it")
    add("--output", type=Path, help="a file for the record, as JSON")
    add("--processes", type=int, default=1, help="all started here, or …")
    add("--process", type=int, metavar="K", help="… this one alone, and")
    add("--coordinator", metavar="HOST:PORT", help="where number 0 is")
    options = parser.parse_args(arguments)
    points, folder = options.points, (options.output or Path("x")).parent
    if points % CHUNK or not 0 < points <= MAX_CHUNKS * CHUNK:
        parser.error(
            f"--points must be a multiple of {CHUNK:,}, from {CHUNK:,} to "
            f"{MAX_CHUNKS * CHUNK:,}, got {points:,}"
        )
    if not 0 <= options.seed < 2**32:
        parser.error(f"--seed must be from 0 to {2**32 - 1}")
    if not options.tolerance > 0:
        parser.error("--tolerance must be above 0")
    if options.devices < 1 or options.processes < 1:
        parser.error("--devices and --processes must be at least 1")
    if (options.process is None) != (options.coordinator is None):
        parser.error("--process and --coordinator must be given together")
    if not 0 <= (options.process or 0) < options.processes:
        parser.error("--process must be below --processes, and at least 0")
    if not folder.is_dir():
        parser.error(f"--output must be in a folder that exists: {folder}")
    return options


def _join(
    options: argparse.Namespace, arguments: list[str], others: list
) -> None:
    """Bring the processes together; add to ``others`` what starts here."""
    join = partial(
        jax.distributed.initialize,
        initialization_timeout=60,
        # By default a process waits minutes for others that are gone.
        heartbeat_timeout_seconds=10,
    )
    if options.coordinator:
        join(options.coordinator, options.processes, options.process)
        return
    try:
        join()
        found = True
    except ValueError as error:
        if "coordinator_address" not in str(error):
            raise
        # JAX tells neither Open MPI 5 nor MPICH by itself.
        sizes = map(os.environ.get, ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"))
        if found := {*sizes} - {None, "1"}:
            join(cluster_detection_method="mpi4py")
    if found:
        if options.processes not in (1, jax.process_count()):
            raise ValueError("--processes must be left to the cluster here")
        return
    if options.processes == 1:
        return
    # Two processes cannot share one GPU.
    jax.config.update("jax_platforms", "cpu")
    os.environ["JAX_PLATFORMS"] = "cpu"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "helpers.scale", *arguments]
    command += ["--coordinator", address, "--process"]
    for number in range(1, options.processes):
        others.append(subprocess.Popen([*command, str(number)]))
    join(address, options.processes, 0, coordinator_bind_address=address)


def _checkpoint(
    folder: str | None, settings: dict
) -> tuple[ArrayLike, Callable]:
    """Return the passes that a folder holds, and how to keep more there.

    Raises:
        ValueError: the folder is of other settings, or damaged.
    """
    if not folder:
        return (), lambda passes: None
    import orbax.checkpoint as ocp  # here, since it takes memory

    logging.getLogger("absl").setLevel(logging.ERROR)
    manager = ocp.CheckpointManager(
        Path(folder).absolute(),
        options=ocp.CheckpointManagerOptions(enable_async_checkpointing=False),
        metadata=settings,
    )
    passes, how = (), ocp.args.StandardRestore()
    try:
        before = manager.metadata().custom_metadata
        _check_equal(repr(before).encode(), _SHARED)
        if before == settings and manager.latest_step() is not None:
            kept = manager.restore(manager.latest_step(), args=how)
            passes = kept["passes"].reshape(-1, 16)
    except (jax.errors.JaxRuntimeError, AssertionError):
        raise  # another process is gone, or sees another folder
    except Exception as error:
        raise ValueError(f"{folder} is damaged: name another") from error
    if before != settings:
        raise ValueError(f"{folder} is of a run with {before}: name another")

    def keep(passes):
        saved = ocp.args.StandardSave({"passes": np.array(passes)})
        manager.save(len(passes), args=saved)

    return passes, keep


def _peak() -> float:
    """Return the most memory that this process has held, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # where getrusage counts what the parent held, too
        return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) / 2**10
    import resource  # here, since Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _check_equal(what: bytes, said: str) -> None:
    """Refuse what differs between processes: JAX takes it to be equal."""
    multihost_utils.assert_equal(np.uint32(crc32(what)), said)


def _run(options: argparse.Namespace) -> dict[str, Any]:
    """Fit the line; all processes must call. Return the record."""
    settings = {
        "points": options.points,
        "seed": options.seed,
        "line": list(TRUE_LINE),
        "chunk": CHUNK,
        "jax": jax.__version__,  # another one may draw other points
    }
    same = settings, options.tolerance, bool(options.checkpoint)
    _check_equal(repr(same).encode(), "options must be those of all processes")
    passes, keep = _checkpoint(options.checkpoint, settings)
    _check_equal(np.asarray(passes, float).tobytes(), _SHARED)
    bar = tqdm(
        unit=" chunks",
        leave=False,
        disable=jax.process_index() > 0 or None,  # None: without a terminal
    )

    def progress(added, of):
        if bar.n >= (bar.total or 0):
            bar.reset(of)
        bar.update(added)

    mesh, key = device_mesh(), jax.random.key(options.seed)
    chunks, seconds = range(options.points // CHUNK), []

    def means_of(chunks, weights):
        start = time.perf_counter()
        means = mean_row(mesh, weights, key, chunks, progress)
        seconds.append(time.perf_counter() - start)
        return means

    start = () if len(passes) else find_start(means_of, chunks)
    seconds.clear()
    passes = newton_passes(
        partial(means_of, chunks), start, options.tolerance, passes, keep
    )
    bar.close()
    _, gradient, hessian = unpack(passes[-1][3:])
    errors = np.sqrt(np.diag(np.linalg.inv(options.points * hessian)))
    names = ["b", "w1", "w2"]
    peaks = multihost_utils.process_allgather(np.float32([_peak()]))
    return {
        **settings,
        "tolerance": options.tolerance,
        "params": dict(zip(names, passes[-1][:3].tolist(), strict=True)),
        "standard_errors": dict(zip(names, errors.tolist(), strict=True)),
        "loss": float(passes[-1][3]),
        "gradient_norm": float(np.linalg.norm(gradient)),
        "passes": len(passes),
        "processes": jax.process_count(),
        "devices": mesh.size // jax.process_count(),
        "seconds": seconds,
        "peak_mib": peaks.ravel().tolist(),
    }


def _main(arguments: list[str]) -> None:
    """Live the life of one process, whoever started it."""
    options, others = _parse(arguments), []
    jax.config.update("jax_num_cpu_devices", options.devices)
    # XLA reads one of them, new or old, as it starts. More threads than
    # devices slow a chunk down.
    os.environ["PJRT_NPROC"] = os.environ["NPROC"] = str(options.devices)
    try:
        _join(options, arguments, others)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)  # the runtime waits, else
        record = _run(options)
        if jax.process_index() == 0:
            text = json.dumps(record, indent=1)
            if options.output:
                options.output.write_text(text, "utf-8")
            print(text)
        jax.distributed.shutdown()
    except (Exception, KeyboardInterrupt) as error:
        reason = [*str(error).strip().splitlines(), type(error).__name__][0]
        lost = "Gloo|Barrier|^(UNKNOWN|UNAVAIL|DEADLINE|ABORT|CANCEL)"
        if re.search(lost, str(error)):
            reason = f"another process is gone or silent: {reason}"
        print(reason, file=sys.stderr, flush=True)
        for other in others:
            other.kill()
        os._exit(1)  # an ordinary exit would wait for the others
    for other in others:
        other.wait()


if __name__ == "__main__":
    _main(sys.argv[1:])
