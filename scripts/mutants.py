"""See whether the unit tests notice small changes of the helpers.

    python scripts/mutants.py [--jobs 2] [module …]

Each change is made in a copy of the repository, where the module's own test
file, then what test_every_input.py asks of the module, run until the first
failure, in a process forked from one that has imported all packages but
computed nothing: a fork after JAX's first computation hangs. The tests that
pass over the changed line come first.
Results stay in .venv/mutants: stopped and run again, it goes on from there.
"""

import argparse
import ast
import contextlib
import fcntl
import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import time
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import hypothesis
import psutil
import pytest
from mutations import Module, Mutant

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {
    # Found on disk, what a mutant compiled would be taken for another's.
    "JAX_ENABLE_COMPILATION_CACHE": "0",
    # More threads than cores slow both processes down.
    **dict.fromkeys(("PJRT_NPROC", "NPROC", "OMP_NUM_THREADS"), "1"),
}
LATE = "it took too long"
# How a process exits that could not run the tests: no mutant is killed so.
UNTRIED = 70
# A mutant may want all the memory there is.
MEMORY = 12 * 2**30
LEFT = (".*", "_build", "helpers", "node", "__pycache__", "pyproject.toml")
COLUMNS = ["module", "mutants", "of", "killed", "survived", "known", "score"]
ROW = "{:<12}{:>8}{:>6}{:>8}{:>10}{:>7}{:>9}{:>9}"


def lot(mutant: Mutant) -> str:
    """Return by what the sample is drawn: only a changed line's own lot."""
    return hashlib.sha256(repr(mutant.change).encode()).hexdigest()


class Plan:
    """What is mutated, by which tests, and which survivors are known."""

    def __init__(self, root: Path) -> None:
        plan = tomllib.loads((root / "tests/mutants.toml").read_text("utf-8"))
        self.root, self.modules = root, plan["modules"]
        self.sample, self.look = plan.get("sample", {}), plan.get("look", {})
        self.known = {
            (known["module"], known["before"], after)
            for known in plan.get("known", [])
            for after in known["after"]
        }

    def source(self, name: str) -> Path:
        return self.root / "helpers" / f"{name}.py"

    def suites(self, name: str) -> dict[Path, str]:
        """Return the files of a module's tests, and which tests of each."""
        wanted = {f"test_{name.strip('_')}": ""}
        if not name.startswith("_"):
            wanted["test_every_input"] = f"{name}."
        paths = {self.root / "tests" / f"{k}.py": v for k, v in wanted.items()}
        return {path: v for path, v in paths.items() if path.exists()}

    def rest(self, name: str) -> bytes:
        """Return what a verdict rests on, beside the module itself."""
        paths = {*self.root.glob("helpers/*.py")} - {self.source(name)}
        for stem in ("conftest", "manuscript"):
            paths.update(self.root.glob(f"tests/{stem}.py"))
        paths.update(self.suites(name))
        return b"".join(path.read_bytes() for path in sorted(paths))

    def mutants(self, name: str) -> tuple[dict[str, Mutant], int]:
        """Return the mutants to try by their keys, and how many there are."""
        source = self.source(name).read_text("utf-8")
        rest = self.rest(name)
        found = {
            hashlib.sha256(mutant.source.encode() + rest).hexdigest(): mutant
            for mutant in Module(source).mutants(self.look.get(name, ()))
        }
        changes = {(name, *mutant.change) for mutant in found.values()}
        for module, before, after in sorted(self.known - changes):
            if module == name:
                sys.exit(
                    f"tests/mutants.toml names what is no change of {name}\n"
                    f"  - {before}\n  + {after}"
                )
        drawn = sorted(found, key=lambda key: lot(found[key]))
        chosen = {*drawn[: self.sample.get(name)]}
        return {k: m for k, m in found.items() if k in chosen}, len(found)


