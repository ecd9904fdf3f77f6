"""Time the book's fits beside those of its peers, in one run.

`make bench` writes helpers/bench.json, and from it results.md and results.png.
Every contender fits the same points, in the layout that it likes best, until
the gradient of the mean log loss, in float64, is no longer than AIM. The
contenders take turns, so that whatever else the machine does meets them all.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import numpy as np
import optax
from contenders import (
    AIM,
    WAYS,
    contenders,
    gradient_norm,
    halves,
    model,
    on_two,
)

from helpers.data import make_dataset
from helpers.model import BLOG_PARAMS
from helpers.scale import CHUNK, GROUP, add_up, device_mesh, make_chunk
from helpers.solvers import chunk_sums, logistic_sums

# How many turns each contender has, by the number of points.
REPEATS = {10**3: 10, 10**4: 10, 10**5: 10, 10**6: 8, 10**7: 2}
PAUSE = 0.2  # seconds
TOO_LONG = 60  # seconds
PACKAGES = ["jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn", "torch"]


def clock(run):
    """Return seconds until `run` has its result, and the result."""
    begin = time.perf_counter()
    result = jax.block_until_ready(run())
    return time.perf_counter() - begin, result


def in_turns(runs, repeats):
    """Time each of `runs` (by name) twice a turn, none always first."""
    names, seconds = list(runs), {name: [] for name in runs}
    for k in range(repeats):
        first = k % len(names)
        for name in names[first:] + names[:first]:
            # The threads of NumPy's library spin on for a while, on cores
            # that the next one needs. After a pause the first run wakes them.
            time.sleep(PAUSE)
            seconds[name] += [clock(runs[name])[0] for _ in range(2)]
    return {name: spread(taken) for name, taken in seconds.items()}


def spread(seconds):
    """Return the shortest, middle and longest of some times."""
    return {
        "min": min(seconds),
        "median": float(np.median(seconds)),
        "max": max(seconds),
        "repeats": len(seconds),
    }


def best_setting(make, layouts, tolerances, data):
    """Return (missed, seconds, layout, tol, norm, weights, run) of the best.

    In each layout it is the loosest tolerance that reaches AIM, or the last
    one. The run that looks for it also compiles.
    """
    tried = []
    for layout in layouts:
        for tol in tolerances:
            run = make(data, layout, tol)
            if run is None:
                return None
            weights = [float(weight) for weight in run()]
            norm = gradient_norm(weights, data)
            if norm <= AIM:
                break
        choice = 3 if len(layouts) > 1 else 1
        seconds = min(clock(run)[0] for _ in range(choice))
        tried.append((norm > AIM, seconds, layout, tol, norm, weights, run))
    return min(tried, key=lambda one: one[:2])


def time_fits(sizes, repeats):
    """Time all contenders at each size; return results by size and name."""
    results, peers = {}, contenders()
    for n in sizes:
        data = make_dataset(jax.random.key(1), n)
        rows, runs = {}, {}
        before = results.get(str(n // 10), {})
        for name, (make, layouts, tolerances) in peers.items():
            guess = 10 * before.get(name, {}).get("seconds", {}).get("min", 0)
            if guess > TOO_LONG or "too long" in before.get(name, {}):
                rows[name] = {"too long": max(guess, TOO_LONG)}
                continue
            if n > 10**6 and "layout" in before.get(name, {}):
                layouts = [tuple(before[name]["layout"])]
                tol = before[name]["tol"]
                tolerances = [t for t in tolerances if tol is None or t <= tol]
            best = best_setting(make, layouts, tolerances, data)
            if best is None:
                continue
            _, _, layout, tol, norm, weights, runs[name] = best
            rows[name] = {
                "layout": layout,
                "tol": tol,
                "norm": norm,
                "weights": weights,
            }
        for name, taken in in_turns(runs, repeats(n)).items():
            rows[name]["seconds"] = taken
        results[str(n)] = rows
        print(f"  n = {n:,}: {len(runs)} contenders", flush=True)
    return results


def time_epochs(repeats):
    """Time the blog's 100 epochs, warm; return results by way."""
    data = make_dataset(jax.random.key(1), 1000)
    runs = {way: partial(run, data) for way, run in WAYS.items()}
    weights = {way: [float(w) for w in run()] for way, run in runs.items()}
    taken = in_turns(runs, repeats)
    return {w: {"weights": weights[w], "seconds": taken[w]} for w in runs}


