"""Time the book's fits and those of its peers, with the JAX installed here.

`make bench` calls it with each JAX of the lock. It writes helpers/bench.json,
from which chapter 10 draws, and benchmarks/results.md. The contenders take
turns, so that whatever else the machine does affects them all.
"""

import argparse
import json
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
from contenders import AIM, WAYS, contenders, gradient_norm, on_two_devices

from helpers.data import make_dataset
from helpers.scale import ZEROS

# How many turns each contender has, for each number of points.
TURNS = {10**3: 10, 10**4: 10, 10**5: 10, 10**6: 6, 10**7: 3}
QUICK = {10**3: 1, 20_000: 1}


def clock(run):
    """Return seconds until `run` has its result."""
    begin = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - begin


def in_turns(runs, turns):
    """Time each of `runs`, by name, twice a turn; no run is always first."""
    names, seconds = list(runs), {name: [] for name in runs}
    for k in range(turns):
        first = k % len(names)
        for name in names[first:] + names[:first]:
            # The threads of NumPy's library spin for a while on cores that the
            # next contender needs, so wait. After a pause, the first of the
            # two runs wakes up its threads.
            time.sleep(0.2)
            seconds[name] += [clock(runs[name]) for _ in range(2)]
    return {
        name: {"min": min(s), "median": float(np.median(s)), "max": max(s)}
        for name, s in seconds.items()
    }


def time_fits(makes, n, turns):
    """Time contenders on n points; return their rows by name."""
    data = make_dataset(jax.random.key(1), n)
    runs = {name: make(data) for name, make in makes.items()}
    rows = {}
    for name, run in runs.items():
        weights, passes = run()  # compiles
        weights = [float(weight) for weight in weights]
        rows[name] = {
            "weights": weights,
            "norm": gradient_norm(weights, data),
            "passes": passes and int(passes),
        }
    for name, seconds in in_turns(runs, turns).items():
        rows[name]["seconds"] = seconds
    print(f"  n = {n:,}: {len(rows)} contenders", flush=True)
    return rows


def time_pass(n, turns):
    """Time a pass with Hessian, and reading, of n points on two devices."""
    data, objective = on_two_devices(make_dataset(jax.random.key(1), n))
    runs = {
        "read": partial(jax.jit(partial(jax.tree.map, jnp.sum)), data),
        "hessian": partial(jax.jit(objective), ZEROS, data),
    }
    for run in runs.values():
        clock(run)  # compiles
    return in_turns(runs, turns)


def machine():
    """Describe the machine without its name: processor, cores, and caches."""
    about = Path("/proc/cpuinfo")  # where there is one
    about = about.read_text("utf-8") if about.is_file() else ""
    found = re.search(r"model name\s*: (.*)", about)
    caches = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("i*")):
        level, kind, size = (
            (index / name).read_text("utf-8").strip()
            for name in ("level", "type", "size")
        )
        caches[f"L{level} {kind.lower()}"] = size
    return {
        "processor": found[1] if found else platform.processor(),
        "cores": os.cpu_count(),
        "caches": caches,
        "system": platform.system(),
    }


def versions():
    """Return the versions of Python and of the packages that are timed."""
    names = ["jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn"]
    python = {"python": platform.python_version()}
    return python | {name: version(name) for name in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="for tests")
    parser.add_argument("--add", action="store_true", help="keep other runs")
    parser.add_argument("--output", type=Path, default=report.NUMBERS)
    options = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", 2)
    sizes = QUICK if options.quick else TURNS
    run = {
        "versions": versions(),
        "epochs": time_fits(WAYS, 1000, sizes[1000]),
        "pass": time_pass(max(sizes), 20),
        "fits": {
            str(n): time_fits(contenders(n), n, turns)
            for n, turns in sizes.items()
        },
    }
    file = options.output
    before = json.loads(file.read_text())["runs"] if options.add else []
    results = {"machine": machine(), "aim": AIM, "runs": [*before, run]}
    file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    report.write(file)


if __name__ == "__main__":
    main()
