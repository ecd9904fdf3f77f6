"""Print the whole book as one PDF (make pdf).

It joins the built pages, in the order of _toc.yml, into one, so that no
chapter is executed again. Chromium prints that twice: first to learn on which
page each heading lands, then with these numbers in the contents.
"""

import io
import logging
import posixpath
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import chromium
import yaml
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, Page, Route, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    BooleanObject,
    DictionaryObject,
    NameObject,
    TextStringObject,
)

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "_build" / "html"
PDF = BUILT / "drawing-the-line.pdf"
STYLE = ROOT / "scripts" / "pdf.css"

# pypdf counts its copies of Chromium's objects, and warns of them.
logging.getLogger("pypdf").setLevel(logging.ERROR)

# Chromium is handed each file under this name, so that no path of this
# machine gets into the PDF.
HOST = "http://127.0.0.1/"
COLAB = "a[href^='https://colab.research.google.com/github']"
UNPRINTED = (
    "script, link, button, .headerlink, .buttons, .playground, noscript style,"
    ".highlight wbr"
)
# Kinds of code that the book's styles leave in ink. Each element of a tagged
# PDF takes 150 bytes, and these are the most.
INK = ".highlight :is(.n, .nb, .nn, .o, .p, .w)"
# Of these, those that have no more lines than that stay on one page.
BOXES = (
    "div.cell, div.cell_input, div.output, div.solution, "
    "div[class*='highlight']"
)
WHOLE = 12

NEWER = "install version 131 or newer, or set CHROMIUM to its path"

Pages = dict[str, BeautifulSoup]
Numbers = dict[str, int]


