"""The built pages are whole: links, pictures, folds, and no other host."""

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag
from fontTools.ttLib import TTFont
from manuscript import (
    BASE,
    DOCUMENTS,
    ROOT,
    TAUGHT,
    colab_url,
    fail_on,
    read,
    repository,
)

pytestmark = pytest.mark.book

Problems = Iterator[str]


class Page:
    """One built page."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.soup = BeautifulSoup(path.read_text("utf-8"), "html.parser")

    def __str__(self) -> str:
        return self.name

    @cached_property
    def ids(self) -> set[str]:
        tags = self.soup.find_all(True)
        return {t[k] for t in tags for k in ("id", "name") if t.has_attr(k)}


class Site:
    """The folder of built pages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages = {
            path: Page(path, path.relative_to(folder).as_posix())
            for path in sorted(folder.rglob("*.html"))
        }

    def __getitem__(self, document: str) -> Page:
        return self.pages[self.folder / f"{document}.html"]

    @property
    def styles(self) -> Iterator[tuple[Path, str]]:
        """Each style sheet, and each page's own styles."""
        for path in self.folder.rglob("*.css"):
            yield path, path.read_text("utf-8")
        for path, page in self.pages.items():
            for tag in page.soup.find_all(["style"]):
                yield path, tag.get_text()


@pytest.fixture(scope="module")
def site(built: Path) -> Site:
    return Site(built)


# Addresses

ADDRESSES = ("action", "data", "href", "poster", "src", "xlink:href")