class Store:
    """Results by the mutants' keys, written as they come."""

    def __init__(self, path: Path) -> None:
        self.path, self.results = path, {}
        text = path.read_text("utf-8") if path.exists() else ""
        self.cut = not text.endswith("\n") and bool(text)
        for line in text.splitlines():
            with contextlib.suppress(ValueError):
                self.results |= json.loads(line)

    def add(self, key: str, result: dict) -> None:
        self.results[key] = result
        with self.path.open("a", encoding="utf-8") as file:
            # Apart from a line that was cut off.
            file.write("\n" * self.cut + json.dumps({key: result}) + "\n")
        self.cut = False


def preload(paths: list[Path], local: set[str]) -> None:
    """Import the packages that the files import, and no file of ours."""
    for path in paths:
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots = {node.module.split(".")[0]}
            else:
                continue
            if not roots & local:
                exec(compile(ast.Module([node], []), str(path), "exec"), {})


def copy(root: Path, tree: Path) -> Path:
    """Make the folder in which a mutant lives; all else is linked to."""
    shutil.rmtree(tree, ignore_errors=True)
    ignored = shutil.ignore_patterns("node", "__pycache__")
    for name in ("helpers", "tests"):
        shutil.copytree(root / name, tree / name, ignore=ignored)
    shutil.copy(root / "pyproject.toml", tree)
    for path in root.iterdir():
        left = any(path.match(pattern) for pattern in (*LEFT, "tests"))
        if not left:
            (tree / path.name).symlink_to(path)
    return tree


class Watch:
    """Notes how long each test takes, which lines it passes over, and fails.

    Tests are run in the order of ``first``, or backwards.
    """

    def __init__(
        self, first: Sequence[str] = (), traced: str = "", step: int = 1
    ) -> None:
        self.rank = {name: rank for rank, name in enumerate(first)}
        self.traced, self.step, self.lines = traced, step, set()
        self.tests, self.failed, self.guard = {}, None, False

    def trace(self, frame, event, _):
        if frame.f_code.co_filename.endswith(self.traced):
            self.lines.add(frame.f_lineno)
            return self.trace
        return None

    def pytest_collection_modifyitems(self, items):
        items.sort(key=lambda item: self.rank.get(item.nodeid, 0))
        items[:] = items[:: self.step]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.lines, start = set(), time.perf_counter()
        if self.traced:
            sys.settrace(self.trace)
        try:
            return (yield)
        finally:
            if self.traced:
                sys.settrace(None)
            seconds = time.perf_counter() - start
            self.tests[item.nodeid] = [seconds, sorted(self.lines)]

    def pytest_internalerror(self, excinfo):
        # A module that is a program, too, may run when it is imported.
        if isinstance(excinfo.value, SystemExit):
            self.failed = "its import"

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed = self.failed or report.nodeid


def child(tree: Path, suites: dict, watch: Watch, limit: float) -> None:
    """Run test files in a tree, and end this process."""
    code = UNTRIED
    try:
        # Ends it whatever it does, and if its parent is gone.
        signal.setitimer(signal.ITIMER_REAL, limit)
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        with (tree / "output").open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os.chdir(tree)
        sys.path[:0] = [str(tree)]
        # For the processes that tests start.
        os.environ["PYTHONPATH"] = str(tree)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        hypothesis.settings.load_profile("mutants")
        options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=short"]
        options += ["-c", "pyproject.toml"]
        for path, chosen in [*suites.items()][:: -1 if watch.guard else 1]:
            files = [f"tests/{path.name}", "-k", chosen]
            code = int(pytest.main([*options, *files], [watch]))
            if code == pytest.ExitCode.NO_TESTS_COLLECTED:
                code = 0
            if code > pytest.ExitCode.INTERRUPTED:
                code = UNTRIED
            if code:
                break
        result = {"failed": watch.failed, "tests": watch.tests}
        # By its number: a process that outlived its parent writes elsewhere.
        path = tree / f"{os.getpid()}.json"
        path.write_text(json.dumps(result), "utf-8")
    finally:
        os._exit(code)


