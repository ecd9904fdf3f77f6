"""The book as one PDF: whole, in order, and made for paper.

It is printed once, from the pages in _build/html.
"""

import collections
import io
import itertools
import re
from collections.abc import Iterator
from typing import Any

import pdf
import pytest
from bs4 import BeautifulSoup
from manuscript import DOCUMENTS, PUBLISHED, config, fail_on
from pypdf import PdfReader

pytestmark = [
    pytest.mark.book,
    pytest.mark.browser,
    pytest.mark.skipif(bool(PUBLISHED), reason="asks of the built folder"),
]

A4 = (595, 842)


def squeezed(text: str) -> str:
    """Return the text without spaces, which a PDF keeps only as gaps."""
    return re.sub(r"\s+", "", text)


def walk(outline: list[Any], depth: int = 0) -> Iterator[tuple[int, Any]]:
    for item in outline:
        if isinstance(item, list):
            yield from walk(item, depth + 1)
        else:
            yield depth, item


def elements(reader: PdfReader) -> Iterator[Any]:
    """Yield each element of the structure tree."""
    stack = [reader.root_object["/StructTreeRoot"]]
    while stack:
        node = stack.pop().get_object()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            yield node
            stack += [node["/K"]] if "/K" in node else []


class Printed:
    """The PDF as it is read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reader = PdfReader(io.BytesIO(data))
        self.texts = [page.extract_text() for page in self.reader.pages]
        self.outline = [
            (
                depth,
                item.title,
                self.reader.get_destination_page_number(item),
            )
            for depth, item in walk(self.reader.outline)
        ]
        self.links = [
            (number, annotation.get_object())
            for number, page in enumerate(self.reader.pages, 1)
            for annotation in page.get("/Annots", [])
        ]


@pytest.fixture(scope="session")
def printed(browser, built):
    return Printed(pdf.render(browser, built))


@pytest.fixture(scope="module")
def laid(browser, built):
    """The book in a window as wide as the paper, without page breaks."""
    page = pdf.show(browser, built, pdf.book(built, {}))
    yield page
    page.close()


@pytest.fixture(scope="module")
def pages(built):
    """What the built pages hold, read here without the script's help."""
    read = {}
    for document in DOCUMENTS:
        text = (built / f"{document}.html").read_text("utf-8")
        article = BeautifulSoup(text, "html.parser").article
        for tag in article.select(".headerlink, .playground, noscript style"):
            tag.decompose()
        read[document] = article
    return read


@pytest.fixture(scope="module")
def headings(pages):
    """The depth and text of each heading that the outline should have."""
    found = [
        (int(tag.name[1]) - 1, tag.get_text())
        for article in pages.values()
        for tag in article.find_all(re.compile("^h[1-6]$"))
    ]
    return [found[0], (1, "Contents"), *found[1:]]


# --- The file -------------------------------------------------------------


def test_it_says_what_it_is(printed):
    root, reader = printed.reader.root_object, printed.reader
    problems = []
    if not root.get("/MarkInfo", {}).get("/Marked"):
        problems.append("it is not tagged: print it with tagged=True")
    if not any(node.get("/S") == "/H1" for node in elements(reader)):
        problems.append("its tags name no H1")
    if root.get("/Lang") != "en":
        problems.append(f"its language is {root.get('/Lang')}, not en")
    wanted = {"/Title": config()["title"], "/Author": config()["author"]}
    said = dict(reader.metadata or {})
    said.pop("/Producer", None)
    if said != wanted:
        problems.append(f"its metadata are {said}, not {wanted}")
    fail_on(problems)


PRIVATE = rb"file:|/tmp/|/home/|/Users/|127\.0\.0\.1|Headless|Linux|Macint"


def test_it_tells_nothing_of_the_machine(printed):
    text = "".join(printed.texts).encode()
    addresses = [str(link.get("/A")).encode() for _, link in printed.links]
    places = b"\n".join([printed.data, text, *addresses])
    found = {word.decode() for word in re.findall(PRIVATE, places)}
    if str(pdf.ROOT).encode() in places:
        found.add(str(pdf.ROOT))
    fail_on(
        f"{word} is in the PDF: see show() and finished()" for word in found
    )


def test_every_page_is_a4(printed):
    sizes = [page.mediabox for page in printed.reader.pages]
    fail_on(
        f"page {number} is {size.width} × {size.height} points, and A4 {A4}"
        for number, size in enumerate(sizes, 1)
        if (round(size.width), round(size.height)) != A4
    )


# --- Order: outline, chapters, contents -----------------------------------


def test_outline_has_chapters_and_sections(printed, headings):
    found = [(depth, title) for depth, title, _ in printed.outline]
    for number, (have, want) in enumerate(zip(found, headings, strict=False)):
        assert have == want, (
            f"bookmark {number + 1} is {have}, and the pages have {want}: "
            "see UNPRINTED and mend_outline()"
        )
    assert len(found) == len(headings), (
        f"the outline has {len(found)} bookmarks, and the pages "
        f"{len(headings)} headings; the first too many or missing is "
        f"{(found + headings)[min(len(found), len(headings))]}: see trim()"
    )


