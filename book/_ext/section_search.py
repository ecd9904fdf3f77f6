"""Search by section, for a page of this book is many screens long.

In place of Sphinx's index of pages, searchindex.js has each heading and what
is written under it, and each term with its sentence, for search.js. As a
script, a folder's pages can read it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx.application import Sphinx


def leave_search(app: Sphinx) -> None:
    app.builder.search = False


def name_terms(app: Sphinx, doctree: nodes.document) -> None:
    """Give each term of a list an address."""
    for term in doctree.findall(nodes.term):
        term["ids"] = [nodes.make_id(f"term-{term.astext()}")]


def words(tag: Tag) -> str:
    return " ".join(tag.get_text().split())


def code_names(part: Tag) -> list[str]:
    """The names of code in prose: jit of `jax.jit`, fit of `fit(…)`."""
    name = re.compile(r"(?:\w+\.)*([A-Za-z_]\w+)(?:\(.*\))?")
    said = [tag.get_text() for tag in part.select("code.literal:not(dl *)")]
    return [found[1] for found in map(name.fullmatch, said) if found]


def sections(path: Path, address: str) -> Iterator[dict]:
    """Take a page apart, from its end, so that no text is in two sections."""
    html = path.read_text("utf-8").replace("</dt>", " </dt>")
    soup = BeautifulSoup(html, "html.parser")
    article = soup.article
    for tag in article.select("a.headerlink, summary, noscript, .playground"):
        tag.decompose()
    for term in article.select("dt[id^=term-]"):
        entry = term.wrap(soup.new_tag("section", id=term.attrs.pop("id")))
        entry.append(entry.find_next_sibling("dd"))
    chapter = article.h1.get_text()
    # A part of the playground has an id and no heading.
    named = "section[id]:has(h1, h2, h3, h4, dt), dl.py:has(> dt[id])"
    for part in reversed(article.select(named)):
        heading = part.extract().select_one("h1, h2, h3, h4, dt").extract()
        # A term is bold where it is taught; with a full stop it is a title.
        bold = [tag.get_text() for tag in part.select("strong:not(dl *)")]
        names = code_names(part) if heading.name != "h1" else []
        code = part.select("pre, .cell_output")
        yield {
            "address": f"{address}#{part.get('id') or heading['id']}",
            "chapter": chapter,
            "heading": heading.get("id") or words(heading),
            "bold": "; ".join(term for term in bold if term[-1] != "."),
            "names": names,
            "code": " ".join(words(tag.extract()) for tag in code),
            "text": words(part),
        }


def write_index(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.name != "html":
        return
    root = Path(app.outdir)
    index: list[dict] = []
    for folder in ("notebooks", "book"):  # the order of reading
        lists = ("notation", "reference")  # looked up, and not read
        pages = sorted(root.glob(f"{folder}/*.html"))
        for path in sorted(pages, key=lambda path: path.stem in lists):
            found = sections(path, path.relative_to(root).as_posix())
            index += reversed(list(found))
    # A name of code is taught where heading and prose have it, or else where
    # the prose first does; a chapter's opening only announces it.
    taught: dict[str, str] = {}
    for headed in (True, False):
        for section in index:
            for name in section["names"]:
                if not headed or name in section["heading"].split():
                    taught.setdefault(name, section["address"])
    for section in index:
        own = {n for n in section["names"] if taught[n] == section["address"]}
        section["names"] = " ".join(sorted(own))
    script = f"const sections = {json.dumps(index, ensure_ascii=False)};\n"
    Path(root, "searchindex.js").write_text(script, "utf-8")


def setup(app: Sphinx) -> dict:
    app.connect("builder-inited", leave_search)
    app.connect("doctree-read", name_terms)
    app.connect("build-finished", write_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
