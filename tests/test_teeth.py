"""What scripts/teeth.py tries, and that it names what is missed."""

import re
import subprocess
import sys

import nbformat
import pytest
from manuscript import ROOT
from nbformat.v4 import new_code_cell, new_notebook, new_output
from teeth import bite

OUTPUTS = [
    new_output("stream", text="10 points\n86 % right\n"),
    new_output("display_data", {"text/plain": "<Figure with 1 Axes>"}),
    new_output("display_data", {"text/plain": "0.25"}),
]


def missed_by(seen):
    """Return what is not caught where only ``seen(outputs)`` is compared."""
    return bite(OUTPUTS, lambda outputs: seen(outputs) == seen(OUTPUTS))[1]


def test_an_exact_comparer_misses_nothing():
    counts, missed = bite(OUTPUTS, lambda outputs: outputs == OUTPUTS)
    # 10, 86, 1, 0.25; 4 lines, 3 outputs out, 3 in twice, 1 in, 2 swaps.
    assert counts == [4, 4, 13, 13]
    assert missed == []


@pytest.mark.parametrize(
    ("seen", "missed"),
    [
        (
            lambda outputs: re.sub(r"\.\d+", "", str(outputs)),
            ["0.25 in line 1 of its text/plain"],
        ),
        (
            lambda outputs: str(outputs).replace("10 points\\n", ""),
            ["line 1 of its text taken out"],
        ),
        (
            lambda outputs: str(outputs[:3]),
            [
                "output 3 put in twice",
                "output 1 put in twice",
                "output 2 put in twice",
                "an output put in",
            ],
        ),
        (
            # As nbval does; by the order of kinds, one swap is caught.
            lambda outputs: sorted(map(str, outputs)),
            ["outputs 2 and 3 swapped"],
        ),
    ],
    ids=["a decimal", "a line", "an addition", "the order"],
)
def test_what_is_ignored_is_named(seen, missed):
    assert sorted(missed_by(seen)) == sorted(missed)


def cell(source, printed, *tags):
    cell = new_code_cell(source, execution_count=1, metadata={"tags": tags})
    cell.outputs = [new_output("stream", text=printed)]
    return cell


def test_what_nbval_is_told_to_ignore_is_named(tmp_path):
    cells = [
        cell("print('1.5 and 2')", "1.5 and 2\n"),
        cell("# NBVAL_IGNORE_OUTPUT\nprint()", "3\n"),
        cell("print()", "4 s\n", "nbval-ignore-output"),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "trial.ipynb")
    (tmp_path / "decimals").write_text("regex: \\.\\d\nreplace: \n")
    command = [sys.executable, ROOT / "scripts" / "teeth.py", "--nbval"]
    command += [tmp_path, "--nbval-sanitize-with", tmp_path / "decimals"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert re.findall(r"NOT CAUGHT: .*", run.stdout) == [
        f"NOT CAUGHT: trial.ipynb, cell {missed}"
        for missed in [
            "1: 1.5 in line 1 of its text",
            "2: 3 in line 1 of its text",
            "2: line 1 of its text taken out",
            "2: output 1 taken out",
            "2: output 1 put in twice",
            "2: an output put in",
        ]
    ]
    assert re.search(r"^trial +3 +1 +8 +4 +1 +0$", run.stdout, re.M)
    assert run.returncode == 1
