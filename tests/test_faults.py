"""Each rule of chapters and tree goes red at faults planted in a copy."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
import test_notebooks
import test_setup
import test_taught
from faults import Fault, red, rule_of, unlisted, unplanted
from manuscript import ROOT, Chapter, colab_url, fail_on, read
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from test_notebooks import (
    GRID,
    NEAR,
    alt_texts_differ,
    changes_are_as_printed,
    chapters_are_known,
    clean_outputs,
    colab_link,
    digits_in_prose,
    drawings,
    executed_in_order,
    known_tags,
    links_lead_somewhere,
    normalized,
    nothing_else_is_installed,
    one_title,
    only_bars_and_times_are_not_compared,
    pictures,
    plain_markdown,
    plain_words,
    randomness_by_keys,
    recap_then_exercises,
    setup_cell,
    sizes,
    solved_exercises,
)
from test_setup import every_file_gives_the_same_address
from test_taught import (
    each_name_in_its_chapter,
    every_helper_is_taught,
    helpers_import_from_their_left,
    imports_from_earlier,
    taught_equals_shipped,
)

# Where nothing else is asked for: the shortest chapter with a picture, and
# one with a drawing and a progress bar.
CHAPTER = "02_model"
LIVELY = "04_training"
# An address of nobody's, in pieces, or stamping would change it.
NOBODY = "some-" + "body"
ELSEWHERE = f"https://github.com/{NOBODY}/{test_setup.NAME}"

# --- Cells of a notebook, by what they are --------------------------------


def tagged(cell: Any, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def first(is_it: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """Return what finds a notebook's first cell of some kind."""
    return lambda notebook: next(filter(is_it, notebook.cells))


def having(text: str) -> Callable[[Any], Any]:
    return first(lambda cell: text in cell.source)


def showing(kind: str, text: str = "") -> Callable[[Any], Any]:
    return first(
        lambda cell: any(
            text in output.get("data", {}).get(kind, "")
            for output in cell.get("outputs", [])
            if kind in output.get("data", {})
        )
    )


def title(notebook: Any) -> Any:
    return notebook.cells[0]


def prose(notebook: Any) -> Any:
    """The first text below the imports."""
    below = notebook.cells[notebook.cells.index(code(notebook)) - 1 :]
    return next(cell for cell in below if cell.cell_type == "markdown")


code = first(lambda cell: cell.get("execution_count") == 3)
setup = first(lambda cell: tagged(cell, "remove-cell"))
solution = first(lambda cell: tagged(cell, "hide-cell"))
picture = showing("image/png")
drawing = showing("text/html", "<svg")
bar = having("trange(")


def at(cell: Callable) -> str:
    """Return how a message names a cell."""
    notebook = read(CHAPTER).notebook
    return f"cell {notebook.cells.index(cell(notebook)) + 1} .*"


PROSE, CODE = at(prose), at(code)

# --- Damage ---------------------------------------------------------------


def adds(cell: Callable, text: str) -> Callable:
    def damage(notebook):
        cell(notebook).source += text

    return damage


def writes(text: str) -> Callable:
    return adds(prose, f"\n\n{text}")


def runs(line: str) -> Callable:
    return adds(code, f"\n{line}")


def edits(cell: Callable, old: str, new: str) -> Callable:
    def damage(notebook):
        assert old in cell(notebook).source
        cell(notebook).source = cell(notebook).source.replace(old, new)

    return damage


def tags(cell: Callable, *tags: str) -> Callable:
    def damage(notebook):
        cell(notebook).metadata.tags = list(tags)

    return damage


def shows(cell: Callable, kind: str, **fields: Any) -> Callable:
    def damage(notebook):
        cell(notebook).outputs.append(new_output(kind, **fields))

    return damage


def prints(text: str) -> Callable:
    return shows(code, "stream", text=text)


def describes(cell: Callable, alt: str) -> Callable:
    def damage(notebook):
        cell(notebook).metadata.mystnb = {"image": {"alt": alt}}

    return damage


def draws(old: str, new: str) -> Callable:
    """Change the HTML of the drawing."""

    def damage(notebook):
        for output in drawing(notebook).outputs:
            html = output.get("data", {}).get("text/html", "")
            assert old in html
            output.data["text/html"] = html.replace(old, new, 1)

    return damage


