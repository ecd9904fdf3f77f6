"""Chapters and helpers on the lock's Pythons, and on other versions.

Each set goes into an environment of its own, without the helpers. The setup
cell installs them, as in Colab, but from a copy of this working tree; then
every chapter is executed, and must print what is committed. The helpers' unit
tests follow.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matrix
import nbformat
import pytest
from manuscript import (
    ROOT,
    TAUGHT,
    fail_on,
    locked,
    read,
    repository,
    run_nbval,
    run_pytest,
    with_changed_digit,
)
from matrix import PACKAGES, SETS
from nbclient import NotebookClient

HELPERS = "jax-classifier-book"
# What runs their tests, and what tests/manuscript.py imports.
TOOLS = ["pytest", "pytest-xdist", "hypothesis"]
TOOLS += ["nbformat", "pyyaml", "markdown-it-py", "mdit-py-plugins"]
# The others look at this repository, which is the same on all versions, and
# need the whole lock.
TESTS = [*(path.stem for path in ROOT.glob("helpers/*.py")), "every_input"]
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
    environment: dict[str, str]

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

    def versions(self) -> dict[str, str]:
        found = dict(p.split("==") for p in self.packages() if "==" in p)
        return {name: found[name] for name in PACKAGES}

    def install(self, *packages: str | Path) -> None:
        wheels = ["--only-binary", ":all:"]
        uv("pip", "install", "--python", self.python, *wheels, *packages)

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
        tell = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        tell(f"no Python {version} here")
    folder = tmp_path_factory.mktemp(request.param)
    # Of one name, so that the next run removes what a killed one leaves.
    environment = ROOT / ".venv" / "versions"
    request.addfinalizer(
        partial(shutil.rmtree, environment, ignore_errors=True)
    )
    own = {
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
    }
    place = Place(
        python=environment / "bin" / "python",
        book=folder / "book",
        notebooks=folder / "notebooks",
        environment=os.environ | own,
    )
    uv("venv", "--clear", "--python", version, environment)
    place.install(*packages)
    place.install("ipykernel", "pip")

    made = (".git", ".venv*", "*build", "*_cache", "__pycache__")
    shutil.copytree(ROOT, place.book, ignore=shutil.ignore_patterns(*made))
    shutil.copytree(ROOT / "notebooks", place.notebooks)
    branch = repository()["branch"]
    place.git("init", "--quiet", "--initial-branch", branch)
    place.git("add", "--all")
    place.git("commit", "--quiet", "--message", "The working tree")

    kernel = {
        "argv": [
            *(str(place.python), "-m", "ipykernel_launcher"),
            *("-f", "{connection_file}"),
        ],
        "display_name": request.param,
        "language": "python",
        "env": own
        | {
            # The setup cell's address leads to the copy.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{place.book.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": repository()["url"],
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        },
    }
    spec = folder / "kernels" / "versions" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps(kernel))
    # Or the first chapter would say that the list of fonts is made.
    subprocess.run(
        [place.python, "-c", "import seaborn"],
        env=place.environment,
        check=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        yield place


@pytest.fixture
def note(place, record_property):
    """Return a function that fails on what is red, counted for the table."""
    record_property("versions", place.versions())

    def fail_on_red(found):
        red = {name: said for name, said in found.items() if said}
        record_property("failed of", (len(red), len(found)))
        fail_on(f"{', '.join(name)}:{said}" for name, said in red.items())

    return fail_on_red


@pytest.mark.versions
def test_chapters(place, note):
    said, changed = place.set_up()
    assert said in ("", NOTE), "the setup cell says more; mend its cause"
    assert changed == [], "the setup cell changes other packages"

    # Each prints what is committed (+ is that, - is printed); the one beside
    # them does not.
    notebook, cell = with_changed_digit(read(next(iter(TAUGHT))))
    nbformat.write(notebook, place.notebooks / "changed.ipynb")
    options = ("--nbval-kernel-name=versions", "-n=2", "--dist=loadfile")
    found = run_nbval(place.notebooks, *options)
    assert found["changed.ipynb", cell], "nbval saw no change"
    note({name: found[name] for name in found if "changed" not in name[0]})


@pytest.mark.versions
def test_helpers(place, note):
    before = place.packages()
    kept = place.book.with_name("kept.txt")
    kept.write_text("\n".join(p for p in before if "==" in p))
    place.install(*TOOLS, "--constraint", kept)
    assert before <= place.packages(), "the tools of tests change the set"
    names = (f"tests/test_{name}.py" for name in TESTS)
    files = [name for name in names if (place.book / name).is_file()]
    command = [place.python, "-m", "pytest", *files, "--noconftest"]
    command += ["-n=2", "--dist=loadfile"]
    # An old package may use what a newer one deprecates.
    command += ["-W", "default::DeprecationWarning"]
    folder = place.book.parent
    found = run_pytest(command, folder, cwd=place.book, env=place.environment)
    note(found)


@pytest.mark.versions
def test_another_version_would_be_noticed(place):
    project = place.book / "pyproject.toml"
    asked = re.sub(r'"tqdm>=[^"]*"', '"tqdm==4.66.3"', project.read_text())
    project.write_text(asked)
    place.git("commit", "--quiet", "--all", "--message", "Ask for another")
    if any(p.startswith(HELPERS) for p in place.packages()):
        uv("pip", "uninstall", "--python", place.python, HELPERS)
    assert "tqdm==4.66.3" in place.set_up()[1]


# --- The table that make matrix writes ------------------------------------


def floor(package: str) -> str:
    """Return the oldest version that pyproject.toml admits."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return re.search(rf'"{package}>=([\d.]+)', text)[1]


