"""Each check of a page in the browser goes red at faults planted in one."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import test_browser
from faults import Fault, red, rule_of, unlisted, unplanted
from manuscript import PUBLISHED, fail_on
from playwright.sync_api import Page, Route
from test_browser import (
    CHAPTER,
    LOST,
    PHONE,
    SCRUBBED,
    WIDE,
    axe_problems,
    click_problems,
    colour_problems,
    copy_problems,
    font_problems,
    formula_problems,
    hidden_problems,
    icon_problems,
    jump_problems,
    keyboard_problems,
    layout_problems,
    lost_problems,
    menu_problems,
    paper_problems,
    scrubber_problems,
    search_problems,
    still_problems,
    visit,
)

pytestmark = [
    pytest.mark.book,
    pytest.mark.browser,
    pytest.mark.skipif(bool(PUBLISHED), reason="asks of the built folder"),
]

# A light page, where a check does not ask for a chapter.
LIGHT = "CHANGELOG"
# What to open for each check, and what it asks for beside the page.
CHECKS = {
    axe_problems: (LIGHT, True),
    click_problems: (CHAPTER,),
    colour_problems: (CHAPTER, "light"),
    copy_problems: (CHAPTER,),
    font_problems: (LIGHT,),
    formula_problems: (CHAPTER,),
    hidden_problems: (CHAPTER,),
    icon_problems: (LIGHT,),
    jump_problems: (None,),
    keyboard_problems: (CHAPTER,),
    layout_problems: (CHAPTER, WIDE),
    lost_problems: (None,),
    menu_problems: (CHAPTER,),
    paper_problems: (CHAPTER,),
    scrubber_problems: (SCRUBBED,),
    search_problems: (LIGHT,),
    still_problems: (SCRUBBED,),
}

# --- Damage to a page -----------------------------------------------------


def styles(css: str) -> Callable[[Page], Any]:
    # add_style_tag() waits for ever where no scripts run.
    return lambda page: page.evaluate(
        "css => document.head.insertAdjacentHTML('beforeend', css)",
        f"<style>{css}</style>",
    )


def runs(script: str) -> Callable[[Page], Any]:
    return lambda page: page.evaluate(f"() => {{ {script} }}")


def puts(html: str) -> Callable[[Page], Any]:
    return lambda page: page.evaluate(
        "html => document.querySelector('article p').innerHTML += html", html
    )


def on_first(selector: str, script: str) -> Callable[[Page], Any]:
    """Run a script on ``e``, the first element of a selector."""
    return runs(f"const e = document.querySelector({selector!r}); {script}")


def after_each_step(selector: str, script: str) -> Callable[[Page], Any]:
    """Run a script on ``e`` of the figure whenever its slider moved."""
    return on_first(
        f".training-run {selector}",
        "document.querySelector('.training-run input').addEventListener("
        f"'input', () => {{ {script} }})",
    )


def sets(name: str, value: str) -> str:
    return f"e.setAttribute({name!r}, {value})"


LINE_ASTRAY = after_each_step(
    ".learned", sets("transform", "'translate(9.0 9.0) rotate(9.0)'")
)


def hurried(damage: Callable[[Page], Any]) -> Callable[[Page], Any]:
    """Wait less for what will not come."""

    def hurry(page: Page) -> None:
        damage(page)
        page.set_default_timeout(2_000)

    return hurry


# No other page gets what is answered to this one.
UNKEPT = {"cache-control": "no-store"}


def answers(pattern: str, **answer: Any) -> Callable[[Page], Any]:
    """Give another answer to what the page asks for."""
    return lambda page: page.route(
        pattern, lambda route: route.fulfill(headers=UNKEPT, **answer)
    )


def rewrites(
    where: str, pattern: str, new: str, **answer: Any
) -> Callable[[Page], Any]:
    """Change what the server answers to what the page asks for."""

    def rewrite(route: Route) -> None:
        response = route.fetch()
        text, count = re.subn(pattern, new, response.text(), flags=re.S)
        assert count, f"nothing matches {pattern}"
        headers = response.headers | UNKEPT
        route.fulfill(response=response, headers=headers, body=text, **answer)

    return lambda page: page.route(where, rewrite)


UNTOLD = "epoch 0: {}, not "

FAULTS = [
    Fault(axe_problems, styles("article p {color: #aaa}"), "color-contrast"),
    Fault(axe_problems, puts("<img src=../favicon.svg>"), "image-alt"),
    Fault(
        axe_problems,
        puts("<a href=# aria-label=Other>Read on</a>"),
        "label-content-name-mismatch",
    ),
    Fault(
        click_problems,
        styles("details {display: none}"),
        "there is no folded solution",
    ),
    Fault(
        click_problems,
        on_first("article details", "e.open = true"),
        "solution is open before a click",
    ),
    Fault(
        click_problems,
        on_first("summary", "e.onclick = () => false"),
        "solution does not open by a click",
    ),
    Fault(
        colour_problems,
        styles("article {background: #000} article p {color: #fff}"),
        "the background has luminance 0.00: not light",
    ),
    Fault(
        colour_problems,
        styles("article p {color: #777}"),
        r"stands out 4\.\d : 1 from its ground, want 7",
    ),
    Fault(
        colour_problems,
        styles("article {filter: invert(1)}"),
        "a filter changes the colours of .*webp",
    ),
    Fault(
        copy_problems,
        runs("Element.prototype.setAttribute = () => {}"),
        "button does not say that it copied",
    ),
    Fault(
        copy_problems,
        runs(
            "addEventListener('copy', e => { e.preventDefault();"
            "e.stopImmediatePropagation();"
            "e.clipboardData.setData('text/plain', '1 + 1') }, true)"
        ),
        r"button copied '1 \+ 1', not its cell",
    ),
    *(
        Fault(
            font_problems,
            styles(f"article {tag} {{font-family: Arial !important}}"),
            "font Arial is not one of ours; .*@font-face",
        )
        for tag in ("p", "h1")
    ),
    Fault(
        formula_problems,
        runs("document.querySelectorAll('math').forEach(e => e.remove())"),
        "there is no formula",
    ),
    Fault(
        formula_problems,
        styles("article math {font-family: serif}"),
        "a formula of .* in serif: want .* STIX Two Math",
    ),
    Fault(
        formula_problems,
        on_first("article math", "e.style.display = 'none'"),
        "a formula of 0 × 0 px in .*: want 4 px or more",
    ),
    *(
        Fault(
            hidden_problems,
            styles(f"article :is({selector}) {{visibility: hidden}}"),
            re.escape(f"article {selector} is not visible"),
        )
        for selector in ("h1", "p")
    ),
    Fault(
        hidden_problems,
        styles("article :is(img, svg) {display: none}"),
        "img, svg. is not visible",
    ),
    Fault(
        hidden_problems,
        styles("article math {display: none}"),
        "invisible: <m",
    ),
    Fault(
        icon_problems,
        styles("[class*=fa-] {display: none !important}"),
        "0 icons are seen, fewer than four",
    ),
    *(
        Fault(
            icon_problems,
            styles(f"[class*=fa-] {{{css} !important}}"),
            "the icon .*fa-.* is empty",
        )
        for css in (
            "mask-image: none",
            "width: 2px",
            "height: 2px",
            "background: transparent",
        )
    ),
    Fault(
        jump_problems,
        rewrites(
            f"**/{CHAPTER}.html", r'(<img [^>]*?) width="\d+" h\w+=', r"\1 x="
        ),
        r"it jumps by [\d.]+ as it opens, want less than 0.1",
    ),
    Fault(
        keyboard_problems,
        styles(":focus {outline: 0 !important; box-shadow: none !important}"),
        "nothing shows focus on <",
    ),
    Fault(
        keyboard_problems,
        runs(
            "document.querySelectorAll('button[class*=search]')"
            ".forEach(e => e.tabIndex = -1)"
        ),
        "Tab does not reach the search",
    ),
    Fault(
        keyboard_problems,
        runs(
            "document.querySelectorAll('a[href*=colab]')"
            ".forEach(e => e.tabIndex = -1)"
        ),
        "Tab does not reach the Colab link",
    ),
    Fault(
        keyboard_problems,
        on_first("summary", "e.onclick = () => false"),
        "Enter does not toggle a solution",
    ),
    Fault(
        keyboard_problems,
        on_first("summary", "e.onkeyup = () => false"),
        "Space does not toggle a solution",
    ),
    Fault(
        layout_problems,
        styles("body {position: absolute; width: 2000px}"),
        "scrolls sideways: 2000 px in a window of 1280",
    ),
    Fault(
        layout_problems,
        styles("main {overflow: hidden} article p {width: 2000px}"),
        "reaches beyond the window: <p",
    ),
    Fault(
        layout_problems,
        on_first("article img", "e.src = 'gone.webp'"),
        "picture not loaded: .*gone.webp",
    ),
    Fault(
        lost_problems,
        rewrites(f"**/{LOST}", "<h1", "<h1", status=200),
        "does not say 404, so that robots would list it",
    ),
    Fault(
        lost_problems,
        answers(f"**/{LOST}", status=404, body="none"),
        "status 404: .*, but without the book's own 404.html",
    ),
    Fault(
        lost_problems,
        rewrites(f"**/{LOST}", "</body>", "<script>gone()</script></body>"),
        "script error: gone is not defined",
    ),
    Fault(
        menu_problems,
        styles(".bd-sidebar-primary {visibility: visible !important}"),
        "the menu is open at first",
    ),
    Fault(
        menu_problems,
        hurried(styles("dialog {display: none !important}")),
        "the menu does not open, or its link leads nowhere",
    ),
    Fault(
        paper_problems,
        on_first("article img", "e.src = 'gone.webp'"),
        "printed without .*gone.webp",
    ),
    Fault(
        search_problems,
        hurried(answers("**/searchindex.js", body="")),
        r"'sigmoid' is in .*, but a search for it finds set\(\)",
    ),
    Fault(
        search_problems,
        rewrites("**/searchindex.js", f'"{CHAPTER}"', '"gone"'),
        r"'sigmoid' is in .*, but a search for it finds \{",
    ),
    Fault(
        scrubber_problems,
        after_each_step("output b", "e.textContent = 'x'"),
        UNTOLD.format("title 'x'"),
    ),
    Fault(
        scrubber_problems,
        after_each_step("output span", "e.textContent = 'w1 0.000'"),
        UNTOLD.format("weights 'w1 0.000'"),
    ),
    Fault(
        scrubber_problems,
        after_each_step("input", sets("aria-valuetext", "'x'")),
        UNTOLD.format("said 'x'"),
    ),
    Fault(
        scrubber_problems,
        after_each_step(".label-0.wrong", sets("d", "''")),
        UNTOLD.format(r"wrong \[0, \d+\]"),
    ),
    Fault(
        scrubber_problems,
        LINE_ASTRAY,
        "epoch 0: the line is not where the logit is 0",
    ),
    Fault(
        scrubber_problems,
        after_each_step(".label-1.right", sets("d", "''")),
        "epoch 0: not 1,000 points, but ",
    ),
    Fault(
        scrubber_problems,
        LINE_ASTRAY,
        "the line does not move epoch by epoch: ",
    ),
    Fault(
        scrubber_problems,
        after_each_step("circle", sets("cx", "'0'")),
        "the dot is not at its epoch: ",
    ),
    Fault(
        scrubber_problems,
        after_each_step("circle", sets("cy", "'0'")),
        "the dot is not at its loss: ",
    ),
    Fault(
        scrubber_problems,
        after_each_step("circle", sets("cx", "e.getAttribute('cx') - 1e-9")),
        "back at the first epoch, the picture is not as at first",
    ),
    Fault(
        scrubber_problems,
        styles(".training-run input {height: 20px !important}"),
        "a finger misses a slider of 20 px",
    ),
    Fault(
        scrubber_problems,
        styles(".training-run input {outline: none !important}"),
        "nothing shows that the slider has the focus",
    ),
    *(
        Fault(
            still_problems,
            styles(f".training-run {part} {{visibility: hidden}}"),
            f"{part} is not to be seen",
        )
        for part in (".plane", ".loss", ".truth path", "circle")
    ),
    Fault(
        still_problems,
        on_first(".training-run input", "e.hidden = false"),
        "a slider that does nothing is shown",
    ),
    *(
        Fault(
            still_problems,
            on_first(f".training-run output {tag}", "e.textContent = 'x'"),
            f"'{said} .*' is not in ",
        )
        for tag, said in (("b", "epoch 20: loss"), ("span", "w1"))
    ),
]

# --- Each check goes red --------------------------------------------------


@pytest.fixture(scope="module")
def windows(browser) -> Iterator[Callable[[bool], Page]]:
    """One window for all checks, one without scripts, and a new one."""
    contexts = []

    @cache
    def window(scripts: bool) -> Page:
        contexts.append(browser.new_context(java_script_enabled=scripts))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        return page

    yield window
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def watch(windows, browser, origin):
    """Open what a check asks for, damage it, and hand it to a watcher."""

    def watch(
        check: Callable, damage: Callable[[Page], Any], watcher: Callable
    ) -> Any:
        where, *rest = CHECKS[check]
        page = windows(check is not still_problems)
        page.set_default_timeout(30_000)
        width = PHONE if check is menu_problems else WIDE
        page.set_viewport_size({"width": width, "height": 900})
        if check is jump_problems:
            # Its script would stay with the window.
            with browser.new_context() as context:
                page = context.new_page()
                damage(page)
                return watcher(page, f"{origin}/{CHAPTER}.html")
        if check is lost_problems:
            rest = [origin]
        else:
            page.goto(f"{origin}/{where}.html")
        damage(page)
        if check in (scrubber_problems, still_problems):
            watched = page.locator("figure.training-run")
        else:
            watched = page
        try:
            return watcher(watched, *rest)
        finally:
            page.unroute_all()

    return watch


@pytest.fixture(scope="module")
def plant(watch):
    """Plant a fault in a page; return the line of the check that saw it."""

    @cache
    def plant(fault: Fault) -> int:
        return watch(fault.rule, fault.damage, lambda *page: red(fault, *page))

    return plant


@pytest.mark.parametrize("fault", FAULTS, ids=rule_of)
def test_a_fault_in_a_page_is_seen(fault, plant):
    plant(fault)


def test_each_thing_that_a_check_can_say_is_planted(plant):
    fail_on(unplanted(CHECKS, {fault: plant(fault) for fault in FAULTS}))


def test_each_check_is_in_the_list():
    fail_on(unlisted(test_browser, [*CHECKS]))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_undamaged_page_is_clean(check, watch):
    fail_on(watch(check, lambda page: None, lambda *page: [*check(*page)]))


# --- And what the browser complains of ------------------------------------

COMPLAINTS = {
    "<img src='https://example.org/a.png'>": (
        "asks another host: https://example.org/a.png"
    ),
    "<script>console.error('bad')</script>": "console error: bad",
    "<script>console.warn('odd')</script>": "console warning: odd",
    "<script>gone()</script>": "script error: gone is not defined",
    "<img src='http://127.0.0.1:1/a.png'>": (
        "request failed: http://127.0.0.1:1/a.png: "
    ),
    "<img src='gone.png'>": "status 404: .*/gone.png",
}


@pytest.mark.parametrize("html", COMPLAINTS)
def test_a_complaint_of_the_browser_is_seen(html, windows, origin):
    page, address = windows(True), f"{origin}/{LIGHT}.html"
    fail_on(visit(page, address))
    rewrites(address, "</article>", f"{html}</article>")(page)
    said = visit(page, address)
    page.unroute_all()
    assert any(re.match(COMPLAINTS[html], problem) for problem in said), (
        f"visit() should say {COMPLAINTS[html]!r}, and says {said}"
    )
