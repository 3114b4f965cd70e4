"""Leaps of the loss: rows from which it stands far above all rows before, and stays there."""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts.logs.log_table import LogTable
from colintern.diagnostics.log.noise import Floats, median

LEAP_RATIO: Final = 1.5
"""Loss after over loss before; a healthy change of data raises it by up to 1.3 times."""

MIN_LEAP_ROWS: Final = 10
"""Rows that a leap can be seen in: five on either side."""

_ROWS_BEFORE: Final = 20
"""Rows before a leap that are looked at, at most: the highest of them is left behind ..."""

_ROWS_AFTER: Final = 5
"""... by the lowest of this many rows from the leap on; at least as many come before."""

_ERRORS: Final = 6
"""Standard errors by which the means differ: a long log has thousands of places to try."""

_OF_START: Final = 0.03
"""Least leap as a share of the first rows: near 0 nothing is lost by a leap."""

_WITHIN_ONE_ROW: Final = 0.5
"""Share of the leap that the one row makes."""

_MOST_TRIED: Final = 10_000
"""Places that are looked at one by one."""


class LossLeap(Struct, frozen=True):
    """A lasting rise of the loss within one row."""

    step: int
    """Step of the first row after it, or the row's number where steps are unknown."""
    before: float
    """Mean loss of the rows before."""
    after: float
    """Mean loss of the rows after."""

    def __str__(self) -> str:
        ratio = f"{self.after / self.before:.1f}x"
        levels = f"loss {self.before:.3g} before and {self.after:.3g}"
        return f"{levels} from step {self.step:,} on ({ratio})"


class LossLeaps(Struct, frozen=True):
    """The leaps of a log, in its order."""

    found: tuple[LossLeap, ...]

    def __str__(self) -> str:
        if not self.found:
            return "no leap of the loss"
        largest = max(self.found, key=lambda leap: leap.after / leap.before)
        more = len(self.found) - 1
        return f"{largest}; {more} more" if more else str(largest)


def loss_leaps(training: LogTable, told: Iterable[int] = ()) -> LossLeaps | None:
    """Look for leaps anywhere, or return None for fewer than `MIN_LEAP_ROWS` finite rows.

    Args:
        training: the log's training rows.
        told: steps (or rows) of leaps that are resumptions, and told as such.
    """
    rows = np.flatnonzero(np.isfinite(training.loss))
    values = training.loss[rows]
    if len(values) < MIN_LEAP_ROWS:
        return None
    known = frozenset(told)
    start = abs(median(values[: max(1, min(_ROWS_BEFORE, len(values) // 10))]))
    found: list[LossLeap] = []
    last = -_ROWS_AFTER
    for place in _candidates(values).tolist():
        leap = _leap(values, place, _OF_START * start)
        if leap is None or place - last < _ROWS_AFTER:
            continue
        steps = training.step if training.steps_known() else np.arange(len(training.loss))
        near = steps[rows[max(0, place - _ROWS_AFTER) : place + _ROWS_AFTER]]
        last = place
        if known.isdisjoint(near.tolist()):
            found.append(LossLeap(int(steps[rows[place]]), *leap))
    return LossLeaps(tuple(found))


def _candidates(values: Floats) -> NDArray[np.int64]:
    """Return the places where five rows in a row stand above the five before: few of a long log."""
    windows = np.lib.stride_tricks.sliding_window_view(values, _ROWS_AFTER)
    lowest, highest = windows.min(axis=1), windows.max(axis=1)
    above = lowest[_ROWS_AFTER:] > highest[:-_ROWS_AFTER]
    return np.flatnonzero(above)[:_MOST_TRIED] + _ROWS_AFTER


def _leap(values: Floats, place: int, least: float) -> tuple[float, float] | None:
    before = values[max(0, place - _ROWS_BEFORE) : place]
    after = values[place : place + _ROWS_AFTER]
    low, high = float(before.mean()), float(after.mean())
    if not (low > 0 and high > LEAP_RATIO * low and high - low > least):
        return None
    # The upward half of a swing stands above what came before it too, but gets there by degrees.
    if after.min() <= before.max() or after[0] - before[-1] < _WITHIN_ONE_ROW * (high - low):
        return None
    error = math.sqrt(before.var(ddof=1) / len(before) + after.var(ddof=1) / len(after))
    return (low, high) if high - low > _ERRORS * error else None
