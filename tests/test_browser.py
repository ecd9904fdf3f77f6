"""The pages as a reader's browser shows them, wide and narrow, light and dark.

They come from a server of our own, in a folder of it as on GitHub Pages. The
browser reaches no other host, so asking one is an error in the console.
"""

import contextlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import PREFIX, serve
from manuscript import DOCUMENTS, fail_on, read
from playwright.sync_api import Browser, Page

from helpers.data import make_dataset
from helpers.loss import mean_loss
from helpers.model import LogisticRegression
from helpers.training import fit

pytestmark = pytest.mark.book

Problems = Iterator[str]
WIDE, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
# A laptop's window of 1280 by 1024, at 400 %.
ZOOMED = {"width": 320, "height": 256}
# A chapter with each kind of fold, and the one with the slider.
INTRO, CHAPTER = DOCUMENTS[0], "notebooks/01_data"
SCRUBBED = "notebooks/04_training"
# In a folder, where links that are relative would lead astray.
LOST = "notebooks/no/such/page"


@pytest.fixture
def open_page(browser: Browser, origin: str) -> Iterator[Any]:
    """Open a document in a window of its own; return it with complaints."""
    with contextlib.ExitStack() as windows:

        def open_page(
            document: str, viewport: Any = WIDE, **options: Any
        ) -> tuple[Page, list[str]]:
            context = browser.new_context(viewport=viewport, **options)
            page = windows.enter_context(context).new_page()
            said: list[str] = []
            page.on("pageerror", lambda error: said.append(f"{error}"))
            page.on(
                "console",
                lambda message: (
                    message.type in ("error", "warning")
                    and said.append(f"{message.text} {message.location}")
                ),
            )
            address = document if ":" in document else f"{origin}/{document}"
            page.goto(address)
            return page, said

        yield open_page


# --- Each page ------------------------------------------------------------

# Pictures come as they are scrolled to: ask for all.
BROKEN = """() => Promise.all([...document.images].map(picture => {
  picture.loading = "eager";
  return picture.decode().then(() => null, () => picture.src);
})).then(sources => sources.filter(Boolean))"""

# What reaches beyond the window, and in which nothing scrolls.
CUT_OFF = """() => {
  const text = document.querySelector("main");
  return [...text.querySelectorAll("*")].filter(e => {
    const box = e.getBoundingClientRect();
    if (!box.width || box.right <= innerWidth + 1) return false;
    if (!e.checkVisibility({visibilityProperty: true})) return false;
    for (let up = e; up !== text; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== "visible") return false;
    return true;
  }).map(e => e.outerHTML.slice(0, 100)).slice(0, 5);
}"""


UNFOLD = """document.querySelectorAll("article details").forEach(
  fold => fold.open = true)"""


def axe_problems(page: Page, *only: str) -> Problems:
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if only:
        options["runOnly"] = {"type": "rule", "values": only}
    else:
        options["rules"] = {"label-content-name-mismatch": {"enabled": True}}
    found = Axe().run(page, options=options)
    for violation in found.response["violations"]:
        nodes = [node["html"][:100] for node in violation["nodes"][:3]]
        yield f"axe: {violation['help']} ({violation['id']}): {nodes}"


# What scrolls in itself, and does not say so. book.js looks at each frame.
UNSAID = """() => new Promise(requestAnimationFrame)
  .then(() => new Promise(requestAnimationFrame))
  .then(() => [...document.querySelectorAll(
    "article :is(pre, .wide, .output.text_html)")]
  .filter(e => e.clientWidth && e.scrollWidth > e.clientWidth
    && getComputedStyle(e, "::before").content === "none")
  .map(e => e.innerText.slice(0, 100)))"""


def too_wide(page: Page, scripts: bool = True) -> Problems:
    window, full = page.evaluate(
        "[innerWidth, document.documentElement.scrollWidth]"
    )
    if full > window:
        yield f"scrolls sideways: {full} px in a window of {window}"
    for element in page.evaluate(CUT_OFF):
        yield f"reaches beyond a window of {window} px: {element}"
    for text in page.evaluate(UNSAID) if scripts else []:
        yield f"scrolls in a window of {window} px and does not say so: {text}"


