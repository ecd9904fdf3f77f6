"""See that nbval notices every change of what the chapters print.

    python scripts/teeth.py --nbval notebooks/

This is pytest with a plugin: when nbval has executed a cell, each digit of
the stored outputs is changed in turn, lines and outputs are taken out, put in
and swapped, and nbval compares again. What it does not notice is named, and
the exit status is 1.
"""

import re
import sys
from copy import deepcopy
from itertools import groupby, pairwise

import nbformat
import pandas as pd
import pytest
from chapters import place, tags

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
IGNORED = "nbval-ignore-output"
COLUMNS = ["numbers", "caught", "others", "caught too", "left", "pictures"]
LEGEND = f"""
numbers   of which each digit was changed in turn; caught: every time
others    lines or outputs taken out, put in or swapped
left      numbers in cells tagged {IGNORED}: times, pictures of
          times and progress bars, which differ in each run; and those in
          tracebacks, which name lines of other packages
pictures  compared elsewhere, in tests/test_pages.py, by pixels; as is the
          order of outputs of different kinds
"""


def texts(output):
    """Return an output's compared texts by their keys: text, text/html, …"""
    return {
        key: text
        for key, text in output.get("data", output).items()
        if key.startswith("text") or key in ("ename", "evalue")
    }


def order(outputs):
    """Return of what kinds the outputs are, one after the other."""
    kinds = (
        (out.output_type, out.get("name"), *sorted(out.get("data", ())))
        for out in outputs
    )
    # A stream may come in pieces.
    return [kind for kind, _ in groupby(kinds)]


def replaced(outputs, index, key, text):
    """Return the outputs with another text in the place of one."""
    outputs = deepcopy(outputs)
    outputs[index].get("data", outputs[index])[key] = text
    return outputs


def other_digits(outputs):
    """Yield each number's name, and the outputs for each digit changed."""
    for index, output in enumerate(outputs):
        for key, text in texts(output).items():
            for number in NUMBER.finditer(text):
                changes = [
                    f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}"
                    for at in range(*number.span())
                    if text[at].isdecimal()
                ]
                line = 1 + text.count("\n", 0, number.start())
                yield (
                    f"{number[0]} in line {line} of its {key}",
                    (replaced(outputs, index, key, new) for new in changes),
                )


def other_outputs(outputs):
    """Yield what is done to lines or outputs, and the outputs after it."""
    for index, output in enumerate(outputs):
        for key, text in texts(output).items():
            lines = text.splitlines(keepends=True)
            for at in range(len(lines)):
                less = "".join(lines[:at] + lines[at + 1 :])
                changed = replaced(outputs, index, key, less)
                yield f"line {at + 1} of its {key} taken out", changed
        rest = outputs[:index] + outputs[index + 1 :]
        yield f"output {index + 1} taken out", rest
        yield f"output {index + 1} put in twice", [*outputs, output]
    added = nbformat.v4.new_output("stream", text="0\n")
    yield "an output put in", [*outputs, added]


def swapped(outputs):
    """Yield which outputs change places, and the outputs after it."""
    for one, two in pairwise(range(len(outputs))):
        changed = list(outputs)
        changed[one], changed[two] = outputs[two], outputs[one]
        yield f"outputs {one + 1} and {two + 1} swapped", changed


def bite(outputs, is_same):
    """Try all changes of a cell's outputs on a comparer.

    ``is_same(outputs)`` tells whether outputs pass for the fresh ones. Return
    the first four of ``COLUMNS``, and the names of the changes it missed.
    """
    numbers = [
        (name, not any(map(is_same, changes)))
        for name, changes in other_digits(outputs)
    ]
    others = [
        (name, not is_same(changed))
        for name, changed in other_outputs(outputs)
    ] + [
        (name, not is_same(changed) or order(changed) != order(outputs))
        for name, changed in swapped(outputs)
    ]
    counts = [
        count
        for tried in (numbers, others)
        for count in (len(tried), sum(caught for _, caught in tried))
    ]
    return counts, [name for name, caught in numbers + others if not caught]


def bite_cell(item, outputs):
    """Try them on nbval's own comparer, after it has executed the cell."""
    # At the top it would be too early for pytest.
    from nbval.plugin import coalesce_streams

    fresh = item.test_outputs or []
    compared = item.options["check"] and not item.options["skip"]
    # To report a difference takes longer than to find it.
    item.format_output_compare = lambda *_: None

    def is_same(changed):
        stored = coalesce_streams(deepcopy(changed))
        return not compared or item.compare_outputs(fresh, stored)

    counts, missed, pictures = [0, 0, 0, 0], [], 0
    left = [line for o in outputs for line in o.get("traceback", ())]
    if IGNORED in tags(item.cell):
        left += [text for o in outputs for text in texts(o).values()]
    else:
        counts, missed = bite(outputs, is_same)
        pictures = sum("image/png" in o.get("data", ()) for o in outputs)
    return [*counts, len(NUMBER.findall("\n".join(left))), pictures], missed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    outputs = deepcopy(item.cell.outputs)
    try:
        return (yield)
    finally:
        where = f"{item.path.name}, {place(item.parent.nb, item.cell)}"
        counts, missed = bite_cell(item, outputs)
        found = item.path.stem, counts, [f"{where}: {m}" for m in missed]
        item.user_properties.append(("teeth", found))


class Table:
    """Gathers what all cells gave, from every process, and shows it."""

    def __init__(self):
        self.rows, self.missed = [], []

    def pytest_runtest_logreport(self, report):
        found = dict(report.user_properties).get("teeth")
        if found and report.when == "call":
            chapter, counts, missed = found
            self.rows.append([chapter, *counts])
            self.missed += missed

    def pytest_sessionfinish(self, session):
        if self.missed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self):
        table = pd.DataFrame(self.rows, columns=["chapter", *COLUMNS])
        table = table.groupby("chapter").sum()
        table.loc["all"] = table.sum()
        print(f"\n\n{table.to_string()}\n{LEGEND}")
        for missed in self.missed:
            print(f"NOT CAUGHT: {missed}")


def main(arguments):
    if "--nbval" not in arguments:
        return "Name the chapters: python scripts/teeth.py --nbval notebooks/"
    return pytest.main([*arguments, "-q", "-p", "teeth"], [Table()])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
