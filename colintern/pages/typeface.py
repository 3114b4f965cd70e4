"""Words as small bitmaps, in four faces made from the one bitmap font inside Pillow.

No font file and no rasteriser is involved, so a page has the same pixels on every machine.
"""

from functools import cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

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