@pytest.mark.parametrize("document", [*DOCUMENTS, "search", "404"])
def test_page_reads_well(document, open_page):
    page, problems = open_page(
        f"{document}.html", PHONE, reduced_motion="reduce"
    )
    page.evaluate(UNFOLD)
    for source in page.evaluate(BROKEN):
        problems.append(f"picture not loaded: {source}")
    # What scrolls, and what a finger hits, is the phone's own matter.
    problems += axe_problems(
        page, "scrollable-region-focusable", "target-size"
    )
    problems += too_wide(page)
    page.set_viewport_size(ZOOMED)
    problems += too_wide(page)
    page.set_viewport_size(WIDE)
    problems += axe_problems(page)
    problems += too_wide(page)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    problems += axe_problems(page, "color-contrast")
    fail_on(problems)


# --- Ways of reading ------------------------------------------------------


@pytest.mark.parametrize("document", [INTRO, CHAPTER, SCRUBBED])
def test_page_needs_no_scripts(document, open_page):
    page, problems = open_page(
        f"{document}.html", PHONE, java_script_enabled=False
    )
    for fold in page.locator("article details").all():
        inside = fold.locator("pre, img, figure").first
        assert not inside.is_visible()
        fold.locator("summary").click()
        assert inside.is_visible()
    seen = [
        "article h1",
        "article p",
        "article :is(img, svg)",
        "#menu nav a",
    ]
    page.locator(".menu-button").click()
    if document == SCRUBBED:
        seen += [".training-run .learned path", ".training-run circle"]
        for unseen in ("input", "button", ".weights", ".found"):
            part = page.locator(f".training-run {unseen}").first
            assert not part.is_visible()
    for selector in seen:
        if not page.locator(selector).first.is_visible():
            problems.append(f"{selector} is not to be seen")
    fail_on([*problems, *too_wide(page, scripts=False)])


def test_page_works_from_a_folder(open_page, built):
    page, problems = open_page((built / f"{CHAPTER}.html").as_uri())
    fail_on([*problems, *page.evaluate(BROKEN), *too_wide(page)])


def test_paper_has_every_picture_and_solution(open_page):
    page, problems = open_page(f"{CHAPTER}.html")
    page.emulate_media(media="print")
    page.pdf()
    problems += page.evaluate(
        """[...document.images].filter(picture => !picture.naturalWidth)
        .map(picture => `printed without ${picture.src}`)"""
    )
    for inside in page.locator("details :is(pre, img)").all():
        if not inside.is_visible():
            problems.append(f"printed without {inside.inner_html()}")
    fail_on(problems)


# What moved while the page opened: the sum that Lighthouse counts.
SHIFTS = """window.shifts = 0; new PerformanceObserver(list => {
  for (const entry of list.getEntries()) window.shifts += entry.value;
}).observe({type: "layout-shift", buffered: true})"""
HEIGHT = "document.fonts.ready.then(() => document.body.scrollHeight)"


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_nothing_jumps(viewport, browser, origin):
    with browser.new_context(viewport=viewport) as context:
        page = context.new_page()
        page.add_init_script(SHIFTS)
        page.route("**/_images/*", lambda _: None)  # pictures on their way
        page.goto(f"{origin}/{CHAPTER}.html", wait_until="domcontentloaded")
        height = page.evaluate(HEIGHT)
        page.unroute("**/_images/*")
        page.reload()
        assert page.evaluate(BROKEN) == []
        assert page.evaluate(HEIGHT) == height
        assert page.evaluate("shifts") < 0.01


def test_place_is_kept_for_the_contents(open_page, built):
    """A page that is still on its way is drawn without them."""
    page, _ = open_page(f"{CHAPTER}.html")
    whole = page.locator("h1").bounding_box()
    text = (built / f"{CHAPTER}.html").read_text("utf-8")
    part, _ = text.split("</article>")
    page.route("**/*.html", lambda route: route.fulfill(body=part))
    page.reload()
    assert page.locator("h1").bounding_box() == whole


# --- What a reader does ---------------------------------------------------


def test_theme_follows_the_system_and_the_switch(open_page, origin):
    ground = "getComputedStyle(document.body).backgroundColor"
    options = {"color_scheme": "dark", "java_script_enabled": False}
    page, _ = open_page(f"{CHAPTER}.html", **options)
    dark = page.evaluate(ground)
    page, problems = open_page(f"{CHAPTER}.html", color_scheme="dark")
    assert page.evaluate(ground) == dark
    switch = page.locator(".theme-button")
    for _ in range(3):
        if page.evaluate(ground) != dark:
            break
        switch.click()
    light = page.evaluate(ground)
    assert max(map(int, re.findall(r"\d+", dark))) < 64
    assert min(map(int, re.findall(r"\d+", light))) > 192
    page.goto(f"{origin}/{INTRO}.html")
    assert page.evaluate(ground) == light, "the next page forgets the theme"
    fail_on(problems)


