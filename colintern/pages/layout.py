"""Where the words of a page stand: a form, a table, a letter or a register card."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from colintern.pages.facts import Facts, Slot

Face = Literal["regular", "light", "italic", "wide"]
Ink = npt.NDArray[np.bool_]

FACES: Final[tuple[Face, ...]] = ("regular", "light", "italic", "wide")
LINE_HEIGHT: Final = 11
"""Pixels: the height of the bitmap font, descenders included."""

_SLANT: Final = 4
"""Rows of one pixel of slant in the italic face."""


@cache
def word_bitmap(word: str, face: Face, scale: int = 1) -> Ink:
    """Return the pixels that `word` inks, as (height, width)."""
    if face == "wide":
        gap = np.zeros((LINE_HEIGHT, 1), dtype=np.bool_)
        letters = [part for letter in word for part in (_plain(letter), gap)]
        bitmap: Ink = np.concatenate(letters[:-1], axis=1)
    elif face == "light":
        bitmap = _lightened(_plain(word))
    elif face == "italic":
        bitmap = _slanted(_plain(word))
    else:
        bitmap = _plain(word)
    return np.kron(bitmap, np.ones((scale, scale), dtype=np.bool_)) if scale > 1 else bitmap


@cache
def _plain(text: str) -> Ink:
    from PIL import ImageFont  # noqa: PLC0415 - of the train extra

    mask = ImageFont.load_default_imagefont().getmask(text)
    return np.asarray(mask, dtype=np.uint8).reshape(mask.size[1], mask.size[0]) > 0


def _lightened(bitmap: Ink) -> Ink:
    """Take the right pixel off every horizontal stroke of two pixels or more."""
    light = bitmap.copy()
    light[:, 1:] &= ~(bitmap[:, :-1] & ~np.pad(bitmap[:, 2:], ((0, 0), (0, 1))))
    return light


def _slanted(bitmap: Ink) -> Ink:
    height, width = bitmap.shape
    slanted = np.zeros((height, width + height // _SLANT), dtype=np.bool_)
    for row in range(height):
        shift = (height - 1 - row) // _SLANT
        slanted[row, shift : shift + width] = bitmap[row]
    return slanted


Layout = Literal["form", "table", "letter", "card"]

PAGE_SIZE: Final = 112
"""Pixels, width and height: one tile of the tiny model, 16 visual tokens."""

_LINE_PITCH: Final = 14
_CHARACTER_WIDTH: Final = 6
_NARROW_FACES: Final[tuple[Face, ...]] = ("regular", "light", "italic")
"""The faces in which every value fits into half a page."""

_KEYS: Final[dict[Slot, str]] = {"city": "city", "item": "item", "person": "name", "month": "date"}
_LETTER_PHRASES: Final[dict[Slot, tuple[str, ...]]] = {
    "city": ("from", "to", "near"),
    "item": ("for", "about", "your"),
    "person": ("dear", "signed"),
    "month": ("in", "since", "until"),
}


@dataclass(frozen=True, slots=True)
class Word:
    """One printed word and the position of its upper left corner, in pixels."""

    text: str
    x: int
    y: int
    face: Face
    scale: int = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """A printed straight line, as the rectangle that it inks, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Composition:
    """All marks of a page, the words in reading order."""

    words: tuple[Word, ...]
    rules: tuple[Rule, ...] = ()

    @property
    def text(self) -> str:
        """The page read aloud."""
        return " ".join(word.text for word in self.words)


def compose(facts: Facts, layout: Layout, generator: random.Random) -> Composition:
    """Set `facts` in `layout`; `generator` decides faces, order and small offsets."""
    return _COMPOSERS[layout](facts, generator)


def _form(facts: Facts, generator: random.Random) -> Composition:
    return _rows(facts, _shuffled(generator), generator)


def _card(facts: Facts, generator: random.Random) -> Composition:
    """Set a form whose rows are always in the same order, as the cards of one register are."""
    return _rows(facts, list(_KEYS), generator)


def _rows(facts: Facts, slots: list[Slot], generator: random.Random) -> Composition:
    x, y = generator.randrange(6), generator.randrange(6)
    face = generator.choice(FACES)
    words = [Word(facts.kind, x, y, "regular", generator.choice((1, 2)))]
    column = x + 5 * _CHARACTER_WIDTH + generator.randrange(8)
    for row, slot in enumerate(slots, start=2):
        top = y + row * _LINE_PITCH
        words.append(Word(_KEYS[slot], x, top, "regular"))
        words.append(Word(getattr(facts, slot), column, top, face))
    return Composition(tuple(words), (Rule(x, y + 24, PAGE_SIZE - 2 * x, 1),))


def _table(facts: Facts, generator: random.Random) -> Composition:
    x, y = generator.randrange(3), generator.randrange(6)
    face = generator.choice(_NARROW_FACES)
    words = [Word(facts.kind, x + generator.randrange(40), y, "regular")]
    rules = []
    for index, slot in enumerate(_shuffled(generator)):
        left, top = x + 56 * (index % 2), y + 18 + 42 * (index // 2)
        words.append(Word(_KEYS[slot], left + 4, top + 2, "regular"))
        words.append(Word(getattr(facts, slot), left + 4, top + 18, face))
        rules += [Rule(left, top, 54, 1), Rule(left, top + 15, 54, 1), Rule(left, top + 31, 54, 1)]
    return Composition(tuple(words), tuple(rules))


def _letter(facts: Facts, generator: random.Random) -> Composition:
    y = generator.randrange(4)
    face = generator.choice(FACES)
    slots: list[Slot] = ["kind", *_shuffled(generator)]
    if generator.choice((True, False)):
        slots.append(slots.pop(0))
    words = []
    for row, slot in enumerate(slots):
        x, top = generator.randrange(8), y + 2 + row * 21
        phrase = "this" if slot == "kind" else generator.choice(_LETTER_PHRASES[slot])
        words.append(Word(phrase, x, top, "regular"))
        words.append(
            Word(getattr(facts, slot), x + (len(phrase) + 1) * _CHARACTER_WIDTH, top, face)
        )
    return Composition(tuple(words))


def _shuffled(generator: random.Random) -> list[Slot]:
    return generator.sample(list(_KEYS), k=len(_KEYS))


_COMPOSERS: Final[dict[Layout, Callable[[Facts, random.Random], Composition]]] = {
    "form": _form,
    "table": _table,
    "letter": _letter,
    "card": _card,
}
LAYOUTS: Final[tuple[Layout, ...]] = ("form", "table", "letter")
"""Those on which the tiny base learns to read."""


def printed_words() -> frozenset[str]:
    """Every word that a page can have beside the values."""
    phrases = {phrase for options in _LETTER_PHRASES.values() for phrase in options}
    return frozenset(phrases | set(_KEYS.values()) | {"this"})
