"""The same fit on data that does not fit in memory.

Taught in chapter 11. The data set has no end: chunk i is drawn from a key and
i alone when it is needed, and then forgotten. ``python -m helpers.scale
--help`` says how to fit it in several processes. Whatever begins with an
underscore serves only that command.
"""

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import psutil
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import AxisType, Mesh
from jax.typing import ArrayLike
from tqdm import tqdm

from helpers._checks import check_everywhere, check_no_nan, check_whole
from helpers.data import TRUE_LINE, Dataset, Line, make_dataset
from helpers.solvers import Place, damped, logistic_means, look, move

# Points in a chunk. A different number gives different data.
CHUNK = 10_000
# As many as an int32 can count.
MAX_CHUNKS = 2**31 - 1
ZEROS = {"params": {name: np.float32(0) for name in ("b", "w1", "w2")}}


def make_chunk(
    key: jax.Array, index: ArrayLike, line: Line = TRUE_LINE
) -> Dataset:
    """Draw chunk ``index`` of the endless data set of ``key``.

    Args:
        key: a key of ``jax.random.key``; the same key gives the same data.
        index: a whole number from 0, below ``MAX_CHUNKS``.
        line: the line whose logits load the coins.

    Returns:
        A Dataset of ``CHUNK`` points. They are the same in whichever order,
        process, or device chunks are drawn. If the drawing is compiled in a
        different way, last digits may differ, and rarely a label.
    """
    # fold_in would round 1.5 down without a word.
    if not isinstance(index, jax.Array):
        check_whole(0, index=index)
    return make_dataset(jax.random.fold_in(key, index), CHUNK, line)


class Endless(NamedTuple):
    """So many chunks of the endless data set of ``key``, from ``first`` on."""

    key: jax.Array
    chunks: ArrayLike
    first: ArrayLike = 0


def add_compensated(total: Any, lost: Any, more: Any) -> tuple[Any, Any]:
    """Add ``more`` to a float32 total, and keep what it cannot hold.

    Args:
        total, lost: what the last call returned; zeros at first.
        more: a pytree of the same structure.

    Returns:
        The new total, and what it has lost by rounding.

    Source: W. Kahan, "Further Remarks on Reducing Truncation Errors",
    Communications of the ACM 8 (1965).
    """
    more = jax.tree.map(jnp.add, more, lost)
    new = jax.tree.map(jnp.add, total, more)
    lost = jax.tree.map(lambda m, n, t: m - (n - t), more, new, total)
    return new, lost


def device_mesh(devices: int | None = None) -> Mesh:
    """Return a mesh of all devices of all processes, or of the first so many.

    It is for ``jax.set_mesh``. Its only axis is named "devices" and explicit.
    """
    some = jax.devices()[:devices]
    if devices and len(some) != devices:
        raise ValueError(
            f"devices must be from 1 to {jax.device_count()}, got {devices}"
        )
    return jax.make_mesh(
        (len(some),), ("devices",), (AxisType.Explicit,), devices=some
    )


