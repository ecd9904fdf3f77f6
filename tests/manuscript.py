"""The book as the checks see it: its settings, pages, chapters and cells."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]

# Each chapter, in the order of reading, and the helpers that it teaches.
TAUGHT = {
    "00_start": [],
    "01_data": ["data"],
    "02_model": ["model"],
    "03_loss_and_gradients": ["loss"],
    "04_training": ["metrics", "training"],
    "05_compile": ["training"],
    "06_limits": ["limits"],
    "07_uncertainty": ["uncertainty"],
    "08_bigger_models": ["networks"],
    "09_real_data": ["real_data"],
    "10_speed": ["solvers"],
    "11_scale": ["scale"],
    "12_nnx": ["nnx_model"],
    "13_yours": ["yours"],
}


def config(name: str = "_config.yml") -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


TOC = config(name="_toc.yml")
# The documents that have a page, without their suffix, as they are read.
DOCUMENTS = [TOC["root"]] + [
    chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]
]
# Where the book is published, by its own word.
BASE = config()["html"]["baseurl"]


def repository() -> dict[str, str]:
    """Return the stamped ``repository:`` block of ``_config.yml``."""
    return config()["repository"]


def colab_url(name: str) -> str:
    """Return the address at which Colab opens a chapter."""
    stamped = repository()
    path = stamped["url"].removeprefix("https://github.com/")
    return (
        f"https://colab.research.google.com/github/{path}"
        f"/blob/{stamped['branch']}/notebooks/{name}.ipynb"
    )


class Cell:
    """One cell, with its number as a reader counts: from 1."""

    def __init__(self, chapter: str, number: int, node: Any) -> None:
        self.name = f"{chapter}.ipynb, cell {number}"
        self.number, self.node, self.source = number, node, node.source
        self.is_code = node.cell_type == "code"
        self.tags = set(node.metadata.get("tags", []))
        image = node.metadata.get("mystnb", {}).get("image", {})
        self.alt = image.get("alt", "")  # of its pictures

    def __str__(self) -> str:
        return self.name

    def shown(self, kind: str) -> list[str]:
        """Return what its outputs show of a kind: text/html, image/png, …"""
        outputs = self.node.get("outputs", [])
        return [o["data"][kind] for o in outputs if kind in o.get("data", {})]


class Chapter:
    """One notebook file."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        nodes = nbformat.read(path, as_version=4).cells
        self.cells = [Cell(self.name, i, n) for i, n in enumerate(nodes, 1)]
        self.code = [cell for cell in self.cells if cell.is_code]


def read(name: str) -> Chapter:
    return Chapter(ROOT / "notebooks" / f"{name}.ipynb")


def fail_on(problems: Iterable[str]) -> None:
    """Fail a test with the list of problems, if there are any."""
    if found := [f"- {problem}" for problem in problems]:
        lines = "\n".join([f"{len(found)} to mend:", *found])
        pytest.fail(lines, pytrace=False)
