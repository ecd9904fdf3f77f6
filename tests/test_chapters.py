"""What the chapters keep to, beside their outputs, which nbval compares."""

import ast
import re
from collections.abc import Iterator

import chapters
import nbformat
import pytest
from claims import (
    claims,
    moved,
    numbers,
    printed,
    python,
    supports,
    unbacked,
)
from manuscript import (
    DOCUMENTS,
    ROOT,
    TAUGHT,
    Chapter,
    colab_url,
    fail_on,
    read,
    repository,
)
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

# In the order of the chapters; training is taught in two of them.
MODULES = [*dict.fromkeys(name for some in TAUGHT.values() for name in some)]
# Helpers that draw for the chapters, and are taught in none.
DRAWING = {"live", "plotting", "scrubber"}


@pytest.fixture(params=TAUGHT, scope="module")
def chapter(request):
    return read(request.param)


def module(chapter: Chapter) -> ast.Module:
    return ast.parse("\n".join(map(python, chapter.code)))


def helper(name: str) -> ast.Module:
    return ast.parse((ROOT / f"helpers/{name}.py").read_text("utf-8"))


def test_each_chapter_and_helper_has_its_place():
    files = [path.stem for path in sorted(ROOT.glob("notebooks/*.ipynb"))]
    assert files == list(TAUGHT), "TAUGHT is in tests/manuscript.py"
    pages = [name for name in DOCUMENTS if name.startswith("notebooks/")]
    assert pages == [f"notebooks/{name}" for name in TAUGHT], "in _toc.yml"
    helpers = {path.stem for path in ROOT.glob("helpers/[!_]*.py")}
    assert helpers - DRAWING == set(MODULES)
    for name in MODULES:  # the reference links to where it is taught
        text = (ROOT / f"helpers/{name}.py").read_text("utf-8")
        said = set(re.findall(r"[Tt]aught in chapter (\d+)", text))
        by = [key for key, taught in TAUGHT.items() if name in taught]
        assert said == {str(int(key[:2])) for key in by}, name


# --- A chapter is a module ------------------------------------------------


class Plain(ast.NodeTransformer):
    """Leaves out what a helper has and its chapter need not show.

    That is docstrings, annotations, and guards: calls of check_…, raise, and
    what only raises.
    """

    def visit_Expr(self, node):
        code = ast.unparse(node)
        return None if code.startswith(("check_", "'", '"')) else node

    def visit_Raise(self, node):
        return None

    def visit_If(self, node):
        self.generic_visit(node)
        return node if node.body or node.orelse else None

    def visit_Try(self, node):
        self.generic_visit(node)
        raised = not any(handler.body for handler in node.handlers)
        return node.body if raised else node

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.returns = None
        return node

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        plain = ast.Assign([node.target], node.value or ast.Constant(...))
        return ast.copy_location(plain, node)