def add_chunks(
    params: Any, data: Endless, apart: ArrayLike = 1
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Add up ``logistic_means`` over chunks that are held one at a time.

    Args:
        params: of ``LogisticRegression``.
        data: the key, the number of chunks, and the index of the first.
        apart: the distance from one index to the next.

    Returns:
        Sums over chunks of the mean loss, gradient (3,), and Hessian (3, 3).
    """

    def draw(turn):
        return make_chunk(data.key, data.first + turn * apart)

    def add(turn, state):
        chunk, *sums = state
        sums = add_compensated(*sums, logistic_means(params, chunk))
        # For the next turn, or XLA would draw and add up in one slower loop.
        return draw(turn + 1), *sums

    chunk = draw(0)
    zeros = jax.tree.map(jnp.zeros_like, logistic_means(params, chunk))
    state = (chunk, zeros, zeros)
    _, total, _ = jax.lax.fori_loop(0, data.chunks, add, state)
    return total


@jax.jit
def endless_means(
    params: Any, data: Endless
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The objective of ``LogisticRegression`` on data that is never held.

    The chunks are dealt to the devices of the mesh of ``jax.set_mesh``. If
    there are several processes, all must call it at the same time, with equal
    arguments.

    Args:
        params: of ``LogisticRegression``.
        data: an Endless of at least one chunk.

    Returns:
        What ``logistic_means`` returns, for all points.
    """

    # Made in here, since a shard_map keeps the first mesh that it meets.
    @jax.shard_map(out_specs=jax.P())
    def dealt(params, data):
        device = jax.lax.axis_index("devices")
        devices = jax.lax.axis_size("devices")
        own = (data.chunks - 1 - device) // devices + 1  # rounded up
        own = data._replace(first=data.first + device, chunks=own)
        return jax.lax.psum(add_chunks(params, own, devices), "devices")

    return jax.tree.map(lambda sums: sums / data.chunks, dealt(params, data))


def means_by_slices(
    params: Any, data: Endless
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Do what ``endless_means`` does on all devices, in slices, with a bar.

    Args:
        params, data: as there, with the number of chunks as a Python int. They
            are cut into at most a hundred slices, each of a thousand chunks or
            more, except for the last. After each slice the processes meet.

    Returns:
        Loss, gradient, and Hessian, as NumPy arrays of float64.
    """
    params, size = jax.device_get(params), max(-(-data.chunks // 100), 1000)
    quiet = jax.process_index() > 0 or None  # None: without a terminal
    means, counts = [], []
    for done in tqdm(range(0, data.chunks, size), leave=False, disable=quiet):
        counts.append(min(size, data.chunks - done))
        part = Endless(data.key, counts[-1], data.first + done)
        with jax.set_mesh(device_mesh()):
            means.append(jax.device_get(endless_means(params, part)))
    return jax.tree.map(
        lambda *parts: np.average(parts, axis=0, weights=counts), *means
    )


def newton_passes(
    params: Any,
    data: Endless,
    tolerance: float = 1e-6,
    here: Place | None = None,
) -> Iterator[Place]:
    """Take the steps of ``newton`` one by one, so that each can be kept.

    Args:
        params, data: where to start, and the data, as in ``means_by_slices``.
        tolerance: how long the gradient may be at the end, above 0. If it is
            too small, this never ends.
        here: a Place that was kept from an earlier call. If it is given, this
            call goes on from there, and does not use params.

    Yields:
        The Place after each pass, as NumPy arrays.
    """
    while here is None or np.linalg.norm(here.gradient) > tolerance:
        if here is None:
            here = look(means_by_slices, params, data)
        else:
            here = damped(here, look(means_by_slices, move(here), data))
        here = jax.device_get(here)
        check_no_nan(step=here.step)
        yield here


def find_start(data: Endless) -> Any:
    """Return the optimum of a sample, so near that few passes are left."""
    params = ZEROS
    for chunks in (1, data.chunks // 400, data.chunks // 20):
        if chunks:
            sample = data._replace(chunks=chunks)
            *_, here = newton_passes(params, sample, tolerance=1e-5)
            params = here.params
    return params


def open_checkpoint(
    folder: Path | str, settings: dict
) -> tuple[int, Place | None, Callable[[int, Place], Any]]:
    """Return what a folder holds of an earlier run, and how to save more.

    Args:
        folder: where to keep the passes; it is made if need be. All processes
            must see it, and call this function at the same time.
        settings: what is the same for every pass kept there, as JSON values.

    Returns:
        The number of passes so far and the last Place, or 0 and None; and
        ``save(passes, here)``, which saves another pass.

    Raises:
        ValueError: the folder is damaged, belongs to a run with different
            settings, or is not the same for all processes.
    """
    import orbax.checkpoint as ocp  # here, since it takes memory

    manager = ocp.CheckpointManager(
        Path(folder).absolute(),
        options=ocp.CheckpointManagerOptions(enable_async_checkpointing=False),
        metadata=settings,
    )
    before = manager.metadata().custom_metadata
    check_everywhere(folder=before)
    if before != settings:
        raise ValueError(f"{folder} is of a run with {before}: name another")

    def save(passes, here):
        numbers = ocp.args.StandardSave(here._asdict())
        manager.save(passes, args=numbers, force=True)

    passes = manager.latest_step() or 0
    check_everywhere(folder=passes)
    if not passes:
        return passes, None, save
    try:
        numbers = manager.restore(passes, args=ocp.args.StandardRestore())
    except Exception as error:  # of many kinds
        raise ValueError(f"{folder} is damaged: name another") from error
    check_everywhere(folder=jax.tree.map(np.ndarray.tolist, numbers))
    return passes, Place(**numbers), save


# The command

# More than Newton's method needs when it works.
_MAX_PASSES = 20


def _parse() -> argparse.Namespace:
    """Read the command line; a mistake in it ends the program."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.scale",
        description="Fit the line to points of the endless data set. Start "
        "this once for each process, with --coordinator, --processes and "
        "--process; under srun or in a Kubernetes JobSet with --cluster. "
        "JAX_NUM_CPU_DEVICES=2 splits a CPU into two devices.",
    )
    parser.error = lambda said: parser.exit(2, f"{parser.prog}: {said}\n")
    add = parser.add_argument
    add("--points", type=int, required=True, help=f"a multiple of {CHUNK}")
    add("--seed", type=int, default=1, help="of the data set")
    add("--tolerance", type=float, default=1e-6, help="of the gradient")
    add("--checkpoint", metavar="FOLDER", help="for passes; all must see it")
    add("--output", type=Path, help="a file for the record, as JSON")
    add("--cluster", action="store_true", help="let JAX find the others")
    add("--coordinator", metavar="HOST:PORT", help="where process 0 is")
    add("--processes", type=int, default=1, help="how many there are")
    add("--process", type=int, default=0, help="which of them this is")
    options = parser.parse_args()
    if options.points % CHUNK or not 0 < options.points <= MAX_CHUNKS * CHUNK:
        parser.error(f"--points must be a multiple of {CHUNK:,}, above 0")
    if not 0 <= options.seed < 2**32 or not options.tolerance > 0:
        parser.error("--seed must be below 2**32, --tolerance above 0")
    if options.output and not options.output.parent.is_dir():
        parser.error("--output must be in a folder that exists")
    if options.processes > 1 and not options.coordinator:
        parser.error("--coordinator must be given with --processes")
    return options


def _join(options: argparse.Namespace) -> None:
    """Bring the processes together."""
    # As it starts, XLA reads one of these names, the new or the old. More
    # threads than devices slow a chunk down.
    for name in ("PJRT_NPROC", "NPROC"):
        os.environ[name] = os.environ.get("JAX_NUM_CPU_DEVICES", "1")
    if options.cluster or options.coordinator:
        # By default a process waits minutes for others that are gone.
        waits = {"heartbeat_timeout_seconds": 10}
        if jax.__version_info__ >= (0, 8):
            waits["shutdown_timeout_seconds"] = 10
        where = options.coordinator, options.processes, options.process
        where = where if options.coordinator else ()
        jax.distributed.initialize(*where, **waits)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)  # or else it waits