def shows_picture(size: int, cell: Callable = picture) -> Callable:
    data = {"image/png": base64.b64encode(bytes(size)).decode()}
    return shows(cell, "display_data", data=data)


def two_solutions(notebook):
    notebook.cells.append(deepcopy(notebook.cells[-1]))
    notebook.cells[-1].id = "again"


def unsolved(notebook):
    notebook.cells.insert(-1, new_markdown_cell("**4. Another.** Try it."))


def ends_in_words(notebook):
    notebook.cells.append(new_markdown_cell("The end."))


def few_solutions(notebook):
    del notebook.cells[-2:]


def few_cells(notebook):
    del notebook.cells[5:21]


def many_cells(notebook):
    notebook.cells += [new_code_cell("1") for _ in range(30)]


def unfolded(notebook):
    del solution(notebook).metadata["mystnb"]


def not_executed(notebook):
    solution(notebook).execution_count = None


def counted_twice(notebook):
    code(notebook).execution_count = 2


def no_alt(notebook):
    del picture(notebook).metadata["mystnb"]


def empty_cell(notebook):
    prose(notebook).source = " \n"


def attached(notebook):
    prose(notebook).attachments = {"one.png": {"image/png": ""}}


def sets(**metadata: Any) -> Callable:
    def damage(notebook):
        code(notebook).metadata.update(metadata)

    return damage


def widgets(notebook):
    notebook.metadata.widgets = {}


def version(notebook):
    notebook.metadata.language_info.version = "3.11"


def excused(notebook):
    runs("# Draw a second sample.")(notebook)
    tags(code, "nbval-ignore-output")(notebook)


def another_id(notebook):
    code(notebook).id = "6f2a"


def indented(notebook):
    return json.dumps(notebook, indent=4)


def claims(said: str, cell: Callable, shown: str, cells: int = 0) -> Callable:
    """Claim in a cell, or so many below it, a digit for what it prints."""

    def damage(notebook):
        shows(cell, "stream", text=f"the answer: {shown}\n")(notebook)
        position = notebook.cells.index(cell(notebook)) + cells
        notebook.cells[position].source += f"\n# It is {said}."

    return damage


def link_below_code(notebook):
    edits(title, colab_url(CHAPTER), "")(notebook)
    writes(f"[Colab]({colab_url(CHAPTER)})")(notebook)


RED = "\x1b[31m/tmp/a\x1b[0m"  # as IPython colours tracebacks
FOLDERS = [
    "home",
    "Users",
    "root",
    "tmp",
    "var",
    "usr",
    "opt",
    "mnt",
    "work",
    "content",
    "private",
    "workspace",
]
PATHS = ["C:\\Users\\me", "x/site-packages/y"]
PATHS += [f"/{folder}/a" for folder in FOLDERS]
OBJECTS = ["0x7f3a10", "<Axes: title>", "[<matplotlib.Line2D>]", "Text(0, 0)"]
MYST = [
    "```{note}\nHello\n```",
    ":::{tip}",
    ":::",
    "{ref}`here`",
    "(here)=",
    "{{ name }}",
    "[](01_data.ipynb)",
    "[^1]",
    "% hidden",
    "+++",
]
ASKS = [
    "http:",
    "https:",
    "url(",
    "@import",
    "<link",
    "<img",
    "<iframe",
    "src=",
]