def target(path: Path, address: str) -> Path | None:
    """Return the book's file that an address in the file at ``path`` names."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    if not parts.path:
        return path
    file = (path.parent / unquote(parts.path)).resolve()
    return file / "index.html" if file.is_dir() else file


def missing(site: Site, path: Path, address: str) -> str:
    """Return why an address in the file at ``path`` leads nowhere, or ''."""
    file = target(path, address)
    if file is None:
        return ""
    if not file.is_file():
        return "is no file of the book"
    page = site.pages.get(file)
    # A setting of the playground's is no place; its own tests try it.
    fragment = urlsplit(address).fragment
    place = "" if "=" in fragment else fragment
    if place and page and place not in page.ids:
        return f"has no place #{place} in {page}"
    return ""


def style_addresses(text: str) -> list[str]:
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    pattern = r"""(?:\burl\(\s*|@import\s+)["']?([^"')\s;]+)"""
    return re.findall(pattern, text)


def dead_links(site: Site) -> Problems:
    for path, page in site.pages.items():
        for tag in page.soup.select(":not(base)"):
            for address in filter(None, map(tag.get, ADDRESSES)):
                if reason := missing(site, path, address):
                    yield f"{page}: <{tag.name}> {address!r} {reason}"
    for path, text in site.styles:
        for address in style_addresses(text):
            if reason := missing(site, path, address):
                yield f"{path.name}: a style's {address!r} {reason}"


def misplaced_links(site: Site) -> Problems:
    """Where the repository has an address each page links to it, else none."""
    path = urlsplit(repository()["url"]).path
    stamped = not path.startswith("/-")  # with which no account begins
    for page in site.pages.values():
        found = page.soup.select(f'a[href*="{path}"]')
        if bool(found) != stamped and page.name != "index.html":
            yield f"{page}: has {len(found)} links to {path}"
    for name in TAUGHT:
        page, address = site[f"notebooks/{name}"], colab_url(name)
        found = page.soup.select(f'a[href="{address}"]')
        if len(found) != 2 * stamped:  # at its top, and in its text
            yield f"{page}: has {len(found)} links to {address}"


# A link that only tells, or is followed by hand.
NOT_REQUESTED = {"canonical", "next", "prev"}


def requested(tag: Tag) -> list[str]:
    """Return the addresses that a browser asks for by itself."""
    asked = [tag.get(name, "") for name in ("src", "data", "poster")]
    asked += tag.get("srcset", "").split(",")
    if tag.name == "use" or (
        tag.name == "link" and not NOT_REQUESTED & set(tag["rel"])
    ):
        asked += [tag.get("href", ""), tag.get("xlink:href", "")]
    return asked


def foreign_requests(site: Site) -> Problems:
    for page in site.pages.values():
        for tag in page.soup.find_all(True):
            for address in requested(tag):
                if urlsplit(address.strip()).netloc:
                    yield f"{page}: <{tag.name}> asks {address}; vendor it"
        for script in page.soup.find_all("script", src=False):
            for address in re.findall(r"https?://[^\s'\"]+", str(script)):
                yield f"{page}: a script names {address}; take it out"
    for path, text in site.styles:
        for address in style_addresses(text):
            if urlsplit(address).netloc:
                yield f"{path.name}: a style asks {address}; vendor it"


# In December 2026 the reference has 380 kB, a chapter up to 352, of which 232
# are what all pages ask for. Pictures come when they are scrolled to, and the
# search's index grows with the text.
HEAVY = 400_000
WEIGHED = {".html", ".css", ".js", ".woff2"}


def heavy_pages(site: Site) -> Problems:
    for path, page in site.pages.items():
        asked = chain.from_iterable(map(requested, page.soup.find_all(True)))
        files = {path, *(target(path, address) for address in asked)}
        for sheet in [f for f in files if f and f.suffix == ".css"]:
            text = sheet.read_text("utf-8")
            files |= {target(sheet, url) for url in style_addresses(text)}
        weight = sum(
            file.stat().st_size
            for file in filter(None, files)
            if file.suffix in WEIGHED and file.name != "searchindex.js"
        )
        if weight > HEAVY:
            yield f"{page}: weighs {weight:,} bytes, more than {HEAVY:,}"


# What a page has


def incomplete_heads(site: Site) -> Problems:
    """A page says what it is about and where it stands, to those who share."""
    listed = (site.folder / "sitemap.xml").read_text("utf-8")
    seen = set()
    for document in DOCUMENTS:
        head, address = site[document].soup.head, f"{BASE}{document}.html"
        said = {
            tag.get("name") or tag.get("property"): tag["content"]
            for tag in head.select("meta[content]")
        }
        about = said.get("description", "")
        if about in seen or not 40 <= len(about) <= 200:
            yield (
                f"{document}: wants a description of its own, of 40 to 200 "
                f"characters, in book/descriptions.yml; has {about!r}"
            )
        seen.add(about)
        if said.get("og:description") != about:
            yield f"{document}: og:description is not its description"
        for name in ("og:url", "og:image"):
            if not said.get(name, "").startswith(BASE):
                yield f"{document}: {name} is {said.get(name)}, not in {BASE}"
        card = said.get("og:image", "").removeprefix(BASE)
        if not (site.folder / card).is_file():
            yield f"{document}: its card {card} is no file of the book"
        canonical = head.select_one("link[rel=canonical]")
        if canonical is None or canonical["href"] != address:
            yield f"{document}: its canonical link is not {address}"
        if f"<loc>{address}</loc>" not in listed:
            yield f"{document}: sitemap.xml lacks {address}"


# What says in Colab and Jupyter that a solution is folded there.
TITLE = "# @title Solution\n"


def lost_cells(site: Site) -> Problems:
    """Each picture is there, the set-up is not, answers are folded."""
    for name in TAUGHT:
        article, chapter = site[f"notebooks/{name}"].soup.article, read(name)
        drawn = [c.alt for c in chapter.code for _ in c.shown("image/png")]
        shown = [tag["alt"] for tag in article.select(".cell_output img")]
        if shown != drawn:
            yield f"{name}: its pictures say {shown}, its cells {drawn}"
        folded = [
            " ".join(tag.get_text().split())
            for tag in article.select("details:not([open]) pre")
        ]
        answers = [c for c in chapter.code if "hide-output" in c.tags]
        folds = "details:not([open]) > .cell_output"
        if len(article.select(f".tag_hide-output > {folds}")) != len(answers):
            yield f"{name}: folds not all {len(answers)} answers"
        for cell in chapter.code:
            if "remove-cell" in cell.tags and cell.source in article.text:
                yield f"{cell}: tagged remove-cell, and is shown"
            if "hide-cell" in cell.tags and (
                " ".join(cell.source.removeprefix(TITLE).split()) not in folded
            ):
                yield f"{cell}: tagged hide-cell, and is not folded"


def undocumented_helpers(site: Site) -> Problems:
    """Sphinx leaves out, without a word, what has no docstring."""
    ids = site["book/reference"].ids
    for path in ROOT.glob("helpers/[!_]*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            name = f"helpers.{path.stem}.{getattr(node, 'name', '_')}"
            if "._" not in name and name not in ids:
                yield f"book/reference.html lacks {name}"


def glyphs(name: str) -> set[str]:
    """Return what a font can write; a letter of maths is there as italic."""
    path = ROOT / f"book/assets/fonts/{name}-400regular.woff2"
    can = set(map(chr, TTFont(path).getBestCmap()))
    return can | {normalize("NFKC", character) for character in can}


def characters_of_no_font(site: Site) -> Problems:
    """The fonts are subsets: what they lack would look foreign."""
    names = ("literata", "jetbrains-mono", "stix-two-math")
    text, code, maths = map(glyphs, names)
    for page in site.pages.values():
        for string in page.soup.find_all(string=True):
            font, parents = text, {tag.name for tag in string.parents}
            if parents & {"script", "style"} or "body" not in parents:
                continue
            if parents & {"code", "kbd", "pre"}:
                font = code
            if "math" in parents and "mtext" not in parents:
                font = maths
            for lacking in {c for c in string if not c.isspace()} - font:
                yield f"{page}: no font has {lacking} of {string[:40]!r}"


RULES = [
    characters_of_no_font,
    dead_links,
    foreign_requests,
    heavy_pages,
    incomplete_heads,
    lost_cells,
    misplaced_links,
    undocumented_helpers,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_site_has_no(rule, site):
    fail_on(rule(site))