def finish(tree: Path, pid: int, status: int) -> dict:
    """Return how a process ended: ``how`` is empty if all tests passed."""
    for process in psutil.process_iter(["cwd"]):
        if process.info["cwd"] == str(tree):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    result = {"failed": None, "tests": {}}
    with contextlib.suppress(OSError):
        result = json.loads((tree / f"{pid}.json").read_text("utf-8"))
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGALRM:
        return result | {"how": LATE}
    # The second is how a machine ends what takes too much memory.
    if code in (UNTRIED, -signal.SIGKILL) and not result["failed"]:
        sys.exit(f"the tests could not be run: {tree / 'output'} says why")
    default = f"exit {code}" if code else ""
    return result | {"how": result["failed"] or default}


class Pool:
    """Runs a module's tests in several trees at a time."""

    def __init__(self, plan: Plan, name: str, trees: list[Path]) -> None:
        self.suites = plan.suites(name)
        self.original = plan.source(name).read_text("utf-8")
        self.inside = f"helpers/{name}.py"
        self.files = {tree: tree / self.inside for tree in trees}

    def run(
        self, tasks: dict[str, Callable], limit: float
    ) -> Iterator[tuple[str, dict]]:
        """Run the tests for each task; yield its key and result.

        Args:
            tasks: each returns a source of the module, and a Watch.
            limit: seconds for a task.
        """
        left, free, running = list(tasks), list(self.files), {}
        try:
            while left or running:
                while left and free:
                    key, tree = left.pop(0), free.pop()
                    source, watch = tasks[key]()
                    write(self.files[tree], source)
                    sys.stdout.flush()
                    pid = os.fork() or child(tree, self.suites, watch, limit)
                    running[pid] = key, tree, time.perf_counter()
                pid, status = os.wait()
                key, tree, start = running.pop(pid)
                free.append(tree)
                seconds = round(time.perf_counter() - start, 2)
                yield key, finish(tree, pid, status) | {"seconds": seconds}
        finally:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            for file in self.files.values():
                write(file, self.original)

    def clean(self) -> tuple[dict, dict]:
        """Run them on the module as it is; stop if they fail.

        The lines are noted in one run. The other is backwards, since a test
        that needs its place would fail for no mutant.
        """
        tasks = {
            "traced": lambda: (self.original, Watch(traced=self.inside)),
            "backwards": lambda: (self.original, Watch(step=-1)),
        }
        # The tests and the other modules are compiled but once.
        sys.dont_write_bytecode = False
        results = dict(self.run(tasks, 600))
        sys.dont_write_bytecode = True
        for result in results.values():
            if result["how"]:
                sys.exit(
                    f"the tests of {self.inside} must pass before anything is "
                    f"changed, but {result['how']} does not"
                )
        return results["traced"], results["backwards"]


def order(
    mutant: Mutant, traced: dict, seconds: dict, kills: Counter
) -> list[str]:
    """Return all tests: those that pass over the mutant come first.

    Among them, the quick ones and those that killed others.
    """
    lines = set(range(mutant.line, mutant.last + 1))
    return sorted(
        traced,
        key=lambda test: (
            lines.isdisjoint(traced[test][1]),
            seconds[test][0] / (1 + kills[test]),
        ),
    )


def try_all(
    plan: Plan,
    name: str,
    mutants: dict[str, Mutant],
    trees: list[Path],
    store: Store,
) -> None:
    """Try mutants, one in each tree at a time, and store the results."""
    pool, kills = Pool(plan, name, trees), Counter()
    traced, again = pool.clean()

    def task(mutant):
        first = order(mutant, traced["tests"], again["tests"], kills)
        watch = Watch(first)
        # What a guard refuses is asked of every input, above all.
        watch.guard = mutant.before.startswith("check_")
        return mutant.source, watch

    tasks = {key: partial(task, mutant) for key, mutant in mutants.items()}
    for key, result in pool.run(tasks, 5 + 3 * again["seconds"]):
        kills[result["how"]] += 1
        store.add(key, {k: result[k] for k in ("how", "seconds")})


def write(path: Path, source: str) -> None:
    """Write a module so that no older bytecode is taken for it."""
    path.write_text(source, "utf-8")
    for old in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        old.unlink()


