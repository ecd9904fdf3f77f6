"""The pages as a reader's browser shows them, wide and narrow, light and dark.

They come from a server of our own on this machine, in a folder of it as on
GitHub Pages, or from where BOOK_URL says that they are published; no other
host can be reached, and asking one is a failure.
"""

import cmath
import contextlib
import functools
import math
import re
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jax
import optax
import pytest
from axe_playwright_python.sync_playwright import Axe
from manuscript import (
    DOCUMENTS,
    PUBLISHED,
    TAUGHT,
    colab_url,
    fail_on,
    read,
)
from playwright.sync_api import Browser, Locator, Page, Route, TimeoutError

from helpers.data import make_dataset
from helpers.loss import mean_loss
from helpers.metrics import accuracy, predict
from helpers.model import BLOG_PARAMS, LogisticRegression
from helpers.training import fit

pytestmark = [pytest.mark.book, pytest.mark.browser]

Problems = Iterator[str]
WIDE, PHONE = 1280, 390
CHAPTER = f"notebooks/{next(iter(TAUGHT))}"


@pytest.fixture(scope="session")
def windows(browser: Browser) -> Iterator[Any]:
    """Open one window for each way of reading, and keep it."""
    opened = {}

    def window(width: int, theme: str, scripts: bool = True) -> Page:
        key = width, theme, scripts
        if key not in opened:
            opened[key] = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=theme,
                java_script_enabled=scripts,
            ).new_page()
            opened[key].set_default_timeout(30_000)
        return opened[key]

    yield window
    for page in opened.values():
        page.context.close()