def found(page: Page) -> list[str]:
    """Return where the search leads, the best place first."""
    page.locator("#search-status:not(:empty)").wait_for()
    links = page.locator("#search-results a").all()
    return [link.get_attribute("href") for link in links]


@pytest.mark.parametrize("document", [f"{INTRO}.html", LOST])
def test_search_leads_to_a_section_by_keyboard(document, open_page, origin):
    page, _ = open_page(document)
    page.locator(".search-button").press("Enter")
    page.keyboard.type("learning rate")
    page.keyboard.press("Enter")
    assert found(page)[0].startswith(f"{SCRUBBED}.html#")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{origin}/{SCRUBBED}.html#*")
    heading = page.locator(":target :is(h2, h3)").first
    assert 0 <= heading.bounding_box()["y"] < WIDE["height"] / 2


def test_search_knows_words_also_from_a_folder(open_page, built):
    page, problems = open_page("search.html?q=rate", PHONE)
    assert found(page)[0].startswith(f"{SCRUBBED}.html#")
    # As a word: "separate" is none.
    for result in page.locator("#search-results li").all_inner_texts():
        assert re.search(r"(?i)\brat", result)
    problems += [*axe_problems(page), *too_wide(page)]
    page.goto(f"{(built / 'search.html').as_uri()}?q=xylophone")
    assert found(page) == []
    assert page.get_by_text("No section has “xylophone”").is_visible()
    fail_on(problems)


# Where each is taught.
TAUGHT_AT = {
    "jit": "notebooks/05_compile.html#what-jit-writes-down",
    "scan": "notebooks/05_compile.html#the-loop-as-well",
    "batch": "notebooks/05_compile.html#a-part-of-the-data-at-a-time",
    "categorical": "notebooks/13_yours.html#from-a-table-to-arrays",
    "overfitting": "notebooks/08_bigger_models.html#does-it-overfit",
    "NaN": "book/symptoms.html#nan",
}


def test_search_leads_to_where_it_is_taught(open_page, origin):
    page, problems = open_page("search.html")
    for query, place in TAUGHT_AT.items():
        page.goto(f"{origin}/search.html?q={query}")
        assert found(page)[0] == place
    page.goto(f"{origin}/search.html?q=hyperparameter")
    term = page.locator("article li", has_text="Notation and terms")
    assert "A number that training does not choose" in term.inner_text()
    fail_on(problems)


def test_menu_opens_on_a_phone(open_page):
    page, problems = open_page(f"{CHAPTER}.html", PHONE)
    last = Path(DOCUMENTS[-1]).name
    link = page.locator(f"nav a[href$='{last}.html']").first
    assert not link.is_visible()
    page.locator(".menu-button").click()
    link.click()
    page.wait_for_url(f"**/{last}.html")
    fail_on(problems)


def test_tab_goes_on_to_the_next_page_before_the_footer(open_page):
    page, _ = open_page(f"{CHAPTER}.html")
    page.locator(".next").focus()
    page.keyboard.press("Tab")
    assert page.locator("footer a").first.evaluate(
        "link => link === document.activeElement"
    )


def test_contents_show_the_place(open_page):
    page, problems = open_page(f"{CHAPTER}.html")
    for link in page.locator("#contents a").all()[1:4]:
        link.click()
        here = page.locator("#contents [aria-current]")
        here.and_(link).wait_for()
    fail_on(problems)


def test_code_is_copied_as_it_is_written(open_page):
    page, problems = open_page(
        f"{CHAPTER}.html", permissions=["clipboard-read", "clipboard-write"]
    )
    cells = read(Path(CHAPTER).name).code
    seen = {"remove-cell", "hide-input"}.isdisjoint
    wanted = [c.source for c in cells if seen(c.tags)][1]
    cell = page.locator("div.cell_input:visible").nth(1)
    cell.hover()
    cell.locator(".copy-button").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == wanted.strip()
    fail_on(problems)


def test_a_finger_finds_what_hovering_shows(open_page, pytestconfig):
    if pytestconfig.getoption("firefox"):
        pytest.skip("Playwright's Firefox has no fingers")
    page, problems = open_page(
        f"{CHAPTER}.html", PHONE, has_touch=True, is_mobile=True
    )
    for selector in [".copy-button", "h2 > .headerlink"]:
        shown = page.locator(selector).first
        assert shown.evaluate("e => getComputedStyle(e).opacity") == "1"
    problems += axe_problems(page, "target-size", "color-contrast")
    fail_on(problems)


