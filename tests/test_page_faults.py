"""Each rule of the built pages goes red at faults planted in a copy."""

import base64
import io
import random
import re
import shutil
from collections.abc import Callable
from copy import copy
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import test_pages
from faults import Fault, red, rule_of, unlisted, unplanted
from lock import changed_pixels, decoded
from manuscript import (
    BASE,
    TAUGHT,
    Cell,
    Chapter,
    colab_url,
    fail_on,
    read,
    repository,
)
from PIL import Image
from test_pages import (
    FEW,
    LOST,
    RULES,
    Page,
    Site,
    chapters_show_their_drawings,
    chapters_show_their_pictures,
    colab_buttons,
    documents_have_pages,
    executed,
    headings_have_links,
    heads_are_complete,
    heads_say_what_a_link_shows,
    intro_draws_the_chapters,
    links_resolve,
    maths_is_drawn,
    missing_page_leads_back,
    no_leftovers,
    no_machine_paths,
    nothing_foreign_is_requested,
    nothing_holds_the_page_up,
    one_title_and_steps,
    outputs_are_in_order,
    own_address_shows_the_first_page,
    page_shows_what_was_drawn,
    pages_are_light,
    pictures_are_current,
    pictures_have_alt,
    pictures_keep_their_place,
    readers_can_answer,
    search_knows_all,
    setup_is_hidden,
    sitemap_lists_the_documents,
    solutions_are_folded,
)

pytestmark = pytest.mark.book

# Where a rule reads any page, and where it reads chapters.
PAGE = "CHANGELOG.html"
PLAIN = "notebooks/02_model.html"
LIVELY = "notebooks/04_training.html"
INTRO = "book/intro.html"
SHEET = "_static/pages.css"
FOREIGN = "https://example.org/a.png"

# --- Damage to the text of a file -----------------------------------------


def puts(html: str, before: str = "</article>") -> Callable[[str], str]:
    def damage(text):
        assert before in text
        return text.replace(before, html + before, 1)

    return damage


def heads(html: str) -> Callable[[str], str]:
    return puts(html, "</head>")


def swaps(pattern: str, new: str = "", times: int = 1) -> Callable[[str], str]:
    """Put ``new`` for what a regular expression matches; 0 times is all."""

    def damage(text):
        damaged, count = re.subn(pattern, new, text, count=times, flags=re.S)
        assert count, f"nothing matches {pattern}"
        return damaged

    return damage


def ends(more: str) -> Callable[[str], str]:
    return lambda text: text + more


def is_gone(text: str) -> None:
    """Take the file away."""


def meta(name: str) -> str:
    return rf'<meta (?:name|property)="{name}" content="[^"]*" ?/>'


def weighs(text: str) -> str:
    heavy = random.Random(0).randbytes(310_000).hex()
    return text + f"<!--{heavy}-->"


