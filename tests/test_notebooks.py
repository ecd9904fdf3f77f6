"""The chapters keep the book's rules.

Each rule is a function of a chapter, or of the whole tree, that yields what
is wrong with it; it can be pointed at any copy. test_faults.py does.
"""

import base64
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from bs4 import BeautifulSoup
from chapters import METADATA
from manuscript import (
    ROOT,
    TAUGHT,
    Cell,
    Chapter,
    colab_url,
    fail_on,
    printed,
    read,
    repository,
    run_nbval,
    with_changed_digit,
)

TESTS = Path(__file__).parent
Problems = Iterator[str]


# --- The rules of form ----------------------------------------------------


def one_title(chapter: Chapter) -> Problems:
    titles = [
        cell
        for cell in chapter.cells
        for level, _ in cell.headings
        if level == 1
    ]
    if titles != chapter.cells[:1]:
        yield (
            f"{chapter.name}: one '# ' title, and in the first cell, is "
            f"wanted; found {[str(cell) for cell in titles]}"
        )


def colab_link(chapter: Chapter) -> Problems:
    right = colab_url(chapter.name)
    before_code = chapter.cells[: chapter.code[0].number - 1]
    if right not in [link for cell in before_code for link in cell.links]:
        yield (
            f"{chapter.name}: no link to {right} above the first code cell; "
            "add it, or stamp the address with make repository"
        )
    for cell in chapter.markdown:
        for link in cell.links:
            if "colab." in link and link != right:
                yield f"{cell}: the Colab link is {link}, not {right}"


# Of the branch that the Colab link opens. Another package of that name must
# neither count nor hide the helpers.
SETUP = """\
from importlib.metadata import distributions

if not [*distributions(name="jax-classifier-book")]:  # in Colab
    %pip install --quiet git+{url}@{branch}
import helpers

if "Drawing the Line" not in str(helpers.__doc__):
    raise ImportError(f"rename {{helpers}}, which hides the book's; restart")
"""


def setup_cell(chapter: Chapter) -> Problems:
    setup = [cell for cell in chapter.code if cell.is_setup]
    if setup != chapter.code[:1]:
        yield (
            f"{chapter.name}: the first code cell, and only that, is tagged "
            "remove-cell and installs the helpers in Colab; found "
            f"{[str(cell) for cell in setup]}"
        )
        return
    lines = setup[0].source.split("\n")
    wanted = SETUP.format(**repository()).splitlines()
    for line, right in zip_longest(lines, wanted, fillvalue=""):
        if line != right:
            yield (
                f"{setup[0]}: says {line!r}, not {right!r}; if only the "
                "address is wrong, run make repository URL=…"
            )


def nothing_else_is_installed(chapter: Chapter) -> Problems:
    for cell in chapter.code:
        for line in cell.source.split("\n"):
            if not cell.is_setup and re.search(r"^\s*[!%]|\bpip\b", line):
                yield (
                    f"{cell}: {line.strip()!r} is for pip, IPython or a "
                    "shell; only the setup cell installs, and Python does the "
                    "rest"
                )


def recap_then_exercises(chapter: Chapter) -> Problems:
    titles = [
        text
        for cell in chapter.cells
        for level, text in cell.headings
        if level == 2
    ]
    if titles[-2:] != ["Recap", "Exercises"]:
        yield (
            f"{chapter.name}: the last two '## ' headings are Recap and "
            f"Exercises, not {titles[-2:]}"
        )


def solved_exercises(chapter: Chapter) -> Problems:
    start = next(
        (
            cell.number
            for cell in chapter.cells
            if (2, "Exercises") in cell.headings
        ),
        len(chapter.cells),
    )
    for cell in chapter.cells[:start]:
        if "hide-cell" in cell.tags:
            yield f"{cell}: hide-cell is for solutions, below Exercises"
    below = chapter.cells[start:]
    solutions = [cell for cell in below if cell.is_solution]
    if len(solutions) < 3:
        yield (
            f"{chapter.name}: {len(solutions)} solved exercises; write at "
            "least 3"
        )
    if not chapter.cells[-1].is_solution:
        yield f"{chapter.cells[-1]}: the last cell of a chapter is a solution"
    for cell in below:
        before = chapter.cells[cell.number - 2]
        if cell.is_code and not cell.is_solution:
            yield f"{cell}: tag it hide-cell: below Exercises, code solves"
        elif cell.is_solution and before.is_code:
            yield f"{cell}: one cell a solution, its exercise above it"
        elif not cell.is_code and not (
            before.is_solution or before.number == start
        ):
            yield f"{before}: no solution follows this exercise"
    for cell in solutions:
        if cell.mystnb.get("code_prompt_show") != "Show the solution":
            yield (
                f"{cell}: its metadata wants mystnb.code_prompt_show = "
                "'Show the solution'"
            )
        if not cell.node.execution_count:
            yield f"{cell}: not executed; run make notebooks"