@pytest.mark.parametrize("prefix", [PREFIX, "/"])
def test_missing_page_leads_back(prefix, open_page, built):
    """Where the book is published, and on a server of its own."""
    with serve(built, prefix) as origin:
        page, problems = open_page(f"{origin}/{LOST}")
        assert all("404" in problem for problem in problems)
        frame = page.locator(".frame")
        assert frame.evaluate("e => getComputedStyle(e).display") == "flex"
        page.locator("article a").first.click()
        page.wait_for_url(f"{origin}/{INTRO}.html")


def test_own_address_leads_to_the_first_page(open_page, origin):
    page, problems = open_page("")
    page.wait_for_url(f"{origin}/{INTRO}.html")
    fail_on(problems)


# What a reader sees of the run, and what a screen reader says of the slider.
SEEN = """figure => {
  const get = (s, name) => figure.querySelector(s).getAttribute(name);
  const count = s => (get(s, "d").match(/M/g) || []).length;
  return {
    text: figure.querySelector("output").innerText,
    said: get("input", "aria-valuetext"),
    line: get(".learned", "transform"),
    dot: get(".loss circle", "cx"),
    weights: ["w1", "w2"].map(
      w => `${w} ${(+get(".mark", `data-${w}`)).toFixed(3)}`),
    wrong: count(".label-0.wrong") + count(".label-1.wrong"),
  };
}"""


def test_scrubber_moves_by_keyboard(open_page):
    (plain,) = (
        text
        for cell in read(Path(SCRUBBED).name).code
        for text in cell.shown("text/plain")
        if text.startswith("epochs 0 to 100: ")
    )
    # As the helper says beside its figure: at the two ends of the run.
    _, _, *losses, low, high = re.findall(r"[\d.]+", plain)
    page, problems = open_page(f"{SCRUBBED}.html")
    page.evaluate(UNFOLD)
    figure = page.locator("figure.training-run")
    slider = figure.get_by_role("slider", name="epoch", exact=True)
    still = figure.evaluate(SEEN)
    seen = {}
    for key, epoch, loss, right in [
        ("Home", 0, losses[0], low),
        ("End", 100, losses[1], high),
    ]:
        slider.press(key)
        seen[key] = figure.evaluate(SEEN)
        title = f"epoch {epoch}: loss {loss}, {right}\u202f% right"
        assert seen[key]["text"].startswith(title)
        assert seen[key]["said"].startswith(title)
        weights = ", ".join(seen[key]["weights"]).replace("-", "−")
        assert weights in seen[key]["text"]
        w1, w2 = (float(one.split()[1]) for one in seen[key]["weights"])
        off = abs(np.angle((w1 + 1j * w2) / (1 + 3j), deg=True))
        far = f"arrow {off:.1f}° off, length {np.hypot(w1, w2):.2f} of 3.16"
        assert seen[key]["text"].endswith(far)
        assert seen[key]["said"].endswith(far)
        assert seen[key]["wrong"] == round(1000 - 10 * float(right))
    assert len({s["line"] for s in (still, *seen.values())}) == 3
    assert len({s["dot"] for s in (still, *seen.values())}) == 3
    # There and back, each point is again on its first side.
    slider.press("Home")
    assert figure.evaluate(SEEN) == seen["Home"]
    for _ in range(20):
        slider.press("ArrowRight")
    assert figure.evaluate(SEEN) == still
    slider.press("End")
    slider.press("PageDown")
    figure.get_by_role("button", name="Play").click()
    assert figure.get_by_role("button", name="Pause").is_visible()
    figure.get_by_text("Play", exact=True).wait_for()
    assert figure.evaluate(SEEN) == seen["End"]
    fail_on(problems)


def test_map_of_weights_has_lines_of_equal_loss(open_page):
    page, _ = open_page(f"{SCRUBBED}.html")
    figure = page.locator(".training-run")
    figure.get_by_label("epoch", exact=True).press("End")
    said = re.findall(r"[\d.]+", figure.locator(".head output").inner_text())
    last_loss, last_b = float(said[1]), float(said[-4])
    view = figure.locator(".weights")

    def numbers(selector: str, name: str = "d") -> list[float]:
        text = view.locator(selector).first.get_attribute(name)
        return [float(number) for number in re.findall(r"[\d.]+", text)]

    _, origin_y, _, origin_x, *_ = numbers(".axis")
    (tick_x,) = numbers(".tick", "x")
    unit = float(view.locator(".tick").first.text_content())
    unit /= tick_x - origin_x
    ends = np.reshape(numbers(".contour"), (-1, 2, 2))
    w1, w2 = (ends[..., 0] - origin_x) * unit, (origin_y - ends[..., 1]) * unit
    x, y, label = map(np.asarray, make_dataset(jax.random.key(1)))
    logit = np.multiply.outer(w1, x) + np.multiply.outer(w2, y) + last_b
    loss = (np.logaddexp(0, logit) - label * logit).mean(axis=-1)
    assert np.ptp(loss, axis=1).max() < 0.01
    assert loss.min() < last_loss


