"""Setting up, and the address that is stamped into every file."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from manuscript import fail_on

Problems = Iterator[str]

ROOT = Path(__file__).resolve().parents[1]
SETUP = ROOT / "scripts" / "setup.py"


def load(path):
    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stamping = load(ROOT / "scripts" / "stamp.py")

# --- .venv ----------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """A project of one package, in a folder whose name has a space."""
    folder = tmp_path / "my book"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(SETUP, folder / "scripts")
    (folder / "requirements.txt").write_text("absl-py==2.5.1\n")
    (folder / "pyproject.toml").write_text("")
    return folder


def run_setup(project, before="", **environment):
    """Run setup.py as make does, in a Python altered by ``before``."""
    code = f"import runpy, sys\n{before}\n"
    code += "runpy.run_path('scripts/setup.py', run_name='__main__')"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    kept |= {"PIP_CONFIG_FILE": os.devnull, "no_proxy": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=kept | environment,
        capture_output=True,
        text=True,
    )


def complaint(result):
    """Return the one line that a set-up ended with."""
    assert result.returncode == 1, result.stdout
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def stand_in(project):
    """Load setup.py to run in ``project`` with commands that do nothing."""
    script = load(project / "scripts" / "setup.py")
    commands = []

    def run(command, *rest, **options):
        commands.append(command)
        if "venv" in command:
            shutil.rmtree(project / ".venv", ignore_errors=True)
            python = project / ".venv" / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)

    script.run = run
    return script, commands


def test_old_pythons_can_read_the_script():
    ast.parse(SETUP.read_text("utf-8"), feature_version=(3, 6))


def test_an_old_python_is_told_what_to_do(project):
    old = "sys.version_info = (3, 9, 18, 'final', 0)"
    said = complaint(run_setup(project, old))
    assert f"{sys.executable} is Python 3.9.18" in said
    assert "needs 3.11" in said
    assert "PYTHON=" in said


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_missing_module_is_named(project, module):
    result = run_setup(project, f"sys.modules[{module!r}] = None")
    said = complaint(result)
    assert f"its module {module}." in said
    assert "apt install python3-venv" in said


def test_no_network_is_one_line_and_leaves_no_stamp(project):
    said = complaint(run_setup(project, PIP_INDEX_URL="http://127.0.0.1:9"))
    assert "index cannot be reached" in said
    assert "Connection refused" in said
    assert not (project / ".venv" / "complete").exists()


def test_a_full_folder_for_downloads_is_named(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/small")
    line = "ERROR: OSError: [Errno 28] No space left on device\n"
    said = load(SETUP).reason([line])
    assert said.startswith("/small is full")
    assert "TMPDIR=" in said


def test_a_place_that_cannot_be_written_is_one_line(project):
    (project / ".venv").touch()
    assert ".venv" in complaint(run_setup(project))


def test_a_complete_environment_is_kept(project, monkeypatch, capsys):
    setup, commands = stand_in(project)
    monkeypatch.chdir(project)
    setup.main()
    assert commands
    commands.clear()
    setup.main()
    assert commands == []
    assert capsys.readouterr().out.endswith("environment: .venv is ready\n")


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_a_changed_file_makes_the_environment_anew(project, monkeypatch, name):
    setup, commands = stand_in(project)
    monkeypatch.chdir(project)
    setup.main()
    commands.clear()
    (project / name).write_text("# changed\n")
    setup.main()
    assert commands


def test_a_moved_environment_is_made_anew(project, monkeypatch):
    setup, _ = stand_in(project)
    monkeypatch.chdir(project)
    setup.main()
    moved = project.rename(project.with_name("moved"))
    setup, commands = stand_in(moved)
    setup.main()
    assert commands


def test_an_environment_whose_python_is_gone_is_made_anew(
    project, monkeypatch
):
    setup, commands = stand_in(project)
    monkeypatch.chdir(project)
    setup.main()
    commands.clear()
    python = project / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(project / "removed")
    setup.main()
    assert commands


@pytest.mark.parametrize("step", range(4))
def test_what_was_interrupted_is_made_anew(project, monkeypatch, step):
    setup, commands = stand_in(project)
    monkeypatch.chdir(project)
    setup.main()
    (project / "requirements.txt").write_text("# changed\n")
    commands.clear()
    run = setup.run

    def interrupted(command, *rest, **options):
        if len(commands) == step:
            raise KeyboardInterrupt
        run(command, *rest, **options)

    setup.run = interrupted
    with pytest.raises(KeyboardInterrupt):
        setup.main()
    assert not (project / ".venv" / "complete").exists()
    setup.run = run
    commands.clear()
    setup.main()
    assert commands[0][1:] == ["-m", "venv", "--clear", ".venv"]
    assert (project / ".venv" / "complete").exists()


@pytest.fixture
def plan(tmp_path):
    """Return what make would do, in a folder with no more than a Makefile."""
    shutil.copy(ROOT / "Makefile", tmp_path)

    def plan(command):
        return subprocess.run(
            ["make", "-n", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return plan


@pytest.mark.parametrize("command", ["pdf", "serve"])
def test_half_a_book_is_built_anew(plan, tmp_path, command):
    page = tmp_path / "_build" / "html" / "index.html"
    page.parent.mkdir(parents=True)
    page.touch()
    assert "jupyter-book build" in plan(command)
    (tmp_path / "_build" / "complete").touch()
    assert "jupyter-book build" not in plan(command)


@pytest.mark.parametrize("command", ["book", "clean"])
def test_what_is_removed_loses_its_stamp_first(plan, command):
    said = plan(command)
    assert said.index("_build/complete") < said.index("rm -rf")
    assert command == "book" or "rm -f .venv/complete" in said


# --- The repository's address ---------------------------------------------

URL = stamping.stamped(ROOT)
OWNER, NAME = stamping.parse(URL)
PAGES = f"https://{OWNER}.github.io/{NAME}/"


@pytest.fixture
def copy(tmp_path):
    """This repository in another folder, without what make has made."""
    folder = tmp_path / "copy"
    made = (".git", ".venv*", "*build", "*_cache", "*.egg-info")
    # Another test may be writing the last one.
    made += ("__pycache__", ".hypothesis")
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*made))
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


COPIES = {
    "_config.yml": [f"url: &repository {URL}\n", f"baseurl: {PAGES}\n"],
    "pyproject.toml": [f'"{URL}"', f'"{PAGES}"'],
    "CITATION.cff": [f"repository-code: {URL}\n", f"url: {PAGES}\n"],
    "README.md": [
        f"({URL}/actions/workflows/ci.yml)",
        f"({URL}/actions/workflows/ci.yml/badge.svg)",
        f"({URL}/actions/workflows/newest.yml)",
        f"({URL}/actions/workflows/newest.yml/badge.svg)",
        f"<{PAGES}>",
        f"(https://colab.research.google.com/github/{OWNER}/{NAME}/"
        "blob/main/notebooks/01_data.ipynb)",
    ],
}


def every_file_gives_the_same_address(root: Path) -> Problems:
    owners = re.compile(
        r"(?:github\.com/|/github/|https://)([\w.-]+?)(?:/|\.github\.io/)"
        rf"{re.escape(NAME)}(?![\w-])"
    )
    paths = {root / name for name in COPIES}
    for pattern in ("*.md", "book/*.md", "notebooks/*.ipynb"):
        paths.update(root.glob(pattern))
    for path in sorted(paths):
        name = path.relative_to(root).as_posix()
        text = path.read_text("utf-8")
        for address in COPIES.get(name, ()):
            if address not in text:
                yield f"{name}: lacks {address!r}; run make repository URL=…"
        for owner in set(owners.findall(text)) - {OWNER}:
            yield (
                f"{name}: names the account {owner}, and _config.yml {OWNER}; "
                "run make repository URL=…"
            )


RULES = [every_file_gives_the_same_address]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_addresses_keep_the_rule(rule):
    fail_on(rule(ROOT))


def test_nobody_can_register_the_placeholder():
    if OWNER != stamping.PLACEHOLDER:
        pytest.skip("the book has an owner")
    assert not re.fullmatch(stamping.ACCOUNT, OWNER)


def test_stamping_leaves_no_old_address_and_is_undone_by_stamping(copy):
    # In pieces, or stamping back would change this file.
    owner, name = "some-one", "their.book"
    other = f"https://github.com/{owner}/{name}"
    before = contents(copy)
    changed = stamping.stamp(copy, other)
    after = contents(copy)
    assert {path for path in after if after[path] != before[path]} == set(
        changed
    )
    for path in after:
        assert f"{OWNER}/{NAME}".encode() not in after[path], path
        assert f"{OWNER}.github.io/{NAME}".encode() not in after[path], path
    config = after[Path("_config.yml")].decode()
    assert f"https://{owner}.github.io/{name}/" in config
    assert stamping.stamp(copy, other) == []
    stamping.stamp(copy, URL)
    assert contents(copy) == before


def test_stamping_keeps_other_addresses(tmp_path):
    (tmp_path / "_config.yml").write_text(f"repository:\n  url: {URL}\n")
    kept = f"{URL}-2 x{OWNER}/{NAME} {OWNER}.github.io/other"
    (tmp_path / "page.md").write_text(f"{kept} {URL}.git {URL}.")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    stamping.stamp(tmp_path, "https://github.com/a/b")
    new = "https://github.com/a/b"
    assert (tmp_path / "page.md").read_text() == f"{kept} {new}.git {new}."


def test_a_cut_off_stamp_is_finished_by_the_next(copy):
    before = contents(copy)
    stamping.stamp(copy, "https://github.com/a/b")
    whole = contents(copy)
    for name in ("_config.yml", "README.md"):
        (copy / name).write_bytes(before[Path(name)])
    stamping.stamp(copy, "https://github.com/a/b")
    assert contents(copy) == whole


@pytest.mark.parametrize(
    "url",
    [
        "",
        "github.com/a/b",
        "http://github.com/a/b",
        "https://gitlab.com/a/b",
        "https://github.com/a",
        "https://github.com/a/b/",
        "https://github.com/a/b/c",
        "https://github.com/a/b.git",
        "https://github.com/a/..",
        "https://github.com/-a/b",
        "https://github.com/a-/b",
        "https://github.com/a--b/b",
        "https://github.com/" + "a" * 40 + "/b",
        "https://github.com/a/b c",
        "https://github.com/a/b\n",
        "https://github.com/a/a.github.io",
    ],
)
def test_other_addresses_are_refused(url):
    with pytest.raises(ValueError, match="URL must ") as refusal:
        stamping.parse(url)
    assert repr(url) in str(refusal.value)


def test_nothing_is_written_when_an_address_is_refused(copy):
    before = contents(copy)
    result = subprocess.run(
        [sys.executable, "scripts/stamp.py", "https://github.com/a"],
        cwd=copy,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Not stamped: URL must ")
    assert contents(copy) == before


def test_publishing_is_refused_from_another_repository():
    def check(url):
        return stamping.main(["--check", url])

    assert check(URL) == 0
    assert "make repository URL=https://github.com/a/b" in check(
        "https://github.com/a/b"
    )
