"""The chapters on Colab's versions, and on the oldest and newest admitted.

Each set goes into an environment of its own, without the helpers. The setup
cell installs them, as in Colab, but from a copy of this working tree; then
every chapter is executed, and must print what is committed.
"""

import json
import os
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


def uv(*arguments: str | Path) -> str:
    """Run uv, which may take Pythons of this machine only."""
    result = subprocess.run(
        [sys.executable, "-m", "uv", "--no-config", *arguments],
        cwd=ROOT,
        env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
    )
    if result.returncode:
        said = result.stderr.strip()
        pytest.fail(f"uv {arguments[0]}: {said}", pytrace=False)
    return result.stdout


def has_python(version: str) -> bool:
    """Tell whether this machine has a Python that starts."""
    command = [sys.executable, "-m", "uv", "python", "find", version]
    return not subprocess.run(
        [*command, "--no-python-downloads"], capture_output=True
    ).returncode


class Place(NamedTuple):
    """Where one set is tried: its Python, and the copies of this tree."""

    python: Path
    book: Path
    notebooks: Path

    def git(self, *arguments: str) -> None:
        someone = ["-c", "user.name=a reader", "-c", "user.email=a@b.c"]
        command = ["git", *someone, *arguments]
        subprocess.run(command, cwd=self.book, check=True)

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
        pytest.skip(f"no Python {version}, for the {request.param} versions")
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
        place.git("init", "--quiet")
        place.git("add", "--all")
        place.git("commit", "--quiet", "--message", "The working tree")

        kernel = {
            "argv": [str(python), "-m", "ipykernel_launcher", "-f"],
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
        kernel["argv"].append("{connection_file}")
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


def test_the_setup_cell_installs_the_helpers_and_nothing_else(place):
    said, changed = place.set_up()
    assert said in ("", NOTE)
    assert changed == []


def test_the_chapters_print_what_is_committed(place):
    # Beside them one that does not.
    changed, cell = with_changed_digit(read(next(iter(TAUGHT))))
    nbformat.write(changed, place.notebooks / "changed.ipynb")
    failed = failed_cells(
        place.notebooks,
        "--nbval-kernel-name=versions",
        "-n=2",
        "--dist=loadfile",
    )
    assert failed.pop(("changed.ipynb", cell), None), "nbval saw no change"
    fail_on(f"{name}, {cell}: {said}" for (name, cell), said in failed.items())


def test_a_version_that_the_helpers_would_change_is_seen(place):
    project = place.book / "pyproject.toml"
    text = project.read_text("utf-8")
    changed = text.replace('"tqdm>=4.66"', '"tqdm==4.66.3"')
    assert changed != text
    project.write_text(changed, "utf-8")
    place.git("commit", "--quiet", "--all", "--message", "Ask for another")
    uv("pip", "uninstall", "--python", place.python, HELPERS)
    assert "tqdm==4.66.3" in place.set_up()[1]
