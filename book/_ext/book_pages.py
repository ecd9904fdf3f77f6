"""What the pages need beyond Sphinx: no script, no other host.

Maths becomes MathML at build time, quotes that open with a bold word become
cards, the list of the chapters shows each one's drawing, and each page says
what it is about.
"""

import re
from html import escape
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from docutils import nodes
from latex2mathml.converter import convert
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

logger = logging.getLogger(__name__)

# A number that a line must not part from what it counts or names.
JOINED = (
    (re.compile(r"(?<=\d) (?=%)"), "\u202f"),
    (
        re.compile(r"\b([Cc]hapter|[Ee]xercise|label|epoch) (?=\d)"),
        "\\1\u00a0",
    ),
)

# What a quote opens with, and the class of the card that it becomes.
CARDS = {"Note.": "note-card", "Predict first.": "predict-card"}

# Where scripts/cards.py draws the chapters.
DRAWINGS = "book/assets/cards"

THIN = "0.167em"
NAME = re.compile(
    r"(?P<before></mi>|</mn>|</msub>|</msup>|</mfrac>|&#x00029;</mo>|)"
    r"<(?P<tag>mi|mo)>(?P<name>[a-z]{2,})</(?P=tag)>"
)
# A minus after an opening bracket or an equals sign: a sign, no operator.
SIGN = re.compile(r"((?:&#x00028;|&#x0003D;)</mo>)<mo>(?=&#x02212;)")
# What misleads screen readers: a label that hides "Show the solution", and
# roles that citations have no right to.
MISTAKEN = (
    ' aria-label="Toggle hidden content"',
    ' role="list"',
    ' role="doc-backlink"',
    ' role="doc-biblioentry"',
)
# A figure that a cell drew; it needs a card of its own in the dark.
TABLE_NAME = re.compile(r"(?<=<td>)<p><code.*?</code>")
FIGURE = re.compile(r'<img [^>]*src="[^"]*_images/[^>]*>')
PRE = re.compile("<pre>(?P<code>.*?)</pre>", re.DOTALL)

# What latex2mathml gets wrong: letters for signs, and TeX's spacing.
MENDS = {
    "<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
    "<mi>&#x000B1;</mi>": "<mo>&#x000B1;</mo>",
    "<mo>&#x0221E;</mo>": "<mi>&#x0221E;</mi>",
    "<mo>&#x0002F;</mo>": '<mo lspace="0" rspace="0">&#x0002F;</mo>',
}


def space_name(found: re.Match) -> str:
    """Give a function's name, such as log, the space that TeX gives it."""
    after = found.string[found.end() :]
    right = "0" if after.startswith(('<mo stretchy="false">', "</")) else THIN
    left = THIN if found["before"] else "0"
    return (
        f'{found["before"]}<mo lspace="{left}" rspace="{right}">'
        f"{found['name']}</mo>"
    )


def mathml(latex: str, display: str) -> str:
    """Return the formula as MathML that carries its own source as text."""
    source = " ".join(latex.split())
    # It knows no aligned, and would number the lines of an align.
    known = re.sub(r"\{align(ed)?\}", "{align*}", source)
    formula = convert(known, display=display)
    for wrong, right in MENDS.items():
        formula = formula.replace(wrong, right)
    formula = NAME.sub(space_name, formula)
    formula = SIGN.sub(r'\1<mo form="prefix">', formula)
    if re.search(r"<mi>[&\\\\]", formula.replace("<mi>&#", "")):
        logger.warning("latex2mathml cannot read: %s", source)
    text = escape(source, quote=True)
    return formula.replace("<math ", f'<math alttext="{text}" ', 1)


def visit_inline(self, node: nodes.math) -> None:
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(self, node: nodes.math_block) -> None:
    # Where it is too wide for a phone it scrolls, by keyboard too.
    tag = self.starttag(node, "div", CLASS="math-block", tabindex="0")
    self.body.append(tag)
    self.body.append(mathml(node.astext(), "block") + "</div>\n")
    raise nodes.SkipNode


def mark_cards(app: Sphinx, doctree: nodes.document) -> None:
    for quote in doctree.findall(nodes.block_quote):
        bold = quote.next_node(nodes.strong)
        word = bold.astext() if bold else ""
        if word in CARDS and quote.astext().startswith(word):
            quote["classes"].append(CARDS[word])


def draw_chapters(app: Sphinx, doctree: nodes.document) -> None:
    """Put its drawing before each chapter that the intro lists."""
    for chapters in doctree.findall(nodes.enumerated_list):
        if "chapters" not in chapters["classes"]:
            continue
        for item in chapters:
            chapter = Path(item.next_node(pending_xref)["reftarget"]).stem
            path = Path(app.srcdir, DRAWINGS, f"{chapter}.svg")
            app.env.note_dependency(path)
            drawing = nodes.raw("", path.read_text("utf-8"), format="html")
            item.insert(0, drawing)