FAULTS = [
    Fault(
        one_title, writes("# Second"), rf"wanted; found \[.*cell 1 .*{PROSE}"
    ),
    Fault(
        one_title,
        adds(title, "\n\n# Second"),
        r"wanted; found \[.*cell 1 .*cell 1 ",
    ),
    Fault(one_title, edits(title, "# ", ""), r"first cell, is wanted; .*\[\]"),
    *(
        Fault(
            colab_link,
            damage,
            "no link to https://colab.*02_.* above the first code cell; add",
        )
        for damage in (
            edits(title, f"{CHAPTER}.ipynb", "01_data.ipynb"),
            link_below_code,
        )
    ),
    Fault(
        colab_link,
        writes("[Colab](https://colab.research.google.com/github/a/b)"),
        f"{PROSE}link is https://colab.*/a/b, not https://colab.*02_model",
    ),
    Fault(setup_cell, tags(setup), r"the first code cell, .*; found \[\]"),
    Fault(
        setup_cell, tags(code, "remove-cell"), f"only that, .*found .*{CODE}"
    ),
    Fault(
        setup_cell,
        edits(setup, "https://github.com/", f"https://github.com/{NOBODY}"),
        rf"cell \d+ .*says '.*%pip .*{NOBODY}.*', not '.*; .* run make",
    ),
    Fault(
        setup_cell,
        edits(setup, "not [*distributions", "True or [*distributions"),
        r"cell \d+ .*says 'if True or \[.*', not 'if not \[",
    ),
    Fault(
        setup_cell,
        edits(setup, "import helpers", "%pip install more\nimport helpers"),
        r"cell \d+ .*says '%pip install more', not 'import helpers'",
    ),
    *(
        Fault(
            nothing_else_is_installed,
            runs(line),
            rf"cell \d+ .*'{line}' is for pip, IPython or a shell; only the",
        )
        for line in ("!ls", "%time 1")
    ),
    Fault(
        nothing_else_is_installed,
        runs("run([sys.executable, '-m', 'pip', 'install', 'more'])"),
        r"cell \d+ .*'pip', .* is for pip, IPython or a shell; only the setup",
    ),
    Fault(
        recap_then_exercises,
        edits(having("## Recap"), "## Recap", "## Summary"),
        r"last two '## ' .* Recap and Exercises, not \['Summary', 'Ex",
    ),
    Fault(
        solved_exercises,
        tags(code, "hide-cell"),
        f"{CODE}hide-cell is for solutions, below Exercises",
    ),
    Fault(solved_exercises, few_solutions, "2 solved .*; write at least 3"),
    Fault(solved_exercises, ends_in_words, "'The end.*last cell .*a solution"),
    Fault(solved_exercises, tags(solution), r"cell \d+ .*tag it hide-cell"),
    Fault(solved_exercises, two_solutions, r"cell \d+ .*one cell a solution"),
    Fault(
        solved_exercises,
        unsolved,
        r"cell \d+ .*no solution follows this exercise",
    ),
    Fault(solved_exercises, unfolded, r"cell \d+ .*'Show the solution'"),
    Fault(solved_exercises, not_executed, r"cell \d+ .*run make notebooks"),
    Fault(sizes, runs("\n" * 25), rf"{CODE}\d+ lines of code, at most 25"),
    Fault(sizes, runs("#" * 80), f"{CODE}of 80 characters, at most 79: '##"),
    Fault(sizes, writes("word " * 121), rf"{PROSE}\d+ words, at most 120"),
    Fault(sizes, few_cells, r"\d+ code cells, not 15 to 30"),
    Fault(sizes, many_cells, r"\d+ code cells, not 15 to 30"),
    *(
        Fault(plain_words, writes(f"It {word} is."), f"{PROSE}'{word}'.*out")
        for word in ("simply", "Obviously", "just")
    ),
    Fault(plain_words, runs("# just so"), f"{CODE}'just'"),
    *(
        Fault(
            plain_markdown,
            writes(text),
            rf"{PROSE}{re.escape(text[:4])}.* is MyST, .* write plain",
        )
        for text in MYST
    ),
    *(
        Fault(plain_markdown, writes(html), f"{PROSE}HTML '<b>.*; use markdo")
        for html in ("<b>\n</b>", "a <b>word</b>")
    ),
    Fault(
        links_lead_somewhere,
        writes("[that](12_gone.ipynb#here)"),
        f"{PROSE}12_gone.ipynb#here is no file beside the chapter",
    ),
    *(
        Fault(randomness_by_keys, runs(line), f"{CODE}'{said}': .*{wanted}")
        for line, said, wanted in (
            ("key = jax.random.PRNGKey(0)", "PRNGKey", "jax.random.key"),
            ("np.random.seed(0)", "np.random", "explicit key"),
            ("numpy.random.seed(0)", "numpy.random", "explicit key"),
            ("import random", "import random", "explicit key"),
            ("from numpy import random", "from numpy .*", "explicit key"),
            ("import numpy as onp", "import numpy as onp", "name is np"),
            ("from random import random", "from random", "explicit key"),
        )
    ),
    Fault(
        executed_in_order,
        counted_twice,
        r"\[1, 2, 2, .*not 1, 2, 3, …; run make notebooks",
    ),
    Fault(
        clean_outputs,
        shows(code, "error", ename="E", evalue="no", traceback=[]),
        f"{CODE}1 errors; .*raises-exception has one, any other none",
    ),
    Fault(
        clean_outputs,
        tags(code, "raises-exception"),
        f"{CODE}0 errors; .*raises-exception has one",
    ),
    Fault(
        clean_outputs,
        shows(code, "stream", name="stderr", text="Careful"),
        f"{CODE}stderr says 'Careful'; mend its cause",
    ),
    Fault(
        clean_outputs,
        shows(code, "display_data", metadata={"a": 1}),
        f"{CODE}output metadata; run make notebooks",
    ),
    Fault(
        clean_outputs,
        shows(code, "display_data", data={"application/json": {}}),
        f"{CODE}type application/json, not text or PNG",
    ),
    *(
        Fault(
            clean_outputs,
            prints(f"{text}\n"),
            f"{CODE}prints {re.escape(repr(text))}.*not; print less",
        )
        for text in PATHS + OBJECTS
    ),
    *(
        Fault(clean_outputs, shown, f"{CODE}prints '/tmp/a'.*not; print less")
        for shown in (
            shows(code, "display_data", data={"text/html": "<b>/tmp/a</b>"}),
            shows(code, "display_data", data={"text/plain": "/tmp/a"}),
            shows(code, "error", ename="E", evalue="/tmp/a", traceback=[]),
            shows(code, "error", ename="E", evalue="", traceback=[RED]),
        )
    ),
    Fault(
        pictures, shows_picture(151_000), r"cell \d+ .* 151 kB, at most 150; "
    ),
    Fault(
        pictures,
        shows_picture(301_000, having(GRID)),
        r"cell \d+ .* 301 kB, at most 300; ",
        LIVELY,
    ),
    Fault(
        pictures, shows_picture(9), r"cell \d+ .*2 pictures share .*one a cell"
    ),
    Fault(pictures, no_alt, r"cell \d+ .*alt text .* if and only if"),
    Fault(pictures, describes(code, "A plane" * 9), f"{CODE}if and only if"),
    *(
        Fault(
            pictures,
            describes(picture, alt),
            rf"cell \d+ .*{alt[:9]}.*40 to 500",
        )
        for alt in (39 * "A", "Points " * 72, "Points " * 9 + "one.png")
    ),
    Fault(
        pictures,
        writes("![A plane with a thousand points](gone.png)"),
        f"{PROSE}the picture gone.png is no file here",
    ),
    Fault(
        pictures,
        writes(f"![{19 * 'A'}](01_data.ipynb)"),
        f"{PROSE}01_data.ipynb wants alt text of 20",
    ),
    Fault(
        drawings,
        draws("</svg>", "<!--" + 60_000 * "-" + "--></svg>"),
        r"cell \d+ .*a drawing of \d+ kB, at most 60; round",
        LIVELY,
    ),
    *(
        Fault(
            drawings,
            draws("<svg", f"{asked} <svg"),
            rf"cell \d+ .*with '{re.escape(asked)}' asks for more; put all",
            LIVELY,
        )
        for asked in ASKS
    ),
    Fault(
        drawings,
        draws("<svg", '<b id="one"></b><svg'),
        r"cell \d+ .*the id 'one' .*twice; use a class",
        LIVELY,
    ),
    *(
        Fault(
            drawings,
            draws("<svg", f"<{tag}><svg"),
            rf"cell \d+ .*<{tag}.* nothing without scripts; make it hidden",
            LIVELY,
        )
        for tag in ("button", "input")
    ),
    *(
        Fault(
            drawings,
            draws("<svg", f"<svg {attributes}></svg><svg"),
            rf"cell \d+ .*role=img and an aria-label of 40 to 500.*'{label}",
            LIVELY,
        )
        for attributes, label in (
            (f"role=img aria-label={39 * 'a'}", f"{39 * 'a'}'"),
            (f"role=img aria-label={501 * 'a'}", "aaa"),
            (f"aria-label={50 * 'a'}", "aaa"),
        )
    ),
    Fault(known_tags, tags(code, "skip"), rf"{CODE}\['skip'\]; take"),
    Fault(known_tags, tags(prose, "hide-cell"), rf"{PROSE}\['hide-cell'\]"),
    *(
        Fault(known_tags, runs(comment), f"{CODE}comment .*take it out")
        for comment in ("# NBVAL_SKIP", "#PYTEST_VALIDATE_IGNORE_OUTPUT")
    ),
    *(
        Fault(
            only_bars_and_times_are_not_compared,
            damage,
            rf"cell \d+ .*the tag {said} .*, and on no other",
            at,
        )
        for damage, said, at in (
            (tags(code, "remove-stderr"), "remove-stderr", CHAPTER),
            (excused, "nbval-ignore-output", CHAPTER),
            (tags(bar, "nbval-ignore-output"), "remove-stderr", LIVELY),
            (tags(bar, "remove-stderr"), "nbval-ignore-output", LIVELY),
            (
                tags(code, "nbval-ignore-output"),
                "nbval-ignore-output",
                CHAPTER,
            ),
            (runs('print(f"{t} ms")'), "nbval-ignore-output", CHAPTER),
            (runs('print(f"{n} a second")'), "nbval-ignore-output", CHAPTER),
        )
    ),
    Fault(
        only_bars_and_times_are_not_compared,
        shows(bar, "stream", text="done\n"),
        r"cell \d+ .*not compared, so print in the next cell",
        LIVELY,
    ),
    Fault(normalized, indented, "not as nbformat writes it; run make note"),
    Fault(normalized, widgets, "metadata .*'widgets': .*, not .*; run make n"),
    Fault(normalized, version, "metadata .*'version': '3.11'.*; run make not"),
    Fault(
        normalized, another_id, rf"{CODE}its id is 6f2a; run make notebooks"
    ),
    *(
        Fault(normalized, sets(**more), rf"{CODE}\['{said}'\]; run make note")
        for more, said in (
            ({"scrolled": True}, "scrolled"),
            ({"mystnb": {"figure": {}}}, "figure"),
            ({"mystnb": {"image": {"width": 9}}}, "image.width"),
        )
    ),
    Fault(
        normalized,
        attached,
        rf"{PROSE}leftover metadata \['attach.*; run make",
    ),
    Fault(normalized, empty_cell, f"{PROSE}an empty cell; delete it"),
    *(
        Fault(
            digits_in_prose,
            damage,
            rf"cell \d+ .*no output or code .* shows '{said}'; print it, or",
            *where,
        )
        for damage, said, *where in (
            (writes("It is 73.19 %."), "73.19 %"),
            (writes("It is 73 %."), "73 %"),
            (writes("It is 86 %."), "86 %"),
            (writes("It is 115 %."), "115 %", "03_loss_and_gradients"),
            (writes("It is `0.3272485`."), "0.3272485"),
            (writes("It is 0.73191."), "0.73191"),
            (writes("It is $0.73191$."), "0.73191"),
            (writes("It is `0.73191`."), "0.73191"),
            (writes("It is −0.327, not 0.327."), "−0.327"),
            (runs("# w1 = -0.327, not 0.327"), "-0.327"),
            (writes("It grows by 7.31 percentage points."), "7.31 perc.*"),
            (runs("# about 73.19 %"), "73.19 %"),
            (describes(picture, "It is 0.73191."), "0.73191"),
            (claims("0.73191", code, "0.73191", NEAR + 1), "0.73191"),
            # What it shows is of its times.
            (claims("0.73191", bar, "0.73191"), "0.73191", LIVELY),
            # Rounded the other way.
            (claims("0.732", code, "0.7314998"), "0.732"),
            (claims("73.2 %", code, "0.7314998"), "73.2 %"),
        )
    ),
    Fault(
        taught_equals_shipped,
        edits(having("class Logistic"), "class Logistic", "class Other"),
        r"Regression of helpers/model.py stands in 0 cells, not in one: \[\]",
    ),
    Fault(
        taught_equals_shipped,
        runs("class LogisticRegression:\n    pass"),
        rf"stands in 2 cells, not in one: \[.*{CODE}cell \d+ ",
    ),
    Fault(
        taught_equals_shipped,
        edits(having("class Logistic"), '"b"', '"bias"'),
        r"differently; make.*helpers/model.py.*02_model.ipynb, cell \d+"
        r".*\n- +b = self.param\('b'.*\n\+ +b = self.param\('bias'",
    ),
    Fault(
        taught_equals_shipped,
        edits(having("BLOG_PARAMS = {"), "0.32724857", "0.32724858"),
        r"BLOG_PARAMS is taught and shipped differently; .*0.32724858",
    ),
    Fault(
        each_name_in_its_chapter,
        runs("def make_dataset():\n    pass"),
        f"{CODE}make_dataset belongs to helpers/data.py; import it, or",
    ),
    Fault(
        each_name_in_its_chapter,
        runs("for_all = 1\nfit = 2"),
        f"{CODE}fit belongs to helpers/training.py; import it, or",
    ),
    *(
        Fault(
            imports_from_earlier,
            runs(line),
            f"{CODE}imports helpers.training, which no earlier .*; define",
        )
        for line in (
            "from helpers.training import fit",
            "from helpers import training",
            "import helpers.training as t",
            "if True:\n    import helpers.training",
        )
    ),
]

