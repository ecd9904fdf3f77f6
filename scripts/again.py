"""See that the chapters print the same anywhere, and again.

    python scripts/again.py [notebooks/01_data.ipynb …]

Each chapter goes alone into an empty folder and is executed there by nbval,
without a network: all cells twice in one kernel, and by several numbers of
devices and threads, where the chapter does not set its own. All of it must
print what is committed, and draw the second time what it drew the first.
"""

import json
import os
import sys
from collections import defaultdict
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest
from chapters import ROOT

# How often all cells run, on how many devices, with how many threads. XLA has
# at least a thread for each device.
RUNS = {
    "twice on 1 device, 1 thread": (2, 1, 1),
    "1 device, 8 threads": (1, 1, 8),
    "2 devices, 2 threads": (1, 2, 2),
    "8 devices, 8 threads": (1, 8, 8),
}
# What XLA, old or new, NumPy and SciPy read as they start.
THREADS = ("NPROC", "PJRT_NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# What Python runs first in the kernel, and in each process that it starts.
OFFLINE = """
import sys

def refuse(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if host not in (None, "localhost", "127.0.0.1", "::1"):
        raise OSError(f"no network here, and {host} was asked for")

sys.addaudithook(refuse)
"""


def write_kernel(folder, name, devices, threads):
    """Write under ``folder`` what Jupyter needs to start such a kernel."""
    variables = dict.fromkeys(THREADS, str(threads))
    variables |= {"JAX_NUM_CPU_DEVICES": str(devices), "PYTHONPATH": folder}
    command = [sys.executable, "-m", "ipykernel_launcher"]
    spec = {
        "argv": [*command, "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
        "env": variables,
    }
    path = Path(folder, "kernels", name, "kernel.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(spec))


def write_copy(chapter, path, kernel, times):
    """Write a chapter whose cells stand there so many times."""
    copy = deepcopy(chapter)
    copy.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
    copy.cells = []
    for time in range(times):
        for number, cell in enumerate(deepcopy(chapter.cells), start=1):
            cell.id = f"cell-{number}-{time}"
            cell.metadata["where"] = [number, time]
            copy.cells.append(cell)
    path.parent.mkdir(parents=True)
    nbformat.write(copy, path)


# The pictures of each cell the first time.
DRAWN = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    number, time = item.cell.metadata["where"]
    where = f"cell {number}" + ", the second time" * time
    item.user_properties.append(("where", where))
    yield
    # Which nbval does not compare.
    pictures = [
        output.data["image/png"]
        for output in item.test_outputs or ()
        if "image/png" in output.get("data", ())
    ]
    first = DRAWN.setdefault((item.path, number), pictures)
    if item.options["check"] and first != pictures:
        pytest.fail(f"{where}: draws another picture", pytrace=False)


class Summary:
    """Gathers what failed, from every process, and tells it by chapters."""

    def __init__(self, names):
        self.names, self.failed = names, defaultdict(list)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            run, chapter, _ = report.nodeid.split("/")
            where = dict(report.user_properties).get("where", report.when)
            self.failed[chapter].append(f"{run}: {where}")

    def pytest_terminal_summary(self, exitstatus):
        if exitstatus > pytest.ExitCode.TESTS_FAILED:
            return  # interrupted, or worse: not all of it was executed
        print(f"\n\nIn all of them: {'; '.join(RUNS)}")
        for name in self.names:
            print(f"{name}:", "; ".join(self.failed[name]) or "same")


def main(arguments):
    paths = [Path(name) for name in arguments]
    paths = paths or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    with TemporaryDirectory() as folder, TemporaryDirectory() as jupyter:
        os.environ["JUPYTER_PATH"] = jupyter
        Path(jupyter, "sitecustomize.py").write_text(OFFLINE)
        for run, (times, devices, threads) in RUNS.items():
            kernel = f"again-{times}-{devices}-{threads}"
            write_kernel(jupyter, kernel, devices, threads)
            for path in paths:
                copy = Path(folder, run, path.stem, path.name)
                chapter = nbformat.read(path, as_version=4)
                write_copy(chapter, copy, kernel, times)
        options = ["--rootdir", folder, "-p", "no:cacheprovider", "-q"]
        options += ["-n", "2", "--dist", "loadfile", "-p", "again"]
        plugin = Summary([path.stem for path in paths])
        return pytest.main(["--nbval", folder, *options], [plugin])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
