"""Start the book in every way that goes wrong, and note what happens.

    python scripts/starts.py [--seed 1] [case …]

Each start is made in a fresh clone of what is committed, in a folder whose
path has spaces and letters beyond ASCII, with an empty home and nothing but
PATH in the environment. It works, or one line says what to do. As a case ends
well, its row of the table in CONTRIBUTING.md is renewed: after a stop, name
those that are left; book-* is five of them.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import psutil

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "CONTRIBUTING.md"
MARKERS = "<!-- starts -->\n", "<!-- starts end -->"
HEAD = "| case | start | what happens |\n|---|---|---|\n"
# Seconds in which what was started must end after its parent.
PATIENCE = 60
# About how many seconds make test takes.
TEST = 1200
OFFLINE = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "_"]
SMALL = """
    mount -t tmpfs -o size=400m none . && cd "$PWD" && git clone -q "$0" . &&
    exec "$@"
"""
KERNEL = "kernel"
FOREIGN = "raise ImportError('the helpers of another project')\n"
Row = tuple[str, str]


class Amiss(Exception):
    """What a start did that it must not, and what it said."""


class Skipped(Exception):
    """What this machine lacks."""


class Result(NamedTuple):
    code: int
    said: str
    errors: str
    seconds: float


class Place:
    """A clone, and the home and temporary folder of what runs in it."""

    work: Path  # where all of them are
    seed: int

    def __init__(self, name: str, home: str = "home") -> None:
        self.root = self.work / name
        self.book = self.root / "mon café 線"
        self.home, self.temporary = self.work / home, self.root / "tmp"
        shutil.rmtree(self.root, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        self.home.mkdir(exist_ok=True)
        git("clone", "--quiet", ROOT, self.book)

    def start(
        self, *command: str | Path, path: str = "", **variables: str | Path
    ) -> subprocess.Popen:
        """Start a command, in a process group of its own.

        Args:
            command: and its arguments.
            path: folders to look in first.
            variables: to add to the environment.
        """
        given = {"PATH": path + os.environ["PATH"], "HOME": self.home}
        given |= {"TMPDIR": self.temporary, **variables}
        said, errors = self.root / "said", self.root / "errors"
        # Where this runs in the background, a shell has it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with said.open("w") as out, errors.open("w") as err:
            return subprocess.Popen(
                command,
                cwd=self.book,
                env=given,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def run(self, *command: str | Path, **options: str | Path) -> Result:
        start = time.perf_counter()
        code = self.start(*command, **options).wait()
        seconds = time.perf_counter() - start
        return Result(code, self.read("said"), self.read("errors"), seconds)

    def works(self, *command: str | Path, **options: str | Path) -> Result:
        result = self.run(*command, **options)
        if result.code:
            lines = (result.said + result.errors).splitlines()[-30:]
            raise Amiss("\n".join([f"{command} fails:", *lines]))
        return result

    def refuses(self, *command: str | Path, **options: str | Path) -> str:
        """Run what cannot work; return the one line that says why."""
        result = self.run(*command, **options)
        lines = result.errors.splitlines()
        lines = [line for line in lines if not line.startswith("make")]
        if not result.code or len(lines) != 1:
            raise Amiss("\n".join(["one line is wanted, got:", *lines]))
        return f"`{neutral(lines[0], self)}`"

    def read(self, name: str) -> str:
        return (self.root / name).read_text("utf-8", "replace")

    def finish(self, *command: str, renewed: str = "") -> Result:
        """Run what was ended before; nothing may be left half done.

        Args:
            command: and its arguments.
            renewed: the committed file that it writes, if any.
        """
        result = self.works(*command)
        list(self.processes())
        done = ("`.venv` whole", "`_build` whole", f"`{renewed}`")
        if left := [thing for thing in self.left() if thing not in done]:
            raise Amiss(f"{command} leaves {', '.join(left)}")
        return result

    def kill(self, moment: float, sign: int, *command: str) -> str | None:
        """Start a command and end it; return where, and what it leaves.

        Args:
            moment: seconds after which its process group gets the signal.
            sign: which.
            command: and its arguments.

        Returns:
            None if the command has ended before.
        """
        process = self.start(*command)
        try:
            process.wait(moment)
            return None
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, sign)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise Amiss(f"{command} goes on after {sign}") from None
        at = reached(self.read("said"))
        left = [*self.processes(), *self.left()]
        return f"{at}, left: {', '.join(left) or 'nothing'}"

    def left(self) -> Iterator[str]:
        """Yield what is there beside what is committed."""
        for name in (".venv", "_build"):
            if (self.book / name).exists():
                whole = (self.book / name / "complete").exists()
                yield f"`{name}` {'whole' if whole else 'unfinished'}"
        if list((self.book / ".venv").glob("*/pyvenv.cfg")):
            yield "an environment of step 4"
        for line in git("status", "--porcelain", cwd=self.book).splitlines():
            yield f"`{line[3:]}`"

    def processes(self) -> Iterator[str]:
        """Yield which processes live on, and wait for their end."""
        names = {process: kind(process) for process in alive(self.root)}
        _, late = psutil.wait_procs(names, PATIENCE)
        kill_all(late)
        psutil.wait_procs(late, PATIENCE)
        if late:
            raise Amiss(f"still there: {', '.join(map(names.get, late))}")
        for name, count in Counter(names.values()).items():
            yield f"{count} {name} for a moment"

    def pages(self) -> list[str]:
        """Return the names of the built files, of pictures but how many."""
        built = self.book / "_build" / "html"
        names = (str(p.relative_to(built)) for p in built.rglob("*"))
        return sorted(re.sub(r"[0-9a-f]{32,}", "…", name) for name in names)


def git(*arguments: str | Path, **options: str | Path) -> str:
    return subprocess.check_output(["git", *arguments], text=True, **options)


def reached(said: str) -> str:
    """Return the last step, chapter or page that a run speaks of."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", said)
    step = r"^\[\d+/7\] .*|^\[\d+/\d+\] \S+|^\w+ \w+\.\.\. \[.*%\] \S+"
    found = re.findall(step, plain, re.MULTILINE)
    return f"in “{found[-1]}”" if found else "at the beginning"


