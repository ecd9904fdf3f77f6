"""What scripts/chapters.py keeps, changes and refuses."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "99_trial.ipynb"


def write(path, *cells):
    """Write code cells, each a source and its tags, as an editor might."""
    nodes = [
        {
            "cell_type": "code",
            "execution_count": 7,
            "id": f"id-{index}",
            "metadata": {"tags": tags, "scrolled": True},
            "outputs": [],
            "source": source,
        }
        for index, (source, *tags) in enumerate(cells)
    ]
    head = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"a": 1}}
    path.write_text(json.dumps(head | {"cells": nodes}))


def execute(path):
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "chapters.py", path],
        capture_output=True,
        text=True,
    )


def test_a_chapter_is_executed_formatted_and_normalized_once(path):
    write(
        path,
        ["import sys\nx=1"],
        ["print( x )\nprint(x, file=sys.stderr)", "nbval-ignore-output"],
        ["raise ValueError('x must be 2')", "raises-exception"],
    )
    result = execute(path)
    assert result.returncode == 0, result.stdout
    assert "[1/1] 99_trial.ipynb" in result.stdout
    chapter = nbformat.read(path, as_version=4)
    first, second, third = chapter.cells
    assert [cell.id for cell in chapter.cells] == [
        "cell-01",
        "cell-02",
        "cell-03",
    ]
    assert [cell.execution_count for cell in chapter.cells] == [1, 2, 3]
    assert first.metadata == {}
    assert first.source == "import sys\n\nx = 1"
    assert [output.text for output in second.outputs] == ["1\n"]
    assert third.outputs[0].evalue == "x must be 2"
    assert sorted(chapter.metadata) == ["kernelspec", "language_info"]
    before = path.read_bytes()
    assert "unchanged" in execute(path).stdout
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        (["y = 1\ny / 0"], "cell 2, line 2:\n  y / 0\nZeroDivisionError"),
        (["print(1)", "raises-exception"], "cell 2 is tagged raises-except"),
        (["import os\nprint(os.getcwd())"], "cell 2 prints a path of this"),
        (["import os\nos._exit(1)"], "cell 2\nKernel died"),
        (["y = ("], "invalid-syntax"),
        (["y = unknown"], "F821"),
    ],
)
def test_a_chapter_that_fails_is_reported_and_left(path, cell, complaint):
    write(path, ["x=1"], cell)
    before = path.read_bytes()
    result = execute(path)
    assert result.returncode == 1
    assert "99_trial.ipynb" in result.stderr
    assert complaint in result.stdout
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