def join_numbers(app: Sphinx, doctree: nodes.document) -> None:
    for text in list(doctree.findall(nodes.Text)):
        if not isinstance(text.parent, nodes.paragraph | nodes.reference):
            continue
        joined = text.astext()
        for space, other in JOINED:
            joined = space.sub(other, joined)
        if joined != text.astext():
            text.parent.replace(text, nodes.Text(joined))


def hang_lines(pre: re.Match) -> str:
    """Wrap each line of code, so that what runs over keeps its indent."""
    lines = []
    for line in pre["code"].removesuffix("\n").split("\n"):
        text = re.sub("<[^>]+>", "", line)
        indent = len(text) - len(text.lstrip(" "))
        # Break where a reader would, before inside a word.
        line = re.sub(r"[.(\[]</span>", r"\g<0><wbr/>", line)
        style = f' style="--indent: {indent}ch"' if indent else ""
        lines.append(f'<span class="code-line"{style}>{line}\n</span>')
    return f"<pre>{''.join(lines)}</pre>"


def finish(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Mend the page's markup."""
    if doctree is None:
        return
    body = context["body"]
    for mark in MISTAKEN:
        body = body.replace(mark, "")
    # pandas' empty corner heads no column.
    body = body.replace("<th></th>", "<td></td>")
    # A long name in a table breaks at its underscores and dots.
    body = TABLE_NAME.sub(
        lambda name: re.sub(r"(?<=\w)[._]", r"\g<0><wbr/>", name[0]), body
    )
    body = FIGURE.sub(r'<div class="figure-card">\g<0></div>', body)
    context["body"] = PRE.sub(hang_lines, body)


def hand_on_address(app: Sphinx, config: Config) -> None:
    """Give the stamped address to the extensions that ask for it."""
    config.ogp_site_url = config.html_baseurl
    config.notfound_urls_prefix = urlsplit(config.html_baseurl).path


def describe(app: Sphinx, pagename, templatename, context, doctree) -> None:
    """Say what the page is about, in the head and to sphinxext.opengraph."""
    if pagename == app.config.notfound_pagename:
        # It stands at any address, and has none of its own.
        context["pageurl"] = None
        context["content_root"] = app.config.notfound_urls_prefix
    if doctree is None:
        return
    path = Path(app.srcdir, "book", "descriptions.yml")
    text = yaml.safe_load(path.read_text("utf-8")).get(pagename)
    if text is None:
        logger.warning("%s has no description in %s", pagename, path.name)
        return
    text = escape(text, quote=True)
    context["metatags"] += f'\n<meta name="description" content="{text}"/>'
    context["meta"] = {**(context["meta"] or {}), "og:description": text}


# What a head says to those who share, or list, a page.
SHARED = re.compile(
    r'<title>.*?</title>|<link rel="canonical"[^>]*>'
    r'|<meta (?:name|property)="(?:description|og:|twitter:)[^>]*>'
)


def forward(app: Sphinx, exception: Exception | None) -> None:
    """Make the book's own address, often shared, show its first page's card.

    It only forwards, and nobody who makes a preview follows it.
    """
    if exception or app.builder.name != "html":
        return
    first = app.builder.get_target_uri(app.config.root_doc)
    tags = SHARED.findall(Path(app.outdir, first).read_text("utf-8"))
    lines = [
        '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8"/>',
        f'<meta http-equiv="refresh" content="0; url={first}"/>',
        *tags,
        f'<a href="{first}">{escape(app.config.html_title)}</a>',
    ]
    index = Path(app.outdir, "index.html")
    index.write_text("\n".join(lines) + "\n</html>\n", "utf-8")


def link_chapter(app: Sphinx, what, name, obj, options, lines) -> None:
    """End each helper's docstring with a link to where it is taught."""
    module = import_module(".".join(name.split(".")[:2]))
    taught = re.search(r"Taught in chapter (\d+)", module.__doc__)
    if taught and what in ("function", "class"):
        number = f"{int(taught[1]):02}"
        (path,) = Path(app.srcdir, "notebooks").glob(f"{number}_*.ipynb")
        link = f"Taught in :doc:`/notebooks/{path.stem}`."
        lines += ["", link, ""]


def skip_fields(app: Sphinx, what, name, obj, skip, options) -> bool | None:
    """Leave out "Alias for field number 0": the docstring has the fields."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def hide_flax(app: Sphinx, what, name, obj, options, signature, returns):
    """Leave out what Flax adds to a module's own arguments."""
    return ("()", None) if "linen" in (signature or "") else None


def setup(app: Sphinx) -> dict:
    app.add_html_math_renderer(
        "mathml", (visit_inline, None), (visit_block, None)
    )
    app.connect("autodoc-process-docstring", link_chapter)
    app.connect("doctree-read", mark_cards)
    app.connect("doctree-read", draw_chapters)
    app.connect("doctree-read", join_numbers)
    app.connect("config-inited", hand_on_address)
    # Before sphinxext.opengraph, which takes what it finds.
    app.connect("html-page-context", describe, priority=450)
    app.connect("html-page-context", finish)
    # Before sphinx_external_toc, which writes an index where there is none.
    app.connect("build-finished", forward, priority=450)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("autodoc-process-signature", hide_flax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
