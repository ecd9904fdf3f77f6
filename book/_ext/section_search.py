"""Search by section, for a page of this book is many screens long.

In place of Sphinx's index of pages, searchindex.js has each heading and what
is written under it, for search.js. As a script, a folder's pages can read it.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup
from sphinx.application import Sphinx


def leave_search(app: Sphinx) -> None:
    app.builder.search = False


def sections(path: Path, address: str) -> Iterator[dict[str, str]]:
    """Take a page apart, from its end, so that no text is in two sections."""
    html = path.read_text("utf-8").replace("</dt>", " </dt>")
    article = BeautifulSoup(html, "html.parser").article
    for tag in article.select("a.headerlink, summary"):
        tag.decompose()
    chapter = article.h1.get_text()
    # A part of the playground has an id and no heading.
    named = "section[id]:has(h1, h2, h3, h4), dl.py:has(> dt[id])"
    for part in reversed(article.select(named)):
        heading = part.extract().select_one("h1, h2, h3, h4, dt").extract()
        # A term is bold where it is taught; with a full stop it is a title.
        bold = [tag.get_text() for tag in part.select("strong:not(dl *)")]
        yield {
            "address": f"{address}#{part.get('id') or heading['id']}",
            "chapter": chapter,
            "heading": heading.get("id") or heading.get_text(),
            "bold": "; ".join(term for term in bold if term[-1] != "."),
            "text": " ".join(part.get_text().split()),
        }


def write_index(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.name != "html":
        return
    root = Path(app.outdir)
    index: list[dict[str, str]] = []
    for folder in ("notebooks", "book"):  # the order of reading
        for path in sorted(root.glob(f"{folder}/*.html")):
            found = sections(path, path.relative_to(root).as_posix())
            index += reversed(list(found))
    script = f"const sections = {json.dumps(index, ensure_ascii=False)};\n"
    Path(root, "searchindex.js").write_text(script, "utf-8")


def setup(app: Sphinx) -> dict:
    app.connect("builder-inited", leave_search)
    app.connect("build-finished", write_index)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