def test_every_chapter_begins_a_page(printed):
    problems = []
    for depth, title, number in printed.outline:
        text = printed.texts[number]
        # The foot comes first: number and title.
        foot = "" if number == 0 else f"{number + 1}{title}"
        if depth == 0 and not squeezed(text).startswith(
            squeezed(foot + title)
        ):
            problems.append(f"{title} does not begin page {number + 1}")
    fail_on(problems)


def test_contents_give_the_true_pages(printed, headings):
    _, first, *rest = printed.outline
    contents = "".join(printed.texts[first[2] : rest[0][2]])
    text, place = squeezed(contents), 0
    for _, title, number in [printed.outline[0], *rest]:
        if title == "Added":  # the sections of sections are not listed
            continue
        line = squeezed(f"{title}{number + 1}")
        found = text.find(line, place)
        assert found >= 0, (
            f"the contents do not say, in its order, {title} … {number + 1}"
        )
        place = found + len(line)


def test_each_page_has_its_number_and_chapter(printed):
    problems = []
    begins = {n: t for depth, t, n in printed.outline if depth == 0}
    title = begins[0]
    for number, text in enumerate(printed.texts[1:], 1):
        title = begins.get(number, title)
        if not squeezed(text).startswith(squeezed(f"{number + 1}{title}")):
            problems.append(
                f"page {number + 1} has no foot {number + 1}, {title}: it "
                "needs Chromium 131 or newer; see @page in scripts/pdf.css"
            )
    fail_on(problems)


# --- Links ----------------------------------------------------------------


def test_links_lead_into_the_book_or_the_web(printed):
    places = printed.reader.named_destinations
    problems = []
    for number, link in printed.links:
        action = link.get("/A", {})
        address, place = action.get("/URI"), link.get("/Dest")
        if address is not None:
            if not re.match("https?://(?!127)", address):
                problems.append(f"page {number}: {address} is on no host")
        elif place is None or str(place) not in places:
            problems.append(
                f"page {number}: a link to {place or dict(action)}, which is "
                "no place in the PDF"
            )
    fail_on(problems)


def test_links_of_the_pages_are_kept(printed, pages, built):
    # Behind the contents, which link to each heading by themselves.
    behind = next(
        place
        for (_, title, _), (_, _, place) in itertools.pairwise(printed.outline)
        if title == "Contents"
    )
    kept = collections.Counter(
        str(link.get("/Dest") or link["/A"]["/URI"]).strip("/")
        for number, link in printed.links
        if number > behind
    )
    whole = pdf.load(built)
    missing = set()
    for document, article in pages.items():
        # A bibliography's numbers are not shown.
        for tag in article.select(f".buttons, {pdf.COLAB}, span.label"):
            tag.decompose()
        for tag in article.select("a[href]"):
            target = pdf.target(whole, document, tag["href"])
            if not kept[target.strip("#/")]:
                missing.add(target)
    assert not missing, f"the PDF has no link to {missing}"


# --- Pages and figures ----------------------------------------------------


def images(resources: Any) -> Iterator[int]:
    """Yield the number of each image that a page draws."""
    for name, reference in (resources.get("/XObject") or {}).items():
        item = reference.get_object()
        if item["/Subtype"] == "/Image":
            yield resources["/XObject"].raw_get(name).idnum
        elif "/Resources" in item:
            yield from images(item["/Resources"].get_object())
    for reference in (resources.get("/Pattern") or {}).values():
        item = reference.get_object()
        if "/Resources" in item:
            yield from images(item["/Resources"].get_object())


@pytest.fixture(scope="module")
def drawn(printed):
    """The numbers of the images on each page."""
    return [set(images(page["/Resources"])) for page in printed.reader.pages]


def test_no_page_is_blank(printed, drawn):
    problems = []
    title = ""
    begins = {n: t for depth, t, n in printed.outline if depth == 0}
    for number, text in enumerate(printed.texts):
        title = begins.get(number, title)
        rest = squeezed(text).removeprefix(str(number + 1))
        if not rest.removeprefix(squeezed(title)) and not drawn[number]:
            problems.append(
                f"page {number + 1} is blank: see break-… in scripts/pdf.css"
            )
    fail_on(problems)


def test_every_figure_is_there_once_and_whole(printed, drawn, pages):
    on = collections.Counter(image for page in drawn for image in page)
    divided = [
        number
        for number, page in enumerate(drawn, 1)
        if any(on[image] > 1 for image in page)
    ]
    assert not divided, (
        f"a figure is divided between the pages {divided}: see break-inside "
        "in scripts/pdf.css"
    )
    wanted = collections.Counter(
        (int(img["width"]), int(img["height"]))
        for page in pages.values()
        for img in page.select("img[src$='.webp']")
    )
    have = collections.Counter(
        (image["/Width"], image["/Height"])
        for image in map(printed.reader.get_object, on)
    )
    # A browser may draw parts of an SVG as images, too, of other sizes.
    fail_on(
        f"the PDF draws {have[size]} pictures of {size[0]} × {size[1]} px, "
        f"and the pages {wanted[size]}: run make book, or see show()"
        for size in wanted
        if have[size] != wanted[size]
    )


