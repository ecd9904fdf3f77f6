"""Pages that open fast: one short style sheet, light figures, late scripts.

The theme ships with the whole of Bootstrap, of which a page uses a
fifteenth. Nothing here changes what a reader sees.
"""

import re
from pathlib import Path

from PIL import Image
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

# In the order in which the theme asks for them.
SHEETS = (
    "basic.css",
    "styles/pydata-sphinx-theme.css",
    "pygments.css",
    "styles/sphinx-book-theme.css",
    "mystnb.*.css",
    "copybutton.css",
    "book.css",
    "playground/playground.css",
)
# The theme ships with these, and no page asks for them.
UNASKED = ("bootstrap.js", "fontawesome.js")

COMMENT = re.compile(r"/\*.*?\*/|@(?:charset|import)[^;]*;", re.DOTALL)
# What stands before a block, and the block, which may hold two more.
BLOCK = re.compile(
    r"([^{}]+)\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}", re.DOTALL
)
FIGURE = re.compile(r'<img (?P<rest>[^>]*)src="(?P<src>[^"]*_images/[^"]*)"')


def is_used(selector: str, words: set[str]) -> bool:
    """Return whether a selector's classes and ids may be on some page."""
    # What stands in brackets or parentheses only narrows it.
    while (short := re.sub(r"\([^()]*\)|\[[^]]*\]", "", selector)) != selector:
        selector = short
    return any(
        words.issuperset(re.findall(r"[.#]([\w-]+)", part))
        for part in selector.split(",")
    )


def pruned(css: str, words: set[str]) -> str:
    """Return the rules that some page can use, each on a line."""
    kept = []
    for head, body in BLOCK.findall(css):
        head, body = head.strip(), body.strip()
        if head.startswith(("@media", "@supports")):
            body = pruned(body, words)
        elif head.startswith("@font-face"):
            # Font Awesome: book.css draws the icons.
            body = "" if "/vendor/" in body else body
        elif not head.startswith("@") and not is_used(head, words):
            continue
        if body:
            kept.append(f"{head}{{{body}}}")
    return "\n".join(kept)


def join_styles(app: Sphinx, exception: Exception | None) -> None:
    """Write the one style sheet that all pages ask for."""
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    css = "".join(
        path.read_text("utf-8")
        for name in SHEETS
        for path in sorted(static.glob(name))
    )
    words: set[str] = set()
    for path in Path(app.outdir).rglob("*"):
        if path.suffix in (".html", ".js") and path.name not in UNASKED:
            words.update(re.findall(r"[\w-]+", path.read_text("utf-8")))
    css = pruned(COMMENT.sub("", css), words)
    (static / "pages.css").write_text(css, "utf-8")


def light(path: Path) -> None:
    """Write a figure beside itself as WebP, in half the bytes.

    It loses nothing but half of its 256 colours, which no eye can tell.
    """
    with Image.open(path) as image:
        full = image.convert("RGB")
    few = full.quantize(128, dither=Image.Dither.NONE, kmeans=4)
    few.convert("RGB").save(
        path.with_suffix(".webp"), lossless=True, quality=100
    )


def lighten_figures(app: Sphinx, exception: Exception | None) -> None:
    # A page to print keeps the figures as they are.
    if exception or app.builder.name != "html":
        return
    for path in Path(app.outdir, "_images").glob("*.png"):
        light(path)
        path.unlink()


def deferred(script):
    """Return the script as one that waits until the page is read."""
    # What is written into the page reads documentation_options.
    if not script.filename or "documentation_options" in script.filename:
        return script
    attributes = {**script.attributes, "defer": "defer"}
    return type(script)(
        script.filename, priority=script.priority, **attributes
    )


def speed_up(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Ask for one style sheet, defer the scripts, and size the figures."""
    for sheet in context["css_files"]:
        name = str(sheet.filename).removeprefix("_static/").split("?")[0]
        if not any(Path(name).match(known) for known in SHEETS):
            logger.warning("%s is not in SHEETS in fast_pages.py", name)
    context["css_files"] = []
    # The search page's own scripts run at once and need these.
    if pagename != "search":
        context["script_files"] = [*map(deferred, context["script_files"])]
    sources = {name: path for path, name in app.builder.images.items()}

    def sized(figure: re.Match) -> str:
        src = figure["src"]
        path = Path(app.srcdir, sources[src.rsplit("/", 1)[1]])
        with Image.open(path) as image:
            width, height = image.size
        late = ""
        if app.builder.name == "html":
            src = src.replace(".png", ".webp")
            # Paper does not scroll, so what is to be printed comes at once.
            late = ' loading="lazy"'
        return (
            f'<img {figure["rest"]}src="{src}" width="{width}" '
            f'height="{height}" decoding="async"{late}'
        )

    if "body" in context:
        context["body"] = FIGURE.sub(sized, context["body"])


def setup(app: Sphinx) -> dict:
    # Last, so that it sees all sheets, scripts and figures.
    app.connect("html-page-context", speed_up, priority=900)
    # The theme writes pygments.css at the end, too.
    app.connect("build-finished", join_styles, priority=900)
    app.connect("build-finished", lighten_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
