"""The small changes that scripts/mutants.py makes to a module, one at a time.

Left out: docstrings and annotations, which compute nothing; error texts, any
f-string and what shows an object, since to read them is a matter of taste;
strings, whose change is found by whoever reads the figure or the key.
"""

import ast
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

COMPARED = {
    ast.Lt: ("<", ["<=", ">="]),
    ast.LtE: ("<=", ["<", ">"]),
    ast.Gt: (">", [">=", "<="]),
    ast.GtE: (">=", [">", "<"]),
    ast.Eq: ("==", ["!="]),
    ast.NotEq: ("!=", ["=="]),
    ast.Is: ("is", ["is not"]),
    ast.IsNot: (r"is\s+not", ["is"]),
    ast.In: ("in", ["not in"]),
    ast.NotIn: (r"not\s+in", ["in"]),
}
COMPUTED = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.MatMult: ("@", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
SHOWN = {"__repr__", "__str__"}
# A condition of these kinds is changed from within.
DECIDED = (ast.Compare, ast.BoolOp, ast.Constant)
STATEMENTS = (ast.Expr, ast.Assign, ast.AugAssign, ast.Delete)
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Mutant(NamedTuple):
    """One change: where, the first line before and after, the new source."""

    line: int
    last: int
    before: str
    after: str
    source: str

    @property
    def change(self) -> tuple[str, str]:
        """What it is known by, wherever it moves."""
        return self.before, self.after


class Module:
    """A module's source, and the changes that it admits."""

    def __init__(self, source: str) -> None:
        self.source = source.encode()
        self.tree = ast.parse(source)
        self.starts = [0]
        for line in self.source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return where a node begins and ends, in bytes."""
        begin = self.starts[node.lineno - 1] + node.col_offset
        return begin, self.starts[node.end_lineno - 1] + node.end_col_offset

    def mutant(self, begin: int, end: int, new: str) -> Mutant:
        changed = self.source[:begin] + new.encode() + self.source[end:]
        line = self.source.count(b"\n", 0, begin) + 1
        return Mutant(
            line,
            self.source.count(b"\n", 0, end) + 1,
            self.source.splitlines()[line - 1].decode().strip(),
            changed.splitlines()[line - 1].decode().strip(),
            changed.decode(),
        )

    def replaced(self, node: ast.AST, new: str) -> Mutant:
        return self.mutant(*self.span(node), new)

    def operator(
        self, left: ast.AST, right: ast.AST, old: str, new: str
    ) -> Mutant:
        """Change what stands between two operands."""
        begin, end = self.span(left)[1], self.span(right)[0]
        found = re.search(old.encode(), self.source[begin:end])
        return self.mutant(begin + found.start(), begin + found.end(), new)

    def mutants(self, look: Collection[str] = ()) -> list[Mutant]:
        """Return all changes, in the order of their places.

        Args:
            look: names of arguments, keys and defaults whose numbers are left
                as they are, being sizes and places in a picture.
        """
        left = {
            part
            for node in ast.walk(self.tree)
            for name, value in named(node)
            if name in look
            for part in ast.walk(value)
            if is_number(part)
        }
        found = dict.fromkeys(
            mutant
            for node in walk(self.tree)
            if node not in left
            for change in (changed_values, changed_statements)
            for mutant in change(self, node)
        )
        return sorted(found, key=lambda mutant: (mutant.line, mutant.after))


def named(node: ast.AST) -> Iterator[tuple[str | None, ast.AST]]:
    """Yield the arguments, values or defaults in a node, with their names."""
    match node:
        case ast.keyword():
            yield node.arg, node.value
        case ast.Dict():
            for key, value in zip(node.keys, node.values, strict=True):
                yield getattr(key, "value", None), value
        case ast.arguments():
            names = [argument.arg for argument in node.args]
            yield from zip(names[::-1], node.defaults[::-1], strict=False)


def is_text(node: ast.AST) -> bool:
    """Tell whether a node is a docstring, or another lone constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_number(node: ast.AST) -> bool:
    """Tell whether a node is a number as it is written, its sign included."""
    number = node.operand if isinstance(node, ast.UnaryOp) else node
    return type(getattr(number, "value", None)) in (int, float)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that may be changed."""
    yield node
    for name, field in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in field if isinstance(field, list) else [field]:
            if (
                isinstance(child, ast.AST)
                and not isinstance(child, ast.JoinedStr | ast.Raise)
                and not is_text(child)
                and getattr(child, "name", None) not in SHOWN
            ):
                yield from walk(child)


def changed_values(module: Module, node: ast.AST) -> Iterator[Mutant]:
    """Yield changes of operators, constants and conditions."""
    match node:
        case ast.Compare():
            operands = [node.left, *node.comparators]
            for at, operator in enumerate(node.ops):
                old, others = COMPARED[type(operator)]
                for new in others:
                    yield module.operator(*operands[at : at + 2], old, new)
        case ast.BinOp() if type(node.op) in COMPUTED:
            old, new = COMPUTED[type(node.op)]
            old = re.escape(old)
            yield module.operator(node.left, node.right, old, new)
        case ast.BoolOp():
            old, new = ("and", "or")[:: 1 if type(node.op) is ast.And else -1]
            for at in range(len(node.values) - 1):
                yield module.operator(*node.values[at : at + 2], old, new)
        case ast.UnaryOp():
            begin, end = module.span(node)[0], module.span(node.operand)[0]
            mark = 3 if isinstance(node.op, ast.Not) else 1
            rest = module.source[begin + mark : end].decode().lstrip()
            yield module.mutant(begin, end, rest)
        case ast.Constant(value=bool()):
            yield module.replaced(node, repr(not node.value))
        case ast.Constant() if is_number(node):
            # A large float takes no notice of 1.
            step = 1 if node.value + 1 != node.value else node.value / 2
            for new in (node.value + step, node.value - step):
                yield module.replaced(node, repr(new))
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            if not isinstance(test, (*DECIDED, ast.UnaryOp)):
                begin, end = module.span(test)
                old = module.source[begin:end].decode()
                yield module.mutant(begin, end, f"not ({old})")


def changed_statements(module: Module, node: ast.AST) -> Iterator[Mutant]:
    """Yield deletions of statements and guards, of results and defaults."""
    if isinstance(node, FUNCTION):
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default and not isinstance(default, ast.Constant):
                yield module.replaced(default, "None")
    if isinstance(node, ast.Return) and node.value:
        if not is_plain(node.value):
            yield module.replaced(node.value, "None")
    elif isinstance(node, ast.If) and not node.orelse:
        if isinstance(node.body[-1], ast.Raise | ast.Return | ast.Continue):
            yield module.replaced(node, "pass")
    elif isinstance(node, STATEMENTS) and node.col_offset:
        # At the top its name would be missing, which no import survives.
        yield module.replaced(node, "pass")


def is_plain(node: ast.AST) -> bool:
    """Tell whether a node is None, or a truth value, changed elsewhere."""
    return isinstance(getattr(node, "value", ""), bool | None)