# --- The whole tree -------------------------------------------------------


def changes(path: str, old: str, new: str) -> Callable:
    def damage(root):
        text = (root / path).read_text("utf-8")
        assert old in text, f"{path}: no {old!r}"
        (root / path).write_text(text.replace(old, new, 1), "utf-8")

    return damage


def moves(old: str, new: str) -> Callable:
    return lambda root: (root / old).rename(root / new)


def makes(path: str, text: str = "") -> Callable:
    return lambda root: (root / path).write_text(text)


def describes_alike(root):
    path = root / "notebooks" / f"{CHAPTER}.ipynb"
    notebook = nbformat.read(path, 4)
    other = nbformat.read(path.with_name("01_data.ipynb"), 4)
    alt = picture(other).metadata.mystnb.image.alt
    describes(picture, alt)(notebook)
    nbformat.write(notebook, path)


BOOK_FAULTS = [
    Fault(
        chapters_are_known,
        makes("notebooks/12_new.ipynb"),
        "12_new.ipynb: name it in TAUGHT in tests/manuscript.py",
    ),
    Fault(
        chapters_are_known,
        moves("notebooks/11_nnx.ipynb", "notebooks/11.md"),
        "11_nnx: in TAUGHT in tests/manuscript.py, not in notebooks/",
    ),
    Fault(
        alt_texts_differ,
        describes_alike,
        r"02_model.ipynb, cell \d+ .*01_data.ipynb, cell \d+ .*say what diff",
    ),
    *(
        Fault(
            changes_are_as_printed,
            changes("book/blog_to_book.md", old, new),
            rf"blog_to_book.md: no chapter prints {said}; write what one",
        )
        for old, new, said in (
            ("0.849", "0.8497", "0.8497"),
            ("14.2 %", "14.37 %", "14.37%"),
        )
    ),
    Fault(
        every_helper_is_taught,
        makes("helpers/more.py"),
        "helpers/more.py: taught in no chapter; name it in TAUGHT, or",
    ),
    Fault(
        every_helper_is_taught,
        moves("helpers/model.py", "helpers/_model.py"),
        "helpers/model.py: missing; .*names it in TAUGHT",
    ),
    Fault(
        helpers_import_from_their_left,
        changes("helpers/model.py", "import jax", "import helpers.loss\n"),
        "helpers/model.py: imports helpers.loss, .*; move one",
    ),
    Fault(
        helpers_import_from_their_left,
        changes(
            "helpers/plotting.py", "from io", "from . import loss\nfrom io"
        ),
        "helpers/plotting.py: imports by dots; write from helpers",
    ),
    *(
        Fault(
            every_file_gives_the_same_address,
            changes(path, address, address.replace(test_setup.OWNER, NOBODY)),
            f"{path}: lacks {re.escape(repr(address))}; run make repository",
        )
        for path, addresses in test_setup.COPIES.items()
        for address in addresses
    ),
    *(
        Fault(
            every_file_gives_the_same_address,
            damage,
            f"{path}: names the account {NOBODY}, .*; run make repository",
        )
        for path, damage in (
            ("MORE.md", makes("MORE.md", f"{ELSEWHERE}\n")),
            (
                "notebooks/02_model.ipynb",
                changes("notebooks/02_model.ipynb", "# ", f"# {ELSEWHERE} "),
            ),
            (
                "book/blog_to_book.md",
                changes("book/blog_to_book.md", "# ", f"# {ELSEWHERE} "),
            ),
        )
    ),
    *(
        Fault(
            every_file_gives_the_same_address,
            changes("README.md", "# ", f"{address}{test_setup.NAME}/\n\n# "),
            f"README.md: names the account {NOBODY}, .*; run make repository",
        )
        for address in (
            f"https://github.com/{NOBODY}/",
            f"https://{NOBODY}.github.io/",
            f"https://colab.research.google.com/github/{NOBODY}/",
        )
    ),
]

