"""The same fit on data that fits no memory.

Taught in chapter 11. The data set has no end: chunk i is drawn when it is
needed, from a key and i alone, and forgotten. ``python -m helpers.scale
--help`` says how to fit it in several processes.
"""

if __name__ == "__main__":  # the parent, which needs no JAX
    import sys

    from helpers.launch import main

    sys.exit(main())

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.flatten_util import ravel_pytree
from jax.sharding import AxisType, Mesh, PartitionSpec
from jax.typing import ArrayLike

from helpers._checks import check_whole
from helpers.data import TRUE_LINE, Dataset, Line, make_dataset
from helpers.solvers import chunk_sums

# Points in a chunk. Another number gives other data.
CHUNK = 10_000
# As many as fold_in can tell apart.
MAX_CHUNKS = 2**32
# Chunks that a device holds at a time: 5 megabytes of points.
GROUP = 40


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
        or device chunks are drawn.

    Raises:
        ValueError: index is no whole number or out of range (a JAX array is
            taken as it is).
    """
    # fold_in rounds 1.5 down without a word.
    if not isinstance(index, jax.Array):
        check_whole(0, MAX_CHUNKS - 1, index=index)
    return make_dataset(jax.random.fold_in(key, index), CHUNK, line)


def chunk_rows(params: Any, key: jax.Array, indices: ArrayLike) -> jax.Array:
    """Draw some chunks, and keep only the sums of each.

    Args:
        params: of ``LogisticRegression``.
        key: of the data set.
        indices: which chunks, uint32 of shape (k,).

    Returns:
        Float32 of shape (k, 13). A row for each chunk holds what
        ``chunk_sums`` returns, end to end.
    """
    # Drawn and summed in one loop, a point is drawn again for each sum.
    chunks = jax.lax.map(partial(make_chunk, key), indices)
    return jax.lax.map(
        lambda chunk: ravel_pytree(chunk_sums(params, *chunk))[0], chunks
    )


def device_mesh(devices: int = 1) -> Mesh:
    """Return the first ``devices`` devices of this process, in a row.

    Args:
        devices: how many; a CPU counts as more if the environment says so
            in JAX_NUM_CPU_DEVICES.

    Returns:
        A mesh whose one axis is named "devices".
    """
    return jax.make_mesh(
        (devices,),
        ("devices",),
        axis_types=(AxisType.Auto,),
        devices=jax.local_devices()[:devices],
    )


@cache
def rows_on(mesh: Mesh) -> Callable[[Any, jax.Array, ArrayLike], jax.Array]:
    """Return ``chunk_rows``, compiled, with the chunks dealt to devices.

    Args:
        mesh: of ``device_mesh``. Its size must divide the number of chunks.
    """
    whole, dealt = PartitionSpec(), PartitionSpec("devices")
    return jax.jit(
        jax.shard_map(
            chunk_rows,
            mesh=mesh,
            in_specs=(whole, whole, dealt),
            out_specs=dealt,
        )
    )


def unpack(sums: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Take apart loss, gradient and Hessian, of shapes (), (3,), (3, 3).

    Args:
        sums: all three, end to end, of shape (13,).
    """
    return float(sums[0]), sums[1:4], sums[4:].reshape(3, 3)


def add_up(
    mesh: Mesh,
    params: Any,
    key: jax.Array,
    chunks: range,
    progress: Callable[[int, int], Any] = lambda added, of: None,
) -> np.ndarray:
    """Pass over chunks once, in constant memory.

    Args:
        mesh: the devices that share the work, of ``device_mesh``.
        params: of ``LogisticRegression``.
        key: of the data set.
        chunks: which chunks.
        progress: called now and then with how many chunks were added since,
            and how many there are in all.

    Returns:
        The sums that ``chunk_sums`` returns, end to end, float64 of shape
        (13,).
    """
    total = np.zeros(13)
    size = GROUP * mesh.size
    for start in range(0, len(chunks), size):
        group = np.array(chunks[start : start + size], np.uint32)
        # Filled up, since another shape would be compiled anew.
        rows = rows_on(mesh)(params, key, np.resize(group, size))
        # float32 is exact enough within a chunk, but not across chunks.
        rows = np.asarray(rows, np.float64)[: len(group)]
        total += rows.sum(axis=0)
        progress(len(group), len(chunks))
    return total


def gather(values: ArrayLike) -> np.ndarray:
    """Let each process have the values of all; all of them must call.

    Args:
        values: float64 of shape (k,), the same k in each process.

    Returns:
        Float64 of shape (processes, k), unrounded.

    Raises:
        ConnectionError: another process is gone.
    """
    # JAX would round float64; bits in whole numbers it leaves alone.
    bits = np.array(values, np.float64).view(np.uint32)
    try:
        return multihost_utils.process_allgather(bits).view(np.float64)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConnectionError(f"another process is gone: {reason}") from error


def by_chunks(
    mesh: Mesh,
    key: jax.Array,
    chunks: range,
    progress: Callable[[int, int], Any] = lambda added, of: None,
) -> Callable[[Any], tuple[float, np.ndarray, np.ndarray]]:
    """Return the objective over chunks, which are drawn again in each pass.

    Args:
        mesh, key, progress: as in ``add_up``.
        chunks: which chunks, at least one. Of p processes, each takes every
            p-th.

    Returns:
        An objective of the params of ``LogisticRegression``: mean loss,
        gradient and Hessian, in float64. All processes must call it at the
        same time.

    Raises:
        ConnectionError: another process is gone.
    """
    mine = chunks[jax.process_index() :: jax.process_count()]

    def objective(params):
        sums = gather(add_up(mesh, params, key, mine, progress)).sum(axis=0)
        return unpack(sums / (len(chunks) * CHUNK))

    return objective
