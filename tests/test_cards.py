"""The intro's drawings: committed as drawn, one a chapter, and light."""

import re
import sys

import numpy as np
import pytest
from manuscript import ROOT, TAUGHT

sys.path.insert(0, str(ROOT / "scripts"))

import cards
import hero

FOLDER = hero.ASSETS / "cards"
NUMBER = re.compile(r"-?\d*\.?\d+")


def assert_current(path, drawn):
    """Compare what is drawn, and where to what rounding can explain."""
    kept = path.read_text("utf-8")
    again = f"{path.name} is of another run; draw it again with its script"
    assert NUMBER.sub("0", kept) == NUMBER.sub("0", drawn), again
    places = [np.array(NUMBER.findall(t), float) for t in (kept, drawn)]
    np.testing.assert_allclose(*places, atol=0.5, err_msg=again)


@pytest.mark.parametrize("name", cards.CARDS)
def test_the_card_is_current(name):
    drawn = cards.svg(cards.CARDS[name]())
    assert len(drawn) <= 3000, "a card of over 3000 bytes; draw less"
    assert_current(FOLDER / f"{name}.svg", drawn)


def test_the_hero_is_current():
    drawn = hero.svg(cards.dataset, cards.lines)
    assert_current(hero.ASSETS / "hero.svg", drawn)


def test_each_chapter_has_a_card():
    draw = "draw one for each chapter, in order, in scripts/cards.py"
    assert list(cards.CARDS) == list(TAUGHT), draw
    drawn = {path.stem for path in FOLDER.iterdir()}
    assert drawn == set(TAUGHT), f"{draw}; run it, and delete what is old"