def settings(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def parts() -> list[tuple[str, list[str]]]:
    """Return each part's caption and documents; the intro has no caption."""
    toc = settings("_toc.yml")
    return [("", [toc["root"]])] + [
        (part["caption"], [chapter["file"] for chapter in part["chapters"]])
        for part in toc["parts"]
    ]


def load(folder: Path) -> Pages:
    """Return the built pages, by document, as they are read."""
    pages = {}
    for _, documents in parts():
        for document in documents:
            path = folder / f"{document}.html"
            if not path.is_file():
                sys.exit(f"no {document}.html among the pages: run make book")
            text = path.read_text("utf-8")
            pages[document] = BeautifulSoup(text, "html.parser")
    return pages


def name(document: str, place: str = "") -> str:
    """Return the id that a page, or a place in it, has in the PDF."""
    return posixpath.basename(document) + (f".{place}" if place else "")


def joined(document: str, path: str) -> str:
    """Return a path that a page gives, as seen from the book's folder."""
    folder = posixpath.dirname(document)
    return posixpath.normpath(posixpath.join(folder, unquote(path)))


def target(pages: Pages, document: str, address: str) -> str:
    """Return where a page's link leads in the PDF."""
    to = urlsplit(address)
    if to.scheme:
        return address
    path = joined(document, to.path) if to.path else f"{document}.html"
    there = path.removesuffix(".html")
    if there not in pages:
        sys.exit(
            f"{document} links to {address}, which is no page of the PDF: "
            "name the page in _toc.yml, or give its full address"
        )
    page = pages[there]
    if to.fragment and not page.article.find(id=to.fragment):
        # A setting of the playground's, which only the page itself shows.
        own = page.select_one("link[rel=canonical]")["href"]
        return f"{own}#{to.fragment}"
    return f"#{name(there, to.fragment)}"


def open_solution(details: Tag) -> None:
    details.name, details["class"] = "div", ["solution"]
    details.summary.name = "p"
    details.p.string = "Solution"


def trim(article: Tag) -> None:
    """Take out what only a screen needs."""
    for tag in article.select(UNPRINTED):
        tag.decompose()
    for tag in article.select(f"noscript, {INK}"):
        tag.unwrap()
    for link in article.select(COLAB):
        # The chapter's button, not a link in a sentence.
        if link.parent.get_text() == link.get_text():
            link.parent.decompose()
    for details in article.select("details"):
        open_solution(details)
    for picture in article.select("img"):
        del picture["loading"], picture["decoding"]
    for caption in article.select(".playground-still figcaption"):
        caption.string = "The playground after a hundred epochs."
    for box in article.select(BOXES):
        lines = len(box.select(".code-line"))
        if lines <= WHOLE and not box.select_one("img, svg, table"):
            box["class"].append("whole")


def rename(pages: Pages, document: str, article: Tag) -> None:
    """Make ids the book's own, and let addresses lead to them."""
    for link in article.select("a[href]"):
        link["href"] = target(pages, document, link["href"])
    for picture in article.select("img"):
        picture["src"] = joined(document, picture["src"])
    for tag in article.select("[aria-labelledby]"):
        ids = tag["aria-labelledby"].split()
        tag["aria-labelledby"] = " ".join(name(document, i) for i in ids)


def articles(folder: Path) -> dict[str, Tag]:
    """Return what is printed of each page."""
    pages = load(folder)
    for page in pages.values():
        trim(page.article)
    for document, page in pages.items():
        rename(pages, document, page.article)
    for document, page in pages.items():
        for heading in page.article.select("section[id] > :is(h1, h2, h3)"):
            # A section may begin a page before its heading, with a gap.
            heading["id"] = heading.parent.attrs.pop("id")
        for tag in page.article.select("[id]"):
            tag["id"] = name(document, tag["id"])
        page.article["id"] = name(document)
        page.article["style"] = f"page: page-{name(document)}"
    return {document: page.article for document, page in pages.items()}


def headings(article: Tag) -> Iterator[tuple[str, str]]:
    """Yield the id and the text of the title and of each section."""
    for heading in article.select("h1, h2"):
        # A title lies where its page does.
        place = article["id"] if heading.name == "h1" else heading["id"]
        yield place, heading.get_text()


def entry(place: str, text: str, numbers: Numbers) -> str:
    return (
        f'<a href="#{escape(place)}"><span>{escape(text)}</span> '
        f"<span>{numbers.get(place, 0)}</span></a>"
    )


def contents(printed: dict[str, Tag], numbers: Numbers) -> str:
    """Return the list of parts, pages and sections, with page numbers."""
    lines = ['<nav class="contents-pages"><h2 id="contents">Contents</h2>']
    for caption, documents in parts():
        lines.append(f"<p>{escape(caption)}</p>" if caption else "")
        lines.append("<ul>")
        for document in documents:
            title, *sections = headings(printed[document])
            lines.append(f"<li>{entry(*title, numbers)}<ul>")
            lines += [f"<li>{entry(*s, numbers)}</li>" for s in sections]
            lines.append("</ul></li>")
        lines.append("</ul>")
    return "\n".join([*lines, "</nav>"])


def imprint() -> str:
    config = settings("_config.yml")
    address = config["html"]["baseurl"]
    return (
        f'<p class="imprint">By {escape(config["author"])}. '
        f'<a href="{address}">{address}</a><br>Text and figures are under '
        "CC BY 4.0, code is under the MIT licence.</p>"
    )


def begin(intro: Tag, listed: str) -> None:
    """Make a title page of the intro's hero, and put the contents after."""
    title = BeautifulSoup('<div class="title-page"></div>', "html.parser").div
    for tag in intro.select("h1, .promise, .hero"):
        title.append(tag.extract())
    title.append(BeautifulSoup(imprint(), "html.parser"))
    intro.insert(0, title)
    title.insert_after(BeautifulSoup(listed, "html.parser"))


def feet(printed: dict[str, Tag]) -> str:
    """Return the styles that name the chapter at each page's foot."""
    rules = []
    for article in printed.values():
        text = next(headings(article))[1].replace('"', '\\"')
        rules.append(
            f'@page page-{article["id"]} {{ @bottom-left {{ content: "{text}" '
            "}}"
        )
    return "\n".join(rules)


def book(folder: Path, numbers: Numbers) -> str:
    """Return the book as one page."""
    config = settings("_config.yml")
    printed = articles(folder)
    styles = feet(printed)
    begin(next(iter(printed.values())), contents(printed, numbers))
    return f"""<!DOCTYPE html>
<html lang="{config["sphinx"]["config"]["language"]}" data-theme="light">
<head>
<meta charset="utf-8">
<title>{escape(config["title"])}</title>
<link rel="stylesheet" href="_static/pages.css">
<style>{STYLE.read_text("utf-8")}
{styles}</style>
</head>
<body><main class="bd-content"><div class="bd-article-container">
{"".join(map(str, printed.values()))}
</div></main></body>
</html>
"""


def show(browser: Browser, folder: Path, text: str) -> Page:
    """Open the book in a window as wide as its column."""
    page = browser.new_page(
        viewport={"width": 643, "height": 900}, color_scheme="light"
    )
    page.emulate_media(media="print")

    def answer(route: Route) -> None:
        path = unquote(urlsplit(route.request.url).path).lstrip("/")
        if not path:
            route.fulfill(body=text, content_type="text/html; charset=utf-8")
        elif (folder / path).is_file():
            route.fulfill(path=folder / path)
        else:
            route.fulfill(status=404)

    page.route("**/*", answer)
    page.goto(HOST)
    page.evaluate("document.fonts.ready.then(() => true)")
    return page


def paper(page: Page) -> bytes:
    return page.pdf(prefer_css_page_size=True, outline=True, tagged=True)


def landed(reader: PdfReader) -> Numbers:
    """Return the page, counted from 1, of each place that is linked to."""
    return {
        place.lstrip("/"): reader.get_destination_page_number(destination) + 1
        for place, destination in reader.named_destinations.items()
    }


def outlined(item: DictionaryObject) -> Iterator[DictionaryObject]:
    """Yield the bookmarks below one, as they are read."""
    below = item.get("/First")
    while below:
        below = below.get_object()
        yield below
        yield from outlined(below)
        below = below.get("/Next")


def mend_outline(writer: PdfWriter, titles: list[str]) -> None:
    """Give bookmarks the spaces that they lose where a title wraps."""
    if "/Outlines" not in writer.root_object:
        sys.exit(f"Chromium prints no bookmarks: {NEWER}")
    items = outlined(writer.root_object["/Outlines"])
    for item, title in zip(items, titles, strict=True):
        item[NameObject("/Title")] = TextStringObject(title)


def finished(printed: bytes, titles: list[str]) -> bytes:
    """Say what the book is, and not on which machine it was printed."""
    config = settings("_config.yml")
    writer = PdfWriter(clone_from=io.BytesIO(printed))
    writer.pdf_header = "%PDF-1.7"
    mend_outline(writer, titles)
    writer.metadata = {
        "/Title": config["title"],
        "/Author": config["author"],
    }
    writer.page_mode = "/UseOutlines"
    writer.root_object[NameObject("/ViewerPreferences")] = DictionaryObject(
        {NameObject("/DisplayDocTitle"): BooleanObject(True)}
    )
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def render(browser: Browser, folder: Path) -> bytes:
    """Return the PDF of the book in the folder."""
    numbers: Numbers = {}
    # Numbers hardly move what follows them; a third time is for when they do.
    for _ in range(3):
        page = show(browser, folder, book(folder, numbers))
        printed = paper(page)
        titles = page.locator("h1, h2, h3, h4").all_text_contents()
        page.close()
        before, numbers = numbers, landed(PdfReader(io.BytesIO(printed)))
        if numbers == before:
            return finished(printed, titles)
    sys.exit("the contents' page numbers do not settle: see scripts/pdf.css")


def main() -> None:
    path = chromium.find()
    if path is None:
        sys.exit(chromium.MISSING)
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright, path)
        printed = render(browser, BUILT)
        browser.close()
    # Whole or not at all.
    draft = BUILT.with_name(f"{PDF.name}.part")
    draft.write_bytes(printed)
    draft.replace(PDF)
    print(f"Wrote {PDF.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