def definitions(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the functions, classes and constants by name, with their code."""
    for node in Plain().visit(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, ast.unparse(node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield ast.unparse(target), ast.unparse(node)


def imported(module: ast.Module) -> set[str]:
    """Return which modules of helpers are imported."""
    names = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import | ast.ImportFrom):
            start = f"{node.module}." if hasattr(node, "module") else ""
            names |= {start + alias.name for alias in node.names}
    return {n.split(".")[1] for n in names if n.startswith("helpers.")}


@pytest.mark.parametrize("name", MODULES)
def test_helper_is_what_is_taught(name):
    taught = [
        definition
        for chapter, some in TAUGHT.items()
        if name in some
        for definition in definitions(module(read(chapter)))
    ]
    for defined, code in definitions(helper(name)):
        if defined.startswith("_"):
            continue  # types, and the command, which chapter 11 shows
        here = [found for other, found in taught if other == defined]
        assert len(here) == 1, f"{defined} stands in {len(here)} cells"
        assert here[0] == code, f"{defined} is not that of the chapter"


def test_start_ends_where_training_does():
    """The page without helpers is the same model on the same data."""
    *_, last = read("00_start").code
    (weights,) = re.findall(r"w1 .* b [\d.]+", printed(last.node))
    training = read("04_training").code
    assert any(weights in printed(cell.node) for cell in training)


def test_chapter_imports_from_earlier_ones(chapter):
    names = list(TAUGHT)
    earlier = names[: names.index(chapter.name)]
    allowed = DRAWING.union(*(TAUGHT[name] for name in earlier))
    assert imported(module(chapter)) <= allowed


def test_helpers_import_from_their_left():
    allowed = {"_checks"}  # guards are taught nowhere
    for name in MODULES:
        assert imported(helper(name)) <= allowed, f"helpers/{name}.py"
        allowed.add(name)


# --- Executed in order, in Colab too --------------------------------------


def test_every_cell_was_executed_in_order(chapter):
    """For nbval skips a cell without a count."""
    counts = [cell.node.execution_count for cell in chapter.code]
    assert counts == list(range(1, len(counts) + 1)), "run make notebooks"


# Another package of that name must neither count nor hide the helpers.
SETUP = """\
from importlib.metadata import distributions

if not [*distributions(name="jax-classifier-book")]:  # in Colab
    %pip install --quiet git+{url}@{branch}
import helpers

if "Drawing the Line" not in str(helpers.__doc__):
    raise ImportError(f"rename {{helpers}}, which hides the book's; restart")\
"""


def test_chapter_opens_in_colab(chapter):
    """From the stamped address, which make repository URL=… writes."""
    if imported(module(chapter)):
        assert chapter.code[0].source == SETUP.format(**repository())
    prose = "".join(c.source for c in chapter.cells if not c.is_code)
    links = re.findall(r"https://colab\.[^)\s]*", prose)
    assert links == [colab_url(chapter.name)]


# --- Cells ----------------------------------------------------------------

TAGS = {
    "demonstration",
    "hide-cell",
    "hide-input",
    "hide-output",
    "nbval-ignore-output",
    "raises-exception",
    "remove-cell",
    "remove-stderr",
}


def test_tags_are_known(chapter):
    assert set().union(*(cell.tags for cell in chapter.cells)) <= TAGS


def test_answers_to_predict_first_are_folded(chapter):
    for number, cell in enumerate(chapter.cells):
        if "**Predict first.**" in cell.source:
            after = (c for c in chapter.code if c.number > number)
            # A figure that is pushed keeps its answer until then.
            after = (c for c in after if "live." not in c.source)
            answer = next(c for c in after if c.node.outputs)
            assert "hide-output" in answer.tags, f"{answer} answers {cell}"


def test_solutions_are_folded_where_people_run_them(chapter):
    for cell in chapter.code:
        if "hide-cell" in cell.tags:
            assert cell.source.startswith("# @title Solution\n"), str(cell)
            assert chapters.FOLDED.items() <= cell.node.metadata.items()


def test_randomness_is_by_keys(chapter):
    """Of jax.random.key: the check of reuse sees no others."""
    other = r"\b((np|numpy)\.random|import random|PRNGKey)\b"
    assert [str(c) for c in chapter.code if re.search(other, c.source)] == []


def test_figures_have_alt_text(chapter):
    """That says what to see, in the cell's metadata: mystnb.image.alt."""
    figures = [cell for cell in chapter.code if cell.shown("image/png")]
    assert [str(cell) for cell in figures if len(cell.alt) < 40] == []


# --- Numbers in prose ------------------------------------------------------

# What needs no output: what the blog says of itself, a section of a book,
# that 95 % of normal numbers lie within 1.96 standard deviations, and, from
# thousands of runs, coverage at fifty points and how likely the blog's run is.
CITED = {
    "01_data": "2.1, 86 %",
    "04_training": "7.1, 86 %",
    "06_limits": "86 %",
    "07_uncertainty": "1.96, 95 %, 97 %, 92 %",
    "08_bigger_models": "86 %",
    "blog_to_book": "0.5, 0.3, 86 %, 8 %, 1.9",
}


def test_numbers_in_prose_are_shown_next_to_it(chapter):
    cells = [cell.node for cell in chapter.cells]
    cited = list(numbers(CITED.get(chapter.name, "")))
    fail_on(
        f"{chapter.cells[index]}: no output next to it shows {claim.text}"
        for index, claim in unbacked(cells)
        if not any(supports(number, claim) for number in cited)
    )


def test_a_number_that_moves_is_named_with_what_still_says_the_old_one():
    def cells(result):
        shown = new_output("stream", text=f"right on {result}, 7 of 9")
        return [
            new_markdown_cell("Which is 86 %, of 9. Not 0.5, not 7."),
            new_code_cell("1", outputs=[shown]),
            new_markdown_cell("So 85.8 % it is."),
            new_code_cell("2"),
            new_markdown_cell("It was 85.8 % before."),
        ]

    assert [*moved(cells("85.8%"), cells("84.9%"))] == [
        "cell 2: 85.8% became 84.9%",
        "  cell 1 says: Which is 86 %, of 9.",
        "  cell 3 says: So 85.8 % it is.",
    ]


def test_blog_to_book_says_what_chapters_print():
    outputs = [printed(c.node) for name in TAUGHT for c in read(name).code]
    shown = numbers("\n".join([CITED["blog_to_book"], *outputs]))
    page = (ROOT / "book/blog_to_book.md").read_text("utf-8")
    assert {n[1:] for n in claims(page)} <= {n[1:] for n in shown}


# --- scripts/chapters.py --------------------------------------------------


def test_a_chapter_that_fails_is_reported_and_left(tmp_path, capsys):
    cells = [new_code_cell("x=1"), new_code_cell("y = 1\ny / 0")]
    path = tmp_path / "99_draft.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    before = path.read_bytes()
    assert chapters.main([path]) == 1
    said = "cell 2, line 2:\n  y / 0\nZeroDivisionError: division by zero"
    assert said in capsys.readouterr().out
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("tags", "said"),
    [([], "a path of this machine"), (["raises-exception"], "raises none")],
)
def test_outputs_that_may_not_be_kept_are_refused(tags, said):
    outputs = [new_output("stream", text=f"in {ROOT}")]
    cell = new_code_cell("1", metadata={"tags": tags}, outputs=outputs)
    with pytest.raises(chapters.ChapterError, match=said):
        chapters.normalize(new_notebook(cells=[cell]))
