"""What scripts/lock.py shows, and that it writes the lock whole or not."""

import base64
import io
import os
import re
import shutil
import subprocess
import sys

import lock
import nbformat
import pytest
from manuscript import ROOT
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image


def picture(changed=0, size=(10, 20)):
    """Return a white picture in base64, some of its pixels changed."""
    image = Image.new("RGB", size, "white")
    for at in range(changed):
        image.putpixel((at, 0), (254, 255, 255))
    file = io.BytesIO()
    image.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def stream(text):
    return new_output("stream", text=text)


def drawn(*arguments):
    return new_output("display_data", {"image/png": picture(*arguments)})


def table(html, plain):
    data = {"text/html": html, "text/plain": plain}
    return new_output("execute_result", data)


STORED = stream("1,000 points\n86.25 % right, loss 0.5\n")
ONE_MORE = ["-1", "+2", "numbers differ by at most 1, relatively 0.5"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            STORED,
            stream("1,000 points\n86.00 % right, loss 0.4\n"),
            [
                "-86.25 % right, loss 0.5",
                "+86.00 % right, loss 0.4",
                "numbers differ by at most 0.25, relatively 0.2",
            ],
        ),
        (
            stream("from -2,000.5 to 1e-06"),
            stream("from 2,000.5 to 4e-06"),
            [
                "-from -2,000.5 to 1e-06",
                "+from 2,000.5 to 4e-06",
                "numbers differ by at most 4e+03, relatively 2",
            ],
        ),
        (
            STORED,
            stream("1,000 points\n86.25 % wrong, loss 0.5\n"),
            ["-86.25 % right, loss 0.5", "+86.25 % wrong, loss 0.5"],
        ),
        (
            STORED,
            stream("1,000 points\n"),
            ["-86.25 % right, loss 0.5", "numbers: 1 in place of 3"],
        ),
        (stream("a"), stream("a\n"), ["-'a'", "+'a\\n'"]),
        (table("<b>1</b>", "1"), table("<b>2</b>", "2"), ONE_MORE),
        (table("<b>1</b>", "1"), table("1", "1"), ["-<b>1</b>", "+1"]),
        (drawn(), drawn(3), ["1.500% of a picture's pixels differ"]),
        (
            drawn(),
            drawn(0, (20, 10)),
            ["a picture of (20, 10) pixels in place of (10, 20)"],
        ),
        (drawn(), None, ["a picture less"]),
        (None, drawn(), ["a picture more"]),
        (None, stream("a"), ["+a"]),
    ],
    ids=[
        *("numbers", "signs", "a word", "a line", "an end", "a table"),
        *("html", "pixels", "a size", "a picture less", "a picture more"),
        "an output",
    ],
)
def test_a_planted_change_is_shown(old, new, said):
    stored, fresh = chapter(old), chapter(new)
    assert list(lock.changes(stored, stored)) == []
    [found] = lock.changes(stored, fresh)
    assert found.splitlines() == ["cell 2:", *(f"  {line}" for line in said)]


def chapter(*outputs, tags=()):
    """Return a chapter whose second cell has these outputs, if they are."""
    cell = new_code_cell(outputs=list(filter(None, outputs)))
    cell.metadata.tags = list(tags)
    return new_notebook(cells=[new_code_cell(), cell])


def test_every_output_is_compared():
    stored = chapter(stream("a"), drawn(), stream("b"))
    fresh = chapter(stream("c"), drawn(1), stream("d"))
    assert len(list(lock.changes(stored, fresh))) == 3


def test_times_are_no_change():
    stored, fresh = (
        chapter(stream(text), tags=["nbval-ignore-output"]) for text in "12"
    )
    assert list(lock.changes(stored, fresh)) == []


def test_the_same_pixels_in_other_bytes_are_no_change():
    data = base64.b64decode(picture())
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).save(file, "png", compress_level=0)
    other = base64.b64encode(file.getvalue()).decode()
    stored, fresh = chapter(drawn()), chapter(drawn())
    fresh.cells[1].outputs[0].data["image/png"] = other
    assert other != picture()
    assert list(lock.changes(stored, fresh)) == []


def test_chapters_are_compared_and_left(tmp_path, capsys):
    paths = []
    for name, source, stored in [
        ("01_same", "print(0.5)", "0.5\n"),
        ("02_moved", "print(0.5)", "0.25\n"),
        ("03_broken", "1 / 0", ""),
        ("04_moved", "print(1)", "2\n"),
    ]:
        cell = new_code_cell(source, outputs=[stream(stored)])
        paths.append(tmp_path / f"{name}.ipynb")
        nbformat.write(new_notebook(cells=[cell]), paths[-1])
    before = [path.read_bytes() for path in paths]

    assert lock.compare(paths[:1]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "[1/1] 01_same.ipynb",
        "No output of any chapter has changed",
    ]
    # One that fails hides no other.
    assert lock.compare(paths) == "Not compared: 03_broken.ipynb"
    said = capsys.readouterr().out
    assert "02_moved.ipynb, cell 1:\n  -0.25\n  +0.5\n  numbers" in said
    assert "03_broken.ipynb, FAILED, cell 1, line 1:\n  1 / 0\nZero" in said
    assert "04_moved.ipynb, cell 1:\n  -2\n  +1\n" in said
    assert "Outputs have changed: 02_moved.ipynb 1, 04_moved.ipynb 1" in said
    assert "No output" not in said
    assert [path.read_bytes() for path in paths] == before


def test_without_a_network_the_lock_stays(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "requirements.txt").write_text("jax==0.0.1\n")
    offline = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9", "UV_NO_CACHE": "1"}
    offline |= {"UV_HTTP_RETRIES": "0", "no_proxy": "127.0.0.1"}
    made = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=made)
    before = {*tmp_path.iterdir()}
    done = subprocess.run(
        [sys.executable, tmp_path / "scripts" / "lock.py", "renew"],
        env=os.environ | offline,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.fullmatch(
        r"requirements\.txt is as it was; uv did not .*127\.0\.0\.1:9.*\n",
        done.stderr,
    )
    assert (tmp_path / "requirements.txt").read_text() == "jax==0.0.1\n"
    assert {*tmp_path.iterdir()} == before


def test_a_new_lock_says_what_it_changes(tmp_path, monkeypatch, capsys):
    (tmp_path / "requirements.txt").write_text("a==1\nb==1 ; x == 'y'\n")
    new = "b==2 ; x == 'y'\n    # via c\nc==3\n"
    found = subprocess.CompletedProcess([], 0, new, "")
    monkeypatch.setattr(lock.subprocess, "run", lambda *_, **__: found)
    assert lock.renew(tmp_path) == 0
    assert (tmp_path / "requirements.txt").read_text() == new
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == ["  a: 1 → –", "  b: 1 → 2", "  c: – → 3"]
    assert lock.renew(tmp_path) == 0
    assert capsys.readouterr().out.endswith("the newest releases already\n")