FAULTS = [
    Fault(documents_have_pages, is_gone, "no page .*; run make book"),
    Fault(documents_have_pages, swaps("h1", "h2", 0), "no page with a title"),
    *(
        Fault(links_resolve, puts(html), f"{said} is no file of the book")
        for html, said in (
            ("<form action=gone.html></form>", "<form> leads to .*which"),
            ("<object data=gone.svg></object>", "<object> leads to .*which"),
            ("<a href=gone.html></a>", "<a> leads to 'gone.html', which"),
            ("<video poster=gone.png></video>", "<video> leads to .*which"),
            ("<img src=gone.png>", "<img> leads to 'gone.png', which"),
            ("<use xlink:href=gone.svg></use>", "<use> leads to .*which"),
            ("<a href=book/></a>", "<a> leads to 'book/', which"),
        )
    ),
    *(
        Fault(
            links_resolve,
            puts(f"<a href={page}#gone></a>"),
            f"'{page}#gone', which has no place #gone in {page or PAGE}",
        )
        for page in ("", INTRO)
    ),
    Fault(
        links_resolve,
        puts(f"<a href={urlsplit(BASE).path}gone.html></a>"),
        "gone.html', which is no file of the book",
        LOST,
    ),
    Fault(
        links_resolve,
        puts("<a href=/book/intro.html></a>"),
        "which is absolute: the book may lie in any folder",
    ),
    Fault(
        links_resolve,
        puts("<a href=book/intro.html></a>"),
        "which does not begin with /.*: this page lies anywhere",
        LOST,
    ),
    Fault(
        links_resolve,
        ends("b { src: url(gone.woff2) }"),
        "a style asks 'gone.woff2', which is no file of the book",
        SHEET,
    ),
    *(
        Fault(
            nothing_foreign_is_requested,
            puts(html),
            f"asks {FOREIGN}; vendor it",
        )
        for html in (
            f"<img src={FOREIGN}>",
            f"<img srcset='a.png 1x, {FOREIGN}'>",
            f"<object data={FOREIGN}></object>",
            f"<video poster={FOREIGN}></video>",
            f"<link rel=stylesheet href={FOREIGN}>",
            f"<link rel=preload href={FOREIGN}>",
            f"<use href={FOREIGN}></use>",
            f"<use xlink:href={FOREIGN}></use>",
            f"<b style='background: url({FOREIGN})'></b>",
            f"<style>@import '{FOREIGN}';</style>",
        )
    ),
    *(
        Fault(
            nothing_foreign_is_requested,
            puts(f"<script>fetch('{word}')</script>"),
            f"a script names {word}; take it out",
        )
        for word in ("https://example.org", "mathjax", "thebe")
    ),
    *(
        Fault(
            nothing_foreign_is_requested,
            ends(css),
            "a style asks //example.org/a; vendor it",
            SHEET,
        )
        for css in ("@import '//example.org/a'", "b{c:url(//example.org/a)}")
    ),
    Fault(
        colab_buttons,
        puts(f"<a href='{colab_url('01_data')}'></a>"),
        "the Colab link .*01_data.* is none of .*02_model.*; see repository:",
        PLAIN,
    ),
    Fault(
        colab_buttons,
        puts("<a href='https://colab.google.com/x'></a>"),
        r"the Colab link https://colab.google.com/x is none of \[",
    ),
    Fault(
        colab_buttons,
        swaps(re.escape(colab_url("02_model")), "#", 0),
        "article has no link .* in Colab, https://.*/02_model.ipynb; run",
        PLAIN,
    ),
    Fault(heads_are_complete, swaps('lang="en"'), "<html> wants lang=en"),
    Fault(heads_are_complete, swaps('rel="icon"', "rel=x"), "html.favicon"),
    Fault(
        heads_are_complete,
        swaps("<title>[^<]*", "<title>Cha"),
        "the title 'Cha' wants 4 characters or more; see its first heading",
    ),
    *(
        Fault(
            heads_are_complete,
            damage,
            f"description '{said}' wants 40 characters .*see book/descript",
        )
        for damage, said in (
            (swaps(meta("description")), ""),
            (
                swaps('(name="description" content=")[^"]*', rf"\1{39 * 'a'}"),
                39 * "a",
            ),
        )
    ),
    Fault(
        heads_are_complete,
        swaps("<title>[^<]*", "<title>Page not found — Drawing the Line"),
        f"the title is that of {LOST}; each page wants its own",
    ),
    Fault(
        heads_are_complete,
        heads("<meta name=x content=None>"),
        "<meta .* holds markup, or nothing; want words",
    ),
    Fault(
        heads_are_complete,
        heads(f"<meta property=x content='{BASE}gone.png'>"),
        "gone.png in the head is no file of the book",
    ),
    *(
        Fault(
            heads_say_what_a_link_shows,
            swaps('(name="description" content=")[^"]*', rf"\1{text}"),
            "wants to be one sentence of at most 200 char.*descriptions.yml",
        )
        for text in ("What changed and when", f"What {'c' * 195}.")
    ),
    *(
        Fault(
            heads_say_what_a_link_shows,
            swaps(meta(name)),
            rf"{name} is \[\], not once '.*; see describe\(\) in",
        )
        for name in (
            "description",
            "og:description",
            "og:image",
            "og:title",
            "og:url",
            "twitter:card",
        )
    ),
    Fault(
        heads_say_what_a_link_shows,
        heads("<meta property=og:url content='https://example.org/'>"),
        r"og:url is \[.*example.org/'\], not once 'https://",
    ),
    Fault(
        heads_say_what_a_link_shows,
        swaps("(rel=.canonical. href=.)[^\"']*", rf"\1{BASE}"),
        rf"canonical link is \[.*\], not once '{BASE}CHANGELOG.*; see html:",
    ),
    *(
        Fault(
            own_address_shows_the_first_page,
            swaps(tag),
            f"lacks <.*{said}.*, which book/intro.html has; copy",
            "index.html",
        )
        for tag, said in (
            (meta("og:title"), "og:title"),
            (meta("twitter:card"), "twitter:card"),
            ("<title>.*?</title>", "title"),
            ('<link rel="canonical"[^>]*>', "canonical"),
        )
    ),
    Fault(
        sitemap_lists_the_documents,
        is_gone,
        f"lacks {BASE}CHANGELOG.html; run make book",
        "sitemap.xml",
    ),
    *(
        Fault(
            sitemap_lists_the_documents,
            ends(f"<url><loc>{BASE}{name}.html</loc></url>"),
            f"want no {BASE}{name}.html, or want it once; .*sitemap_excludes",
            "sitemap.xml",
        )
        for name in ("search", "book/intro")
    ),
    Fault(
        missing_page_leads_back,
        heads(f"<link rel=canonical href='{BASE}404.html'>"),
        "names an address of its own, and is shown at any; see describe",
        LOST,
    ),
    *(
        Fault(
            missing_page_leads_back,
            swaps(rf"(<article.*)/{name}.html", r"\1/gone.html", 0),
            f"the article has no link to /.*{name}.html; put one in book/_te",
            LOST,
        )
        for name in ("book/intro", "search")
    ),
    *(
        Fault(
            readers_can_answer,
            puts(f"<a href='{repository()['url']}/{address}'></a>", "</body>"),
            r"leads to \[.*\], but has no source; take the links off",
            "search.html",
        )
        for address in ("edit/main/search.md", "issues/new?title=Search")
    ),
    Fault(
        readers_can_answer,
        swaps("/edit/main/CHANGELOG", "/edit/main/CHANGES"),
        r"edit links .*CHANGES.md'\], want one of \[.*CHANGELOG.md.*; see boo",
    ),
    Fault(
        readers_can_answer,
        swaps("new.title=Changelog", "new?title=Other"),
        r"that report are \[.*Other'\], want one with .*'Changelog'; see book",
    ),
    Fault(
        headings_have_links,
        puts("<h2>News</h2>"),
        "the heading 'News' wants a link to itself, a.headerlink",
    ),
    Fault(one_title_and_steps, puts("<h1>B</h1>"), "2 <h1>, want one, its"),
    Fault(one_title_and_steps, swaps("h1", "h2", 0), "0 <h1>, want one, its"),
    Fault(
        one_title_and_steps,
        puts("<h2>A</h2><h4>B</h4>"),
        "<h4> 'B' skips a level; want <h3>",
    ),
    Fault(
        one_title_and_steps,
        puts("<h2><a>#</a></h2>"),
        "an empty <h2>; want words in it",
    ),
    *(
        Fault(
            pictures_have_alt,
            puts(html),
            r"<(img|svg).* wants alt text that says what .*, or aria-hidden",
        )
        for html in (
            "<img src=a.png>",
            "<img src=a.png alt=''>",
            f"<img src=a.png alt={19 * 'a'}>",
            "<img src=a.png alt='../_images/a-picture-of-points'>",
            "<img src=a.png alt='a-picture-of-the-points.png'>",
            "<svg></svg>",
            f"<svg><title>{19 * 'a'}</title></svg>",
        )
    ),
    Fault(
        pictures_have_alt,
        puts("<img src=a.png alt=abc>", "</body>"),
        "<img .* wants alt text",
    ),
    *(
        Fault(
            chapters_show_their_pictures,
            damage,
            f"the alt text of picture 1 is {said}, in the .*; run make book",
            where,
        )
        for damage, said, where in (
            (swaps("<img alt=[^>]*>"), "None", PLAIN),
            (swaps('alt="The thousand', 'alt="A'), "'A points.*'", PLAIN),
            (
                swaps("(<img alt=[^>]*>)(.*?)(<img alt=[^>]*>)", r"\3\2\1"),
                "'The loss landscape.*'",
                LIVELY,
            ),
        )
    ),
    Fault(
        chapters_show_their_drawings,
        swaps('(<article.*aria-label=")', r"\1Other: "),
        "other drawings than in its cells; run make book",
        LIVELY,
    ),
    Fault(
        intro_draws_the_chapters,
        swaps(r'(chapters">\s*<li>)<svg.*?</svg>', r"\1"),
        r"draws \['../notebooks/02.*not \['../notebooks/01.*; run scripts/ca",
        INTRO,
    ),
    Fault(
        setup_is_hidden,
        swaps('class="cell ', 'class="', 0),
        "shows no cells at all; run make book",
        PLAIN,
    ),
    Fault(
        setup_is_hidden,
        puts("<pre>from importlib.metadata import distributions</pre>"),
        r"shows the setup cell \('from importlib.*; tag it remove-cell",
        PLAIN,
    ),
    Fault(
        solutions_are_folded,
        swaps("<(/?)details", r"<\1div"),
        r"the solution .*cell \d+ .* is not folded; tag it hide-cell",
        PLAIN,
    ),
    Fault(
        solutions_are_folded,
        swaps("<details", "<details open"),
        r"the solution .*cell \d+ .* is open; want it folded",
        PLAIN,
    ),
    Fault(
        solutions_are_folded,
        swaps("Show the solution", "Show code cell source", 0),
        "<summary>.* should say Show the solution",
        PLAIN,
    ),
    Fault(maths_is_drawn, puts("<p>so $x$</p>"), r"raw LaTeX '\$' in 'so \$x"),
    Fault(
        maths_is_drawn,
        puts(r"<p>\alpha</p>"),
        r"raw LaTeX '\\\\alpha' in .*; want a formula",
    ),
    Fault(
        maths_is_drawn,
        swaps("(<article.*?)<math.*?</math>", r"\1"),
        r"\d+ formulas, the chapter has \d+; run make book",
        PLAIN,
    ),
    *(
        Fault(
            no_leftovers,
            puts(f"<p>{text}</p>"),
            rf"'{word}' stands in '{text}'; want what it stands for",
        )
        for text, word in (
            ("None", "None"),
            ("NaN", "NaN"),
            ("by None of us", "by None"),
            ("a loss of nan nats", "nan"),
            ("is undefined here", "undefined"),
            ("TODO: say more", "TODO"),
            ("FIXME", "FIXME"),
            ("Traceback", "Traceback"),
            ("{{ title }}", r"\{\{"),
            ("{% endif", r"\{%"),
        )
    ),
    Fault(
        no_leftovers,
        puts("<div class='output traceback'></div>"),
        "1 tracebacks, but 0 cells tagged raises-exception; want one each",
        PLAIN,
    ),
    Fault(
        no_leftovers,
        puts("<div class='output stderr'></div>"),
        "shows what a cell wrote to stderr; mend its cause, or tag",
        PLAIN,
    ),
    *(
        Fault(
            no_machine_paths,
            ends(f"/* {path}/a.css */"),
            f"names a path of this machine, b'{path[:5]}.*; take it out",
            SHEET,
        )
        for path in ("/home/me", "/Users/me", "/root/me", "/tmp/me")
    ),
    Fault(
        search_knows_all,
        is_gone,
        "missing, so search finds nothing; run make book",
        "searchindex.js",
    ),
    Fault(
        search_knows_all,
        swaps(r'("docnames": \[.*?)"CHANGELOG", ', r"\1"),
        "search does not know CHANGELOG; run make book",
        "searchindex.js",
    ),
    Fault(
        pages_are_light,
        weighs,
        r"\d{6} bytes, more than \d{6}; .*'CHANGELOG.html'\]: make them ligh",
    ),
    *(
        Fault(
            pages_are_light,
            puts(f"<{tag} src=_static/scripts/fontawesome.js></{tag}>"),
            r"\d{6} bytes, more than .*'fontawesome.js'\]: make them lighter",
        )
        for tag in ("script", "img")
    ),
    Fault(
        pictures_keep_their_place,
        swaps(' width="1120"'),
        "webp wants a width and a height",
        PLAIN,
    ),
    Fault(
        pictures_keep_their_place,
        swaps(' width="1120"', ' width="1121"'),
        r"webp is \('1120', .*, not \('1121', .*; give it its own width",
        PLAIN,
    ),
    Fault(
        nothing_holds_the_page_up,
        heads("<script src=a.js></script>"),
        "<script src=.* holds the page up; defer it",
    ),
    Fault(
        nothing_holds_the_page_up,
        heads("<link rel=stylesheet href=a.css>"),
        "2 style sheets, want one; see SHEETS",
    ),
    Fault(
        nothing_holds_the_page_up,
        swaps("(<link[^>]*)stylesheet", r"\1icon"),
        "0 style sheets, want one; see SHEETS",
    ),
]

