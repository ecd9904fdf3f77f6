"""Execute chapters in place and bring them into the form that is committed.

    python scripts/chapters.py [notebooks/01_data.ipynb …]

Each is linted, formatted and executed top to bottom in a fresh kernel that
starts in its folder; ids, counts and metadata are set to what depends on the
source alone. Two runs give the same bytes. A chapter that fails is reported
and left as it was.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

# .venv's kernel, even where the reader has one of the same name.
os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import (
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)

ROOT = Path(__file__).resolve().parent.parent
METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
KEPT = ("mystnb", "tags")
SECONDS_PER_CELL = 600
# What only this machine has: its folders, the kernel's temporary files.
LOCAL = re.compile(
    rf"{re.escape(str(ROOT))}|{re.escape(sys.prefix)}"
    r"|(?<![\w.:/])/(?:home|Users|root|tmp|private|usr|opt)/\S+"
)


class ChapterError(Exception):
    """What is wrong with a chapter, in a few lines for its author."""


def place(chapter, cell):
    """Return where a cell is: counted from 1, as the checks count it."""
    return f"cell {1 + chapter.cells.index(cell)}"


def tags(cell):
    return cell.metadata.get("tags", [])


def ruff(source, name, *arguments):
    """Return the notebook's source as ruff leaves it."""
    command = [sys.executable, "-m", "ruff", *arguments]
    result = subprocess.run(
        [*command, "--stdin-filename", f"notebooks/{name}", "-"],
        input=source,
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    if result.returncode:
        raise ChapterError(result.stderr.strip())
    return result.stdout


def execute(chapter, folder):
    """Run a chapter's cells in a new kernel, their outputs kept in it."""
    client = NotebookClient(
        chapter,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel():
        for index, cell in enumerate(chapter.cells):
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                text = f"{error.ename}: {error.evalue[:400]}"
                where = place(chapter, cell) + line_of(cell, error.traceback)
                raise ChapterError(f"{where}\n{text}") from error
            except (CellTimeoutError, DeadKernelError) as error:
                text = str(error).splitlines()[0]
                where = place(chapter, cell)
                raise ChapterError(f"{where}\n{text}") from error


def line_of(cell, traceback):
    """Return which line of a cell raised its error, where it is known."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", traceback)
    count = cell.execution_count
    found = re.findall(rf"Cell In\[{count}\], line (\d+)", plain)
    if not found:
        return ""
    source = cell.source.splitlines()[int(found[-1]) - 1]
    return f", line {found[-1]}:\n  {source.strip()}"


def normalize(chapter):
    """Set what the source does not decide; refuse what may not be kept."""
    chapter.metadata = nbformat.from_dict(METADATA)
    chapter.nbformat, chapter.nbformat_minor = 4, 5
    for number, cell in enumerate(chapter.cells, start=1):
        cell.id = f"cell-{number:02}"
        cell.pop("attachments", None)
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in KEPT if cell.metadata.get(key)}
        )
        if cell.cell_type != "code":
            continue
        if "nbval-ignore-output" in tags(cell):
            cell.outputs = [
                output
                for output in cell.outputs
                if output.get("name") != "stderr"
            ]
        for output in cell.outputs:
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
        raised = any(o.output_type == "error" for o in cell.outputs)
        if "raises-exception" in tags(cell) and not raised:
            raise ChapterError(
                f"{place(chapter, cell)} is tagged raises-exception, and "
                "raises none"
            )
        found = LOCAL.search(texts(cell.outputs))
        if found:
            raise ChapterError(
                f"{place(chapter, cell)} prints a path of this machine: "
                f"{found[0]}"
            )


def texts(outputs):
    """Return all text of outputs, pictures left out."""
    parts = []
    for output in outputs:
        parts += output.get("text", ""), *output.get("traceback", ())
        parts += (
            str(value)
            for kind, value in output.get("data", {}).items()
            if not kind.startswith("image/")
        )
    return "\n".join(parts)


def but_times(text):
    """Return a chapter without the outputs that are not compared."""
    chapter = nbformat.reads(text, as_version=4)
    for cell in chapter.cells:
        if cell.cell_type == "code" and "nbval-ignore-output" in tags(cell):
            cell.outputs = []
    return nbformat.writes(chapter), text[-1:]


def executed(source, folder):
    """Return a chapter's source, executed in ``folder`` and normalized."""
    chapter = nbformat.reads(source, as_version=4)
    for cell in chapter.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    execute(chapter, folder)
    normalize(chapter)
    nbformat.validate(chapter)
    return chapter


def renew(path):
    """Execute one chapter's file; return whether it has changed."""
    old = path.read_text(encoding="utf-8")
    source = ruff(old, path.name, "check", "--fix")
    source = ruff(source, path.name, "format")
    chapter = executed(source, path.parent)
    new = nbformat.writes(chapter).rstrip("\n") + "\n"
    # Times differ in each run: alone they are no change.
    if but_times(new) == but_times(old):
        return False
    # Whole or not at all.
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(new, encoding="utf-8")
    draft.replace(path)
    return True


def main(arguments):
    paths = [Path(name).resolve() for name in arguments]
    paths = paths or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    failed = []
    for number, path in enumerate(paths, start=1):
        print(f"[{number}/{len(paths)}] {path.name}", end=" ", flush=True)
        start = time.perf_counter()
        try:
            result = "changed" if renew(path) else "unchanged"
        except (ChapterError, OSError, nbformat.ValidationError) as error:
            failed.append(path.name)
            result = f"FAILED, left as it was\n{error}\n"
        print(f"{time.perf_counter() - start:.0f} s, {result}")
    return f"Not renewed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
