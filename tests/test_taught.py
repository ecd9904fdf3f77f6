"""What a chapter teaches is what helpers ship, from left to right."""

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from manuscript import (
    DRAWING,
    ROOT,
    TAUGHT,
    UNTAUGHT,
    Cell,
    Chapter,
    fail_on,
    read,
)

Problems = Iterator[str]


class Plain(ast.NodeTransformer):
    """Drop what a module has and its chapter need not show."""

    def drop(self, body: list[ast.stmt], guards: bool) -> list[ast.stmt]:
        return [
            statement
            for statement in body
            if not is_text(statement) and not (guards and is_guard(statement))
        ] or [ast.Pass()]

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.body = self.drop(node.body, guards=True)
        node.returns = None
        return node

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_ClassDef(self, node):
        self.generic_visit(node)
        node.body = self.drop(node.body, guards=False)
        for field in node.body:
            if isinstance(field, ast.AnnAssign):
                field.annotation = ast.Constant(...)
        return node


def is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_guard(node: ast.stmt) -> bool:
    """Tell whether a statement does nothing, or raises."""
    if isinstance(node, ast.If) and not node.orelse:
        return all(map(is_guard, node.body))
    return isinstance(node, ast.Raise) or (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func).startswith("check_")
    )


def bound_names(node: ast.stmt) -> list[str]:
    """Return the names that a top-level definition or assignment binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = getattr(node, "targets", None) or [node.target]
        return [
            part.id
            for target in targets
            for part in ast.walk(target)
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        ]
    return []


def plain(node: ast.stmt) -> str:
    if isinstance(node, ast.AnnAssign):  # a constant with its type
        node = ast.Assign([node.target], node.value, lineno=node.lineno)
    return ast.unparse(ast.fix_missing_locations(Plain().visit(node)))


def module_path(module: str, root: Path) -> Path:
    return root / "helpers" / f"{module}.py"


def definitions(module: str, root: Path = ROOT) -> dict[str, ast.stmt]:
    """Return what a module of helpers defines, by name."""
    tree = ast.parse(module_path(module, root).read_text("utf-8"))
    defined = {}
    for node in tree.body:
        is_program = isinstance(node, ast.If) and (
            ast.unparse(node.test) == "__name__ == '__main__'"
        )
        if not (
            isinstance(node, ast.Import | ast.ImportFrom)
            or is_text(node)
            or is_program
        ):
            names = bound_names(node)
            assert names, (
                f"helpers/{module}.py, line {node.lineno}: a chapter can "
                "teach functions, classes and constants, not this"
            )
            defined |= dict.fromkeys(names, node)
    return defined


def parsed(cell: Cell) -> ast.Module:
    magics = re.sub(r"^(\s*)[%!].*", r"\1pass", cell.source, flags=re.M)
    return ast.parse(magics)


def taught_equals_shipped(chapter: Chapter, root: Path = ROOT) -> Problems:
    taught = [
        (name, cell, node)
        for cell in chapter.code
        for node in parsed(cell).body
        for name in bound_names(node)
    ]
    for module in TAUGHT[chapter.name]:
        for name, shipped in definitions(module, root).items():
            here = [(c, n) for other, c, n in taught if other == name]
            if len(here) != 1:
                yield (
                    f"{chapter.name}: {name} of helpers/{module}.py stands in "
                    f"{len(here)} cells, not in one: "
                    f"{[str(cell) for cell, _ in here]}"
                )
                continue
            cell, node = here[0]
            diff = difflib.unified_diff(
                plain(shipped).split("\n"),
                plain(node).split("\n"),
                f"helpers/{module}.py",
                f"{chapter.name}.ipynb, cell {cell.number}",
                lineterm="",
                n=2,
            )
            lines = list(diff)[:24]
            if lines:
                yield (
                    f"{name} is taught and shipped differently; make the "
                    "wrong one equal to the other (docstrings, annotations "
                    "and guards do not count):\n" + "\n".join(lines)
                )


def each_name_in_its_chapter(chapter: Chapter, root: Path = ROOT) -> Problems:
    owners = {
        name: module
        for path in (root / "helpers").glob("[!_]*.py")
        if (module := path.stem) not in TAUGHT[chapter.name]
        and module not in UNTAUGHT - DRAWING
        for node in ast.parse(path.read_text("utf-8")).body
        for name in bound_names(node)
        if not name.startswith("_")
    }
    for cell in chapter.code:
        for node in parsed(cell).body:
            for name in owners.keys() & set(bound_names(node)):
                yield (
                    f"{cell}: {name} belongs to helpers/{owners[name]}.py; "
                    "import it, or take another name"
                )


def imported_helpers(tree: ast.AST) -> set[str]:
    """Return the modules of helpers that a tree imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        parts = [name.split(".") for name in names]
        found |= {p[1] for p in parts if p[0] == "helpers" and len(p) > 1}
    return found


def imports_from_earlier(chapter: Chapter) -> Problems:
    order = list(TAUGHT)
    earlier = order[: order.index(chapter.name)]
    allowed = {m for name in earlier for m in TAUGHT[name]} | DRAWING
    for cell in chapter.code:
        for module in sorted(imported_helpers(parsed(cell)) - allowed):
            yield (
                f"{cell}: imports helpers.{module}, which no earlier chapter "
                "teaches; define it here, or move it"
            )


RULES = [taught_equals_shipped, each_name_in_its_chapter, imports_from_earlier]


@pytest.mark.parametrize("name", TAUGHT)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_chapter_is_a_module(rule, name):
    fail_on(rule(read(name)))


def every_helper_is_taught(root: Path) -> Problems:
    modules = {path.stem for path in root.glob("helpers/[!_]*.py")}
    taught = {module for modules in TAUGHT.values() for module in modules}
    for module in sorted(modules - taught - UNTAUGHT):
        yield (
            f"helpers/{module}.py: taught in no chapter; name it in TAUGHT, "
            "or in UNTAUGHT, in tests/manuscript.py"
        )
    for module in sorted((taught | UNTAUGHT) - modules):
        yield (
            f"helpers/{module}.py: missing; tests/manuscript.py names it in "
            "TAUGHT or UNTAUGHT"
        )


def helpers_import_from_their_left(root: Path) -> Problems:
    for path in sorted(root.glob("helpers/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                yield (
                    f"helpers/{path.name}: imports by dots; write "
                    "from helpers.… import"
                )
    order = [module for modules in TAUGHT.values() for module in modules]
    for place, module in enumerate(order):
        tree = ast.parse(module_path(module, root).read_text("utf-8"))
        wrong = imported_helpers(tree) - set(order[:place])
        # Of what guards need; guards are taught in none.
        wrong -= {"_checks"}
        # python -m helpers.scale hands over to the parent at once.
        wrong -= {"launch"} if module == "scale" else set()
        for other in sorted(wrong):
            yield (
                f"helpers/{module}.py: imports helpers.{other}, which no "
                "earlier chapter teaches; move one of them"
            )


BOOK_RULES = [every_helper_is_taught, helpers_import_from_their_left]


@pytest.mark.parametrize("rule", BOOK_RULES, ids=lambda rule: rule.__name__)
def test_helpers_keep_the_rule(rule):
    fail_on(rule(ROOT))
