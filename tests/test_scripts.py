"""The playground's scripts: typed, linted, and played in Firefox, too."""

import os
import shutil
import subprocess

import pytest
from manuscript import DOCUMENTS, ROOT

pytestmark = [pytest.mark.book, pytest.mark.browser]

TOOLS = ROOT / "tests" / "node"
SCRIPTS = ROOT / "book" / "assets" / "playground"
OPTIONS = [
    *("--noEmit", "--allowJs", "--checkJs", "--noUnusedLocals"),
    *("--target", "es2022", "--lib", "es2022,dom,dom.iterable"),
]


def find(*names: str) -> str:
    """Return the first of these programs; fail in CI, skip elsewhere."""
    for path in filter(None, map(shutil.which, names)):
        return path
    reason = f"no {names[0]}: apt-get install {names[0]} (Debian)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


# As pip does, npm trusts whom the machine trusts; Debian keeps these here.
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
TRUST = {"NODE_EXTRA_CA_CERTS": TRUSTED} if os.path.exists(TRUSTED) else {}


def run(*command: str) -> None:
    """Run a program; fail with what it prints, unless that is nothing."""
    done = subprocess.run(
        command,
        env=TRUST | os.environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


@pytest.fixture(scope="module")
def modules():
    """The folder of the tools' programs, of the versions in the lock."""
    folder = ROOT / ".venv" / "node"
    lock = (TOOLS / "package-lock.json").read_text("utf-8")
    done = folder / "done"
    if not done.is_file() or done.read_text("utf-8") != lock:
        npm = find("npm")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in TOOLS.iterdir():
            shutil.copy(path, folder)
        run(npm, "ci", "--no-audit", "--no-fund", "--prefix", str(folder))
        done.write_text(lock, "utf-8")
    return folder / "node_modules"


@pytest.mark.parametrize(
    "names, strict",
    [(["data", "model"], True), (["data", "model", "page"], False)],
    ids=["strictly", "the page"],
)
def test_types_are_right(names, strict, modules):
    loose = [] if strict else ["--noImplicitAny", "false"]
    files = [str(SCRIPTS / f"{name}.js") for name in names]
    run(str(modules / ".bin" / "tsc"), *OPTIONS, *loose, *files)


def test_lint(modules):
    kinds = ["-D", "correctness", "-D", "suspicious", "-D", "perf"]
    # Each script's one global is for the next; helpers stay in their script.
    kinds += ["-A", "no-unused-vars"]
    kinds += ["-A", "unicorn/consistent-function-scoping", "--deny-warnings"]
    run(str(modules / ".bin" / "oxlint"), *kinds, str(SCRIPTS))


def test_firefox_shows_and_plays(modules, origin):
    """Each page loads, the playground plays, and nobody complains."""
    firefox = find("firefox-esr", "firefox")
    script = modules.parent / "firefox.mjs"
    shutil.copy(TOOLS / "firefox.mjs", script)
    done = subprocess.run(
        [find("node"), str(script), origin, firefox, *DOCUMENTS],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not done.stdout + done.stderr
