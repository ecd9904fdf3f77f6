"""The chapters as the checks see them: cells, tags, prose and pictures."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

ROOT = Path(__file__).resolve().parents[1]

# Each chapter, in the order of reading, and the helpers that it teaches.
TAUGHT = {
    "01_data": ["data"],
    "02_model": ["model"],
    "03_loss_and_gradients": ["loss"],
    "04_training": ["metrics", "training"],
    "05_limits": ["limits"],
    "06_uncertainty": ["uncertainty"],
    "07_bigger_models": ["networks"],
    "08_real_data": ["real_data"],
    "09_speed": ["solvers"],
    "10_scale": ["scale"],
    "11_nnx": ["nnx_model"],
}

# Helpers that draw for the chapters or run them, and are taught in none.
DRAWING = {"plotting", "scrubber"}
UNTAUGHT = {"launch", "worker"} | DRAWING

MARKDOWN = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin)


def config(root: Path = ROOT, name: str = "_config.yml") -> Any:
    """Return the book's settings."""
    return yaml.safe_load((root / name).read_text("utf-8"))


TOC = config(name="_toc.yml")
# The documents that have a page, without their suffix, as they are read.
DOCUMENTS = [TOC["root"]] + [
    chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]
]

# Where the book is published, by its own word.
BASE = config()["html"]["baseurl"]
# Where the copy is that make check-published looks at, if it is that.
PUBLISHED = os.environ.get("BOOK_URL")


def repository(root: Path = ROOT) -> dict[str, str]:
    """Return the stamped ``repository:`` block of ``_config.yml``."""
    return config(root)["repository"]


def colab_url(name: str, root: Path = ROOT) -> str:
    """Return the address at which Colab opens a chapter."""
    stamped = repository(root)
    path = stamped["url"].removeprefix("https://")
    return (
        "https://colab.research.google.com/"
        f"{path.replace('github.com', 'github', 1)}"
        f"/blob/{stamped['branch']}/notebooks/{name}.ipynb"
    )


def locked(name: str, file: str = "requirements.txt") -> str | None:
    """Return a package's version in the lock, if that has it."""
    text = (ROOT / file).read_text("utf-8")
    found = re.search(rf"^{name}==(\S+)", text, re.M)
    return found and found[1]


class Cell:
    """One cell, with its number as a reader counts: from 1."""

    def __init__(self, chapter: str, number: int, node: Any) -> None:
        self.chapter, self.number, self.node = chapter, number, node
        self.is_code = node.cell_type == "code"
        self.source: str = node.source
        self.tags = set(node.metadata.get("tags", []))
        self.outputs = node.get("outputs", [])

    def __str__(self) -> str:
        first = self.source.strip().split("\n")[0]
        return f"{self.chapter}.ipynb, cell {self.number} ({first[:48]!r})"

    @property
    def mystnb(self) -> Any:
        return self.node.metadata.get("mystnb", {})

    @property
    def alt(self) -> Any:
        """The alt text of the cell's pictures, or None."""
        return self.mystnb.get("image", {}).get("alt")

    @property
    def is_setup(self) -> bool:
        return "remove-cell" in self.tags

    @property
    def is_solution(self) -> bool:
        return self.is_code and "hide-cell" in self.tags

    @property
    def is_compared(self) -> bool:
        return "nbval-ignore-output" not in self.tags

    @property
    def pictures(self) -> list[str]:
        """The PNGs of the outputs, in base64."""
        data = (output.get("data", {}) for output in self.outputs)
        return [d["image/png"] for d in data if "image/png" in d]

    @property
    def drawings(self) -> list[str]:
        """The HTML of the outputs that hold an SVG."""
        data = (output.get("data", {}) for output in self.outputs)
        return [h for d in data if "<svg" in (h := d.get("text/html", ""))]

    @cached_property
    def tokens(self) -> list[Any]:
        """The blocks of a markdown cell, each followed by what is in it."""
        blocks = MARKDOWN.parse("" if self.is_code else self.source)
        return [
            t for block in blocks for t in [block, *(block.children or [])]
        ]

    @cached_property
    def headings(self) -> list[tuple[int, str]]:
        return [
            (int(token.tag[1]), self.tokens[i + 1].content)
            for i, token in enumerate(self.tokens)
            if token.type == "heading_open"
        ]

    @property
    def links(self) -> list[str]:
        return [t.attrs["href"] for t in self.tokens if t.type == "link_open"]

    @cached_property
    def spans(self) -> list[tuple[str, str]]:
        """A markdown cell as read, in pieces: the kind and text of each."""
        pieces = []
        for token in self.tokens:
            if token.type.startswith("html"):
                continue
            if token.type == "inline" or "break" in token.type:
                pieces.append((token.type, "\n"))
            else:
                pieces.append((token.type, token.content))
        return pieces