def _fit(options: argparse.Namespace) -> dict[str, Any]:
    """Fit the line; return the record. All processes must call it."""
    settings = {
        "points": options.points,
        "seed": options.seed,
        "line": list(TRUE_LINE),
        "chunk": CHUNK,
        "jax": jax.__version__,  # another one may draw other points
    }
    given = settings, options.tolerance, bool(options.checkpoint)
    check_everywhere(options=given)
    passes, here, save = 0, None, lambda passes, here: None
    if options.checkpoint:
        passes, here, save = open_checkpoint(options.checkpoint, settings)
    data = Endless(jax.random.key(options.seed), options.points // CHUNK)
    start = None if here else find_start(data)
    todo = newton_passes(start, data, options.tolerance, here)
    seconds, begin = [], time.perf_counter()
    for here in todo:
        seconds.append(time.perf_counter() - begin)
        passes += 1
        save(passes, here)
        if passes > _MAX_PASSES:
            raise ValueError(f"tolerance must be reached in {passes} passes")
        begin = time.perf_counter()
    covariance = np.linalg.inv(options.points * here.hessian)
    errors = np.sqrt(np.diag(covariance)).tolist()
    memory = np.float32(psutil.Process().memory_info().rss / 2**20)
    return {
        **settings,
        "params": jax.tree.map(float, here.params["params"]),
        "standard_errors": dict(zip(("b", "w1", "w2"), errors, strict=True)),
        "loss": float(here.loss),
        "gradient_norm": float(np.linalg.norm(here.gradient)),
        "passes": passes,
        "processes": jax.process_count(),
        "seconds": seconds,
        "mib": process_allgather(memory).ravel().tolist(),
    }


def _main() -> None:
    options = _parse()
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        _join(options)
        record = json.dumps(_fit(options), indent=1)
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(str(error).strip().partition("\n")[0])
    if jax.process_index() == 0:
        print(record)
        if options.output:
            options.output.write_text(record, "utf-8")


if __name__ == "__main__":
    _main()
