"""Print the built pages as one book (make pdf)."""

import io
import logging
import sys
from itertools import chain
from pathlib import Path
from urllib.parse import urljoin

import chromium
import yaml
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader, PdfWriter

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "_build" / "html"
PDF = BUILT / "drawing-the-line.pdf"
CONFIG, TOC = (
    yaml.safe_load((ROOT / name).read_text("utf-8"))
    for name in ("_config.yml", "_toc.yml")
)
BASE = CONFIG["html"]["baseurl"]
PARTS = {
    part.get("caption", ""): [chapter["file"] for chapter in part["chapters"]]
    for part in TOC["parts"]
}
DOCUMENTS = [TOC["root"], *chain.from_iterable(PARTS.values())]

# What only a screen needs, and what is shown where no script runs.
SCREEN = "script, .headerlink, .buttons, .playground, noscript figcaption"

# pypdf counts its copies of Chromium's objects, and warns about them.
logging.getLogger("pypdf").setLevel(logging.ERROR)


def article(document: str) -> Tag:
    """Return what is printed of a page, with ids and links of the book."""
    text = (BUILT / f"{document}.html").read_text("utf-8")
    found = BeautifulSoup(text, "html.parser").article
    for tag in found.select(SCREEN):
        tag.decompose()
    for tag in found.select("noscript, wbr"):
        tag.unwrap()
    for tag in found.select("details.below-input"):
        tag.summary.decompose()
        tag.unwrap()
    for tag in found.select("details"):
        name = tag.select_one(".collapsed").get_text().split(" the ")[-1]
        tag.name, tag["class"] = "div", "solution"
        tag.summary.string, tag.summary.name = name.capitalize(), "p"
    for tag in found.select("img"):
        del tag["loading"]
    for tag in found.select("[id]:not(svg [id])"):
        tag["id"] = f"{document}.{tag['id']}"
    found["id"] = document
    for tag in found.select("a[href]"):
        address = urljoin(f"{BASE}{document}.html", tag["href"])
        path, _, place = address.removeprefix(BASE).partition("#")
        path = path.removesuffix(".html")
        # A setting of the playground leads to the published page.
        if path in DOCUMENTS and "=" not in place:
            address = f"#{path}.{place}" if place else f"#{path}"
        tag["href"] = address
    return found


def book() -> str:
    """Return the whole book, with a title page and the contents."""
    articles = {document: article(document) for document in DOCUMENTS}
    # No account begins with a hyphen, only the placeholder.
    address = "" if "//-" in BASE else f'<a href="{BASE}">{BASE}</a>'
    front = (
        f"<p>By {CONFIG['author']}. {address}<br>Text and "
        "figures are under CC BY 4.0, code is under the MIT licence.</p>"
        '<nav class="listed"><h2>Contents</h2>'
    )
    for caption, documents in PARTS.items():
        front += f"<p>{caption}</p>"
        for document in documents:
            title = articles[document].h1.get_text()
            front += f'<a href="#{document}">{title}</a>'
    hero = articles[TOC["root"]].select_one(".hero")
    hero.insert_after(BeautifulSoup(f"{front}</nav>", "html.parser"))
    return "".join(map(str, articles.values()))


def paper(page: Page) -> io.BytesIO:
    options = {"prefer_css_page_size": True, "outline": True, "tagged": True}
    return io.BytesIO(page.pdf(**options))


def main() -> None:
    path = chromium.find()
    if path is None:
        sys.exit(chromium.MISSING)
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright, path)
        page = browser.new_page(color_scheme="light")
        page.route("**/*.js", lambda route: route.abort())
        # All pages with pictures lie as deep as the first, so its head serves.
        page.goto((BUILT / f"{DOCUMENTS[0]}.html").as_uri())
        page.evaluate("html => document.body.innerHTML = html", book())
        page.add_style_tag(path=ROOT / "scripts" / "pdf.css")
        page.evaluate("Promise.all([...document.images].map(i => i.decode()))")
        # Printed once to learn on which pages the contents lie.
        reader = PdfReader(paper(page))
        numbers = {
            place.lstrip("/"): reader.get_destination_page_number(there) + 1
            for place, there in reader.named_destinations.items()
        }
        page.evaluate(
            """numbers => document.querySelectorAll(".listed a").forEach(
            link => link.dataset.page = numbers[link.hash.slice(1)])""",
            numbers,
        )
        writer = PdfWriter(clone_from=paper(page))
        browser.close()
    writer.metadata = {"/Title": CONFIG["title"], "/Author": CONFIG["author"]}
    writer.write(PDF)
    # Now the pages can link to it.
    for path in BUILT.rglob("*.html"):
        text = path.read_text("utf-8")
        text = text.replace("<!--pdf ", "").replace(" pdf-->", "")
        path.write_text(text, "utf-8")
    print(f"Wrote {PDF.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
