"""Fit up to ten billion points, for the record that chapter 11 shows.

It takes ten minutes and writes helpers/records.json. Finished runs are kept in
.venv until all have finished, so that after a stop it goes on where it was.
"""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from bench import machine, versions

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv" / "record"
# Points, processes, and seed of each run.
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
    command = [sys.executable, "-m", "helpers.scale", "--output", output]
    command += f"--points {points} --seed {seed}".split()
    if processes > 1:
        with socket.create_server(("127.0.0.1", 0)) as free:
            where = f"127.0.0.1:{free.getsockname()[1]}"
        command += ["--coordinator", where, "--processes", str(processes)]
    if not output.exists():
        started = [
            subprocess.Popen([*command, "--process", str(k)])
            for k in range(processes)
        ]
        if any([process.wait() for process in started]):
            sys.exit(f"{output.name} failed; started again, it goes on.")
    return json.loads(output.read_text("utf-8"))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    runs = [record_of(*run) for run in RUNS]
    record = {"machine": machine(), "versions": versions(), "runs": runs}
    text = json.dumps(record, indent=1) + "\n"
    (ROOT / "helpers" / "records.json").write_text(text, "utf-8")
    # Else the next record would be this one again.
    shutil.rmtree(FOLDER)
