"""What the pages need beyond Sphinx: no other host, little weight, no jumps.

Maths becomes MathML at build time, quotes that open with a bold word become
cards, code hangs where it wraps, figures keep their place, and each page says
what it is about.
"""

import re
from collections import Counter
from html import escape
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from docutils import nodes
from math_core import LatexError, LatexToMathML
from PIL import Image
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

logger = logging.getLogger(__name__)


# An account that nobody can have, until make repository URL=… stamps another.
NOBODY = "/-owner-/"


def hand_on_address(app: Sphinx, config: Config) -> None:
    """Give the stamped address to previews; without one, offer no links."""
    config.ogp_site_url = config.html_baseurl
    if NOBODY in config.html_context["repository_url"]:
        config.html_context["repository_url"] = ""


def unlink_nobody(app: Sphinx, doctree: nodes.document) -> None:
    """Leave them out of the text: Colab's buttons go, others become words."""
    for link in list(doctree.findall(nodes.reference)):
        if NOBODY not in link.get("refuri", ""):
            continue
        row = link.parent
        if "colab.research" not in link["refuri"]:
            row.replace(link, nodes.Text(link.astext()))
        elif len(row) == 1:
            row.parent.remove(row)
        else:
            row.remove(link)


latex = LatexToMathML(fancy_error=False)


def mathml(node: nodes.Element, display: bool) -> str:
    source = node.astext()
    try:
        return latex.convert_with_local_state(source, displaystyle=display)
    except LatexError as error:
        logger.warning("%s: %s", source, error, location=node)
        return ""


def visit_inline(self, node: nodes.math) -> None:
    self.body.append(mathml(node, display=False))
    raise nodes.SkipNode


def visit_block(self, node: nodes.math_block) -> None:
    tag = self.starttag(node, "div", CLASS="math-block")
    self.body.append(f"{tag}{mathml(node, display=True)}</div>\n")
    raise nodes.SkipNode


# What a quote opens with, and the class of the card that it becomes.
CARDS = {"Note.": "note-card", "Predict first.": "predict-card"}

# A number that a line must not part from what it counts or names.
JOINED = (
    (r"(?<=\d) (?=%)", "\u202f"),
    (r"\b([Cc]hapter|[Ee]xercise|label|epoch) (?=\d)", "\\1\u00a0"),
)


def mark_cards(app: Sphinx, doctree: nodes.document) -> None:
    for quote in doctree.findall(nodes.block_quote):
        bold = quote.next_node(nodes.strong)
        word = bold.astext() if bold else ""
        if word in CARDS and quote.astext().startswith(word):
            quote["classes"].append(CARDS[word])


# What Colab and Jupyter show of a folded solution: its first line.
TITLE = "# @title Solution\n"


def name_folds(app: Sphinx, doctree: nodes.document) -> None:
    """Say what is folded; of solutions the configuration says it."""
    names = {"output": "what happens", "input": "the code"}
    for cell in doctree.findall(nodes.container):
        if "hide_mode" not in cell:
            continue
        if cell["prompt_show"] != app.config.nb_code_prompt_show:
            cell["prompt_hide"] = cell["prompt_show"]  # the cell's own name
        elif name := names.get(cell["hide_mode"]):
            cell["prompt_show"] = f"See {name}"
            cell["prompt_hide"] = f"Hide {name}"
        elif cell["hide_mode"] == "all":
            code = cell.next_node(nodes.literal_block)
            code.rawsource = code.rawsource.removeprefix(TITLE)
            code[:] = [nodes.Text(code.rawsource)]


def box_tables(app: Sphinx, doctree: nodes.document) -> None:
    """Let a table that is wider than the page scroll in a box."""
    for table in list(doctree.findall(nodes.table)):
        box = nodes.container(classes=["wide"])
        table.replace_self(box)
        box += table


def draw_chapters(app: Sphinx, doctree: nodes.document) -> None:
    """Put its drawing before each chapter that the intro lists."""
    for chapters in doctree.findall(nodes.enumerated_list):
        if "chapters" not in chapters["classes"]:
            continue
        for item in chapters:
            chapter = Path(item.next_node(pending_xref)["reftarget"]).stem
            path = Path(app.srcdir, "book/assets/cards", f"{chapter}.svg")
            app.env.note_dependency(path)
            drawing = nodes.raw("", path.read_text("utf-8"), format="html")
            item.insert(0, drawing)