def visit(page: Page, address: str) -> list[str]:
    """Open an address and return what the browser complains of."""
    # The page before may still be fetching; its search does.
    page.goto("about:blank")
    found = []
    host = urlsplit(address).netloc

    def on_request(request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and parts.netloc != host:
            found.append(f"asks another host: {request.url}")

    listeners = {
        "console": lambda message: (
            message.type in ("error", "warning")
            and found.append(f"console {message.type}: {message.text}")
        ),
        "pageerror": lambda error: found.append(f"script error: {error}"),
        "request": on_request,
        "requestfailed": lambda request: found.append(
            f"request failed: {request.url}: {request.failure}"
        ),
        "response": lambda response: (
            response.status >= 400
            and found.append(f"status {response.status}: {response.url}")
        ),
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    page.goto(address)
    page.evaluate("document.fonts.ready.then(() => true)")
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    return found


BROKEN_PICTURES = """async () => {
  const broken = [];
  for (const picture of document.images) {
    picture.loading = "eager";
    await picture.decode().catch(() => {});
    if (!picture.naturalWidth) broken.push(picture.src);
  }
  return broken;
}"""

# Elements that reach beyond the window, and in which nothing scrolls.
CUT_OFF = """() => {
  // The search page has no article.
  const text = document.querySelector("article, .bd-search-container");
  return [...text.querySelectorAll("*")].filter(e => {
    const box = e.getBoundingClientRect();
    if (!box.width || box.right <= innerWidth + 1) return false;
    if (!e.checkVisibility({visibilityProperty: true})) return false;
    for (let up = e; up !== text; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== "visible") return false;
    return true;
  }).map(e => e.outerHTML.slice(0, 100));
}"""

COLOURS = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  let e = document.querySelector("article p") || document.body;
  const [r, g, b, alpha = 1] = rgb(getComputedStyle(e).color);
  let paper = [0, 0, 0, 0];
  for (; e && paper[3] === 0; e = e.parentElement)
    paper = rgb(getComputedStyle(e).backgroundColor);
  const ink = [r, g, b].map((c, i) => alpha * c + (1 - alpha) * paper[i]);
  return [ink, paper.slice(0, 3)];
}"""

FILTERED = """() => [...document.querySelectorAll("article img")].filter(e => {
  for (; e; e = e.parentElement)
    if (getComputedStyle(e).filter !== "none") return true;
  return false;
}).map(e => e.src)"""

FONTS = """() => {
  const first = e => getComputedStyle(e).fontFamily.split(",")[0];
  const plain = name => name.trim().replace(/["']/g, "");
  const loaded = [...document.fonts].filter(f => f.status === "loaded");
  const ours = new Set(loaded.map(f => plain(f.family)));
  return [...document.querySelectorAll(
    "article p, article h1, article h2, article pre, article math"
  )].map(e => plain(first(e))).filter(name => !ours.has(name));
}"""


def luminance(colour: list[float]) -> float:
    """Return the relative luminance of an sRGB colour, as WCAG defines it."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (value / 255 for value in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def colour_problems(page: Page, theme: str | None = None) -> Problems:
    ink, paper = map(luminance, page.evaluate(COLOURS))
    if theme and (paper < 0.2) != (theme == "dark"):
        yield f"the background has luminance {paper:.2f}: not {theme}"
    contrast = (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
    if contrast < 7:
        yield f"text stands out {contrast:.1f} : 1 from its ground, want 7"
    for source in page.evaluate(FILTERED):
        yield f"a filter changes the colours of {source}"


def layout_problems(page: Page, width: int) -> Problems:
    full = page.evaluate("document.documentElement.scrollWidth")
    if full > width:
        yield f"scrolls sideways: {full} px in a window of {width}"
    for element in page.evaluate(CUT_OFF)[:5]:
        yield f"reaches beyond the window: {element}"
    for source in page.evaluate(BROKEN_PICTURES):
        yield f"picture not loaded: {source}"


def font_problems(page: Page) -> Problems:
    for name in sorted(set(page.evaluate(FONTS))):
        yield (
            f"the font {name} is not one of ours; name it in no style, or see "
            "@font-face in book/assets/book.css"
        )


def axe_problems(page: Page, contrast: bool) -> Problems:
    """Yield all that axe finds on the page, the theme's parts included."""
    rules = {"color-contrast": contrast, "label-content-name-mismatch": True}
    options = {
        "resultTypes": ["violations"],
        "rules": {name: {"enabled": on} for name, on in rules.items()},
    }
    found = Axe().run(page, options=options)
    for violation in found.response["violations"]:
        nodes = [node["html"][:100] for node in violation["nodes"][:3]]
        yield f"axe: {violation['help']} ({violation['id']}): {nodes}"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("document", [*DOCUMENTS, "search"])
def test_page_reads_well(document, width, theme, windows, origin):
    page = windows(width, theme)
    problems = visit(page, f"{origin}/{document}.html")
    problems += layout_problems(page, width)
    problems += colour_problems(page, theme)
    if document != "search":
        problems += font_problems(page)
        # Axe is slow: colours do not depend on the width, and what else it
        # looks at does not depend on the theme.
        if (width, theme) != (PHONE, "dark"):
            problems += axe_problems(page, contrast=width == WIDE)
    fail_on(problems)


def click_problems(page: Page) -> Problems:
    """Yield why the first solution does not open by a click."""
    solution = page.locator("article details pre").first
    summary = page.locator("article details summary").first
    if not solution.count() or not summary.is_visible():
        yield "there is no folded solution"
    elif solution.is_visible():
        yield "the first solution is open before a click"
    else:
        summary.click()
        if not solution.is_visible():
            yield "the first solution does not open by a click"


def hidden_problems(page: Page) -> Problems:
    """Yield what of a page's text is not to be seen."""
    for selector in ["article h1", "article p", "article :is(img, svg)"]:
        if not page.locator(selector).first.is_visible():
            yield f"{selector} is not visible"
    for formula in page.locator("article math").all():
        if not formula.is_visible():
            yield f"invisible: {formula.inner_html()[:80]}"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("document", [DOCUMENTS[0], CHAPTER])
def test_page_needs_no_scripts(document, theme, windows, origin):
    page = windows(PHONE, theme, scripts=False)
    problems = visit(page, f"{origin}/{document}.html")
    problems += layout_problems(page, PHONE)
    problems += colour_problems(page)
    problems += hidden_problems(page)
    if document == CHAPTER:
        problems += click_problems(page)
    fail_on(problems)


FOCUS = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  const shadow = style.boxShadow.replace(/^rgba\\(.*?, 0\\).*/, "none");
  return [e.tagName, e.getAttribute("href") || e.className,
          style.outlineStyle !== "none" || shadow !== "none"];
}"""


def keyboard_problems(page: Page) -> Problems:
    """Tab through the first chapter to its first solution, and toggle it."""
    page.add_style_tag(content="* { transition: none !important }")
    stops = []
    while len(stops) < 400 and not any(tag == "SUMMARY" for tag, _ in stops):
        page.keyboard.press("Tab")
        tag, detail, marked = page.evaluate(FOCUS)
        stops.append((tag, detail))
        if not marked:
            yield f"nothing shows focus on <{tag} {detail}>"
    if not any(tag != "A" and "search" in detail for tag, detail in stops):
        yield "Tab does not reach the search"
    if ("A", colab_url(Path(CHAPTER).name)) not in stops:
        yield "Tab does not reach the Colab link"
    for key, wanted in [("Enter", True), ("Space", False)]:
        page.keyboard.press(key)
        is_open = page.evaluate("document.activeElement.parentElement.open")
        if is_open != wanted:
            yield f"{key} does not toggle a solution"


def test_keyboard_reaches_everything(windows, origin):
    page = windows(WIDE, "light")
    page.goto(f"{origin}/{CHAPTER}.html")
    fail_on(keyboard_problems(page))


def test_solution_opens_by_a_click(windows, origin):
    page = windows(WIDE, "light")
    problems = visit(page, f"{origin}/{CHAPTER}.html")
    fail_on([*problems, *click_problems(page)])


def copy_problems(page: Page) -> Problems:
    """Copy the first cell by its button; yield what comes of it."""
    page.context.grant_permissions(["clipboard-read"])
    code = page.locator("article div.cell_input pre:visible").first
    button = page.locator("article button.copybtn:visible").first
    button.click()
    if "Copied!" not in (button.get_attribute("data-tooltip") or ""):
        yield "the copy button does not say that it copied"
    copied = page.evaluate("navigator.clipboard.readText()")
    if copied.strip() != code.text_content().strip():
        yield f"the copy button copied {copied[:60]!r}, not its cell"


def test_copy_button_copies_and_says_so(windows, origin):
    page = windows(WIDE, "light")
    problems = visit(page, f"{origin}/{CHAPTER}.html")
    fail_on([*problems, *copy_problems(page)])


# The icons that are seen, and of those the ones that are empty.
ICONS = """() => {
  const seen = [...document.querySelectorAll("[class*='fa-']")].filter(
    e => e.checkVisibility({visibilityProperty: true}));
  const empty = seen.filter(e => {
    const style = getComputedStyle(e), box = e.getBoundingClientRect();
    return !style.maskImage.startsWith("url(") || box.width < 8
      || box.height < 8 || style.backgroundColor === "rgba(0, 0, 0, 0)";
  });
  return [seen.length, empty.map(e => e.className)];
}"""


def icon_problems(page: Page) -> Problems:
    seen, empty = page.evaluate(ICONS)
    if seen < 4:
        yield f"{seen} icons are seen, fewer than four"
    for name in empty:
        yield f"the icon {name} is empty"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_icons_are_drawn(width, theme, windows, origin):
    page = windows(width, theme)
    problems = visit(page, f"{origin}/{CHAPTER}.html")
    fail_on([*problems, *icon_problems(page)])


# Each formula's size and font.
FORMULAS = """() => [...document.querySelectorAll("article math")].map(e => {
  const box = e.getBoundingClientRect();
  return [box.width, box.height, getComputedStyle(e).fontFamily];
})"""


def formula_problems(page: Page) -> Problems:
    formulas = page.evaluate(FORMULAS)
    if not formulas:
        yield "there is no formula"
    for width, height, font in formulas:
        if min(width, height) < 4 or "STIX Two Math" not in font:
            yield (
                f"a formula of {width} × {height} px in {font}: want 4 px or "
                "more, in STIX Two Math"
            )


def test_formulas_have_their_font(windows, origin):
    page = windows(WIDE, "light")
    problems = visit(page, f"{origin}/{CHAPTER}.html")
    fail_on([*problems, *formula_problems(page)])


# What moved while the page opened: the sum that Lighthouse counts.
SHIFTS = """new PerformanceObserver(list => {
  for (const entry of list.getEntries())
    window.shifts = (window.shifts || 0) + entry.value;
}).observe({type: "layout-shift", buffered: true})"""


# Resolved when what stands on the page now has been painted.
PAINTED = """() => new Promise(painted =>
  requestAnimationFrame(() => requestAnimationFrame(painted)))"""


def jump_problems(page: Page, address: str) -> Problems:
    """Open an address and scroll through it; yield how far it jumps."""
    page.add_init_script(SHIFTS)
    # When a font or a picture comes is a matter of luck: here no font comes,
    # and a picture when the page has been painted with its place empty.
    page.route("**/*.woff2", lambda route: route.abort())
    awaited, late = set(), {}

    def hold(route: Route) -> None:
        if route.request.url in awaited:
            route.continue_()
        else:
            late[route.request.url] = route

    page.route("**/_images/*", hold)
    page.goto(address, wait_until="domcontentloaded")
    for picture in page.locator("article img").element_handles():
        picture.scroll_into_view_if_needed()
        page.evaluate(PAINTED)
        awaited.add(source := picture.evaluate("picture => picture.src"))
        if source in late:
            late.pop(source).continue_()
        page.wait_for_function("picture => picture.complete", arg=picture)
        page.evaluate(PAINTED)
    # A page without pictures has only now been waited for.
    page.wait_for_load_state()
    page.evaluate(PAINTED)
    moved = page.evaluate("window.shifts || 0")
    if moved >= 0.1:
        yield f"it jumps by {moved:.2f} as it opens, want less than 0.1"


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("document", [DOCUMENTS[0], CHAPTER])
def test_nothing_jumps(document, width, browser, origin):
    with browser.new_context(
        viewport={"width": width, "height": 900}
    ) as context:
        fail_on(jump_problems(context.new_page(), f"{origin}/{document}.html"))


def paper_problems(page: Page) -> Problems:
    page.pdf()
    for source in page.evaluate("""[...document.images].filter(
            picture => !picture.naturalWidth).map(p => p.src)"""):
        yield f"printed without {source}"


def test_paper_has_every_picture(browser, origin):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{origin}/{CHAPTER}.html")
        fail_on(paper_problems(page))


def search_problems(page: Page) -> Problems:
    """Search for a word of the first chapter, by keyboard."""
    page.locator("button[class*=search]").first.press("Enter")
    page.keyboard.type("sigmoid")
    page.keyboard.press("Enter")
    links = page.locator("#search-results a")
    with contextlib.suppress(TimeoutError):
        page.get_by_text("Search finished").wait_for()
    found = {link.get_attribute("href") for link in links.all()}
    if not any(link.startswith(f"{CHAPTER}.html") for link in found):
        yield f"'sigmoid' is in {CHAPTER}, but a search for it finds {found}"


def test_search_finds_a_word_by_keyboard(windows, origin):
    page = windows(WIDE, "light")
    page.goto(f"{origin}/{DOCUMENTS[0]}.html")
    fail_on(search_problems(page))


def menu_problems(page: Page) -> Problems:
    """Follow the last link of the menu, which a phone folds away."""
    last = Path(DOCUMENTS[-1]).name
    link = page.locator(f"nav a[href$='{last}.html']").first
    if link.is_visible():
        yield "the menu is open at first"
    page.locator("button.primary-toggle").first.click()
    with contextlib.suppress(TimeoutError):
        link.click()
        page.wait_for_url(f"**/{last}.html")
    if not page.url.endswith(f"{last}.html"):
        yield "the menu does not open, or its link leads nowhere"


def test_menu_opens_on_a_phone(windows, origin):
    page = windows(PHONE, "light")
    page.goto(f"{origin}/{CHAPTER}.html")
    fail_on(menu_problems(page))


# In a folder, where links that are relative would lead astray.
LOST = "notebooks/no/such/page"


def lost_problems(page: Page, origin: str) -> Problems:
    """Open a missing page; yield what is complained of but that it is."""
    status = f"status 404: {origin}/{LOST}"
    found = visit(page, f"{origin}/{LOST}")
    if status not in found:
        yield "does not say 404, so that robots would list it"
    if not page.locator("article").count():
        yield f"{status}, but without the book's own 404.html"
    # The console repeats each status, without its address.
    repeated = "console error: Failed to load"
    for problem in found:
        if problem != status and not problem.startswith(repeated):
            yield problem


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_missing_page_leads_back(width, theme, windows, origin):
    page = windows(width, theme)
    problems = [*lost_problems(page, origin)]
    if not page.locator("article").count():
        fail_on(problems)
    problems += layout_problems(page, width)
    problems += colour_problems(page, theme)
    problems += axe_problems(page, contrast=True)
    problems += font_problems(page)
    fail_on(problems)
    page.locator("article a").first.click()
    first = f"{origin}/{DOCUMENTS[0]}.html"
    with contextlib.suppress(TimeoutError):
        page.wait_for_url(first)
    assert page.url == first, (
        f"the first link of a missing page leads to {page.url}, not {first}; "
        "see book/_templates/404.html"
    )


def test_missing_page_searches(windows, origin):
    page = windows(WIDE, "light")
    page.goto(f"{origin}/{LOST}")
    fail_on(search_problems(page))


def test_own_address_leads_to_the_first_page(windows, origin):
    page = windows(WIDE, "light")
    page.goto(f"{origin}/")
    page.wait_for_url(f"{origin}/{DOCUMENTS[0]}.html")


def test_code_is_copied_as_it_is_written(browser, origin):
    context = browser.new_context()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{origin}/{CHAPTER}.html")
    cell = page.locator("div.cell_input:visible").nth(1)
    cell.hover()
    cell.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    context.close()
    shown = [c for c in read(Path(CHAPTER).name).code if not c.is_setup]
    assert copied.strip() == shown[1].source.strip(), (
        f"copied {copied!r}, which is not the source of {shown[1]}; run make "
        "book"
    )


@pytest.mark.skipif(bool(PUBLISHED), reason="asks of the built folder")
@pytest.mark.parametrize("document", [DOCUMENTS[0], CHAPTER])
def test_page_works_from_a_folder(document, windows, built):
    page = windows(WIDE, "light")
    problems = visit(page, (built / f"{document}.html").as_uri())
    fail_on([*problems, *layout_problems(page, WIDE)])


# --- The scrubber of chapter 4 --------------------------------------------

SCRUBBED = "notebooks/04_training"

# What a reader sees of the run, and what a screen reader says of the slider.
SEEN = """figure => {
  const get = (s, name) => figure.querySelector(s).getAttribute(name);
  const count = s => (get(s, "d").match(/M/g) || []).length;
  return {
    title: figure.querySelector("output b").textContent,
    weights: figure.querySelector("output span").textContent,
    said: get("input", "aria-valuetext"),
    line: get(".learned", "transform"),
    dot: [+get("circle", "cx"), +get("circle", "cy")],
    wrong: [".label-0.wrong", ".label-1.wrong"].map(count),
    right: [".label-0.right", ".label-1.right"].map(count),
  };
}"""


@functools.cache
def told(epoch: int) -> dict[str, Any]:
    """Return what the helpers say of an epoch of chapter 4's run."""
    dataset, loss_fn, run = taught_run()
    params = run[epoch]["params"]
    logit = LogisticRegression().apply(run[epoch], dataset.x, dataset.y)
    guess = predict(logit)
    right = accuracy(dataset.label, guess)
    wrong = [
        int(((guess != dataset.label) & (dataset.label == kind)).sum())
        for kind in (0, 1)
    ]
    weights = ", ".join(
        f"{name} {params[name]:.3f}" for name in ("w1", "w2", "b")
    )
    title = (
        f"epoch {epoch}: loss {loss_fn(run[epoch], dataset):.3f}, "
        f"{100 * right:.1f}\u202f% right"
    )
    # Between the weights and the true ones.
    turn = cmath.phase(complex(params["w1"], params["w2"]) / (1 + 3j))
    return {
        "title": title,
        "said": f"{title}, arrow {abs(math.degrees(turn)):.0f}° off",
        "weights": weights.replace("-", "−"),
        "wrong": wrong,
    }


@functools.cache
def taught_run() -> tuple[Any, Callable, list[dict[str, Any]]]:
    """Return chapter 4's points, loss and params before each epoch."""
    dataset = make_dataset(jax.random.key(1))
    loss_fn = functools.partial(mean_loss, LogisticRegression().apply)
    _, history = fit(loss_fn, BLOG_PARAMS, optax.sgd(0.3), dataset, 100)
    after = [
        jax.tree.map(lambda p, k=k: p[k], history.params) for k in range(100)
    ]
    return dataset, loss_fn, [BLOG_PARAMS, *after]


def distance(transform: str, weights: str) -> float:
    """Return how far the drawn line strays from logit 0, in the plane."""
    number = r"[-−]?\d+\.\d+"
    left, down, turn = map(float, re.findall(number, transform))
    w1, w2, b = (
        float(w.replace("−", "-")) for w in re.findall(number, weights)
    )
    along = 300 * cmath.exp(1j * math.radians(turn))
    return max(
        abs(w1 * (left + end.real) / 60 - w2 * (down + end.imag) / 60 + b)
        / math.hypot(w1, w2)
        for end in (along, -along)
    )


def scrubber_problems(figure: Locator) -> Problems:
    """Move through the run by the keyboard; yield what is not as told."""
    slider = figure.get_by_role("slider", name="epoch")
    first = figure.evaluate(SEEN)
    lines, dots = [first["line"]], [first["dot"]]
    keys = [
        (20, []),
        (0, ["Home"]),
        (1, ["ArrowRight"]),
        (37, ["PageUp"] * 3 + ["ArrowRight"] * 6),
        (45, ["ArrowUp"] * 8),
        (46, ["ArrowRight"]),
        (45, ["ArrowLeft"]),
        (100, ["End"]),
        (20, ["PageDown"] * 8),
    ]
    for epoch, presses in keys:
        for key in presses:
            slider.press(key)
        seen = figure.evaluate(SEEN)
        for what, wanted in told(epoch).items():
            if seen[what] != wanted:
                yield f"epoch {epoch}: {what} {seen[what]!r}, not {wanted!r}"
        if distance(seen["line"], seen["weights"]) > 0.02:
            yield f"epoch {epoch}: the line is not where the logit is 0"
        if sum(seen["wrong"] + seen["right"]) != 1000:
            yield f"epoch {epoch}: not 1,000 points, but {seen}"
        lines.append(seen["line"])
        dots.append(seen["dot"])
    if len(set(lines)) != 7:
        yield f"the line does not move epoch by epoch: {lines}"
    if [across for across, _ in dots[2:5]] != [0, 8.4, 310.8]:
        yield f"the dot is not at its epoch: {dots}"
    if not dots[0][1] == dots[1][1] == dots[-1][1] > dots[2][1]:
        yield f"the dot is not at its loss: {dots}"
    if first != figure.evaluate(SEEN):
        yield "back at the first epoch, the picture is not as at first"
    box = slider.bounding_box()
    if box["height"] < 44:
        yield f"a finger misses a slider of {box['height']} px"
    if slider.evaluate("e => getComputedStyle(e).outlineStyle") == "none":
        yield "nothing shows that the slider has the focus"


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_scrubber_moves_by_keyboard(width, windows, origin):
    page = windows(width, "light")
    problems = visit(page, f"{origin}/{SCRUBBED}.html")
    figure = page.locator("figure.training-run")
    fail_on([*problems, *scrubber_problems(figure)])


def test_scrubber_works_in_a_sandbox(browser, origin):
    """As in Colab, whose outputs stand in a frame of another origin."""
    (html,) = (
        html for c in read(Path(SCRUBBED).name).code for html in c.drawings
    )
    page = browser.new_page()
    problems = visit(page, f"{origin}/search.html")
    found = []
    page.on("console", lambda message: found.append(message.text))
    page.on("pageerror", lambda error: found.append(str(error)))
    # Two on a page must not meddle with each other.
    frame = f'<iframe sandbox="allow-scripts" srcdoc="{escape(2 * html)}">'
    page.set_content(frame)
    figures = page.frame_locator("iframe").locator("figure")
    still = figures.nth(0).evaluate(SEEN)
    problems += scrubber_problems(figures.nth(1))
    figures.nth(1).get_by_role("slider").press("Home")
    if figures.nth(0).evaluate(SEEN) != still:
        problems.append("moving one scrubber moves the other")
    page.close()
    fail_on([*problems, *found])


def still_problems(figure: Locator) -> Problems:
    """Yield what is not to be seen where no script runs."""
    for part in [".plane", ".loss", ".truth path", ".learned path", "circle"]:
        if not figure.locator(part).first.is_visible():
            yield f"{part} is not to be seen"
    if figure.locator("input").is_visible():
        yield "a slider that does nothing is shown"
    shown = figure.locator("output").inner_text()
    for what in ("title", "weights"):
        if told(20)[what] not in shown:
            yield f"{told(20)[what]!r} is not in {shown!r}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_scrubber_stands_still_without_scripts(theme, windows, origin):
    page = windows(PHONE, theme, scripts=False)
    problems = visit(page, f"{origin}/{SCRUBBED}.html")
    figure = page.locator("figure.training-run")
    fail_on([*problems, *still_problems(figure)])
