"""Try the book on every set of versions, and write down what passed.

    python scripts/matrix.py [-k 'oldest or lock']

This is pytest on tests/test_versions.py with a plugin: after each test it
writes the row of its set into the table of CONTRIBUTING.md. Stopped, or told
to try some sets only, it leaves the other rows as they were.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "CONTRIBUTING.md"

# Each set's Python, and what uv installs.
LOCK = ["-r", "requirements.txt"]
OWN = ["-r", "pyproject.toml"]
SETS = {
    "lock-3.11": ("3.11", LOCK),
    "lock-3.12": ("3.12", LOCK),
    "lock-3.13": ("3.13", LOCK),
    "oldest": ("3.11", ["--resolution", "lowest-direct", *OWN]),
    "newest": ("3.13", ["--resolution", "highest", *OWN]),
    "colab": ("3.13", ["-r", "requirements-colab.txt"]),
}
PACKAGES = ["jax", "flax", "numpy"]
# What the tests of those names count: cells, and unit tests.
TRIED = ["chapters", "helpers"]
COLUMNS = ["set", "Python", *PACKAGES, *TRIED]
BEGIN, END = "<!-- make matrix -->\n", "<!-- until here -->\n"

Rows = dict[str, dict[str, str]]


def cells(line: str) -> list[str]:
    return [cell.strip(" `") for cell in line.strip("|\n").split("|")]


def line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(texts)} |\n"


def parts(page: Path) -> tuple[str, str, str]:
    """Return the page before the table, the table, and the page after it."""
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    table, end, after = rest.partition(END)
    if not end:
        raise SystemExit(
            f"{page.name} must have the lines {BEGIN.strip()} and "
            f"{END.strip()}, for the table"
        )
    return before + begin, table, end + after


def read(page: Path) -> Rows:
    """Return the table's rows by their sets, each by its columns."""
    rows = [cells(row) for row in parts(page)[1].splitlines()[2:] if row]
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows}


def write(page: Path, rows: Rows) -> None:
    """Write rows into the table, in the order of ``SETS``."""
    before, _, after = parts(page)
    table = [line(COLUMNS), line(["---"] * len(COLUMNS))]
    for name, (python, _) in SETS.items():
        if name in rows:
            row = rows[name] | {"set": f"`{name}`", "Python": python}
            table.append(line(row.get(column, "–") for column in COLUMNS))
    page.write_text("".join([before, *table, after]), "utf-8")


def outcome(report: pytest.TestReport) -> str:
    """Return what the table says of a test: how many passed, or failed."""
    found = dict(report.user_properties).get("failed of")
    if report.passed:
        return f"{found[1]} passed"
    return f"failed: {found[0]} of {found[1]}" if found else "failed"


class Table:
    """Keeps the table of a page up to date with each test that ends."""

    def __init__(self, page: Path) -> None:
        self.page = page

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test, _, name = report.nodeid.rstrip("]").partition("[")
        tried = test.rpartition("_")[2]
        ended = report.when == "call" or report.failed
        if tried not in TRIED or name not in SETS or not ended:
            return
        rows = read(self.page)
        versions = dict.fromkeys(PACKAGES, "–")
        versions |= dict(report.user_properties).get("versions", {})
        row = rows.get(name, {})
        # What was tried of other versions says nothing of these.
        row = row if row | versions == row else versions
        rows[name] = row | {tried: outcome(report)}
        write(self.page, rows)


def main(arguments: list[str]) -> int:
    tests = str(ROOT / "tests" / "test_versions.py")
    options = [tests, "-m", "versions", "-v", "-rs", *arguments]
    return pytest.main(options, [Table(PAGE)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
