"""What scripts/starts.py lets pass, on a toy in the place of the book."""

import re
import signal
import subprocess

import pytest
import starts

MAKEFILE = """
book:
	@[ -e .venv/complete ] || { mkdir -p .venv; sleep 60; }
	@echo made
lines:
	@printf '%s\\n' $(LINES) >&2; exit 1
daemon:
	@setsid sleep 30 & sleep 60
dirty: book
	@touch notes
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    toy = tmp_path / "toy"
    toy.mkdir()
    (toy / "Makefile").write_text(MAKEFILE)
    (toy / ".gitignore").write_text(".venv\n")
    someone = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (["init"], ["add", "."], [*someone, "commit", "-m", "a"]):
        subprocess.run(["git", *words], cwd=toy, check=True)
    monkeypatch.setattr(starts, "ROOT", toy)
    monkeypatch.setattr(starts, "PATIENCE", 3)
    monkeypatch.setattr(starts.Place, "work", tmp_path / "work", raising=False)
    starts.Place.work.mkdir()
    return starts.Place("a")


def test_one_line_is_wanted_and_no_more(place):
    said = place.refuses("make", "lines", "LINES=one")
    assert said == "`one`"
    with pytest.raises(starts.Amiss, match=r"got:\none\ntwo$"):
        place.refuses("make", "lines", "LINES=one two")
    (place.book / ".venv").mkdir()
    (place.book / ".venv" / "complete").touch()
    with pytest.raises(starts.Amiss, match="wanted"):
        place.refuses("make", "book")


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_what_a_kill_leaves_is_seen(place, sign):
    left = place.kill(1, sign, "make", "book")
    # Where much else runs, what was killed is there a moment longer.
    left = re.sub(r"\d \w+ for a moment, ", "", left)
    assert left == "at the beginning, left: `.venv` unfinished"
    (place.book / ".venv" / "complete").touch()
    assert place.finish("make", "book").said == "made\n"
    assert place.kill(3, sign, "make", "book") is None


def test_a_process_that_stays_is_named_and_ended(place):
    with pytest.raises(starts.Amiss, match="still there: sleep"):
        place.kill(1, signal.SIGKILL, "make", "daemon")
    assert list(place.processes()) == []


def test_what_the_second_run_leaves_is_named(place):
    (place.book / ".venv").mkdir()
    with pytest.raises(starts.Amiss, match=r"leaves `\.venv` unfinished$"):
        place.finish("make", "lines", "LINES=", "-i")
    (place.book / ".venv" / "complete").touch()
    with pytest.raises(starts.Amiss, match=r"leaves `notes`$"):
        place.finish("make", "dirty")
    with pytest.raises(starts.Amiss, match=r"fails:\none"):
        place.finish("make", "lines", "LINES=one")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("environment: making .venv\n", "at the beginning"),
        ("\n[1/7] lint\n\n[2/7] unit tests\n...  [ 5%]\n[gw0]", "unit tests"),
        ("[3/11] 03_loss.ipynb 5 s\n[4/11] 04_tr.ipynb", "[4/11] 04_tr.ipynb"),
        (
            "[book] …\nreading sources... [  6%] a\n"
            "\x1b[01mreading sources... \x1b[39;49;00m[ 11%] \x1b[35mb/c\n",
            "reading sources... [ 11%] b/c",
        ),
    ],
)
def test_where_a_run_was_is_said(said, wanted):
    assert starts.reached(said).rstrip("”").endswith(wanted)


def test_five_kills_take_two_runs_at_most(monkeypatch):
    monkeypatch.setattr(starts.Place, "seed", 1, raising=False)
    drawn = starts.shares()
    assert len(set(drawn)) == 5
    assert 0 < min(drawn) < max(drawn) < 1
    assert sum(drawn) <= 2


def test_what_a_machine_does_not_let_run_is_skipped():
    starts.need("true")
    for command in (["false"], ["no-such-program", "an option"]):
        with pytest.raises(starts.Skipped, match=command[0]):
            starts.need(*command)


def test_lines_name_no_machine(place):
    line = f"{place.book}/x: /usr/bin/python3 starts no a/b (at host.org)"
    assert starts.neutral(line, place) == "…/x: …/python3 starts no a/b"


def test_a_row_is_renewed_in_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(starts, "TABLE", tmp_path / "page.md")
    monkeypatch.setattr(starts, "CASES", dict.fromkeys("abc"))
    opened, closed = starts.MARKERS
    page = f"Before.\n\n{opened}{starts.HEAD}{closed}\n\nAfter.\n"
    starts.TABLE.write_text(page)
    for case, said in ("c", "old"), ("a", "works"), ("c", "new"):
        starts.renew(case, ("start", said))
    rows = "| `a` | start | works |\n| `c` | start | new |\n"
    assert starts.TABLE.read_text() == page.replace(closed, rows + closed)


def test_the_table_is_of_the_cases_that_there_are():
    text = starts.TABLE.read_text("utf-8")
    table = text.split(starts.MARKERS[0])[1].split(starts.MARKERS[1])[0]
    rows = [line.split("`")[1] for line in table.splitlines()[2:]]
    assert rows == [*starts.CASES]