# --- Each rule goes red ---------------------------------------------------

RULES = test_notebooks.RULES + test_taught.RULES
BOOK_RULES = (
    test_notebooks.BOOK_RULES + test_taught.BOOK_RULES + test_setup.RULES
)


def copied(folder: Path) -> Path:
    """Copy what the rules read to a folder."""
    for name in ("notebooks", "helpers"):
        shutil.copytree(
            ROOT / name,
            folder / name,
            ignore=shutil.ignore_patterns("__pycache__", ".*"),
        )
    for path in ("book/blog_to_book.md", *test_setup.COPIES):
        (folder / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    return folder


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """Plant a fault in a copied chapter; return the line that saw it."""
    root = copied(tmp_path_factory.mktemp("chapters"))

    @cache
    def plant(fault: Fault) -> int:
        chapter = read(fault.where or CHAPTER, root)
        whole = chapter.path.read_bytes()
        damaged = fault.damage(chapter.notebook)
        damaged = damaged or nbformat.writes(chapter.notebook) + "\n"
        try:
            chapter.path.write_text(damaged, "utf-8")
            return red(fault, Chapter(chapter.path), named=chapter.name)
        finally:
            chapter.path.write_bytes(whole)

    return plant


@pytest.fixture(scope="module")
def plant_in_book(tmp_path_factory):
    """Plant a fault in a copied tree; return the line that saw it."""

    @cache
    def plant(fault: Fault) -> int:
        root = copied(tmp_path_factory.mktemp("book"))
        fault.damage(root)
        return red(fault, root)

    return plant


@pytest.mark.parametrize("fault", FAULTS, ids=rule_of)
def test_a_fault_in_a_chapter_is_seen(fault, plant):
    plant(fault)


@pytest.mark.parametrize("fault", BOOK_FAULTS, ids=rule_of)
def test_a_fault_in_the_tree_is_seen(fault, plant_in_book):
    plant_in_book(fault)


def test_each_thing_that_a_rule_can_say_is_planted(plant, plant_in_book):
    found = {fault: plant(fault) for fault in FAULTS}
    found |= {fault: plant_in_book(fault) for fault in BOOK_FAULTS}
    fail_on(unplanted(RULES + BOOK_RULES, found))


@pytest.mark.parametrize("module", [test_notebooks, test_taught, test_setup])
def test_each_rule_is_in_a_list(module):
    fail_on(unlisted(module, RULES + BOOK_RULES))


def test_a_digit_may_stand_this_far_from_what_shows_it(tmp_path):
    notebook = read(CHAPTER).notebook
    claims("0.73191", code, "0.73191", NEAR)(notebook)
    path = tmp_path / f"{CHAPTER}.ipynb"
    nbformat.write(notebook, path)
    fail_on(digits_in_prose(Chapter(path)))


def test_an_undamaged_copy_is_clean(tmp_path):
    root = copied(tmp_path)
    for name in (CHAPTER, LIVELY):
        path = root / "notebooks" / f"{name}.ipynb"
        path.write_text(nbformat.writes(read(name, root).notebook) + "\n")
        fail_on(problem for rule in RULES for problem in rule(Chapter(path)))
    fail_on(problem for rule in BOOK_RULES for problem in rule(root))


def test_what_no_chapter_can_teach_is_named(tmp_path):
    root = copied(tmp_path)
    with (root / "helpers/model.py").open("a") as module:
        module.write("print('hello')\n")
    where = r"helpers/model.py, line \d+: a chapter can teach functions"
    with pytest.raises(AssertionError, match=where):
        test_taught.definitions("model", root)
