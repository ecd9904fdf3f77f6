"""The built pages are whole: links, pictures, words, and no other host.

Each rule is a function of a built site that yields what is wrong with it; it
can be pointed at any copy. test_page_faults.py does.
"""

import gzip
import importlib.metadata
import json
import re
from collections.abc import Iterator
from copy import copy
from functools import cache, cached_property
from itertools import zip_longest
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag
from lock import changed_pixels, decoded
from manuscript import (
    BASE,
    DOCUMENTS,
    PUBLISHED,
    ROOT,
    TAUGHT,
    Chapter,
    colab_url,
    fail_on,
    locked,
    read,
    repository,
)
from PIL import Image
from teeth import order

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

    @cached_property
    def forwards(self) -> bool:
        return bool(self.soup.select("meta[http-equiv=refresh i]"))

    @cached_property
    def article(self) -> Tag:
        """What the page is there for; the search page has only a main."""
        return self.soup.select_one("article") or self.soup.main

    @cached_property
    def texts(self) -> list[str]:
        """The words of the article, in pieces: code and output left out."""
        article = copy(self.article)
        for tag in article.select("pre, code, script, style, dt.sig"):
            tag.decompose()
        return list(article.stripped_strings)


read_once = cache(read)


class Site:
    """A folder of built pages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.everything = {
            path: Page(path, path.relative_to(folder).as_posix())
            for path in sorted(folder.rglob("*.html"))
            if "_static" not in path.parts
        }

    def __getitem__(self, document: str) -> Page:
        path = self.folder / f"{document}.html"
        assert path in self.everything, (
            f"{document} has no page; name it in _toc.yml, and run make book"
        )
        return self.everything[path]

    @property
    def pages(self) -> list[Page]:
        """All but those that only forward, and have nothing to read."""
        return [page for page in self.everything.values() if not page.forwards]

    @property
    def chapters(self) -> Iterator[tuple[Page, Chapter]]:
        for name in TAUGHT:
            yield self[f"notebooks/{name}"], read_once(name)

    @property
    def styles(self) -> Iterator[tuple[Path, str]]:
        """Each style sheet, and each page's own styles."""
        for path in sorted(self.folder.rglob("*.css")):
            yield path, path.read_text("utf-8")
        for path, page in self.everything.items():
            for tag in page.soup.find_all("style"):
                yield path, tag.get_text()
            for tag in page.soup.find_all(style=True):
                yield path, tag["style"]


@pytest.fixture(scope="module")
def site(built: Path) -> Site:
    return Site(built)


def style_addresses(text: str) -> list[str]:
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    pattern = (
        r"""(?:\burl\(\s*|@import\s+)(?:"([^"]*)"|'([^']*)'|([^)\s;]+))"""
    )
    return ["".join(groups) for groups in re.findall(pattern, text)]


def is_foreign(address: str) -> bool:
    return bool(urlsplit(address.strip()).netloc)


# --- Addresses ------------------------------------------------------------

ADDRESSES = ("action", "data", "href", "poster", "src", "xlink:href")
# The page that is shown at every address that has none.
LOST = "404.html"