def sizes(chapter: Chapter) -> Problems:
    for cell in chapter.code:
        lines = cell.source.split("\n")
        if len(lines) > 25:
            yield f"{cell}: {len(lines)} lines of code, at most 25; split it"
        for line in lines:
            if len(line) > 79:
                yield (
                    f"{cell}: a line of {len(line)} characters, at most 79: "
                    f"{line!r}"
                )
    for cell in chapter.markdown:
        prose = "".join(text for kind, text in cell.spans if kind != "fence")
        words = [word for word in prose.split() if re.search(r"\w", word)]
        if len(words) > 120:
            yield f"{cell}: {len(words)} words, at most 120; split or cut"
    counted = [
        cell
        for cell in chapter.code
        if not cell.is_setup and not cell.is_solution
    ]
    if not 15 <= len(counted) <= 30:
        yield f"{chapter.name}: {len(counted)} code cells, not 15 to 30"


def plain_words(chapter: Chapter) -> Problems:
    banned = r"\b(simply|obviously|just(?![ -]in[ -]time))\b"
    for cell in chapter.cells:
        for word in re.findall(banned, cell.source, re.IGNORECASE):
            yield f"{cell}: {word!r} helps no reader; leave it out"


MYST = re.compile(
    r"^\s*(?:`{3,}|~{3,}|:{3,})\s*\{.*"  # a directive
    r"|^:{3,}.*"  # its colon fence
    r"|\{[\w:+.-]+\}`"  # a role
    r"|^\([\w-]+\)=\s*$"  # a target
    r"|\{\{.*?\}\}"  # a substitution
    r"|\[\]\([^)]*\)"  # a link that takes its text from its target
    r"|\[\^[^\]]*\]"  # a footnote
    r"|^%.*"  # a comment
    r"|^\+\+\+",  # a block break
    re.MULTILINE,
)


def plain_markdown(chapter: Chapter) -> Problems:
    for cell in chapter.markdown:
        for match in MYST.finditer(cell.source):
            yield (
                f"{cell}: {match[0].strip()!r} is MyST, which Colab and "
                "GitHub do not render; write plain markdown"
            )
        for token in cell.tokens:
            if token.type.startswith("html"):
                yield f"{cell}: HTML {token.content.strip()!r}; use markdown"


def links_lead_somewhere(chapter: Chapter) -> Problems:
    folder = chapter.path.parent
    for cell in chapter.markdown:
        for link in cell.links:
            target = link.partition("#")[0]
            local = not re.match(r"https?:|mailto:", link)
            if local and target and not (folder / target).is_file():
                yield f"{cell}: {link} is no file beside the chapter"


def randomness_by_keys(chapter: Chapter) -> Problems:
    banned = {
        r"\bPRNGKey\b": "the reuse checker sees keys of jax.random.key only",
        r"\b(np|numpy)\.random\b": "draw with an explicit key of jax.random",
        r"^\s*from numpy\b.*\brandom\b": "draw with an explicit key",
        r"^\s*import numpy as (?!np$)\w+": "its name is np",
        r"^\s*(import|from) random\b": "draw with an explicit key",
    }
    for cell in chapter.code:
        for pattern, reason in banned.items():
            for match in re.finditer(pattern, cell.source, re.MULTILINE):
                yield f"{cell}: {match[0].strip()!r}: {reason}"


def executed_in_order(chapter: Chapter) -> Problems:
    counts = [cell.node.execution_count for cell in chapter.code]
    if counts != list(range(1, len(counts) + 1)):
        yield (
            f"{chapter.name}: execution counts are {counts}, not 1, 2, 3, …; "
            "run make notebooks"
        )