def time_first(repeats):
    """Time the first call in processes of its own, imports left out."""
    taken = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way in WAYS:
            command = [sys.executable, __file__, "--first", way]
            done = subprocess.run(command, capture_output=True, check=True)
            taken[way].append(float(done.stdout))
    return {way: {"seconds": spread(values)} for way, values in taken.items()}


# --- One pass over the points, and what bounds it.


def read_in_numpy(data, pool):
    """Read every number once: a bitwise or of each half, in two threads."""
    parts = [np.asarray(column).view(np.int32) for column in data]
    parts = [np.array_split(part, 2) for part in parts]

    def read(k):
        return [np.bitwise_or.reduce(part[k]) for part in parts]

    return lambda: list(pool.map(read, range(2)))


def exp_and_log(params, part):
    """Compute a sigmoid and its logarithm of numbers that stay in cache."""
    small = part.x[: min(10_000, len(part.x))]

    def again(k, total):
        sure = jax.nn.sigmoid(small + 0.001 * k)
        return total + jnp.log(sure) @ sure

    rounds = len(part.x) // len(small)
    return jax.lax.fori_loop(0, rounds, again, 0.0 * small[0])


def multiply_add(params, part):
    """Multiply and add as often as a pass does, on numbers in cache."""
    one = jax.tree.map(lambda column: column[:1000], part)
    cost = jax.jit(chunk_sums).lower(params, *one).compile().cost_analysis()
    done = cost["flops"] + cost["transcendentals"]
    rounds = int(done * len(part.x) / 1000 / (2 * 16 * 1000))

    def sixteen(_, x):
        for _ in range(16):
            x = 0.999 * x + 0.001
        return x

    return jax.lax.fori_loop(0, rounds, sixteen, one.x).sum()


def time_passes(n, repeats):
    """Time one pass over n points, and the bounds; return results by name."""
    data = make_dataset(jax.random.key(1), n)
    split, pool = halves(data), ThreadPoolExecutor(2)

    def optax_loss(params, data):
        logit = model.apply(params, data.x, data.y)
        return optax.sigmoid_binary_cross_entropy(logit, data.label).mean()

    def of_two(function):
        return partial(on_two(jax.jit(function)), BLOG_PARAMS, split)

    # With its own jit, XLA drops the Hessian, for which nobody asks.
    by_optax = jax.jit(jax.value_and_grad(optax_loss))
    column_sums = jax.jit(lambda data: [column.sum() for column in data])
    runs = {
        "read, NumPy": read_in_numpy(data, pool),
        "read, JAX": lambda: [column_sums(part) for part in split],
        "multiplying and adding": of_two(multiply_add),
        "exp and log": of_two(exp_and_log),
        "loss, gradient": of_two(lambda *both: logistic_sums(*both)[:2]),
        "loss, gradient, Hessian": of_two(logistic_sums),
        "the same, 1 device": partial(logistic_sums, BLOG_PARAMS, data),
        "Optax, 1 device": partial(by_optax, BLOG_PARAMS, data),
        "Optax, 2 devices": of_two(by_optax),
    }
    for run in runs.values():
        clock(run)
    taken = in_turns(runs, repeats)
    return {name: {"seconds": values} for name, values in taken.items()}


# --- Points that are drawn in each pass.


def time_drawn(points, repeats):
    """Time a pass, and drawing alone, in a process with one thread."""
    command = [sys.executable, __file__, "--drawn", str(points), str(repeats)]
    one = os.environ | {"NPROC": "1"}
    done = subprocess.run(command, capture_output=True, check=True, env=one)
    return json.loads(done.stdout)