def alive(folder: Path) -> list[psutil.Process]:
    """Return the processes that work in a folder or name it."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        words = [process.info["cwd"], *(process.info["cmdline"] or ())]
        if any(str(folder) in (word or "") for word in words):
            found.append(process)
    return found


def kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def kind(process: psutil.Process) -> str:
    """Return what a process is, for a reader."""
    try:
        words = process.cmdline()
        return KERNEL if "ipykernel_launcher" in words else process.name()
    except psutil.Error:
        return "process"


def neutral(line: str, place: Place) -> str:
    """Return a line without what only this machine has."""
    line = line.replace(str(place.book), "…")
    # Causes in brackets name hosts and platforms.
    return re.sub(r"(?<![\w…])/\S+/", "…/", re.sub(r" \(.*\)$", "", line))


def draw(name: str, low: float, high: float) -> float:
    return Random(f"{Place.seed} {name}").uniform(low, high)


def need(*command: str) -> None:
    """Skip the case where this machine does not let a command run."""
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise Skipped(f"here fails: {shlex.join(command)}") from None


def python(version: str) -> str:
    """Return the path of a Python of this machine that starts."""
    for folder in os.get_exec_path():
        path = Path(folder) / f"python{version}"
        if path.exists():
            # It may be a shim, which goes by its own name.
            ask = [path, "-c", "import sys; print(sys.executable)"]
            found = subprocess.run(ask, capture_output=True, text=True)
            if not found.returncode:
                return found.stdout.strip()
    raise Skipped(f"no Python {version} here")


@cache
def built() -> tuple[Place, float]:
    """Return a clone with a built book, and how many seconds that took."""
    place = Place("built")
    return place, place.works("make", "book").seconds


@cache
def ready() -> Place:
    """Return a clone with a whole .venv; the cache of pip is warm then."""
    place = Place("ready")
    place.works("make", "setup")
    return place


# --- Cases: each returns how it starts and what happens --------------------


def spaces() -> Row:
    built()
    return (
        "`make book`, the path with spaces and letters beyond ASCII",
        "works",
    )


def offline() -> Row:
    need(*OFFLINE, "true")
    ready().works(*OFFLINE, "make", "book")
    return "`make book` without a network, `.venv` there", "works"


def offline_warm() -> Row:
    need(*OFFLINE, "true")
    ready()
    said = Place("offline-warm").refuses(*OFFLINE, "make", "book")
    return "without a network, pip's cache warm", said


def offline_cold() -> Row:
    need(*OFFLINE, "true")
    place = Place("offline-cold", "offline-cold/home")
    return "without a network or a cache", place.refuses(
        *OFFLINE, "make", "book"
    )


def disk() -> Row:
    need("unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt")
    said = Place("disk").refuses(
        *("unshare", "-rm", "sh", "-c", SMALL, ROOT, "make", "book")
    )
    return "a disk of 400 MB", said


def disk_downloads() -> Row:
    need("unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt")
    script = 'mount -t tmpfs -o size=50m none "$TMPDIR" && exec "$@"'
    said = Place("disk-downloads").refuses(
        *("unshare", "-rm", "sh", "-c", script, "_", "make", "book")
    )
    return "50 MB for temporary files", said


def old_named(version: str) -> Row:
    said = Place(f"python{version}").refuses(
        "make", "book", f"PYTHON={python(version)}"
    )
    return f"`make book PYTHON=python{version}`", said


def old_first(version: str) -> Row:
    place = Place("python-first")
    (place.root / "python3").symlink_to(python(version))
    said = place.refuses("make", "book", path=f"{place.root}:")
    return f"`python3` is Python {version}", said


def no_python() -> Row:
    said = Place("no-python").refuses("make", "book", "PYTHON=python3.99")
    return "`make book PYTHON=python3.99`, which is not there", said


def helpers() -> Row:
    """Start where every other Python finds helpers that are not ours."""
    place = Place("helpers", "helpers/home")
    place.works("python3", "-m", "venv", "--without-pip", place.root / "other")
    ask = "import site; print(site.getusersitepackages())"
    user = Path(place.works("python3", "-c", ask).said.strip())
    (own,) = (place.root / "other" / "lib").glob("*/site-packages")
    for folder in (user, own, place.root / "path"):
        (folder / "helpers").mkdir(parents=True)
        (folder / "helpers" / "__init__.py").write_text(FOREIGN)
    place.works(
        *("make", "book"),
        path=f"{place.root / 'other' / 'bin'}:",
        VIRTUAL_ENV=place.root / "other",
        PYTHONPATH=place.root / "path",
    )
    return (
        "another package `helpers` in the user's site, the active environment "
        "and `PYTHONPATH`",
        "works",
    )


@cache
def lent() -> Place:
    """Return a clone whose .venv has all but the helpers, as Colab has."""
    place = Place("lent")
    place.works("make", "setup")
    git("switch", "--quiet", "-C", "main", cwd=place.book)
    return place


def colab(where: str) -> Row:
    """Run the setup cell where other helpers lie, and import from ours."""
    place = lent()
    pip = (".venv/bin/python", "-m", "pip")
    place.works(*pip, "uninstall", "--yes", "jax-classifier-book")
    (site,) = (place.book / ".venv" / "lib").glob("*/site-packages")
    content = Path(tempfile.mkdtemp(dir=place.root))
    path = (site if where.startswith("site") else content) / Path(where).name
    if where.endswith(".py"):
        path.write_text("")
    else:
        path.mkdir()
    if path.parent == site:
        (path / "__init__.py").write_text(FOREIGN)
    chapter = place.book / "notebooks" / "02_model.ipynb"
    cells = json.loads(chapter.read_text("utf-8"))["cells"]
    setup = next(cell for cell in cells if cell["cell_type"] == "code")
    code = "".join(setup["source"]) + "\nfrom helpers.data import Line\n"
    (content / "cell.ipy").write_text(code)
    address = re.search(r"git\+(\S+)@", code)[1]
    result = place.run(
        *("sh", "-c", 'cd "$0" && exec "$@"', content),
        *(place.book / ".venv/bin/python", "-m", "IPython"),
        *("--colors=NoColor", "cell.ipy"),
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0=f"url.{place.book}.insteadOf",
        GIT_CONFIG_VALUE_0=address,
        PIP_DISABLE_PIP_VERSION_CHECK="1",
    )
    start = f"the setup cell in Colab, beside another `{where}`"
    if result.code == 0 and not where.endswith(".py"):
        return start, "works"
    last = result.said.strip().rpartition("\n")[2]
    if where.endswith(".py") and "rename" in last:
        return start, f"`{neutral(last, place)}`"
    raise Amiss(f"{result.said}\n{result.errors}")


def kill_book(number: int) -> Row:
    """End a build in the given fifth of its time, and build again."""
    whole, seconds = built()
    name = f"book-{number}"
    share = draw(name, number - 1, number) / 5
    sign = signal.SIGKILL if number % 2 else signal.SIGINT
    place = Place(name)
    found = place.kill(share * seconds, sign, "make", "book")
    if found is None:
        raise Amiss("it ended before: try once more")
    place.finish("make", "book")
    lost = set(whole.pages()) ^ set(place.pages())
    if lost:
        raise Amiss(f"other files than in an unkilled build: {lost}")
    place.works(
        *(".venv/bin/python", "-m", "pytest", "tests"),
        *("-m", "book and not browser"),
    )
    return (
        f"`make book`, {sign.name} at {share:.0%}",
        f"{found}; the second run works, its files are those of an unkilled "
        "one, and the page checks pass",
    )


def shares() -> list[float]:
    """Return five shares of a run, anywhere in it, of two runs in all."""
    random, drawn = Random(f"{Place.seed} test"), [1.0] * 5
    while sum(drawn) > 2:
        drawn = [random.random() for _ in drawn]
    return drawn


def kill_test() -> Row:
    """End make test five times, and let it then go to its end."""
    place, found = Place("test"), []
    for number, share in enumerate(shares()):
        moment = share * TEST
        sign = signal.SIGINT if number % 2 else signal.SIGKILL
        said = place.kill(moment, sign, "make", "test")
        if said is None:
            raise Amiss(f"it took less than {moment:.0f} s: make TEST smaller")
        found.append((moment, sign.name, said))
        print(f"\n  {sign.name} at {moment:.0f} s {said}", end="", flush=True)
    seconds = place.finish("make", "test").seconds
    return (
        "`make test`, ended five times, each time started again",
        "; ".join(
            f"{name} at {min(moment / seconds, 1):.0%} {said}"
            for moment, name, said in found
        )
        + "; the last run works",
    )


def kill_other(name: str, low: float, high: float, *variables: str) -> Row:
    """End another command once, and let it then go to its end."""
    place = built()[0] if name == "pdf" else ready()
    moment = draw(name, low, high)
    command = ["make", name, *variables]
    found = place.kill(moment, signal.SIGKILL, *command)
    if found is None:
        raise Amiss(f"it took less than {moment:.0f} s")
    renewed = "helpers/records.json" if name == "record" else ""
    place.finish(*command, renewed=renewed)
    return f"`{' '.join(command)}`, SIGKILL", f"{found}; the second run works"


CASES: dict[str, Callable[[], Row]] = {
    "python3.6": partial(old_named, "3.6"),
    "python3.10": partial(old_named, "3.10"),
    "python-first": partial(old_first, "3.10"),
    "no-python": no_python,
    "offline-cold": offline_cold,
    "disk": disk,
    "disk-downloads": disk_downloads,
    "offline-warm": offline_warm,
    "offline": offline,
    "spaces": spaces,
    "helpers": helpers,
    "colab-folder": partial(colab, "helpers"),
    "colab-site": partial(colab, "site-packages/helpers"),
    "colab-module": partial(colab, "helpers.py"),
    **{f"book-{k}": partial(kill_book, k) for k in (1, 2, 3, 4, 5)},
    "notebooks": partial(kill_other, "notebooks", 10, 90),
    "pdf": partial(kill_other, "pdf", 3, 20),
    "mutants": partial(kill_other, "mutants", 10, 25, "MODULES=loss"),
    "record": partial(kill_other, "record", 10, 90),
    "test": kill_test,
}


def renew(name: str, row: Row) -> None:
    """Write a case's row into the table, in the order of the cases."""
    before, rest = TABLE.read_text("utf-8").split(MARKERS[0])
    table, after = rest.split(MARKERS[1])
    rows = {line.split("`")[1]: line for line in table.splitlines()[2:]}
    rows[name] = f"| `{name}` | {' | '.join(row)} |"
    lines = "\n".join(rows[case] for case in CASES if case in rows)
    text = f"{before}{MARKERS[0]}{HEAD}{lines}\n{MARKERS[1]}{after}"
    # Whole or not at all.
    draft = TABLE.with_name(f".{TABLE.name}.tmp")
    draft.write_text(text, "utf-8")
    draft.replace(TABLE)


def replay(name: str) -> bool:
    """Replay a case; tell whether nothing was amiss."""
    print(f"{name}: ", end="", flush=True)
    try:
        row = CASES[name]()
    except Skipped as error:
        print(f"skipped: {error}", flush=True)
    except Amiss as error:
        print(f"AMISS: {error}", flush=True)
        return False
    else:
        renew(name, row)
        print(" | ".join(row), flush=True)
    finally:
        shutil.rmtree(Place.work / name, ignore_errors=True)
    return True


def main() -> str | int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=["*"], help="or a pattern")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    options = parser.parse_args()
    chosen = [
        case
        for case in CASES
        if any(fnmatch(case, pattern) for pattern in options.cases)
    ]
    if not chosen:
        return (
            f"no such case, got {options.cases}; there are {', '.join(CASES)}"
        )
    print(f"seed {options.seed}")
    # A shell's timeout, too, must leave nothing behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="starts-") as work:
        Place.work, Place.seed = Path(work), options.seed
        try:
            amiss = [name for name in chosen if not replay(name)]
        finally:
            kill_all(alive(Place.work))
    return f"amiss: {', '.join(amiss)}" if amiss else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; name the cases that are left: CASES=…")