def clean_outputs(chapter: Chapter) -> Problems:
    leftovers = re.compile(
        r"\b0x[0-9a-fA-F]{4,}"
        r"|(?<![\w.])/(?:home|Users|root|tmp|var|usr|opt|mnt|work|content"
        r"|private|workspace)/[^\s'\"]*"
        r"|\b[A-Za-z]:\\\w[^\s'\"]*"
        r"|[^\s'\"]*site-packages[^\s'\"]*"
        # What a drawing call returns.
        r"|^<[A-Za-z_][\w.]*[ :>].*|^\[<.*|^Text\(.*",
        re.MULTILINE,
    )
    kinds = {"text/plain", "text/html", "image/png"}
    for cell in chapter.code:
        errors = [o for o in cell.outputs if o.output_type == "error"]
        if len(errors) != ("raises-exception" in cell.tags):
            yield (
                f"{cell}: {len(errors)} errors; a cell tagged "
                "raises-exception has one, any other none"
            )
        for output in cell.outputs:
            if output.get("name") == "stderr":
                yield f"{cell}: stderr says {output.text!r}; mend its cause"
            if output.get("metadata"):
                yield f"{cell}: output metadata; run make notebooks"
            for kind in set(output.get("data", {})) - kinds:
                yield f"{cell}: an output of type {kind}, not text or PNG"
        text = re.sub(r"^<Figure size .*>$", "", printed(cell), flags=re.M)
        for match in leftovers.finditer(text):
            yield (
                f"{cell}: prints {match[0]!r}, which the next machine does "
                "not; print less, or end the line with a semicolon"
            )


GRID = "plot_training_grid("


def pictures(chapter: Chapter) -> Problems:
    for cell in chapter.code:
        limit = 300 if GRID in cell.source else 150
        for picture in cell.pictures:
            size = len(base64.b64decode(picture)) / 1000
            if size > limit:
                yield (
                    f"{cell}: a picture of {size:.0f} kB, at most {limit}; "
                    "make it smaller"
                )
        if len(cell.pictures) > 1:
            yield (
                f"{cell}: {len(cell.pictures)} pictures share one alt text; "
                "draw one a cell"
            )
        if bool(cell.pictures) != bool(cell.alt):
            yield (
                f"{cell}: a cell has alt text in its metadata, "
                "mystnb.image.alt, if and only if it shows a picture"
            )
        elif cell.alt and (
            not 40 <= len(cell.alt) <= 500
            or re.search(r"_images/|\.png\b|[<>]|\n", cell.alt)
        ):
            yield (
                f"{cell}: the alt text {cell.alt!r} should tell in 40 to 500 "
                "characters what the picture shows and what to see in it"
            )
    for cell in chapter.markdown:
        for token in cell.tokens:
            if token.type == "image":
                source = token.attrs["src"]
                if not (chapter.path.parent / source).is_file():
                    yield f"{cell}: the picture {source} is no file here"
                if len(token.content) < 20:
                    yield (
                        f"{cell}: the picture {source} wants alt text of 20 "
                        "characters or more"
                    )


def drawings(chapter: Chapter) -> Problems:
    """An SVG in an output needs nothing else, and says what it shows."""
    for cell in chapter.code:
        for html in cell.drawings:
            size = len(html.encode()) / 1000
            if size > 60:
                yield (
                    f"{cell}: a drawing of {size:.0f} kB, at most 60; round "
                    "its numbers, or draw less"
                )
            for asked in re.findall(
                r"https?:|\burl\(|@import|<(?:link|img|iframe)\b|\bsrc=", html
            ):
                yield (
                    f"{cell}: a drawing with {asked!r} asks for more; put "
                    "all it needs in it"
                )
            soup = BeautifulSoup(html, "html.parser")
            for tag in soup.find_all(id=True):
                yield (
                    f"{cell}: the id {tag['id']!r} may be on the page twice; "
                    "use a class"
                )
            for tag in soup.select(
                "input:not([hidden]), button:not([hidden])"
            ):
                yield (
                    f"{cell}: {tag} does nothing without scripts; make it "
                    "hidden, and let the script show it"
                )
            for tag in soup.find_all("svg"):
                if any(t.get("aria-hidden") for t in [tag, *tag.parents]):
                    continue
                label = tag.get("aria-label", "")
                if tag.get("role") != "img" or not 40 <= len(label) <= 500:
                    yield (
                        f"{cell}: an <svg> wants role=img and an aria-label "
                        f"of 40 to 500 characters, not {label!r}"
                    )