def in_one_thread(points, repeats):
    """Be that process; return results by name."""
    key, mesh = jax.random.key(1), device_mesh()
    chunks = range(points // CHUNK)

    @jax.jit
    def draw(key, indices):
        def of_one(index):
            return [column.sum() for column in make_chunk(key, index)]

        return jax.lax.map(of_one, indices)

    def draw_all():
        for start in range(0, len(chunks), GROUP):
            group = np.array(chunks[start : start + GROUP], np.uint32)
            jax.block_until_ready(draw(key, np.resize(group, GROUP)))

    runs = {
        "a pass": partial(add_up, mesh, BLOG_PARAMS, key, chunks),
        "drawing alone": draw_all,
    }
    for run in runs.values():
        clock(run)
    taken = in_turns(runs, repeats)
    return {name: {"seconds": values} for name, values in taken.items()}


def time_processes(points, repeats):
    """Time a pass of one process and of two, one thread each, in turns."""
    taken = {"one process": [], "two processes": []}
    with TemporaryDirectory() as folder:
        output = Path(folder) / "record.json"
        command = [sys.executable, "-m", "helpers.scale"]
        command += ["--points", str(points), "--output", str(output)]
        for _ in range(repeats):
            for processes, name in enumerate(taken, start=1):
                which = ["--processes", str(processes)]
                subprocess.run(
                    command + which, capture_output=True, check=True
                )
                record = json.loads(output.read_text("utf-8"))
                taken[name] += record["seconds"]
    return {name: {"seconds": spread(s)} for name, s in taken.items()}


# --- The machine, and everything together.


def text_of(path):
    """Return a file's text; of no such file, none."""
    return Path(path).read_text() if Path(path).is_file() else ""


def machine():
    """Describe the machine, without its name: processor, caches, memory."""
    lines = text_of("/proc/cpuinfo").splitlines()
    names = [line for line in lines if line.startswith("model name")]
    caches = {}
    folder = Path("/sys/devices/system/cpu/cpu0/cache")
    for index in sorted(folder.glob("index*")):
        level, kind, size = (
            text_of(index / name).strip() for name in ("level", "type", "size")
        )
        caches[f"L{level} {kind.lower()}"] = size
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": (
            names[0].split(": ")[1] if names else platform.processor()
        ),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "caches": caches,
        "memory GiB": round(pages / 2**30),
        "system": platform.system(),
    }


def versions():
    """Return Python's version and those of the packages timed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def measure(quick):
    """Run everything; return what bench.json holds."""
    sizes = [1000, 50_000] if quick else list(REPEATS)

    def repeats(n):
        return 1 if quick else REPEATS[n]

    print("The blog's 100 epochs", flush=True)
    epochs = time_epochs(1 if quick else 7)
    first = time_first(1 if quick else 5)
    print("One pass", flush=True)
    pass_size = 100_000 if quick else 10**7
    passes = time_passes(pass_size, 1 if quick else 9)
    print("Points that are drawn in each pass", flush=True)
    drawn_size = 400_000 if quick else 10**7
    drawn = time_drawn(drawn_size, 1 if quick else 5)
    shared_size = 400_000 if quick else 10**8
    shared = time_processes(shared_size, 1 if quick else 3)
    print("Fits", flush=True)
    return {
        "machine": machine(),
        "versions": versions(),
        "quick": quick,
        "aim": AIM,
        "epochs": epochs,
        "first": first,
        "pass_size": pass_size,
        "passes": passes,
        "drawn_size": drawn_size,
        "drawn": drawn,
        "shared_size": shared_size,
        "shared": shared,
        "fits": time_fits(sizes, repeats),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="small, for tests"
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER")
    for option, kind in {
        "--first": {"choices": WAYS},
        "--drawn": {"type": int, "nargs": 2},
    }.items():
        parser.add_argument(option, help=argparse.SUPPRESS, **kind)
    options = parser.parse_args()
    if options.first:
        data = jax.block_until_ready(make_dataset(jax.random.key(1), 1000))
        print(clock(partial(WAYS[options.first], data))[0])
        return
    if options.drawn:
        print(json.dumps(in_one_thread(*options.drawn)))
        return
    jax.config.update("jax_num_cpu_devices", 2)
    # It draws, and the processes of --first and --drawn shall not import it.
    import report

    results = measure(options.quick)
    folder, numbers = Path(__file__).parent, report.NUMBERS
    if options.output:
        folder, numbers = options.output, options.output / "bench.json"
    numbers.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    report.write(numbers, folder)
    print(f"Wrote {numbers}, and results.md and results.png in {folder}")


if __name__ == "__main__":
    main()
