"""A series of numbers as a line of text."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from colintern.diagnostics.log.noise import binned

BLOCKS: Final = "▁▂▃▄▅▆▇█"
ASCII: Final = "_.,:-=+*#"
"""From low to high, where the terminal has no blocks."""

NOT_FINITE: Final = "!"
"""Stands for a stretch without a finite number."""


def sparkline(values: Sequence[float], width: int, *, blocks: bool = True) -> str:
    """Draw `values`, the means of at most `width` equal stretches; `!` where none is finite.

    >>> sparkline([3.0, 2.0, 1.0, math.nan], 10, blocks=False)
    '#-_!'
    """
    series = np.array(values, dtype=np.float64)
    if not len(series) or width < 1:
        return ""
    finite = np.isfinite(series)
    counts = binned(finite.astype(np.float64), width)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = binned(np.where(finite, series, 0.0), width) / counts
    known = means[counts > 0]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    levels = BLOCKS if blocks else ASCII
    return "".join(_level(float(mean), low, high, levels) for mean in means)


def _level(value: float, low: float, high: float, levels: str) -> str:
    if not math.isfinite(value):
        return NOT_FINITE
    # A range beyond what a float holds is drawn as none.
    share = (value - low) / (high - low) if 0 < high - low < math.inf else 0.0
    return levels[min(int(share * len(levels)), len(levels) - 1)]
