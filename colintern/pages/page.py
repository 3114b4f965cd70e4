"""A page: its facts, set in a layout and drawn."""

import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from colintern.pages.facts import Facts
from colintern.pages.layout import PAGE_SIZE, Composition, Layout, compose, word_bitmap

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Page:
    """A document page that can be drawn at any time, always with the same pixels."""

    facts: Facts
    layout: Layout

    def _generator(self) -> random.Random:
        return random.Random(f"page/{self.layout}/{' '.join(self.facts.values())}")

    @property
    def name(self) -> str:
        """A file name that identifies the page in the whole world."""
        return f"{self.layout}-{'-'.join(self.facts.values())}.png"

    @property
    def composition(self) -> Composition:
        """The marks on the page."""
        return compose(self.facts, self.layout, self._generator())

    @property
    def text(self) -> str:
        """The page read aloud, in reading order."""
        return self.composition.text

    def pixels(self) -> Pixels:
        """Draw the page: grey levels as (height, width)."""
        composition = self.composition
        generator = random.Random(f"paper/{self.name}")
        paper, ink = generator.randrange(225, 256), generator.randrange(70)
        canvas = np.full((PAGE_SIZE, PAGE_SIZE), paper, dtype=np.uint8)
        for word in composition.words:
            _stamp(canvas, word_bitmap(word.text, word.face, word.scale), word.x, word.y, ink)
        for rule in composition.rules:
            canvas[rule.y : rule.y + rule.height, rule.x : rule.x + rule.width] = ink
        return canvas


def _stamp(canvas: Pixels, bitmap: npt.NDArray[np.bool_], x: int, y: int, ink: int) -> None:
    target = canvas[y : y + bitmap.shape[0], x : x + bitmap.shape[1]]
    target[bitmap[: target.shape[0], : target.shape[1]]] = ink