# --- Each rule goes red ---------------------------------------------------


@pytest.fixture(scope="module")
def site(built, tmp_path_factory):
    """A copy of the built pages, to be damaged page by page."""
    folder = tmp_path_factory.mktemp("built") / "html"
    return Site(shutil.copytree(built, folder))


@pytest.fixture(scope="module")
def plant(site):
    """Plant a fault in a file; return the line of the rule that saw it."""

    @cache
    def plant(fault: Fault) -> int:
        where = fault.where or PAGE
        path = site.folder / where
        whole = path.read_bytes()
        damaged = fault.damage(whole.decode())
        try:
            if damaged is None:
                path.unlink()
            else:
                path.write_text(damaged, "utf-8")
            return red(fault, reread(site, where), named=where)
        finally:
            path.write_bytes(whole)

    return plant


def reread(site: Site, name: str) -> Site:
    """Return the site with one file read again."""
    again, path = copy(site), site.folder / name
    again.everything = dict(site.everything)
    if again.everything.pop(path, None) and path.is_file():
        again.everything[path] = Page(path, name)
    # As they were sorted: the first page of two is the one named.
    again.everything = dict(sorted(again.everything.items()))
    return again


@pytest.mark.parametrize("fault", FAULTS, ids=rule_of)
def test_a_fault_in_a_page_is_seen(fault, plant):
    plant(fault)


