"""Run a chapter's cells, without IPython, and stop where a key is reused.

    python tests/key_reuse.py notebooks/01_data.ipynb

Cells tagged ``demonstration`` must reuse keys: they show what it does.
"""

import linecache
import os
import re
import sys
import traceback
import types
from pathlib import Path

import jax
import matplotlib
import matplotlib.pyplot as plt
import nbformat


def reuses(code: types.CodeType, names: dict) -> bool:
    """Tell whether code uses a key twice, by running it until it does."""
    try:
        with jax.debug_key_reuse(True):
            exec(code, names)
    except jax.errors.KeyReuseError:
        return True
    return False


def run(path: Path) -> None:
    """Execute the code cells in order; exit with 1 at the first error."""
    chapter = nbformat.read(path, as_version=4)
    os.chdir(path.parent)
    module = types.ModuleType("__main__")
    module.display = lambda *_: None
    sys.modules["__main__"] = module
    for number, cell in enumerate(chapter.cells, start=1):
        if cell.cell_type != "code":
            continue
        tags = cell.metadata.get("tags", [])
        where = f"<{path.name}, cell {number}>"
        source = re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.M)
        linecache.cache[where] = (0, None, source.splitlines(True), where)
        code = compile(source, where, "exec")
        shows = "demonstration" in tags
        if shows and not reuses(code, dict(module.__dict__)):
            sys.exit(
                f"{path.name}, cell {number} is tagged demonstration, and "
                "uses no key twice: take the tag off."
            )
        try:
            with jax.debug_key_reuse(not shows):
                exec(code, module.__dict__)
        except jax.errors.KeyReuseError as error:
            frames = traceback.extract_tb(error.__traceback__)
            line = [f.line for f in frames if f.filename == where][-1]
            sys.exit(
                f"{path.name}, cell {number} uses a key twice: {line!r}\n"
                "Split the key, one part for each draw; or, where reuse is "
                "the lesson, tag the cell demonstration."
            )
        except Exception:
            if "raises-exception" not in tags:
                raise
        plt.close("all")


if __name__ == "__main__":
    matplotlib.use("Agg")
    plt.show = lambda: None
    run(Path(sys.argv[1]).resolve())