TAGS = {
    "demonstration",
    "hide-cell",
    "nbval-ignore-output",
    "raises-exception",
    "remove-cell",
    "remove-stderr",
}


def known_tags(chapter: Chapter) -> Problems:
    for cell in chapter.cells:
        unknown = cell.tags - (TAGS if cell.is_code else set())
        if unknown:
            yield f"{cell}: unknown tags {sorted(unknown)}; take them off"
        if re.search(r"#\s*(NBVAL|PYTEST_VALIDATE)_", cell.source):
            yield f"{cell}: a comment switches nbval off; take it out"


def makes_bar(cell: Cell) -> bool:
    return bool(re.search(r"\b(tqdm|trange)\(", cell.source))


def shows_times(cell: Cell) -> bool:
    code = re.sub(r"#[^'\"\n]*$", "", cell.source, flags=re.MULTILINE)
    return bool(re.search(r"\} (ms|ns)\b|billion|a second", code))


def only_bars_and_times_are_not_compared(chapter: Chapter) -> Problems:
    for cell in chapter.code:
        tags = cell.tags & {"nbval-ignore-output", "remove-stderr"}
        if makes_bar(cell) != ("remove-stderr" in tags):
            yield (
                f"{cell}: the tag remove-stderr belongs on the cell that "
                "makes the tqdm bar, and on no other"
            )
        if (makes_bar(cell) or shows_times(cell)) == cell.is_compared:
            yield (
                f"{cell}: the tag nbval-ignore-output belongs on a cell that "
                "makes a tqdm bar or shows times, and on no other"
            )
        if makes_bar(cell) and cell.outputs:
            yield f"{cell}: not compared, so print in the next cell"


def normalized(chapter: Chapter) -> Problems:
    mend = "run make notebooks"
    notebook = chapter.notebook
    if chapter.text != nbformat.writes(notebook) + "\n":
        yield f"{chapter.name}: not as nbformat writes it; {mend}"
    if notebook.metadata != METADATA:
        yield (
            f"{chapter.name}: metadata {dict(notebook.metadata)}, not "
            f"{METADATA}; {mend}"
        )
    for cell in chapter.cells:
        if cell.node.id != f"cell-{cell.number:02}":
            yield f"{cell}: its id is {cell.node.id}; {mend}"
        keys = set(cell.node.metadata) | set(cell.mystnb)
        keys |= {f"image.{key}" for key in cell.mystnb.get("image", {})}
        keys -= {"tags", "mystnb", "image", "image.alt"}
        keys -= {"code_prompt_show", "code_prompt_hide"}
        keys |= {"attachments"} & set(cell.node)
        if keys:
            yield f"{cell}: leftover metadata {sorted(keys)}; {mend}"
        if not cell.source.strip():
            yield f"{cell}: an empty cell; delete it"


# --- Digits in prose ------------------------------------------------------

# What the blog says of itself, and where the book repeats it.
BLOG = {
    "03_loss_and_gradients": "-1.2",  # about its first b
    "07_bigger_models": "86 %",  # its result
}

# Numbers that only point: theorem 2.1, Python 3.11.
POINTERS = re.compile(
    r"\b(?:chapter|equation|figure|python|section|table|theorem|version)"
    r"\s+\d[\d.]*\d",
    re.IGNORECASE,
)

NUMBER = re.compile(
    r"(?:(?<![\w.)\]}])(?P<minus>[-−])|(?<![\w.]))"
    r"(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?P<decimals>\.\d+)?"
    r"(?:[eE](?P<exponent>[+-]?\d+))?(?!\w|\.\d)"
    r"(?P<percent>(?:\s|\\,)*\\?(?:%|percent\b))?"
    r"(?P<points>\s+(?:percentage )?points?\b)?"
)