def judge(
    plan: Plan, name: str, mutants: dict[str, Mutant], results: dict
) -> tuple[list[int], list[str]]:
    """Return mutants, killed, survivors, the known; and what is amiss."""
    alive = [m for key, m in mutants.items() if not results[key]["how"]]
    new = [m for m in alive if (name, *m.change) not in plan.known]
    amiss = [
        f"helpers/{name}.py:{mutant.line} survived\n"
        f"  - {mutant.before}\n  + {mutant.after}"
        for mutant in new
    ]
    dead = {m.change for m in mutants.values()} - {m.change for m in alive}
    amiss += [
        f"helpers/{name}.py: called equivalent, but killed\n"
        f"  - {before}\n  + {after}"
        for before, after in sorted(dead)
        if (name, before, after) in plan.known
    ]
    killed, known = len(mutants) - len(alive), len(alive) - len(new)
    return [len(mutants), killed, len(alive), known], amiss


def row(name: str, of: int, total: int, killed: int, *rest: float) -> str:
    """Return a line of the table."""
    alive, known, seconds = rest
    score = f"{100 * killed / max(total - known, 1):.1f} %"
    counts = total, of, killed, alive, known
    return ROW.format(name, *counts, score, f"{seconds:.0f}")


def measure(plan: Plan, names: list[str], jobs: int) -> int:
    """Try all mutants without a result, show the table, return the status.

    Each that survives must be known, so the score is 100 % or red.
    """
    folder = plan.root / ".venv/mutants"
    folder.mkdir(parents=True, exist_ok=True)
    alone(folder)
    store = Store(folder / "results.jsonl")
    trees = [copy(plan.root, folder / f"tree-{k}") for k in range(jobs)]
    # What is edited from now on does not count.
    plan = Plan(trees[0])
    all_mutants = {name: plan.mutants(name) for name in names}
    prepare(plan, names)
    print(ROW.format(*COLUMNS, "seconds"), flush=True)
    table, complaints = [], []
    for name, (mutants, of) in all_mutants.items():
        left = {k: m for k, m in mutants.items() if k not in store.results}
        if left:
            try_all(plan, name, left, trees, store)
        counts, amiss = judge(plan, name, mutants, store.results)
        seconds = sum(store.results[key]["seconds"] for key in mutants)
        table.append([of, *counts, seconds])
        complaints += amiss
        print(row(name, *table[-1]), flush=True)
    total = [sum(column) for column in zip(*table, strict=True)]
    print(row("all", *total))
    if sampled := [
        n
        for n, counts in zip(names, table, strict=True)
        if counts[0] > counts[1]
    ]:
        print(f"A sample, the same each time, of: {', '.join(sampled)}.")
    late = sum(r["how"] == LATE for r in store.results.values())
    print(f"Of all that were ever killed, {late} took too long.")
    for complaint in complaints:
        print(f"\n{complaint}")
    return 1 if complaints else 0


def alone(folder: Path) -> None:
    """Hold a lock until this process ends; stop where another one does."""
    try:
        fcntl.flock(
            os.open(folder, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB
        )
    except BlockingIOError:
        sys.exit("another make mutants is at work here: wait for its end")


def prepare(plan: Plan, names: list[str]) -> None:
    """Import what the modules and their tests need of other packages."""
    os.environ |= SETTINGS
    tests = plan.root / "tests"
    paths = [*(plan.root / "helpers").glob("*.py"), tests / "conftest.py"]
    paths.append(tests / "manuscript.py")
    paths += {path: 0 for name in names for path in plan.suites(name)}
    local = {path.stem for path in tests.glob("*.py")} | {"helpers"}
    local |= {path.stem for path in (plan.root / "scripts").glob("*.py")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        preload([path for path in paths if path.exists()], local)
    # To find the smallest failing example takes long, and no one reads it.
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile(
        "mutants", phases=phases, database=None
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="all by default")
    parser.add_argument("--jobs", type=int, default=2, help="at a time")
    parser.add_argument("--root", type=Path, default=ROOT)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    plan = Plan(options.root.resolve())
    names = options.modules or plan.modules
    if unknown := set(names) - set(plan.modules):
        sys.exit(
            f"no such module: {', '.join(unknown)}; see tests/mutants.toml"
        )
    return measure(plan, names, max(options.jobs, 1))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; the next make mutants goes on from here")
