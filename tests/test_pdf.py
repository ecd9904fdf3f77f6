"""The book as one PDF, as make pdf left it."""

import re
from collections import Counter

import pytest
from bs4 import BeautifulSoup
from manuscript import DOCUMENTS, fail_on
from pypdf import PdfReader

pytestmark = pytest.mark.book


@pytest.fixture(scope="module")
def pdf(built):
    path = built / "drawing-the-line.pdf"
    if not path.is_file():
        pytest.skip("make pdf makes it")
    return PdfReader(path)


@pytest.fixture(scope="module")
def articles(built):
    texts = [(built / f"{name}.html").read_text("utf-8") for name in DOCUMENTS]
    return [BeautifulSoup(text, "html.parser").article for text in texts]


def squeezed(text):
    """Return the text without spaces, which a PDF keeps only as gaps."""
    return re.sub(r"\s+", "", text)


def test_every_page_of_the_book_begins_a_page_and_is_in_the_outline(
    pdf, articles
):
    chapters = [item for item in pdf.outline if not isinstance(item, list)]
    titles = [article.h1.get_text() for article in articles]
    assert [f"{chapter.title}#" for chapter in chapters] == titles
    for item in chapters:
        page = pdf.pages[pdf.get_destination_page_number(item)]
        assert squeezed(item.title) in squeezed(page.extract_text())[:200]


def test_every_page_links_it(pdf, articles):
    for article in articles:
        assert article.parent.select("footer a[href$='the-line.pdf']")


def test_no_page_is_blank(pdf):
    fail_on(
        f"page {number} is blank: see scripts/pdf.css"
        for number, page in enumerate(pdf.pages, start=1)
        if page.extract_text().strip() in ("", str(number))
        and "/XObject" not in page["/Resources"]
    )


def test_every_link_leads_somewhere(pdf):
    links = [
        link.get_object()
        for page in pdf.pages
        for link in page.get("/Annots", [])
    ]
    assert len(links) > 200
    places = pdf.named_destinations
    for link in links:
        address = link.get("/A", {}).get("/URI")
        assert link.get("/Dest") in places or address.startswith("https://")


def test_every_figure_is_there_with_its_alt_text(pdf, articles):
    said, stack = Counter(), [pdf.root_object["/StructTreeRoot"]]
    while stack:
        node = stack.pop().get_object()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            said[squeezed(node.get("/Alt", ""))] += 1
            stack += [node["/K"]] if "/K" in node else []
    wanted = Counter(
        squeezed(tag.get("alt") or tag["aria-label"])
        for article in articles
        # An empty one is drawn by a script.
        for tag in article.select("img[alt], svg[aria-label]:not(:empty)")
        if not tag.find_parent(class_="playground")
    )
    fail_on(f"no figure says {text[:80]!r}" for text in wanted - said)