class Number(NamedTuple):
    """A number as written: 86 % is 86, to the nearest 1, in percent."""

    text: str
    value: float
    half: float  # of the last digit's unit
    percent: bool
    points: bool
    whole: bool

    def rounds(self, value: float) -> bool:
        return abs(value - self.value) <= self.half * 1.0001


def numbers(text: str) -> list[Number]:
    found = []
    for match in NUMBER.finditer(text):
        digits = match[0].removesuffix(match["points"] or "")
        digits = digits.removesuffix(match["percent"] or "")
        decimals, exponent = match["decimals"], match["exponent"]
        last = int(exponent or 0) - len((decimals or ".")[1:])
        found.append(
            Number(
                match[0],
                float(digits.replace(",", "").replace("−", "-")),
                0.5 * 10.0**last,
                match["percent"] is not None,
                match["points"] is not None,
                decimals is None and exponent is None,
            )
        )
    return found


def supports(shown: Number, claim: Number) -> bool:
    """Tell whether the claim is what is shown, or its rounding.

    A claim without a sign may be of a size: 0.07 below.
    """
    value = shown.value if claim.value < 0 else abs(shown.value)
    if claim.percent or claim.points:
        return (
            claim.rounds(value) and (shown.percent or not shown.whole)
        ) or (not shown.percent and claim.rounds(100 * value))
    return claim.rounds(value / (100 if shown.percent else 1))


def code_tokens(cell: Cell, kind: int) -> str:
    """Join a code cell's comments, or its numbers with what may be a sign.

    Magics are left out.
    """
    source = re.sub(r"^\s*[%!].*", "pass", cell.source, flags=re.MULTILINE)
    tokens = [*tokenize.generate_tokens(io.StringIO(source).readline)]
    if kind != tokenize.NUMBER:
        return " ".join(t.string for t in tokens if t.type == kind)
    return " ".join(
        f"{before.string if before.string == '-' else ''}"
        f"{token.string.replace('_', '')}"
        for before, token in pairwise(tokens)
        if token.type == kind
    )


# A digit and the cell that shows it stand this close, in cells.
NEAR = 12


def claims(cell: Cell, code: str) -> list[Number]:
    """Return the decimals and percentages that a cell's prose claims.

    Prose is markdown, the comments in code, and alt texts; not code spans
    that stand whole in the chapter's code: `0.7` is not in 0.75.
    """
    if cell.is_code:
        texts = [code_tokens(cell, tokenize.COMMENT), cell.alt or ""]
    else:
        texts = [
            "".join(
                text
                for kind, text in cell.spans
                if kind != "code_inline"
                or not re.search(rf"(?<!\w){re.escape(text)}(?!\w)", code)
            )
        ]
    found = [n for text in texts for n in numbers(POINTERS.sub("", text))]
    return [claim for claim in found if claim.percent or not claim.whole]


def digits_in_prose(chapter: Chapter) -> Problems:
    """Yield each claimed digit that neither code nor outputs nearby show."""
    body = [cell for cell in chapter.code if not cell.is_setup]
    code = "\n".join(cell.source for cell in body)
    blog = [n[1:] for n in numbers(BLOG.get(chapter.name, ""))]
    shown = {
        cell.number: numbers(printed(cell) if cell.is_compared else "")
        + numbers(code_tokens(cell, tokenize.NUMBER))
        for cell in body
    }
    near = NEAR
    for cell in chapter.cells:
        if (2, "Recap") in cell.headings:
            near = len(chapter.cells)  # it looks back on the whole
        around = [
            number
            for position, found in shown.items()
            if abs(position - cell.number) <= near
            for number in found
        ]
        for claim in claims(cell, code):
            if claim[1:] in blog:
                continue
            if not any(supports(number, claim) for number in around):
                yield (
                    f"{cell}: no output or code within {near} cells shows "
                    f"{claim.text.strip()!r}; print it, or leave it out"
                )


RULES = [
    one_title,
    colab_link,
    setup_cell,
    nothing_else_is_installed,
    recap_then_exercises,
    solved_exercises,
    sizes,
    plain_words,
    plain_markdown,
    links_lead_somewhere,
    randomness_by_keys,
    executed_in_order,
    clean_outputs,
    pictures,
    drawings,
    known_tags,
    only_bars_and_times_are_not_compared,
    normalized,
    digits_in_prose,
]