def join_numbers(app: Sphinx, doctree: nodes.document) -> None:
    for text in list(doctree.findall(nodes.Text)):
        if isinstance(text.parent, nodes.paragraph | nodes.reference):
            joined = text.astext()
            for space, other in JOINED:
                joined = re.sub(space, other, joined)
            text.parent.replace(text, nodes.Text(joined))


def link_chapter(app: Sphinx, what, name, obj, options, lines) -> None:
    """End each helper's docstring with a link to where it is taught."""
    module = import_module(".".join(name.split(".")[:2]))
    # Its own docstring may name another chapter than the module's.
    said = f"{obj.__doc__}\n{module.__doc__}"
    taught = re.search(r"[Tt]aught in chapter (\d+)", said)
    if taught and what in ("function", "class"):
        number = f"{int(taught[1]):02}"
        (path,) = Path(app.srcdir, "notebooks").glob(f"{number}_*.ipynb")
        lines += ["", f"Taught in :doc:`/notebooks/{path.stem}`.", ""]


def skip_fields(app: Sphinx, what, name, obj, skip, options) -> bool | None:
    """Leave out "Alias for field number 0": the docstring has the fields."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def hide_flax(app: Sphinx, what, name, obj, options, signature, returns):
    """Leave out what Flax adds to a module's own arguments."""
    return ("()", None) if "linen" in (signature or "") else None


