"""Fit up to ten billion points, for the record that chapter 11 shows.

It writes helpers/records.json, in ten minutes. Finished runs are kept in .venv
until all are, so after a stop it goes on where it was.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from bench import machine, versions

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv" / "record"
# Points, processes and seed of each run.
RUNS = [
    (10**8, 1, 1),
    *((10**8, 2, seed) for seed in range(1, 6)),
    (10**9, 1, 1),
    *((10**9, 2, seed) for seed in range(1, 6)),
    (10**10, 2, 1),
]


def record_of(points, processes, seed):
    """Return the record of a run, from its file if there is one."""
    output = FOLDER / f"{points}-{processes}-{seed}.json"
    if not output.exists():
        command = [sys.executable, "-m", "helpers.scale"]
        command += ["--points", str(points), "--processes", str(processes)]
        command += ["--seed", str(seed), "--output", output]
        command += ["--checkpoint", output.with_suffix(".passes")]
        subprocess.run(command, check=True)
    return json.loads(output.read_text("utf-8"))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    runs = [record_of(*run) for run in RUNS]
    content = {"machine": machine(), "versions": versions(), "runs": runs}
    text = json.dumps(content, indent=1) + "\n"
    (ROOT / "helpers" / "records.json").write_text(text, "utf-8")
    # Or the next record would be this one again.
    shutil.rmtree(FOLDER)
