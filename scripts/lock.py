"""Renew the lock, and show what the chapters print under it.

    python scripts/lock.py renew      write requirements.txt, whole or not
    python scripts/lock.py compare    execute the chapters, show what changed

make lock sets up .venv and runs make test between the two. Chapters stay as
they are: make notebooks writes them.
"""

import base64
import difflib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from chapters import ChapterError, executed, place, tags
from PIL import Image, ImageChops
from teeth import IGNORED, texts

ROOT = Path(__file__).resolve().parents[1]
COMPILE = [
    *("uv", "pip", "compile", "pyproject.toml", "--upgrade", "--universal"),
    *("--python-version", "3.11", "--fork-strategy", "fewest"),
    *("--extra", "book", "--extra", "test", "--no-header"),
    # As pip does, it trusts whom the machine trusts.
    "--system-certs",
]
NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")
# A page of HTML has long lines.
WIDTH = 300


def renew(root: Path) -> str | int:
    """Write the newest releases into the lock; return why not, or 0."""
    print("Resolving the newest releases that fit pyproject.toml", flush=True)
    lock, draft = root / "requirements.txt", root / ".requirements.txt.tmp"
    found = subprocess.run(
        [sys.executable, "-m", *COMPILE],
        cwd=root,
        capture_output=True,
        text=True,
    )
    if found.returncode:
        said = " ".join(found.stderr.split())
        return f"requirements.txt is as it was; uv did not resolve it: {said}"
    old, new = lock.read_text("utf-8"), found.stdout
    draft.write_text(new, "utf-8")
    draft.replace(lock)
    before, after = pins(old), pins(new)
    changed = sorted(set(before.items()) ^ set(after.items()))
    for name in sorted({name for name, _ in changed}):
        print(f"  {name}: {before.get(name, '–')} → {after.get(name, '–')}")
    if not changed:
        print("requirements.txt names the newest releases already")
    return 0


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^(\S+)==(\S+)", lock, re.M))


def decoded(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data)))


def changed_pixels(
    one: Image.Image, other: Image.Image, unseen: int = 32
) -> int:
    """Count the pixels that differ by more than rounding can explain."""
    if one.size != other.size:
        return one.width * one.height
    difference = np.asarray(
        ImageChops.difference(one.convert("RGBA"), other.convert("RGBA"))
    )
    return int((difference.max(axis=-1) > unseen).sum())


def text_change(old: str, new: str) -> str:
    """Return the lines that differ, and how far the numbers moved.

    A relative difference is to the larger of both, so that 0 may move.
    """
    compared = old.splitlines(), new.splitlines()
    differ = difflib.unified_diff(*compared, n=0, lineterm="")
    lines = [line for line in islice(differ, 2, None) if line[0] != "@"]
    said = [line[:WIDTH] for line in lines] or [f"-{old!r}", f"+{new!r}"]
    was, now = (
        [float(number.replace(",", "")) for number in NUMBER.findall(text)]
        for text in (old, new)
    )
    if len(was) != len(now):
        said.append(f"numbers: {len(now)} in place of {len(was)}")
    elif was != now:
        moved = [
            (abs(b - a), max(abs(a), abs(b)))
            for a, b in zip(was, now, strict=True)
        ]
        most = max(far for far, _ in moved)
        relative = max(far / size for far, size in moved if far)
        said.append(
            f"numbers differ by at most {most:.3g}, relatively {relative:.2g}"
        )
    return "\n".join(f"  {line}" for line in said)


def picture_change(old: str, new: str) -> str:
    """Return how many of a picture's pixels differ, or nothing if none do."""
    one, other = decoded(old), decoded(new)
    if one.size != other.size:
        return f"  a picture of {other.size} pixels in place of {one.size}"
    changed = changed_pixels(one, other, unseen=0)
    share = changed / (one.width * one.height)
    return f"  {share:.3%} of a picture's pixels differ" if changed else ""


def output_changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield what has changed in one output: - is stored, + is new."""
    before, after = texts(old), texts(new)
    # Plain text first: a table's HTML says the same again.
    for key in sorted(before | after, reverse=True):
        one, other = before.get(key, ""), after.get(key, "")
        if one != other:
            yield text_change(one, other)
            break
    one, other = (o.get("data", {}).get("image/png") for o in (old, new))
    if one and other:
        # The same pixels may come in other bytes.
        yield from filter(None, [picture_change(one, other)])
    elif one or other:
        yield "  a picture less" if one else "  a picture more"


def changes(stored: Any, fresh: Any) -> Iterator[str]:
    """Yield what has changed in a chapter's outputs, cell by cell."""
    for old, new in zip(stored.cells, fresh.cells, strict=True):
        if old.cell_type == "code" and IGNORED not in tags(old):
            for pair in zip_longest(old.outputs, new.outputs, fillvalue={}):
                for said in output_changes(*pair):
                    yield f"{place(stored, old)}:\n{said}"


def compare(paths: list[Path]) -> str | int:
    """Execute chapters, print what has changed; return which failed, or 0."""
    changed, failed = [], []
    for number, path in enumerate(paths, start=1):
        print(f"[{number}/{len(paths)}] {path.name}", flush=True)
        source = path.read_text("utf-8")
        stored = nbformat.reads(source, as_version=4)
        try:
            found = list(changes(stored, executed(source, path.parent)))
        except ChapterError as error:
            failed.append(path.name)
            print(f"{path.name}, FAILED, {error}")
            continue
        for said in found:
            print(f"{path.name}, {said}")
        if found:
            changed.append(f"{path.name} {len(found)}")
    if changed:
        print(
            f"Outputs have changed: {', '.join(changed)}. If all are right, "
            "run make notebooks and make matrix"
        )
    elif not failed:
        print("No output of any chapter has changed")
    return f"Not compared: {', '.join(failed)}" if failed else 0


def main(arguments: list[str]) -> str | int:
    match arguments:
        case ["renew"]:
            return renew(ROOT)
        case ["compare", *names]:
            paths = [Path(name).resolve() for name in names]
            chapters = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
            return compare(paths or chapters)
    return "Say what: python scripts/lock.py renew, or compare"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
