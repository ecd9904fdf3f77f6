"""Execute chapters in place and bring them into the form that is committed.

    python scripts/chapters.py [notebooks/01_data.ipynb …]

Each chapter is linted, formatted and executed from top to bottom in a fresh
kernel that starts in its folder. Ids, counts and metadata are set so that they
depend on the source alone, and two runs give the same bytes. If a printed
number has moved, the prose that still says the old one is named. A chapter
that fails is reported and left as it was.
"""

import os
import re
import subprocess
import sys
from difflib import SequenceMatcher
from pathlib import Path

# .venv's kernel, even where the reader has one of the same name.
os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")

import claims
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
METADATA = {
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
KEPT = {"mystnb", "tags"}
# How Colab and Jupyter fold a solution.
FOLDED = {
    "cellView": "form",
    "jupyter": {"outputs_hidden": True, "source_hidden": True},
}
# What only this machine has: its folders, the kernel's temporary files.
LOCAL = re.compile(
    rf"{re.escape(str(ROOT))}|{re.escape(sys.prefix)}"
    r"|(?<![\w.:/])/(?:home|Users|root|tmp|private|usr|opt)/\S+"
)


class ChapterError(Exception):
    """What is wrong with a chapter, in a few lines for its author."""


def is_compared(cell):
    return "nbval-ignore-output" not in cell.metadata.get("tags", [])


def tidied(source):
    """Return a chapter's source as ruff leaves it."""
    ruff = [sys.executable, "-m", "ruff"]
    name = "--stdin-filename=notebooks/chapter.ipynb"
    for command in (["check", "--fix"], ["format"]):
        result = subprocess.run(
            [*ruff, *command, name, "-"],
            input=source,
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
        )
        if result.returncode:
            raise ChapterError(result.stderr.strip())
        source = result.stdout
    return source


def execute(chapter, folder):
    """Run all cells in a new kernel that has run nothing before."""
    client = NotebookClient(
        chapter,
        timeout=600,
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
                plain = re.sub(r"\x1b\[[\d;]*m", "", error.traceback)
                here = rf"Cell In\[{cell.execution_count}\], line (\d+)"
                line = int([0, *re.findall(here, plain)][-1])
                raise ChapterError(
                    f"cell {index + 1}, line {line}:\n"
                    f"  {cell.source.splitlines()[line - 1].strip()}\n"
                    f"{error.ename}: {error.evalue[:400]}"
                ) from error
            except (RuntimeError, TimeoutError) as error:
                raise ChapterError(f"cell {index + 1}\n{error}") from error


def normalize(chapter):
    """Set what the source does not decide; refuse what must not be kept."""
    chapter.metadata = nbformat.from_dict(METADATA)
    chapter.nbformat_minor = 5
    for number, cell in enumerate(chapter.cells, start=1):
        cell.id = f"cell-{number:02}"
        for key in set(cell.metadata) - KEPT:
            del cell.metadata[key]
        if "hide-cell" in cell.metadata.get("tags", []):
            cell.metadata.update(nbformat.from_dict(FOLDED))
        if cell.cell_type != "code":
            continue
        if not is_compared(cell):  # a progress bar goes there
            cell.outputs = [
                o for o in cell.outputs if o.get("name") != "stderr"
            ]
        raised = any(o.output_type == "error" for o in cell.outputs)
        if "raises-exception" in cell.metadata.get("tags", []) and not raised:
            raise ChapterError(
                f"cell {number} is tagged raises-exception but raises none"
            )
        if found := LOCAL.search("\n".join(map(text_of, cell.outputs))):
            raise ChapterError(
                f"cell {number} prints a path of this machine: {found[0]}"
            )


def text_of(output):
    parts = [output.get("text", ""), *output.get("traceback", [])]
    return "\n".join([*parts, *map(str, output.get("data", {}).values())])


def but_times(text):
    """Return a chapter without the outputs that are not compared."""
    chapter = nbformat.reads(text, as_version=4)
    for cell in chapter.cells:
        if cell.cell_type == "code" and not is_compared(cell):
            cell.outputs = []
    return nbformat.writes(chapter)


def committed(path, cells):
    """Return each cell as it is committed; a new cell, as it is."""
    name = f"HEAD:./{path.name}"
    shown = subprocess.run(
        ["git", "show", name],
        cwd=path.parent,
        capture_output=True,
        encoding="utf-8",
    )
    if shown.returncode:
        return cells
    old = nbformat.reads(shown.stdout, as_version=4).cells
    sources = ([cell.source for cell in some] for some in (old, cells))
    found = dict(enumerate(cells))
    for _, i, i_end, k, k_end in SequenceMatcher(
        None, *sources, autojunk=False
    ).get_opcodes():
        found |= zip(range(k, k_end), old[i:i_end], strict=False)
    return [*found.values()]


def renew(path):
    """Execute one chapter's file; return whether and what has changed."""
    old = path.read_text(encoding="utf-8")
    chapter = nbformat.reads(tidied(old), as_version=4)
    execute(chapter, path.parent)
    normalize(chapter)
    new = nbformat.writes(chapter) + "\n"
    verdict = "unchanged"
    # Times differ in every run, so they alone are not a change.
    if but_times(new) != but_times(old):
        verdict = "changed"
        # Write the file whole or not at all.
        draft = path.with_name(f".{path.name}.tmp")
        draft.write_text(new, encoding="utf-8")
        draft.replace(path)
    before = committed(path, nbformat.reads(old, as_version=4).cells)
    return [verdict, *claims.moved(before, chapter.cells)]


def main(names):
    paths = [Path(name).resolve() for name in names]
    paths = paths or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    failed = False
    for number, path in enumerate(paths, start=1):
        print(f"[{number}/{len(paths)}] {path.name}", end=" ", flush=True)
        try:
            print(*renew(path), sep="\n")
        except ChapterError as error:
            failed = True
            print(f"FAILED, left as it was\n{error}\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
