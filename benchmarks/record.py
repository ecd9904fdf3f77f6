"""Fit up to ten billion points, for the record that chapter 10 shows.

`make record` writes helpers/records.json. Finished runs are kept in a folder
until all are, so after a stop it goes on where it was.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from bench import machine, versions

RECORDS = Path(__file__).parents[1] / "helpers" / "records.json"
# Points, processes and seed of each run.
RUNS = [
    *((10**8, 1, seed) for seed in (1,)),
    *((10**8, 2, seed) for seed in (1, 2, 3, 4, 5)),
    *((10**9, 1, seed) for seed in (1,)),
    *((10**9, 2, seed) for seed in (1, 2, 3, 4, 5)),
    *((10**10, 2, seed) for seed in (1,)),
]


def record_of(points, processes, seed, folder):
    """Return the record of a run, from its file if there is one."""
    name = f"{points}-{processes}-{seed}"
    output, checkpoint = folder / f"{name}.json", folder / f"{name}.passes"
    if not output.exists():
        command = [sys.executable, "-m", "helpers.scale"]
        for option, value in {
            "points": points,
            "processes": processes,
            "seed": seed,
            "output": output,
            "checkpoint": checkpoint,
        }.items():
            command += [f"--{option}", str(value)]
        subprocess.run(command, check=True)
    return json.loads(output.read_text("utf-8"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where finished runs go")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    runs = [record_of(*run, folder) for run in RUNS]
    content = {"machine": machine(), "versions": versions(), "runs": runs}
    # Whole or not at all.
    draft = folder / RECORDS.name
    draft.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    draft.replace(RECORDS)
    # Or the next record would be this one again.
    for points, processes, seed in RUNS:
        for path in folder.glob(f"{points}-{processes}-{seed}.*"):
            path.unlink()
    print(f"Wrote {RECORDS}")


if __name__ == "__main__":
    main()
