"""The chapters on Colab's versions, and on the oldest and newest admitted.

Each set goes into an environment of its own, without the helpers. The setup
cell installs them, as in Colab, but from a copy of this working tree; then
every chapter is executed, and must print what is committed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import nbformat
import pytest
from manuscript import (
    ROOT,
    TAUGHT,
    fail_on,
    failed_cells,
    read,
    repository,
    with_changed_digit,
)
from nbclient import NotebookClient

pytestmark = pytest.mark.versions

# Each set's Python, and what uv installs.
OWN = ["-r", "pyproject.toml"]
SETS = {
    "colab": ("3.13", ["-r", "requirements-colab.txt"]),
    "oldest": ("3.11", ["--resolution", "lowest-direct", *OWN]),
    "newest": ("3.13", ["--resolution", "highest", *OWN]),
}
HELPERS = "jax-classifier-book"
# What IPython, but not Colab, says after every %pip install.
NOTE = "Note: you may need to restart the kernel to use updated packages.\n"


# It may take the Pythons that are here, and fetch none; as pip does, it trusts
# whom the machine trusts.
UV = [sys.executable, "-m", "uv", "--no-python-downloads", "--system-certs"]


def uv(*arguments: str | Path) -> str:
    """Run uv, and return what it prints."""
    result = subprocess.run(
        [*UV, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    if result.returncode:
        said = result.stderr.strip()
        pytest.fail(f"uv {arguments[0]}: {said}", pytrace=False)
    return result.stdout


def has_python(version: str) -> bool:
    """Tell whether this machine has one, and it starts."""
    find = subprocess.run(
        [*UV, "python", "find", version], capture_output=True
    )
    return find.returncode == 0


class Place(NamedTuple):
    """Where one set is tried: its Python, and the copies of this tree."""

    python: Path
    book: Path
    notebooks: Path

    def git(self, *arguments: str) -> None:
        someone = ["-c", "user.name=a reader", "-c", "user.email=a@b.c"]
        subprocess.run(
            ["git", *someone, *arguments],
            cwd=self.book,
            env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull},
            check=True,
        )

    def packages(self) -> set[str]:
        return set(uv("pip", "freeze", "--python", self.python).split("\n"))

    def set_up(self) -> tuple[str, list[str]]:
        """Run the setup cell; return what it prints and what it changes.

        That is, other than the helpers, which must be there in the end.
        """
        before = self.packages()
        cell = read(next(iter(TAUGHT))).code[0]
        notebook = nbformat.v4.new_notebook(cells=[cell.node])
        NotebookClient(
            notebook,
            kernel_name="versions",
            resources={"metadata": {"path": self.notebooks}},
        ).execute()
        changed = sorted(before ^ self.packages())
        outputs = notebook.cells[0].outputs
        said = "".join(o.get("text", str(o)) for o in outputs)
        helpers = [line for line in changed if line.startswith(HELPERS)]
        assert len(helpers) == 1, f"the helpers are not there: {said}"
        return said, [line for line in changed if line not in helpers]


@pytest.fixture(scope="module", params=SETS)
def place(request, tmp_path_factory) -> Iterator[Place]:
    version, packages = SETS[request.param]
    if not has_python(version):
        pytest.skip(
            f"no Python {version} here, for the {request.param} versions"
        )
    folder = tmp_path_factory.mktemp(request.param)
    with TemporaryDirectory(dir=ROOT / ".venv") as environment:
        python = Path(environment) / "bin" / "python"
        place = Place(python, folder / "book", folder / "notebooks")

        uv("venv", "--clear", "--python", version, environment)
        install = ["pip", "install", "--python", python]
        install += ["--only-binary", ":all:"]
        uv(*install, *packages)
        uv(*install, "ipykernel", "pip")

        made = (".git", ".venv*", "*build", "*_cache", "__pycache__")
        shutil.copytree(ROOT, place.book, ignore=shutil.ignore_patterns(*made))
        shutil.copytree(ROOT / "notebooks", place.notebooks)
        branch = repository()["branch"]
        place.git("init", "--quiet", "--initial-branch", branch)
        place.git("add", "--all")
        place.git("commit", "--quiet", "--message", "The working tree")

        kernel = {
            "argv": [
                *(str(python), "-m", "ipykernel_launcher"),
                *("-f", "{connection_file}"),
            ],
            "display_name": request.param,
            "language": "python",
            "env": {
                # The setup cell's address leads to the copy.
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"url.{place.book.as_uri()}.insteadOf",
                "GIT_CONFIG_VALUE_0": repository()["url"],
                "IPYTHONDIR": str(folder / "ipython"),
                "MPLCONFIGDIR": str(folder / "matplotlib"),
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            },
        }
        spec = folder / "kernels" / "versions" / "kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(json.dumps(kernel))
        # Or the first chapter would say that the list of fonts is made.
        subprocess.run(
            [python, "-c", "import seaborn"],
            env=os.environ | kernel["env"],
            check=True,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_PATH", str(folder))
            yield place


def test_chapters_on_other_versions(place):
    said, changed = place.set_up()
    assert said in ("", NOTE)
    assert changed == [], "the setup cell changes other packages"

    # Each prints what is committed; the one beside them does not.
    notebook, cell = with_changed_digit(read(next(iter(TAUGHT))))
    nbformat.write(notebook, place.notebooks / "changed.ipynb")
    options = ("--nbval-kernel-name=versions", "-n=2", "--dist=loadfile")
    failed = failed_cells(place.notebooks, *options)
    assert failed.pop(("changed.ipynb", cell), None), "nbval saw no change"
    fail_on(
        f"{name}, {cell} (+ is committed, - is printed):{said}"
        for (name, cell), said in failed.items()
    )

    # Helpers that did ask for another version would be noticed.
    project = place.book / "pyproject.toml"
    asked = re.sub(r'"tqdm>=[^"]*"', '"tqdm==4.66.3"', project.read_text())
    project.write_text(asked)
    place.git("commit", "--quiet", "--all", "--message", "Ask for another")
    uv("pip", "uninstall", "--python", place.python, HELPERS)
    assert "tqdm==4.66.3" in place.set_up()[1]
