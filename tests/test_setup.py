"""Making .venv, and the address that is stamped into every file."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import setup
import stamp

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path):
    """A project of one package, in a folder whose name has a space."""
    folder = tmp_path / "my book"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup.py", folder / "scripts")
    for name in ("pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def complaint(project, before="", **environment):
    """Return the one line that a set-up ends with, and that it is not done.

    It runs in a Python that ``before`` has altered.
    """
    code = f"import runpy, sys\n{before}\n"
    code += "runpy.run_path('scripts/setup.py', run_name='__main__')"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert not (project / ".venv" / "complete").exists()
    [line] = result.stderr.splitlines()
    return line


def test_old_pythons_can_read_the_script():
    source = Path(setup.__file__).read_text("utf-8")
    ast.parse(source, feature_version=(3, 6))


def test_an_old_python_is_told_what_to_do(project):
    said = complaint(project, "sys.version_info = (3, 9, 18, 'final', 0)")
    assert f"{sys.executable} is Python 3.9.18" in said
    assert "needs 3.11 or newer" in said


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_missing_module_is_named(project, module):
    said = complaint(project, f"sys.modules[{module!r}] = None")
    assert f"without its module {module}." in said


def test_no_network_is_said_in_a_line(project):
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_FIND_LINKS": ""}
    said = complaint(project, no_proxy="127.0.0.1", **nowhere)
    assert "index cannot be reached" in said
    assert "Connection refused" in said


def test_a_complete_environment_is_kept_until_the_lock_changes(
    project, monkeypatch
):
    commands = []

    def run(*command):
        commands.append(command)
        setup.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        setup.PYTHON.touch()

    monkeypatch.setattr(setup, "run", run)
    monkeypatch.chdir(project)
    setup.main()
    assert commands[0][1:] == ("-m", "venv", "--clear", setup.ENV)
    from_lock = [command for command in commands if "-r" in command]
    assert len(from_lock) == 2
    assert all("--require-hashes" in command for command in from_lock)
    commands.clear()
    setup.main()
    assert not commands
    (project / "requirements.txt").write_text("uv==0.13.8\n")
    setup.main()
    assert commands


# --- The repository's address ---------------------------------------------


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The tracked files, in a repository of their own."""
    clone = ["git", "clone", "--quiet", "--shared", str(ROOT), str(tmp_path)]
    subprocess.run(clone, check=True)
    monkeypatch.chdir(tmp_path)


def git(*arguments):
    return subprocess.run(["git", *arguments], capture_output=True).stdout


def test_stamping_leaves_no_old_address_and_is_undone_by_stamping(copy):
    old = stamp.stamped()
    owner, name = stamp.parse(old)
    new_owner, new_name = "some-one", "a.book"
    stamp.main([f"https://github.com/{new_owner}/{new_name}"])
    assert stamp.stamped() == f"https://github.com/{new_owner}/{new_name}"
    published = f"https://{new_owner}.github.io/{new_name}/"
    assert git("grep", "-F", f"baseurl: {published}")
    for form in (f"{owner}/{name}", f"{owner}.github.io"):
        assert not git("grep", "-F", "-e", form)
    stamp.main([old])
    assert not git("status", "--porcelain")


def test_publishing_from_another_repository_is_refused(copy):
    stamp.main(["--check", stamp.stamped()])
    with pytest.raises(SystemExit, match="make repository URL=https://git"):
        stamp.main(["--check", "https://github.com/a/b"])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://github.com/a/b",
        "https://gitlab.com/a/b",
        "https://github.com/a",
        "https://github.com/a/b/",
        "https://github.com/a/b.git",
        "https://github.com/a/..",
        "https://github.com/-a/b",
        "https://github.com/a/b c",
        "https://github.com/a/a.github.io",
    ],
)
def test_other_addresses_are_refused(url):
    with pytest.raises(SystemExit, match="URL must be https"):
        stamp.main([url])