def missing(site: Site, path: Path, address: str) -> str:
    """Return why an address in the file at ``path`` leads nowhere, or ''."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return ""
    prefix = urlsplit(BASE).path
    if not parts.path:
        target = path
    elif path == site.folder / LOST:
        if not parts.path.startswith(prefix):
            return f"does not begin with {prefix}: this page lies anywhere"
        target = site.folder / unquote(parts.path.removeprefix(prefix))
    elif parts.path.startswith("/"):
        return "is absolute: the book may lie in any folder of a host"
    else:
        target = (path.parent / unquote(parts.path)).resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return "is no file of the book"
    page = site.everything.get(target)
    # A setting of the playground's is no place; its own tests try it.
    place = "" if "=" in parts.fragment else parts.fragment
    if place and page and place not in page.ids:
        return f"has no place #{place} in {page}"
    return ""


def links_resolve(site: Site) -> Problems:
    for path, page in site.everything.items():
        for tag in page.soup.find_all(True):
            for attribute in ADDRESSES:
                address = tag.get(attribute)
                if address is None:
                    continue
                reason = missing(site, path, address)
                if reason:
                    yield (
                        f"{page}: <{tag.name}> leads to {address!r}, which "
                        f"{reason}"
                    )
    for path, text in site.styles:
        for address in style_addresses(text):
            reason = missing(site, path, address)
            if reason:
                name = path.relative_to(site.folder)
                yield f"{name}: a style asks {address!r}, which {reason}"


# A link that only tells, or is followed by hand.
NOT_REQUESTED = {"alternate", "author", "canonical", "help", "license"}


def nothing_foreign_is_requested(site: Site) -> Problems:
    for page in site.everything.values():
        for tag in page.soup.find_all(True):
            asked = [tag.get(k) for k in ("src", "data", "poster")]
            asked += re.split(r"\s*,\s*", tag.get("srcset") or "")
            if tag.name == "use" or (
                tag.name == "link" and not NOT_REQUESTED & set(tag["rel"])
            ):
                asked += [tag.get("href"), tag.get("xlink:href")]
            for address in filter(None, asked):
                if is_foreign(address):
                    yield f"{page}: <{tag.name}> asks {address}; vendor it"
        for script in page.soup.find_all("script"):
            for word in re.findall(
                r"https?://[^\s'\"]+|mathjax|thebe", str(script), re.I
            ):
                yield f"{page}: a script names {word}; take it out"
    for path, text in site.styles:
        for address in style_addresses(text):
            if is_foreign(address):
                name = path.relative_to(site.folder)
                yield f"{name}: a style asks {address}; vendor it"


def colab_buttons(site: Site) -> Problems:
    known = {colab_url(name) for name in TAUGHT}
    for page in site.pages:
        links = [tag["href"] for tag in page.soup.select("a[href*='colab.']")]
        name = page.path.stem
        wanted = {colab_url(name)} if name in TAUGHT else known
        for link in set(links) - wanted:
            yield (
                f"{page}: the Colab link {link} is none of {sorted(wanted)}; "
                "see repository: in _config.yml"
            )
    for page, chapter in site.chapters:
        selector = f"a[href='{colab_url(chapter.name)}']"
        if not page.article.select(selector):
            yield (
                f"{page}: the article has no link to its chapter in Colab, "
                f"{colab_url(chapter.name)}; run make book"
            )


# --- What a page has ------------------------------------------------------


def heads_are_complete(site: Site) -> Problems:
    seen: dict[str, Page] = {}
    for page in site.pages:
        head = page.soup.head
        if page.soup.html.get("lang") != "en":
            yield f"{page}: <html> wants lang=en"
        if not head.select_one("link[rel~=icon]"):
            yield f"{page}: no favicon; see html.favicon in _config.yml"
        texts = [head.title.get_text() if head.title else ""]
        if page.name.removesuffix(".html") in DOCUMENTS:
            tag = head.select_one("meta[name=description]")
            texts.append(tag["content"] if tag else "")
        for kind, text in zip(["title", "description"], texts, strict=False):
            least, place = 4, "its first heading"
            if kind == "description":
                least, place = 40, "book/descriptions.yml"
            if len(text) < least:
                yield (
                    f"{page}: the {kind} {text!r} wants {least} characters "
                    f"or more; see {place}"
                )
            if text in seen:
                yield (
                    f"{page}: the {kind} is that of {seen[text]}; each page "
                    "wants its own"
                )
            seen[text] = page
        for tag in head.select("meta[content], link[rel=canonical]"):
            text = tag.get("content") or tag.get("href") or ""
            if re.search(r"<|>|\bNone\b|\bundefined\b", text):
                yield f"{page}: {tag} holds markup, or nothing; want words"
            own = text.startswith(BASE) and text.removeprefix(BASE)
            if own and not (site.folder / own).is_file():
                yield f"{page}: {text} in the head is no file of the book"


def heads_say_what_a_link_shows(site: Site) -> Problems:
    for document in DOCUMENTS:
        page = site[document]
        tags = page.soup.head.select("meta[name], meta[property]")
        said = [(t.get("name") or t["property"], t["content"]) for t in tags]
        text = dict(said).get("description", "")
        if len(text) > 200 or not text.endswith("."):
            yield (
                f"{page}: the description {text!r} wants to be one sentence "
                "of at most 200 characters; see book/descriptions.yml"
            )
        wanted = {
            "description": text,
            "og:description": text,
            "og:image": f"{BASE}_static/social-card.png",
            "og:title": page.soup.head.title.get_text().split(" — ")[0],
            "og:url": f"{BASE}{document}.html",
            "twitter:card": "summary_large_image",
        }
        for name, value in wanted.items():
            given = [content for key, content in said if key == name]
            if given != [value]:
                yield (
                    f"{page}: {name} is {given}, not once {value!r}; see "
                    "describe() in book/_ext/book_pages.py"
                )
        canonical = page.soup.head.select("link[rel=canonical]")
        if [tag["href"] for tag in canonical] != [wanted["og:url"]]:
            yield (
                f"{page}: its canonical link is {canonical}, not once "
                f"{wanted['og:url']!r}; see html: baseurl: in _config.yml"
            )


def own_address_shows_the_first_page(site: Site) -> Problems:
    index, first = site["index"], site[DOCUMENTS[0]]
    selector = "title, meta[property], meta[name^='twitter'], [rel=canonical]"
    for tag in first.soup.head.select(selector):
        if tag not in index.soup.select(selector):
            yield f"{index}: lacks {tag}, which {first} has; copy its head"


def sitemap_lists_the_documents(site: Site) -> Problems:
    path = site.folder / "sitemap.xml"
    text = path.read_text("utf-8") if path.is_file() else ""
    listed = re.findall("<loc>(.*?)</loc>", text)
    wanted = [f"{BASE}{document}.html" for document in DOCUMENTS]
    for address in sorted(set(wanted) - set(listed)):
        yield f"sitemap.xml: lacks {address}; run make book"
    for address in listed:
        if address not in wanted or listed.count(address) > 1:
            yield (
                f"sitemap.xml: want no {address}, or want it once; see "
                "sitemap_excludes in _config.yml"
            )


def missing_page_leads_back(site: Site) -> Problems:
    page = site[LOST.removesuffix(".html")]
    if page.soup.select("link[rel=canonical]"):
        yield (
            f"{page}: names an address of its own, and is shown at any; see "
            "describe() in book/_ext/book_pages.py"
        )
    for document in (DOCUMENTS[0], "search"):
        link = f"{urlsplit(BASE).path}{document}.html"
        if not page.article.select(f"a[href='{link}']"):
            yield (
                f"{page}: the article has no link to {link}; put one in "
                "book/_templates/404.html"
            )


def readers_can_answer(site: Site) -> Problems:
    stamped = repository()
    edit = f"{stamped['url']}/edit/{stamped['branch']}/"
    report = f"{stamped['url']}/issues/new?"
    for page in site.pages:
        links = [tag["href"] for tag in page.soup.select("a[href]")]
        edits = [link for link in links if link.startswith(edit)]
        reports = [link for link in links if link.startswith(report)]
        document = page.name.removesuffix(".html")
        if document not in DOCUMENTS:
            if edits + reports:
                yield (
                    f"{page}: leads to {edits + reports}, but has no source; "
                    "take the links off"
                )
            continue
        wanted = [
            [edit + path.relative_to(ROOT).as_posix()]
            for path in ROOT.glob(f"{document}.*")
        ]
        if edits not in wanted:
            yield (
                f"{page}: its edit links are {edits}, want one of {wanted}; "
                "see book/_templates/book-footer.html"
            )
        title = page.soup.head.title.get_text().split(" — ")[0]
        if [parse_qs(urlsplit(link).query) for link in reports] != [
            {"title": [title]}
        ]:
            yield (
                f"{page}: its links that report are {reports}, want one with "
                f"the title {title!r}; see book/_templates/book-footer.html"
            )


def headings_have_links(site: Site) -> Problems:
    for document in DOCUMENTS:
        for tag in site[document].article.find_all(re.compile("^h[1-6]$")):
            link = tag.select_one("a.headerlink")
            # The title that the theme repeats for paper has none.
            if link is None and not tag.find_parent(id="jb-print-docs-body"):
                yield (
                    f"{site[document]}: the heading {tag.get_text()!r} wants "
                    "a link to itself, a.headerlink"
                )


def one_title_and_steps(site: Site) -> Problems:
    for page in site.pages:
        # The theme repeats the title for paper.
        titles = page.soup.select("h1:not(#jb-print-docs-body h1)")
        if len(titles) != 1:
            yield f"{page}: {len(titles)} <h1>, want one, its title"
        headings = page.article.find_all(re.compile("^h[1-6]$"))
        levels = [int(tag.name[1]) for tag in headings]
        for before, tag, level in zip(
            [0, *levels], headings, levels, strict=False
        ):
            if level > before + 1:
                yield (
                    f"{page}: <h{level}> {tag.get_text()!r} skips a level; "
                    f"want <h{before + 1}>"
                )
            if not tag.get_text().strip(" #"):
                yield f"{page}: an empty <h{level}>; want words in it"


def pictures_have_alt(site: Site) -> Problems:
    for page in site.pages:
        for tag in page.soup.find_all(["img", "svg"]):
            if any(
                t.get("aria-hidden") == "true" for t in [tag, *tag.parents]
            ):
                continue
            alt = tag.get("alt") or tag.get("aria-label") or ""
            if tag.name == "svg":
                title = tag.find("title")
                alt = alt or (title.get_text() if title else "")
            least = 20 if page.article in tag.parents else 4
            if len(alt.strip()) < least or re.search(
                r"_images/|\.(png|svg|jpe?g|webp)$", alt
            ):
                yield (
                    f"{page}: {str(tag)[:120]} wants alt text that says what "
                    "it shows, or aria-hidden if it only decorates"
                )


def chapters_show_their_pictures(site: Site) -> Problems:
    for page, chapter in site.chapters:
        shown = [t.get("alt") for t in page.article.select(".cell_output img")]
        wanted = [cell.alt for cell in chapter.code for _ in cell.pictures]
        for number, pair in enumerate(zip_longest(shown, wanted), start=1):
            if pair[0] != pair[1]:
                yield (
                    f"{page}: the alt text of picture {number} is "
                    f"{pair[0]!r}, in the chapter {pair[1]!r}; run make book"
                )
                break


def chapters_show_their_drawings(site: Site) -> Problems:
    drawn = "svg[role=img][aria-label]"
    for page, chapter in site.chapters:
        html = "".join(html for c in chapter.code for html in c.drawings)
        wanted = BeautifulSoup(html, "html.parser").select(drawn)
        shown = page.article.select(f".cell_output {drawn}")
        if [t["aria-label"] for t in shown] != [
            t["aria-label"] for t in wanted
        ]:
            yield f"{page}: other drawings than in its cells; run make book"


def intro_draws_the_chapters(site: Site) -> Problems:
    page = site["book/intro"]
    items = page.article.select("ol.chapters > li")
    drawn = [i.a["href"] for i in items if i.select(":scope > svg + p")]
    wanted = [f"../notebooks/{name}.html" for name in TAUGHT]
    if drawn != wanted:
        yield f"{page}: draws {drawn}, not {wanted}; run scripts/cards.py"


def setup_is_hidden(site: Site) -> Problems:
    for page, chapter in site.chapters:
        if not page.article.select(".cell"):
            yield f"{page}: shows no cells at all; run make book"
        for cell in chapter.code:
            first = cell.source.split("\n")[0]
            if cell.is_setup and first in page.article.get_text():
                yield (
                    f"{page}: shows the setup cell ({first!r}); tag it "
                    "remove-cell"
                )


def solutions_are_folded(site: Site) -> Problems:
    for page, chapter in site.chapters:
        folded = {
            " ".join(tag.pre.get_text().split()): tag
            for tag in page.article.select("details")
            if tag.pre
        }
        for cell in chapter.code:
            tag = folded.get(" ".join(cell.source.split()))
            if not cell.is_solution:
                continue
            if tag is None:
                yield (
                    f"{page}: the solution {cell} is not folded; tag it "
                    "hide-cell"
                )
            elif tag.has_attr("open"):
                yield f"{page}: the solution {cell} is open; want it folded"
            elif "Show the solution" not in tag.summary.get_text():
                yield f"{page}: {tag.summary} should say Show the solution"


def maths_is_drawn(site: Site) -> Problems:
    for page in site.pages:
        for text in page.texts:
            for raw in re.findall(r"\$|\\[a-zA-Z]+", text):
                yield (
                    f"{page}: raw LaTeX {raw!r} in {text[:60]!r}; want a "
                    "formula, $…$ without spaces inside"
                )
    for page, chapter in site.chapters:
        kinds = [kind for cell in chapter.cells for kind, _ in cell.spans]
        wanted = sum(kind.startswith("math") for kind in kinds)
        shown = len(page.article.find_all("math"))
        if shown != wanted:
            yield (
                f"{page}: {shown} formulas, the chapter has {wanted}; run "
                "make book"
            )


def no_leftovers(site: Site) -> Problems:
    for page in site.pages:
        for text in page.texts:
            for word in re.findall(
                r"^(?:None|NaN)$|\b(?:by None|nan|undefined|TODO|FIXME"
                r"|Traceback)\b|\{\{|\{%",
                text,
            ):
                yield (
                    f"{page}: {word!r} stands in {text[:60]!r}; want what it "
                    "stands for"
                )
    for page, chapter in site.chapters:
        shown = len(page.article.select(".output.traceback"))
        wanted = sum("raises-exception" in c.tags for c in chapter.code)
        if shown != wanted:
            yield (
                f"{page}: {shown} tracebacks, but {wanted} cells tagged "
                "raises-exception; want one each"
            )
        if page.article.select(".output.stderr"):
            yield (
                f"{page}: shows what a cell wrote to stderr; mend its cause, "
                "or tag a progress bar remove-stderr"
            )


def no_machine_paths(site: Site) -> Problems:
    own = {str(ROOT), str(site.folder), str(Path.home())} - {"/"}
    paths = [re.escape(folder.lstrip("/")) for folder in own]
    paths += [r"(?:home|Users|root|tmp)/\w+"]
    pattern = re.compile(rf"(?<![\w.])/(?:{'|'.join(paths)})\b".encode())
    for path in sorted(site.folder.rglob("*")):
        if path.is_file() and path.suffix not in {".woff2", ".ttf"}:
            match = pattern.search(path.read_bytes())
            if match:
                name = path.relative_to(site.folder)
                yield (
                    f"{name}: names a path of this machine, {match[0]!r}; "
                    "take it out"
                )


def search_knows_all(site: Site) -> Problems:
    path = site.folder / "searchindex.js"
    if not path.is_file():
        yield "searchindex.js: missing, so search finds nothing; run make book"
        return
    text = path.read_text("utf-8")
    index = json.loads(text[text.index("{") : text.rindex("}") + 1])
    for document in set(DOCUMENTS) - set(index["docnames"]):
        yield (
            f"searchindex.js: search does not know {document}; run make book"
        )


# What a page may weigh compressed: itself, its figures and its scripts.
MOST_BYTES = 300_000


def pages_are_light(site: Site) -> Problems:
    for document in DOCUMENTS:
        page = site[document]
        files = {page.path}
        for tag in page.soup.select("img[src], script[src]"):
            path = unquote(urlsplit(tag["src"]).path)
            files.add((page.path.parent / path).resolve())
        weights = {
            path.name: len(gzip.compress(path.read_bytes()))
            for path in files
            if path.is_file()
        }
        if sum(weights.values()) > MOST_BYTES:
            heaviest = sorted(weights, key=weights.get)[-3:]
            yield (
                f"{page}: {sum(weights.values())} bytes, more than "
                f"{MOST_BYTES}; the most have {heaviest}: make them lighter"
            )


def pictures_keep_their_place(site: Site) -> Problems:
    for page in site.pages:
        for tag in page.soup.find_all("img"):
            path = page.path.parent / unquote(urlsplit(tag["src"]).path)
            said = tag.get("width"), tag.get("height")
            if None in said:
                yield f"{page}: {path.name} wants a width and a height"
            elif path.suffix != ".svg" and path.is_file():
                with Image.open(path) as image:
                    true = tuple(map(str, image.size))
                if said != true:
                    yield (
                        f"{page}: {path.name} is {true}, not {said}; give it "
                        "its own width and height"
                    )


def nothing_holds_the_page_up(site: Site) -> Problems:
    for document in DOCUMENTS:
        page = site[document]
        for tag in page.soup.select("script[src]"):
            at_once = "documentation_options.js" in tag["src"]
            if not (at_once or tag.has_attr("defer")):
                yield f"{page}: {tag} holds the page up; defer it"
        sheets = page.soup.select("link[rel=stylesheet]")
        if len(sheets) != 1:
            yield (
                f"{page}: {len(sheets)} style sheets, want one; see SHEETS in "
                "book/_ext/fast_pages.py"
            )


def documents_have_pages(site: Site) -> Problems:
    for document in DOCUMENTS:
        page = site.everything.get(site.folder / f"{document}.html")
        if page is None or not page.article or not page.article.h1:
            yield f"{document}.html: no page with a title in it; run make book"


RULES = [
    documents_have_pages,
    links_resolve,
    nothing_foreign_is_requested,
    colab_buttons,
    heads_are_complete,
    heads_say_what_a_link_shows,
    own_address_shows_the_first_page,
    sitemap_lists_the_documents,
    missing_page_leads_back,
    readers_can_answer,
    headings_have_links,
    one_title_and_steps,
    pictures_have_alt,
    chapters_show_their_pictures,
    chapters_show_their_drawings,
    intro_draws_the_chapters,
    setup_is_hidden,
    solutions_are_folded,
    maths_is_drawn,
    no_leftovers,
    no_machine_paths,
    search_knows_all,
    pages_are_light,
    pictures_keep_their_place,
    nothing_holds_the_page_up,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_site_keeps_the_rule(rule, site):
    fail_on(rule(site))


@pytest.mark.skipif(not PUBLISHED, reason="asks of the published book")
def test_pdf_is_published(site):
    path = site.folder / "drawing-the-line.pdf"
    assert path.is_file() and path.read_bytes()[:4] == b"%PDF", (
        f"the published book has no {path.name}: publish.yml makes it"
    )


# --- What nbval leaves: committed pictures and order are this build's ------


def executed(name: str, built: Path) -> Chapter:
    """Return a chapter as this build executed it."""
    folder = built.parent / "jupyter_execute"
    return Chapter(folder / "notebooks" / f"{name}.ipynb")


def outputs_are_in_order(committed: Chapter, executed: Chapter) -> Problems:
    for cell, fresh in zip(committed.code, executed.code, strict=False):
        if cell.is_compared and order(cell.outputs) != order(fresh.outputs):
            yield (
                f"{cell}: its outputs are not in the order of this build; "
                "run make notebooks, then make book"
            )


@pytest.mark.skipif(bool(PUBLISHED), reason="asks of this machine's build")
@pytest.mark.parametrize("name", TAUGHT)
def test_committed_outputs_are_in_order(name, site):
    fail_on(outputs_are_in_order(read(name), executed(name, site.folder)))


# So many may differ where a renderer rounds otherwise.
FEW = 4


def pictures_are_current(committed: Chapter, executed: Chapter) -> Problems:
    pairs = zip(committed.code, executed.code, strict=False)
    if [c.source for c in committed.code] != [c.source for c in executed.code]:
        yield f"{committed.name}: the pages are of other cells; run make book"
        return
    for cell, fresh in pairs:
        if len(cell.pictures) != len(fresh.pictures):
            yield (
                f"{cell}: draws {len(fresh.pictures)} pictures now, and "
                f"{len(cell.pictures)} are committed; run make notebooks"
            )
            continue
        for one, other in zip(cell.pictures, fresh.pictures, strict=True):
            changed = changed_pixels(decoded(one), decoded(other))
            if changed > FEW and cell.is_compared:
                yield (
                    f"{cell}: {changed} pixels are not as committed; if the "
                    "new picture is right, run make notebooks"
                )


def page_shows_what_was_drawn(page: Page, executed: Chapter) -> Problems:
    """Compare by more than what 128 colours in place of 256 change."""
    shown = page.article.select(".cell_output img")
    drawn = [(c, data) for c in executed.code for data in c.pictures]
    for tag, (cell, data) in zip(shown, drawn, strict=False):
        with Image.open(page.path.parent / unquote(tag["src"])) as image:
            changed = changed_pixels(image, decoded(data), unseen=64)
        if changed > FEW and cell.is_compared:
            yield (
                f"{page}: {changed} pixels of {tag['src']} are not as "
                f"{cell} drew them; see light() in book/_ext/fast_pages.py"
            )


@pytest.mark.skipif(bool(PUBLISHED), reason="asks of this machine's build")
@pytest.mark.parametrize("name", TAUGHT)
def test_committed_pictures_are_current(name, site):
    installed = importlib.metadata.version("matplotlib")
    wanted = locked("matplotlib")
    if installed != wanted:
        pytest.skip(
            f"matplotlib {installed} draws otherwise than the lock's {wanted}"
        )
    fail_on(pictures_are_current(read(name), executed(name, site.folder)))


@pytest.mark.skipif(bool(PUBLISHED), reason="asks of this machine's build")
@pytest.mark.parametrize("name", TAUGHT)
def test_page_shows_what_was_drawn(name, site):
    page = site[f"notebooks/{name}"]
    fail_on(page_shows_what_was_drawn(page, executed(name, site.folder)))
