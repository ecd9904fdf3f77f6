"""Time the book's fits beside those of its peers, in one run.

`make bench` writes helpers/bench.json, from which chapter 10 draws, and
benchmarks/results.md. Every contender fits the same points, in the layout
that it likes best, until the gradient of the mean log loss, in float64, is no
longer than AIM. The contenders take turns, so that whatever else the machine
does meets them all.
"""

import argparse
import json
import multiprocessing
import os
import platform
import re
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import report
from contenders import (
    AIM,
    WAYS,
    ZEROS,
    contenders,
    gradient_norm,
    on_two_devices,
    torch,
)

from helpers.data import make_dataset

# How many turns each contender has, by the number of points.
TURNS = {10**3: 10, 10**4: 10, 10**5: 10, 10**6: 8, 10**7: 2}
QUICK = {10**3: 1, 20_000: 1}
PAUSE = 0.2  # seconds
PACKAGES = ["jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn"]


def clock(run):
    """Return seconds until `run` has its result."""
    begin = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - begin


def spread(taken):
    """Return the shortest, middle and longest of some times."""
    middle = float(np.median(taken))
    return {"min": min(taken), "median": middle, "max": max(taken)}


def in_turns(runs, turns):
    """Time each of `runs` (by name) twice a turn, none always first."""
    names, seconds = list(runs), {name: [] for name in runs}
    for k in range(turns):
        first = k % len(names)
        for name in names[first:] + names[:first]:
            # The threads of NumPy's library spin on for a while, on cores
            # that the next one needs. After a pause the first run wakes them.
            time.sleep(PAUSE)
            seconds[name] += [clock(runs[name]) for _ in range(2)]
    return {name: spread(taken) for name, taken in seconds.items()}


def best_setting(data, make, layouts, tolerances):
    """Return a contender's row and its run, in the layout that suits it best.

    In each layout it has the loosest tolerance with which it arrives. The
    run that looks for it also compiles.
    """
    tried = []
    for layout in layouts:
        for tol in tolerances:
            run = make(data, layout, tol)
            weights = [float(weight) for weight in run()]
            norm = gradient_norm(weights, data)
            if norm <= AIM:
                break
        seconds = min(clock(run) for _ in range(3)) if layouts[1:] else 0
        row = {"layout": layout, "tol": tol, "norm": norm, "weights": weights}
        tried.append((norm > AIM, seconds, row, run))
    return min(tried, key=lambda one: one[:2])[2:]


def time_fits(n, turns):
    """Time all contenders on n points; return their rows by name."""
    data = make_dataset(jax.random.key(1), n)
    found = {
        name: best_setting(data, *how) for name, how in contenders(n).items()
    }
    print(f"  n = {n:,}: {len(found)} contenders", flush=True)
    taken = in_turns({name: run for name, (_, run) in found.items()}, turns)
    return {k: row | {"seconds": taken[k]} for k, (row, _) in found.items()}


def first_call(way):
    """Time the blog's 100 epochs in a process that has compiled neither."""
    data = make_dataset(jax.random.key(1), 1000)
    return clock(partial(WAYS[way], data))


def time_epochs(turns):
    """Time the blog's 100 epochs, at first and later; return rows by way."""
    data = make_dataset(jax.random.key(1), 1000)
    runs = {way: partial(run, data) for way, run in WAYS.items()}
    weights = {way: [float(w) for w in run()] for way, run in runs.items()}
    first = {way: [] for way in WAYS}
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(1, maxtasksperchild=1) as pool:
        for way in [*WAYS] * turns:
            first[way].append(pool.apply(first_call, [way]))
    return {
        way: {"weights": weights[way], "first": spread(first[way])}
        | {"seconds": seconds}
        for way, seconds in in_turns(runs, turns).items()
    }


def time_pass(n, turns):
    """Time a pass with Hessian over n points, and reading them, by two."""
    data, objective = on_two_devices(make_dataset(jax.random.key(1), n))
    add_up = jax.jit(jnp.sum)
    halves = [
        jax.device_put(jnp.ones(3 * n // 2), device)
        for device in jax.devices()[:2]
    ]
    runs = {
        "read": lambda: [add_up(half) for half in halves],
        "hessian": partial(jax.jit(objective), ZEROS, data),
    }
    for run in runs.values():
        clock(run)
    return in_turns(runs, turns)


def text_of(path):
    """Return a file's text; of no such file, none."""
    return path.read_text().strip() if path.is_file() else ""


def machine():
    """Describe the machine, without its name: processor and caches."""
    about = text_of(Path("/proc/cpuinfo"))
    found = re.search(r"model name\s*: (.*)", about)
    caches = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("i*")):
        level, kind, size = (
            text_of(index / name) for name in ("level", "type", "size")
        )
        caches[f"L{level} {kind.lower()}"] = size
    return {
        "processor": found[1] if found else platform.processor(),
        "cores": os.cpu_count(),
        "caches": caches,
        "system": platform.system(),
    }


def versions():
    """Return the versions of Python and of what is timed."""
    found = {name: version(name) for name in PACKAGES}
    if torch:
        found["torch"] = torch.__version__
    return {"python": platform.python_version()} | found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="for tests")
    parser.add_argument("--output", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    numbers, page = report.NUMBERS, report.PAGE
    if options.output:
        numbers, page = (
            options.output / path.name for path in (numbers, page)
        )
    jax.config.update("jax_num_cpu_devices", 2)
    sizes = QUICK if options.quick else TURNS
    results = {
        "machine": machine(),
        "versions": versions(),
        "aim": AIM,
        "epochs": time_epochs(1 if options.quick else 7),
        "pass": time_pass(20_000 if options.quick else 10**6, 20),
        "fits": {str(n): time_fits(n, turns) for n, turns in sizes.items()},
    }
    numbers.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    page.write_text(report.render(results), "utf-8")
    print(f"Wrote {numbers} and {page}")


if __name__ == "__main__":
    main()