class Chapter:
    """One notebook file."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise AssertionError(
                f"{path.name} is missing from {path.parent.name}/; TAUGHT in "
                "tests/manuscript.py lists the chapters"
            )
        self.path, self.name = path, path.stem
        self.text = path.read_text("utf-8")
        self.notebook = nbformat.reads(self.text, as_version=4)
        self.cells = [
            Cell(self.name, number, node)
            for number, node in enumerate(self.notebook.cells, start=1)
        ]
        self.code = [cell for cell in self.cells if cell.is_code]
        self.markdown = [cell for cell in self.cells if not cell.is_code]


def read(name: str, root: Path = ROOT) -> Chapter:
    """Read one chapter of the tree at ``root``."""
    return Chapter(root / "notebooks" / f"{name}.ipynb")


CODE_IN_HTML = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL)


def printed(cell: Cell) -> str:
    """Return what a code cell shows, as text, without HTML's tags and code."""
    parts = []
    for output in cell.outputs:
        data = output.get("data", {})
        parts += [output.get("text", ""), data.get("text/plain", "")]
        html = CODE_IN_HTML.sub(" ", data.get("text/html", ""))
        parts += [re.sub(r"<[^>]*>", " ", html)]
        parts += [output.get("evalue", ""), *output.get("traceback", [])]
    return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(parts))


def with_changed_digit(chapter: Chapter) -> tuple[Any, str]:
    """Cut a notebook after its first printed digit, and change that.

    Return it and nbval's name of its last cell.
    """
    number, output = next(
        (cell.number, output)
        for cell in chapter.code
        for output in cell.outputs
        if output.output_type == "stream" and re.search(r"\d", output.text)
    )
    output.text = re.sub(
        r"\d", lambda m: str((int(m[0]) + 1) % 10), output.text, count=1
    )
    chapter.notebook.cells = chapter.notebook.cells[:number]
    last = sum(cell.is_code for cell in chapter.cells[:number]) - 1
    return chapter.notebook, f"Cell {last}"


def run_pytest(
    command: Iterable[str | Path], folder: Path, **options: Any
) -> dict[tuple[str, str], str | None]:
    """Run pytest; return what it says of each test that it ran, or None.

    That is, None of those that passed; a test is its class and name. The
    report goes to ``folder``; ``options`` are those of ``subprocess.run``.
    """
    report = folder / "tested.xml"
    command = [*command, "--junitxml", report]
    command += ["-p", "no:cacheprovider", "--color", "no"]
    run = subprocess.run(command, capture_output=True, text=True, **options)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    said = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        if case.find("skipped") is None:
            failed = [*case.iter("failure"), *case.iter("error")]
            name = case.attrib["classname"], case.attrib["name"]
            said[name] = gist(failed[0].text) if failed else None
    return said


def run_nbval(
    folder: Path, *options: str
) -> dict[tuple[str, str], str | None]:
    """Run nbval on a folder's notebooks; return what it says of each cell.

    A cell is a file's name and nbval's of the cell.
    """
    command = [sys.executable, "-m", "pytest", "--nbval", folder, *options]
    return run_pytest([*command, "--rootdir", folder], folder)


def gist(said: str | None) -> str:
    """Return which lines differ in what nbval says, or else the error."""
    plain = re.sub(r"(#x1B|\x1b)\[[\d;]*m", "", said or "")
    after = plain.partition("Traceback:")[2] or plain
    lines = [line.rstrip() for line in after.splitlines() if line.strip()]
    differ = [line for line in lines if re.match(r"\s*[-+] |E  ", line)]
    return "\n".join(["", *(differ or lines[-1:] or ["no reason given"])])


def fail_on(problems: Iterable[str]) -> None:
    """Fail a test with the list of problems, if there are any."""
    found = list(problems)
    if found:
        lines = "\n".join(f"- {problem}" for problem in found)
        pytest.fail(f"{len(found)} to mend:\n{lines}", pytrace=False)