def test_a_missing_traceback_is_seen(plant, monkeypatch):
    cell = test_pages.read_once("02_model").code[2]
    monkeypatch.setattr(cell, "tags", {"raises-exception"})
    says = "0 tracebacks, but 1 cells tagged raises-exception; want one each"
    plant(Fault(no_leftovers, ends(""), says, PLAIN))


@pytest.mark.parametrize("folder", ["/srv/book", "/srv/me"])
def test_where_the_book_was_built_is_seen(folder, plant, monkeypatch):
    monkeypatch.setattr(test_pages, "ROOT", Path("/srv/book"))
    monkeypatch.setenv("HOME", "/srv/me")
    says = f"names a path of this machine, b'{folder}'; take it out"
    css = ends(f"/* {folder}/a.css */")
    plant(Fault(no_machine_paths, css, says, SHEET))


def test_each_thing_that_a_rule_can_say_is_planted(plant):
    fail_on(unplanted(RULES, {fault: plant(fault) for fault in FAULTS}))


def test_each_rule_is_in_a_list():
    listed = [*RULES, *(fault.rule for fault in DRAWN)]
    fail_on(unlisted(test_pages, listed))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_an_undamaged_copy_is_clean(rule, site):
    fail_on(rule(reread(site, PLAIN)))


# --- And the pictures -----------------------------------------------------


