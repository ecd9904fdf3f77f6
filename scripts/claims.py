"""The numbers in a chapter's prose, and the outputs that show them.

Prose is markdown, comments and alt texts. What it claims must be shown by an
output of the next code cell before or after it, or be set in that cell's code;
the Recap may repeat any output.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

NUMBER = re.compile(
    r"(?P<digits>(?:(?<![\w.)\]}])[-−]|(?<![\w.]))"
    r"(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"(?!\w|\.\d)(?P<percent>(?:\s|\\,)*\\?(?:%|percent))?"
)


class Number(NamedTuple):
    text: str
    value: Decimal  # of 86 %, that is 0.86
    percent: bool
    whole: bool


def exponent(value: Decimal) -> int:
    """Return the power of ten of the last digit."""
    return value.as_tuple().exponent


def numbers(text: str) -> Iterator[Number]:
    for match in NUMBER.finditer(text):
        digits = match["digits"].replace(",", "").replace("−", "-")
        value, percent = Decimal(digits), bool(match["percent"])
        shift = -2 if percent else 0
        whole = exponent(value) >= 0
        yield Number(match[0], value.scaleb(shift), percent, whole)


def claims(prose: str) -> list[Number]:
    """Return the decimals and percentages of prose, but not of addresses."""
    found = numbers(re.sub(r"\]\(\S*\)|href=\S*", "]", prose))
    return [number for number in found if number.percent or not number.whole]


def supports(shown: Number, claim: Number) -> bool:
    """Tell whether the claim is what is shown, or its rounding.

    A claim without a sign may state a size, as in 0.07 below. A table may show
    percentages without their sign. Counts are not rounded.
    """
    values = [shown.value]
    if claim.percent and not (shown.percent or shown.whole):
        values.append(shown.value.scaleb(-2))
    if claim.value >= 0:
        values = map(abs, values)
    if claim.whole and not claim.percent:
        return shown.whole and claim.value in values
    half = Decimal(5).scaleb(exponent(claim.value) - 1)
    return any(abs(value - claim.value) <= half for value in values)


def python(cell: Any) -> str:
    """Return a cell's code without IPython's magics."""
    return re.sub(r"(?m)^(\s*)[%!].*", r"\1pass", cell.source)


def tokens(cell: Any, *kinds: int) -> str:
    found = tokenize.generate_tokens(io.StringIO(python(cell)).readline)
    return " ".join(token.string for token in found if token.type in kinds)


def prose(cell: Any) -> str:
    """Return what a cell says to its reader."""
    if cell.cell_type != "code":
        return cell.source
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    return f"{tokens(cell, tokenize.COMMENT)} {alt}"


def printed(cell: Any) -> str:
    """Return what a code cell shows as text, without the tags of HTML."""
    parts = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        parts += [data.get("text/plain", ""), data.get("text/html", "")]
        parts += [output.get("text", ""), output.get("evalue", "")]
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", "\n".join(parts))
    return re.sub(r"</?[a-z][^>]*>", " ", text)


def shown_by(cell: Any) -> list[Number]:
    """Return the numbers that a code cell's outputs show, if compared."""
    ignored = "nbval-ignore-output" in cell.metadata.get("tags", [])
    return [] if ignored else list(numbers(printed(cell)))


def set_in(cell: Any) -> set[Decimal]:
    """Return the sizes of the numbers that stand in a cell's code."""
    code = tokens(cell, tokenize.NUMBER).replace("_", "")
    return {number.value for number in numbers(code)}


def next_to(cells: list[Any], index: int) -> list[int]:
    """Return the code cells before and after a cell, and itself if code."""
    code = [k for k, cell in enumerate(cells) if cell.cell_type == "code"]
    before = [k for k in code if k < index][-1:]
    return before + [k for k in code if k >= index][: 1 + (index in code)]


def witnesses(cells: list[Any], index: int) -> list[int]:
    """Return the code cells whose outputs may back what a cell says."""
    if cells[index].source.startswith("## Recap"):
        return [k for k, cell in enumerate(cells) if cell.cell_type == "code"]
    return next_to(cells, index)


def unbacked(cells: list[Any]) -> Iterator[tuple[int, Number]]:
    """Yield, by cell, what a chapter claims and nothing next to it shows."""
    for index, cell in enumerate(cells):
        shown = [
            n for k in witnesses(cells, index) for n in shown_by(cells[k])
        ]
        settings = set().union(
            *(set_in(cells[k]) for k in next_to(cells, index))
        )
        for claim in claims(prose(cell)):
            if abs(claim.value) not in settings and not any(
                supports(number, claim) for number in shown
            ):
                yield index, claim


def moved(old: list[Any], new: list[Any]) -> Iterator[str]:
    """Say which printed numbers changed, and what still says the old ones.

    Args:
        old, new: a chapter's cells, as committed and as executed now.
    """
    for k, cell in enumerate(new):
        if cell.cell_type != "code":
            continue
        before, after = shown_by(old[k]), shown_by(cell)
        gone = [number for number in before if number not in after]
        if not gone:
            continue
        come = [number.text for number in after if number not in before]
        lost = ", ".join(number.text for number in gone)
        yield f"cell {k + 1}: {lost} became {', '.join(come) or 'nothing'}"
        for index, teller in enumerate(new):
            if k not in witnesses(new, index):
                continue
            for sentence in re.split(r"(?<=[.?!])\s+", prose(teller)):
                if any(
                    any(supports(number, said) for number in gone)
                    and not any(supports(number, said) for number in after)
                    for said in numbers(sentence)
                ):
                    words = " ".join(sentence.split())
                    yield f"  cell {index + 1} says: {words}"
