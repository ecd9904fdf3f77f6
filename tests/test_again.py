"""What scripts/again.py runs, and that it names what is not the same."""

import re
import subprocess
import sys

import nbformat
from manuscript import ROOT
from nbformat.v4 import new_code_cell, new_notebook, new_output

ASK = """
import socket
try:
    socket.create_connection(("example.org", 80))
except OSError as error:
    print(error)
with socket.socket() as numeric:
    try:
        numeric.connect(("192.0.2.1", 80))
    except OSError as error:
        print(error)
"""
ASKED = ["example.org", "192.0.2.1"]
REFUSED = "no network here, and {} was asked for"
COUNT = """
calls = globals().get("calls", 0) + 1
print(calls)
"""
DEVICES = """
import jax
print(jax.device_count())
"""
THREADS = """
import os
from pathlib import Path
names = Path("/proc/self/task").glob("*/comm")
mine = [name for name in names if "XLAEigen" in name.read_text()]
print(len(mine) or os.environ["NPROC"])  # no /proc on macOS
"""
DRAW = """
from IPython.display import Image
Image(b"picture %d" % calls, format="png")
"""
IMAGE = {"text/plain": "<IPython.core.display.Image object>"}


def stream(source, text):
    output = new_output("stream", text=f"{text}\n")
    return new_code_cell(source, execution_count=1, outputs=[output])


def test_what_is_not_the_same_is_named(tmp_path):
    picture = new_output("display_data", IMAGE | {"image/png": ""})
    cells = [
        # Three that are the same everywhere.
        stream("print(1)", 1),
        stream(ASK, "\n".join(map(REFUSED.format, ASKED))),
        stream("import os\nprint(os.listdir())", ["trial.ipynb"]),
        # Four that are not.
        stream(COUNT, 1),
        stream(DEVICES, 1),
        stream(THREADS, 1),
        new_code_cell(DRAW, execution_count=1, outputs=[picture]),
    ]
    path = tmp_path / "trial.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    command = [sys.executable, ROOT / "scripts" / "again.py", path]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1
    said = re.search("^trial: (.*)$", run.stdout, re.M)
    assert said, run.stdout + run.stderr
    assert sorted(said[1].split("; ")) == [
        "1 device, 8 threads: cell 6",
        "2 devices, 2 threads: cell 5",
        "2 devices, 2 threads: cell 6",
        "8 devices, 8 threads: cell 5",
        "8 devices, 8 threads: cell 6",
        "twice on 1 device, 1 thread: cell 4, the second time",
        "twice on 1 device, 1 thread: cell 7, the second time",
    ]