def test_the_table_says_that_all_passed_of_the_versions_that_are_named():
    rows = matrix.read(matrix.PAGE)
    renew = "the table in CONTRIBUTING.md is red or stale: run make matrix"
    assert list(rows) == list(SETS), renew
    for name, (python, _) in SETS.items():
        row = rows[name]
        assert row["Python"] == python, f"{name}: {renew}"
        for tried in matrix.TRIED:
            assert re.fullmatch(r"\d+ passed", row[tried]), f"{name}: {renew}"
    for package in PACKAGES:
        wanted = {"colab": locked(package, "requirements-colab.txt")}
        # In the workflow newest, pip chooses: there is no lock.
        wanted |= dict.fromkeys(
            ("lock-3.11", "lock-3.12", "lock-3.13"), locked(package)
        )
        for name, version in wanted.items():
            assert version in (None, rows[name][package]), f"{name}: {renew}"
        oldest = rows["oldest"][package]
        assert f"{oldest}.".startswith(f"{floor(package)}."), renew


def report(nodeid, when, outcome, longrepr=None, **properties):
    return pytest.TestReport(
        f"tests/test_versions.py::test_{nodeid}",
        ("tests/test_versions.py", 1, ""),
        {},
        outcome,
        longrepr,
        when,
        user_properties=list(properties.items()),
    )


VERSIONS = {"jax": "0.7.2", "flax": "0.11.2", "numpy": "2.0.0"}


def test_the_table_says_what_passed_and_what_failed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n{matrix.BEGIN}{matrix.END}After.\n")
    table = matrix.Table(page)
    red = {"versions": VERSIONS, "failed of": (2, 30)}
    green = {"versions": VERSIONS, "failed of": (0, 30)}
    no_python = ("file", 1, "Skipped: no Python 3.12 here")
    for told in [
        report("chapters[oldest]", "setup", "passed"),
        report("chapters[oldest]", "call", "failed", **red),
        report("helpers[oldest]", "call", "failed", versions=VERSIONS),
        report("another_version[oldest]", "call", "failed"),
        report("chapters[lock-3.12]", "call", "passed", **green),
        report("chapters[lock-3.12]", "setup", "skipped", no_python),
        report("chapters[colab]", "setup", "failed"),
    ]:
        table.pytest_runtest_logreport(told)
    # A later run keeps other rows, and what was tried of these versions.
    passed = report("helpers[colab]", "call", "passed", **green)
    matrix.Table(page).pytest_runtest_logreport(passed)
    passed = report("chapters[lock-3.13]", "call", "passed", **green)
    matrix.Table(page).pytest_runtest_logreport(passed)
    passed = report("helpers[lock-3.13]", "call", "passed", **green)
    matrix.Table(page).pytest_runtest_logreport(passed)
    assert page.read_text().splitlines() == [
        "Before.",
        matrix.BEGIN.strip(),
        "| set | Python | jax | flax | numpy | chapters | helpers |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| `lock-3.12` | 3.12 | 0.7.2 | 0.11.2 | 2.0.0 | 30 passed | – |",
        "| `lock-3.13` | 3.13 | 0.7.2 | 0.11.2 | 2.0.0 | 30 passed "
        "| 30 passed |",
        "| `oldest` | 3.11 | 0.7.2 | 0.11.2 | 2.0.0 | failed: 2 of 30 "
        "| failed |",
        "| `colab` | 3.13 | 0.7.2 | 0.11.2 | 2.0.0 | – | 30 passed |",
        matrix.END.strip(),
        "After.",
    ]


def test_a_page_without_a_place_for_the_table_is_named(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Nothing.\n")
    with pytest.raises(SystemExit, match=r"page\.md must have the lines"):
        matrix.read(page)