@pytest.mark.parametrize("name", TAUGHT)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_chapter_keeps_the_rule(rule, name):
    fail_on(rule(read(name)))


# --- The whole book -------------------------------------------------------


def chapters_are_known(root: Path) -> Problems:
    found = {path.stem for path in root.glob("notebooks/*.ipynb")}
    for name in sorted(found - set(TAUGHT)):
        yield f"{name}.ipynb: name it in TAUGHT in tests/manuscript.py"
    for name in sorted(set(TAUGHT) - found):
        yield f"{name}: in TAUGHT in tests/manuscript.py, not in notebooks/"


def alt_texts_differ(root: Path) -> Problems:
    cells: dict[str, Cell] = {}
    for name in TAUGHT:
        for cell in read(name, root).code:
            if cell.alt in cells:
                yield (
                    f"{cell}: its alt text is that of {cells[cell.alt]}; say "
                    f"what differs: {cell.alt!r}"
                )
            elif cell.alt:
                cells[cell.alt] = cell


# The page that lists what changed: figures of the blog's own, and of a source.
CITED = {"0.5", "0.3", "86%", "8%"}


def changes_are_as_printed(root: Path) -> Problems:
    page = (root / "book/blog_to_book.md").read_text("utf-8")
    chapters = [read(name, root) for name in TAUGHT]
    outputs = "\n".join(
        printed(c) for chapter in chapters for c in chapter.code
    )
    number = r"(?<![\d.])(?:\d+(?:\.\d+)? ?%|\d+\.\d+)(?!\.?\d)"
    claimed = {claim.replace(" ", "") for claim in re.findall(number, page)}
    shown = set(re.findall(r"\d+(?:\.\d+)?%?", outputs))
    for claim in sorted(claimed - shown - CITED):
        yield (
            f"book/blog_to_book.md: no chapter prints {claim}; write what "
            "one prints, or leave it out"
        )


BOOK_RULES = [
    chapters_are_known,
    alt_texts_differ,
    changes_are_as_printed,
]


@pytest.mark.parametrize("rule", BOOK_RULES, ids=lambda rule: rule.__name__)
def test_book_keeps_the_rule(rule):
    fail_on(rule(ROOT))


# --- Keys are used once ---------------------------------------------------


def run_with_key_check(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, TESTS / "key_reuse.py", path],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", TAUGHT)
def test_no_key_is_used_twice(name):
    run = run_with_key_check(read(name).path)
    if run.returncode:
        pytest.fail(run.stderr, pytrace=False)


def test_a_key_used_twice_is_caught(tmp_path):
    keys = "import jax\nkey, other = jax.random.split(jax.random.key(0))"
    twice = "jax.random.normal({0}) + jax.random.normal({0})"
    sources = [keys, twice.format("key"), "1 / 0", twice.format("other")]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[1].metadata.tags = ["demonstration"]
    cells[2].metadata.tags = ["raises-exception"]
    path = tmp_path / "reuse.ipynb"
    for tags in ([], ["raises-exception"]):
        cells[3].metadata.tags = tags
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        run = run_with_key_check(path)
        assert run.returncode == 1
        assert "reuse.ipynb, cell 4 uses a key twice: 'jax" in run.stderr
        assert "Split the key, one part for each draw" in run.stderr
    cells[1:] = [nbformat.v4.new_code_cell("jax.random.normal(key)")]
    cells[1].metadata.tags = ["demonstration"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    run = run_with_key_check(path)
    assert run.returncode == 1
    assert (
        "cell 2 is tagged demonstration, and uses no key twice" in run.stderr
    )


# --- nbval has teeth ------------------------------------------------------


def test_nbval_sees_a_changed_digit(tmp_path):
    first = next(iter(TAUGHT))
    changed, cell = with_changed_digit(read(first))
    same = read(first).notebook
    same.cells = same.cells[: len(changed.cells)]
    nbformat.write(same, tmp_path / "same.ipynb")
    nbformat.write(changed, tmp_path / "changed.ipynb")
    found = run_nbval(tmp_path)
    red = [name for name in found if found[name]]
    assert red == [("changed.ipynb", cell)], (
        "nbval should see the changed digit alone; see run_nbval in "
        "tests/manuscript.py"
    )