def test_every_figure_has_its_alt_text(printed, pages):
    wanted = collections.Counter(
        squeezed(tag.get("alt") or tag.get("aria-label") or "")
        for page in pages.values()
        for tag in page.select("img, svg[role=img][aria-label]")
    )
    said = collections.Counter(
        squeezed(node["/Alt"])
        for node in elements(printed.reader)
        if node.get("/S") == "/Figure" and "/Alt" in node
    )
    fail_on(f"no figure says {text[:80]!r}" for text in wanted - said)


def test_no_heading_ends_a_page(printed):
    fail_on(
        f"{title} is the last thing on page {number + 1}: see break-after in "
        "scripts/pdf.css"
        for _, title, number in printed.outline
        if squeezed(printed.texts[number]).endswith(squeezed(title))
    )


# What a reader of paper has no use for.
SCREEN = (
    "Show the solution|Hide the solution|Copy to clipboard|in Colab$|"
    "On this page|Skip to main|Search the book|Judge my line|Press Play:|"
    "switch JavaScript on|This page needs a moment"
)


def test_nothing_is_for_screens_alone(printed):
    fail_on(
        f"page {number} says {word!r}: see UNPRINTED"
        for number, text in enumerate(printed.texts, 1)
        for word in re.findall(SCREEN, text, re.MULTILINE)
    )


def test_solutions_are_open(printed, pages):
    wanted = sum(len(page.select("details")) for page in pages.values())
    text = "".join(printed.texts)
    found = len(re.findall("^Solution$", text, re.MULTILINE))
    assert found == wanted, (
        f"{found} lines say Solution, and the pages have {wanted} folded "
        "cells: see open_solution()"
    )
    solved = [
        line.get_text()
        for page in pages.values()
        for details in page.select("details")
        for line in details.select(".code-line")[:1]
    ]
    flat = squeezed(text)
    fail_on(
        f"the solution {line.strip()!r} is not printed: see open_solution()"
        for line in solved
        if squeezed(line) not in flat
    )


# --- What the browser lays out --------------------------------------------

# Code and output that goes on in a second line.
WRAPPED = """() => [...document.querySelectorAll(".code-line")].filter(
  e => e.getBoundingClientRect().height
    > 1.5 * parseFloat(getComputedStyle(e).lineHeight)
).map(e => e.textContent)"""

# What reaches beyond the column.
WIDE = """() => [...document.querySelectorAll(
  "article :is(p, pre, table, img, svg, math, div, figure)")].filter(
    e => !e.parentElement.closest("svg, math")
      && e.getBoundingClientRect().width
      && e.getBoundingClientRect().right
        > e.closest("article").getBoundingClientRect().right + 1
).map(e => `${e.tagName} ${e.textContent.trim().slice(0, 60)}`)"""

# What a page has no room for, in CSS pixels: 257 mm.
HIGH = """() => [...document.querySelectorAll(
  "article :is(img, svg, .figure-card, figure, .whole, blockquote)")].filter(
    e => e.getBoundingClientRect().height > 970
).map(e => `${e.tagName} ${e.className}`)"""

MISSING = """() => [...document.images].filter(
  e => !e.naturalWidth || e.loading === "lazy"
).map(e => e.alt.slice(0, 80))"""


def test_code_is_not_wrapped(laid):
    fail_on(
        f"{line.rstrip()!r} needs a second line: shorten it, or the type in "
        "scripts/pdf.css"
        for line in laid.evaluate(WRAPPED)
    )


def test_79_characters_fit(laid):
    """Whether or not a line now has as many."""
    longest = laid.evaluate(
        """() => {
          const line = document.querySelector(".cell_input .code-line");
          const before = line.textContent;
          line.textContent = "x".repeat(79);
          const style = getComputedStyle(line);
          const {height} = line.getBoundingClientRect();
          line.textContent = before;
          return height / parseFloat(style.lineHeight);
        }"""
    )
    assert longest < 1.5, "79 characters do not fit: see scripts/pdf.css"


@pytest.mark.parametrize(
    "script, what",
    [
        (WIDE, "is wider than the column"),
        (HIGH, "is higher than a page"),
        (MISSING, "is a picture that does not load, or late"),
    ],
    ids=["width", "height", "pictures"],
)
def test_all_fits(script, what, laid):
    fail_on(f"{found} {what}" for found in laid.evaluate(script))


def test_ids_are_unique(laid):
    ids = laid.evaluate("[...document.querySelectorAll('[id]')].map(e=>e.id)")
    twice = [i for i, n in collections.Counter(ids).items() if n > 1]
    assert not twice, f"two places have the id {twice}: see name()"