def inked(pixels: np.ndarray) -> np.ndarray:
    """Return where a picture has the strongest of its colours."""
    colours = Image.fromarray(pixels).getcolors(pixels.size)
    many = [np.array(colour) for count, colour in colours if count > 200]
    ink = max(many, key=lambda colour: np.ptp(colour[:3]))
    return (pixels == ink).all(axis=-1)


def shifted(pixels: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Move one colour by a pixel, as of a line or of points."""
    moved = pixels.copy()
    moved[ink] = 255
    moved[np.roll(ink, 1, axis=0)] = pixels[ink][0]
    return moved


def recoloured(pixels: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Show one colour as its inverse."""
    other = pixels.copy()
    other[ink, :3] = 255 - other[ink, :3]
    return other


def without_a_point(pixels: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Paint over as much colour as the smallest marker has."""
    row, column = np.argwhere(ink)[0]
    fewer = pixels.copy()
    fewer[row : row + 5, column : column + 5] = 255
    return fewer


def cropped(pixels: np.ndarray, ink: np.ndarray) -> np.ndarray:
    return pixels[:, :-1]


@pytest.mark.parametrize("name", TAUGHT)
def test_a_changed_picture_is_seen(name):
    for cell in read(name).code:
        for data in cell.pictures:
            picture = decoded(data).convert("RGBA")
            pixels = np.asarray(picture)
            ink = inked(pixels)
            for damage in (shifted, recoloured, without_a_point, cropped):
                other = Image.fromarray(damage(pixels, ink))
                changed = changed_pixels(picture, other)
                assert changed > FEW, f"{cell}, {damage.__name__}"
            rounded = Image.fromarray(np.clip(pixels, 8, 247))
            assert changed_pixels(picture, rounded) == 0, cell


def encoded(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def moves_the_line(chapter: Chapter) -> None:
    data = picture(chapter).outputs[0].data
    pixels = np.asarray(decoded(data["image/png"]).convert("RGBA"))
    data["image/png"] = encoded(shifted(pixels, inked(pixels)))


def draws_nothing(chapter: Chapter) -> None:
    picture(chapter).outputs.clear()


def has_other_cells(chapter: Chapter) -> None:
    picture(chapter).source += "\n1"


def draws_first(chapter: Chapter) -> None:
    cells = (cell for cell in chapter.code if cell.pictures)
    next(cell for cell in cells if len(cell.outputs) > 1).outputs.reverse()


def picture(chapter: Chapter) -> Cell:
    return next(cell for cell in chapter.code if cell.pictures)


DRAWN = [
    Fault(
        outputs_are_in_order,
        draws_first,
        r"cell \d+ .*not in the order of this build; run make notebooks",
        "01_data",
    ),
    Fault(
        pictures_are_current,
        moves_the_line,
        r"cell \d+ .*\d+ pixels are not as committed; .* run make notebooks",
    ),
    Fault(
        pictures_are_current,
        draws_nothing,
        r"cell \d+ .*draws 0 .*, and 1 are committed; run make notebooks",
    ),
    Fault(
        pictures_are_current,
        has_other_cells,
        "the pages are of other cells; run make book",
    ),
    Fault(
        page_shows_what_was_drawn,
        moves_the_line,
        r"\d+ pixels of .*_images.* are not as .*cell \d+ .*fast_pages.py",
    ),
]


def test_a_fault_in_what_was_drawn_is_seen(site, built):
    found = {}
    for fault in DRAWN:
        name = fault.where or "02_model"
        beside = executed(name, built)
        if fault.rule is page_shows_what_was_drawn:
            beside = site[f"notebooks/{name}"]
        chapter = executed(name, built)
        fail_on(fault.rule(beside, chapter))
        fault.damage(chapter)
        found[fault] = red(fault, beside, chapter, named=name)
    fail_on(unplanted({fault.rule for fault in DRAWN}, found))
