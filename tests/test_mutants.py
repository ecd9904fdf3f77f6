"""What scripts/mutants.py changes, and that it names what is not noticed."""

import fcntl
import os
import subprocess
import sys

import pytest
from manuscript import ROOT
from mutants import Plan
from mutations import Module

TOY = '''"""A toy: 1 + 1."""

STEPS = 1, 2, 3, 4, 5, 6, 7, 8


def clip(value: int | None, low=0):
    """Return value, or low: 1 < 2."""
    if value is None:
        raise ValueError(f"no value, but {1 + 1}")
    if value < low:
        value = low
    return value


class Toy:
    def __repr__(self):
        return 1 + 1

    def put(self):
        return "away"
'''
TEST = """from helpers.toy import STEPS, clip
import pytest

def test_steps():
    assert STEPS == (*range(1, 9),)

def test_clip():
    assert clip(5) == 5
    assert clip(-1) == 0

def test_none():
    with pytest.raises(ValueError):
        clip(None)
"""
# What of it asks of another module is left out.
EVERY = """from helpers.toy import Toy
import pytest

@pytest.mark.parametrize("name", ["toy.Toy", "other.Toy"])
def test_toys_can_be_put_away(name):
    assert (Toy().put(), name) == ("away", "toy.Toy")
"""
EQUIVALENT = """
[[known]]
module = "toy"
before = "if value < low:"
after = ["if value <= low:"]
reason = "at the limit both give the limit"
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a < b", ["a <= b", "a >= b", "pass"]),
        ("a == b is not c", ["a != b is not c", "a == b is c", "pass"]),
        ("a not  in b", ["a in b", "pass"]),
        ("(a) + (b)", ["(a) - (b)", "pass"]),
        ("a ** 2", ["a * 2", "a ** 1", "a ** 3", "pass"]),
        ("not a and b", ["a and b", "not a or b", "pass"]),
        ("-é * a.b", ["é * a.b", "-é / a.b", "pass"]),
        ("x = True", ["x = False", "pass"]),
        ("x = 1e20", ["x = 1.5e+20", "x = 5e+19", "pass"]),
        ("x = 0.5", ["x = -0.5", "x = 1.5", "pass"]),
        ("x = 1 if a else 'b'", []),
        ("x: int | str = f'{1 + 1}'", []),
        ("if a: return", ["if not (a): return", "pass"]),
        ("def f(a=B, *, c='d'): 1", ["def f(a=None, *, c='d'): 1"]),
        ("return a", ["return None"]),
        ("return None", []),
        ("return False", ["return True"]),
        ("raise ValueError(1 + 1)", []),
        ("def __repr__(self): return 1 + 1", []),
    ],
)
def test_each_change_is_made_once_and_nothing_else(old, new):
    mutants = Module(f"def toy():\n    {old}\n").mutants()
    if old.startswith("x = 1 if"):
        new = [f"x = {n} if a else 'b'" for n in (0, 2)] + ["pass"]
        new += ["x = 1 if not (a) else 'b'"]
    assert sorted(mutant.after for mutant in mutants) == sorted(new)
    for mutant in mutants:
        assert (mutant.line, mutant.before) == (2, old)
        assert mutant.source == f"def toy():\n    {mutant.after}\n"


def test_numbers_that_are_looks_stay():
    source = "lambda a, b=1, lw=2: f(3, lw=-4, c={'lw': [5, a + 6], **d})\n"
    changed = [mutant.after for mutant in Module(source).mutants(["lw"])]
    changes = {"b=1": ["b=0", "b=2"], "3": ["2", "4"], "a +": ["a -"]}
    expected = [
        source.strip().replace(old, new)
        for old, others in changes.items()
        for new in others
    ]
    assert changed == sorted(expected)


@pytest.fixture
def toy(tmp_path):
    """A repository of one small module."""
    for name, text in {
        "pyproject.toml": "",
        "helpers/__init__.py": "",
        "helpers/toy.py": TOY,
        "tests/test_toy.py": TEST,
        "tests/test_every_input.py": EVERY,
        "tests/mutants.toml": 'modules = ["toy"]\n',
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def tried(toy):
    """Run the script; return its exit status and what it prints."""
    command = [sys.executable, ROOT / "scripts/mutants.py", "--root", toy]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def append(path, text):
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_survivors_are_named_until_known_and_nothing_is_tried_twice(toy):
    code, shown = tried(toy)
    assert (code, shown.count("survived\n")) == (1, 1)
    assert "toy.py:10 survived\n  - if value < low:\n  + if value <=" in shown
    results = toy / ".venv/mutants/results.jsonl"
    lines = results.read_text("utf-8").splitlines(keepends=True)
    # As if it had been killed while it wrote.
    results.write_text("".join(lines[:-1]) + lines[-1][:20], "utf-8")
    append(toy / "tests/mutants.toml", EQUIVALENT)
    code, shown = tried(toy)
    assert (code, shown.count("survived\n")) == (0, 0)
    # 8 numbers and a default up and down, < twice, is, 2 deletions, 2 results.
    counts = " ".join(shown.split("toy")[1].split()[:6])
    assert counts == "25 25 24 1 1 100.0"
    again = results.read_text("utf-8").splitlines(keepends=True)
    assert again[: len(lines) - 1] == lines[:-1]
    assert len(again) == len(lines) + 1
    append(toy / "tests/mutants.toml", EQUIVALENT.replace("<=", ">="))
    code, shown = tried(toy)
    assert code == 1
    assert "called equivalent, but killed\n  - if value < low:\n" in shown


def test_a_sample_is_called_one(toy):
    append(toy / "tests/mutants.toml", "[sample]\ntoy = 5\n")
    _, shown = tried(toy)
    assert shown.split("toy")[1].startswith(" " * 16 + "5    25")
    assert "A sample, the same each time, of: toy." in shown


def test_a_known_change_is_still_one(toy):
    append(toy / "tests/mutants.toml", EQUIVALENT.replace("value <", "low <"))
    code, shown = tried(toy)
    assert code == 1
    assert "names what is no change of toy\n  - if low < low:" in shown


def test_tests_that_fail_without_a_change_are_named(toy):
    append(toy / "tests/test_toy.py", "\ndef test_no():\n    assert 0\n")
    code, shown = tried(toy)
    assert code == 1
    assert "must pass before anything is changed" in shown
    assert "test_toy.py::test_no" in shown


def test_a_verdict_rests_on_all_helpers_and_on_what_tests_share(toy):
    results = toy / ".venv/mutants/results.jsonl"
    for turn, name in enumerate(["helpers/other.py", "tests/conftest.py"], 2):
        tried(toy)
        (toy / name).write_text("# new\n")
        tried(toy)
        assert len(results.read_text().splitlines()) == turn * 25


@pytest.mark.parametrize(
    "fault",
    [
        "import os\nif clip(-1): os.kill(os.getpid(), 9)\n",  # or the machine
        "if clip(-1): raise SystemError\n",
    ],
)
def test_tests_that_cannot_be_run_kill_no_mutant(toy, fault):
    append(toy / "tests/conftest.py", f"from helpers.toy import clip\n{fault}")
    code, shown = tried(toy)
    assert code == 1
    assert "the tests could not be run: " in shown


def test_a_program_that_runs_when_it_is_imported_is_killed(toy):
    append(
        toy / "helpers/toy.py",
        """
if __name__ == "__main__":
    import sys

    sys.exit(2)
""",
    )
    append(toy / "tests/mutants.toml", EQUIVALENT)
    code, shown = tried(toy)
    assert code == 1
    # All but the changes of what only the program does.
    assert shown.count("survived\n") == shown.count("  - sys.exit(2)") == 3


def test_two_are_not_at_work_in_one_folder(toy):
    folder = toy / ".venv/mutants"
    folder.mkdir(parents=True)
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    code, shown = tried(toy)
    os.close(held)
    assert code == 1
    assert "another make mutants is at work here" in shown


def test_every_helper_is_changed_and_what_is_known_is_a_change():
    plan = Plan(ROOT)
    every = {path.stem for path in ROOT.glob("helpers/*.py")} - {"__init__"}
    assert set(plan.modules) == every
    for name in plan.modules:
        assert plan.mutants(name)[1]  # or says what is no change