def weights(seen):
    """Return w1, w2 and b as the figure says them."""
    found = re.findall(r"\b(?:w1|w2|b) (\S+\d)", seen["text"])
    return [float(number.replace("−", "-")) for number in found]


def test_a_press_on_the_map_rolls_as_jax_does(open_page):
    page, problems = open_page(f"{SCRUBBED}.html", reduced_motion="reduce")
    page.clock.install()
    loss_fn = partial(mean_loss, LogisticRegression().apply)
    optimizer = optax.sgd(0.3)
    figure = page.locator(".training-run")
    view = figure.locator(".weights")
    view.scroll_into_view_if_needed()
    blog = figure.evaluate(SEEN)
    box = view.bounding_box()
    data = make_dataset(jax.random.key(1))
    for x, y in [(0.2, 0.7), (0.3, 0.2), (0.8, 0.8)]:
        page.mouse.move(box["x"] + 99, box["y"] + 99)
        page.mouse.down()
        page.mouse.move(
            box["x"] + x * box["width"], box["y"] + y * box["height"]
        )
        page.mouse.up()
        start = figure.evaluate(SEEN)
        w1, w2, b = (np.float32(k) for k in weights(start))
        params = {"params": {"w1": w1, "w2": w2, "b": b}}
        params, _ = fit(loss_fn, params, optimizer, data, 100)
        page.clock.run_for(11_000)
        end = figure.evaluate(SEEN)
        # The page has the points to a sixtieth.
        wanted = [float(params["params"][name]) for name in ("w1", "w2", "b")]
        assert weights(end) == pytest.approx(wanted, abs=0.005)
        loss = float(re.search(r"epoch 100: loss (\S+),", end["text"])[1])
        assert loss == pytest.approx(float(loss_fn(params, data)), abs=0.001)
        told = figure.locator(".found").inner_text()
        assert f" down to {loss:.3f}." in told
    assert "4 starts, all at 0.31" in told
    # By keyboard, and back.
    view.press("ArrowUp")
    moved = figure.evaluate(SEEN)
    assert moved["weights"][0] == start["weights"][0]
    assert moved["weights"][1] != start["weights"][1]
    view.press("Enter")
    page.clock.run_for(11_000)
    assert figure.evaluate(SEEN)["text"].startswith("epoch 100: ")
    figure.get_by_role("button", name="Reset").click()
    assert figure.evaluate(SEEN) == blog
    fail_on(problems)


def test_shade_is_full_where_the_logit_is_four(open_page):
    page, _ = open_page(f"{SCRUBBED}.html")
    figure = page.locator(".training-run")
    for key in ("Home", "End"):
        figure.get_by_label("epoch", exact=True).press(key)
        w1, w2, _ = weights(figure.evaluate(SEEN))
        far = figure.locator("linearGradient").evaluate(
            "shade => shade.y1.baseVal.value"
        )
        # Up is negative; label 1 lies above if w2 is positive.
        assert far == pytest.approx(
            np.copysign(240 / np.hypot(w1, w2), w2), rel=1e-2
        )


def test_figures_that_are_pushed_end_at_what_their_chapters_print(open_page):
    printed = "".join(
        cell.node.outputs[0].get("text", "")
        for name in ("07_uncertainty", "09_real_data")
        for cell in read(name).code
        if cell.node.outputs
    )
    page, problems = open_page("notebooks/09_real_data.html", PHONE)
    figure = page.locator("figure.dials")
    dial = figure.get_by_role("slider", name="prevalence")
    for percent, precision in re.findall(
        r"at +(\d+)%: precision (\d+)%", printed
    ):
        while f"{percent}\u202f%;" not in dial.get_attribute("aria-valuetext"):
            dial.press("ArrowLeft")
        shown = figure.locator("tbody td").nth(11).inner_text()
        assert shown == f"{precision}\u202f%"
    page.goto(page.url.replace("09_real_data", "07_uncertainty"))
    figure = page.locator("figure.draws")
    for _ in range(10):
        figure.get_by_role("button", name="20 more").press("Enter")
    said = figure.get_by_role("status").inner_text()
    assert re.findall(r"\d+ of \d+", said) == ["188 of 200", "0 of 200"]
    fail_on(problems)