def describe(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Say what the page is about, in the head and to sphinxext.opengraph."""
    if pagename == "404":
        # It stands at any address, and has none of its own.
        root = urlsplit(app.config.html_baseurl).path
        context |= {"pageurl": None, "root": root}
    if doctree is None:
        return
    path = Path(app.srcdir, "book", "descriptions.yml")
    text = yaml.safe_load(path.read_text("utf-8")).get(pagename)
    if text is None:
        logger.warning("%s has no description in %s", pagename, path.name)
        return
    text = escape(text, quote=True)
    context["metatags"] += f'\n<meta name="description" content="{text}"/>'
    meta = {"og:description": text}
    card = Path("book/assets/cards", f"{Path(pagename).name}.png")
    if Path(app.srcdir, card).is_file():
        title = re.sub("<[^>]*>", "", context["title"])
        cards = f"{app.config.html_baseurl}_static/cards"
        meta["og:image"] = f"{cards}/{card.name}"
        meta["og:image:alt"] = f"Chapter {title}; with a drawing of it"
    context["meta"] = {**(context["meta"] or {}), **meta}


# How often each pattern was found: Sphinx may write otherwise.
found: Counter[str] = Counter()
written: set[str] = set()


def mend(pattern: str, by, text: str) -> str:
    mended, count = re.subn(pattern, by, text)
    found[pattern] += count
    return mended


def miss_none(app: Sphinx, exception: Exception | None) -> None:
    """Warn of what was found nowhere, once every page has been written."""
    if exception is None and written == app.env.found_docs:
        for pattern in found:
            if not found[pattern]:
                logger.warning("no page has %r, to be mended", pattern)


# Characters of code that a phone's line holds.
PHONE = 34


def hang_lines(pre: re.Match) -> str:
    """Wrap each line of code, so that what runs over keeps its indent."""
    lines = []
    # What book.css leaves black would be an element to lay out and print.
    black = r'<span class="(?:n|nb|nn|o|p|w)">([^<]*)</span>'
    code = mend(black, r"\1", pre[1])
    for line in code.removesuffix("\n").split("\n"):
        text = re.sub("<[^>]+>", "", line)
        indent = len(text) - len(text.lstrip(" "))
        if len(text) > PHONE:  # break it where a reader would
            line = mend(r"(?<=[a-z_][.(\[])(?=[A-Za-z_])", "<wbr/>", line)
        style = f' style="--indent: {indent}ch"' if indent else ""
        lines.append(f'<span class="code-line"{style}>{line}\n</span>')
    return f"<pre>{''.join(lines)}</pre>"


def break_names(cell: re.Match) -> str:
    """Break a long name in a table at its underscores, dots and capitals."""
    ends = r"(?<=[A-Za-z])[._]|(?<=[a-z])(?=[A-Z])"
    return re.sub(
        '(?<=class="pre">)[^<]*',
        lambda name: re.sub(ends, r"\g<0><wbr/>", name[0]),
        cell[0],
    )


# What misleads screen readers: a label that hides "Show the solution", roles
# that citations have no right to, pandas' empty corner, which heads no column,
# and links that are called "#". What HTML does not allow: paragraphs in a
# summary, pandas' styles in the text. And a name and what it means stand in
# columns of their own.
MISTAKEN = {
    ' aria-label="Toggle hidden content"': "",
    r'<p (class="(?:collapsed|expanded) [^>]*>.*?)</p>': r"<span \1</span>",
    "(?s)<style scoped>.*?</style>": "",
    '<table border="1"': "<table",
    r'(?<=class="headerlink") ([^>]*)title=': r" \1aria-label=",
    ' role="list"': "",
    ' role="doc-backlink"': "",
    ' role="doc-biblioentry"': "",
    "<th></th>": "<td></td>",
    "</strong> – ": "</strong> ",
}


def finish(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Mend the markup of what the page says."""
    if doctree is None:
        return
    written.add(pagename)
    pictures = {name: path for path, name in app.builder.images.items()}

    def place(figure: re.Match) -> str:
        with Image.open(Path(app.srcdir, pictures[figure[2]])) as image:
            size = 'width="{}" height="{}"'.format(*image.size)
        return f'<img {size} loading="lazy" {figure[1]}'

    body = context["body"]
    for pattern, by in MISTAKEN.items():
        body = mend(pattern, by, body)
    body = mend("(?<=<td>)<p>.*?</p>", break_names, body)
    body = mend(r'<img ([^>]*src="[^"]*_images/([^"]*)"[^>]*>)', place, body)
    context["body"] = mend("(?s)<pre>(.*?)</pre>", hang_lines, body)
    if pagename == app.config.root_doc and app.builder.name == "html":
        forward(app, pagename, context)


def forward(app: Sphinx, pagename: str, context: dict) -> None:
    """Make the book's own address, often shared, show its first page's card.

    It only forwards, and nobody who makes a preview follows it.
    """
    Path(app.outdir, "index.html").write_text(
        f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8"/>
<meta http-equiv="refresh" content="0; url={pagename}.html"/>
<link rel="icon" href="_static/favicon.svg"/>
<link rel="canonical" href="{context["pageurl"]}"/>
<title>{app.config.html_title}</title>
{context["metatags"]}
<a href="{pagename}.html">{app.config.html_title}</a>
</html>
""",
        "utf-8",
    )


def lighten_scripts(app: Sphinx, exception: Exception | None) -> None:
    """Publish our scripts without comments and indents, also of literals."""
    static = Path(app.outdir, "_static")
    ours = [static / name for name in ("book", "search", "weights_view")]
    for path in [*ours, *static.glob("playground/*.js")]:
        path = path.with_suffix(".js")
        if path.exists() and not exception:
            text = path.read_text("utf-8")
            text = re.sub(r"(?m)^ *(/\*(?s:.*?)\*/|//.*)\n|^ +", "", text)
            path.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict:
    app.add_html_math_renderer(
        "mathml", (visit_inline, None), (visit_block, None)
    )
    app.connect("config-inited", hand_on_address)
    app.connect("autodoc-process-docstring", link_chapter)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("autodoc-process-signature", hide_flax)
    app.connect("doctree-read", unlink_nobody)
    app.connect("doctree-read", mark_cards)
    app.connect("doctree-read", name_folds)
    app.connect("doctree-read", box_tables)
    app.connect("doctree-read", draw_chapters)
    app.connect("doctree-read", join_numbers)
    # Before sphinxext.opengraph, which takes what it finds; and last.
    app.connect("html-page-context", describe, priority=450)
    app.connect("html-page-context", finish, priority=900)
    app.connect("build-finished", miss_none)
    app.connect("build-finished", lighten_scripts)
    # A process of its own would not tell what it found.
    return {"parallel_read_safe": True, "parallel_write_safe": False}
