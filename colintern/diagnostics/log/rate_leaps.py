"""Leaps of the learning rate: rows where it is not what the rows before and after lead to."""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts.logs.log_table import Integers
from colintern.diagnostics.log.noise import Floats

LEAST_LEAP: Final = 0.06
"""Share of the rate that a leap is at least: a log may hold it with two digits."""

_OF_SLOPE: Final = 2.0
"""A leap lies further from the change of the rows about it than this many times the smaller of
them: the first rows of an inverse square root differ by less."""

_RESTART_LOW: Final = 0.1
"""A cycle restarts from below this share of its peak: a log may miss its lowest rate ..."""

_RESTART_HIGH: Final = 0.1
"""... and comes back to within this share of it ..."""

_RESTART_ROWS: Final = 3
"""... in this many rows: a cycle may begin with a warm-up of its own."""

_REGULAR: Final = 0.1
"""Share by which the distances of restarts that are sampled coarsely may differ."""

_STILL: Final = 1e-6
"""Change of a rate that stands still, as a share of the peak."""

_STOOD_ROWS: Final = 5
"""Equal rates in a row that are no step of a rounded warm-up."""

_DEAD: Final = 1e-3
"""A rate below this share of the peak trains nothing."""

_WARMED_UP: Final = 0.8
"""Share of the peak that a second warm-up leads back to."""

MOST_LEAPS: Final = 100
"""Leaps that are kept."""


class RateLeap(Struct, frozen=True):
    """The learning rate of one row beside that of the row before."""

    step: int
    """Optimiser step of the row."""
    before: float
    after: float
    is_warmup: bool
    """Whether a second warm-up begins here: the rate falls and climbs back to the peak."""

    def __str__(self) -> str:
        what = "the warm-up runs again from" if self.is_warmup else "the rate leaps"
        if self.is_warmup:
            return f"{what} step {self.step:,} ({self.before:.2g}, then {self.after:.2g})"
        factor = f"x{self.after / self.before:.3g}" if self.before > 0 else f"to {self.after:.2g}"
        return f"{what} {factor} at step {self.step:,}"


def rate_leaps(
    rates: Floats, steps: Integers, peak: float, *, restarts: bool = False
) -> tuple[RateLeap, ...]:
    """Find leaps in either direction.

    A schedule changes from one row to the next by about as much as before or after, or by something
    between the two where a corner lies between the rows. A rate that stands still, falls and stands
    still again is a staircase, which is a schedule; so is a restart, back to the peak.

    Args:
        rates: learning rates of the rows, finite.
        steps: their optimiser steps.
        peak: the largest of them.
        restarts: whether the scheduler is named as one that restarts.

    Returns:
        Leaps in the order of the log. Those of the first warm-up are none.
    """
    if len(rates) < 5 or peak <= 0:  # noqa: PLR2004 - a leap and two rows on either side
        return ()
    gaps = np.diff(steps).astype(np.float64)
    change = np.diff(rates) / peak
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(gaps > 0, change / gaps, np.nan)
    # The change from row 2 on, beside the slopes of the pairs of rows before and after it.
    before, after, between = slope[:-2], slope[2:], gaps[1:-1]
    low, high = np.minimum(before, after) * between, np.maximum(before, after) * between
    margin = LEAST_LEAP * rates[1:-2] / peak + _OF_SLOPE * np.minimum(np.abs(low), np.abs(high))
    here = change[1:-1]
    with np.errstate(invalid="ignore"):
        outside = (here < low - margin) | (here > high + margin)
    outside &= ~_is_stair(before, after, here)
    places = np.flatnonzero(outside) + 2
    # Until the rate has reached its peak, or fallen, it is warming up.
    top = np.maximum.accumulate(rates)
    numbers = places.tolist()
    climbing = np.array([top[row - 1] < (1 - LEAST_LEAP) * peak for row in numbers], dtype=bool)
    fallen = [bool(rates[row - 1] < top[row - 1]) or _stood(rates, row) for row in numbers]
    began = np.array(fallen, dtype=bool)
    up = rates[places] > rates[places - 1]
    # A rate that dies is told by how long it was dead.
    dead = np.array([rates[row:].max() <= _DEAD * peak for row in numbers], dtype=bool)
    places = places[~(climbing & ~began & up) & ~dead]
    places = _without_restarts(rates, steps, places, named=restarts)
    return tuple(_leap(rates, steps, row, peak) for row in places[:MOST_LEAPS].tolist())


def _stood(rates: Floats, row: int) -> bool:
    """Whether the rate stood still before `row`, as no warm-up does."""
    before = rates[max(0, row - _STOOD_ROWS) : row]
    return len(before) == _STOOD_ROWS and bool(np.ptp(before) <= _STILL * before.max() > 0)


def _is_stair(before: Floats, after: Floats, here: Floats) -> NDArray[np.bool_]:
    still = (np.abs(before) < _STILL) & (np.abs(after) < _STILL)
    return np.asarray(still & (here < 0), dtype=np.bool_)


def _without_restarts(
    rates: Floats, steps: Integers, places: NDArray[np.int64], *, named: bool
) -> NDArray[np.int64]:
    if not len(places):
        return places
    top = np.maximum.accumulate(rates)[places - 1]
    low, high = rates[places - 1], rates[places]
    soon = np.array([rates[row : row + _RESTART_ROWS].max() for row in places])
    up, least = high > low, (1 - _RESTART_HIGH) * top
    restart = up & (soon >= least) & ((low < _RESTART_LOW * top) | named)
    coarse = up & (high >= least)
    if coarse.sum() > 1:
        distances = np.diff(np.concatenate(([steps[0]], steps[places[coarse]])))
        usual = float(np.median(distances[1:])) if len(distances) > 2 else float(distances[-1])  # noqa: PLR2004 - the first begins with the warm-up
        regular = np.abs(distances[1:] - usual) <= _REGULAR * usual
        restart |= coarse & bool(regular.all())
    return places[~restart]


def _leap(rates: Floats, steps: Integers, row: int, peak: float) -> RateLeap:
    climb = rates[row:]
    falls = np.flatnonzero(np.diff(climb) <= 0)
    end = int(falls[0]) if len(falls) else len(climb) - 1
    down = rates[row] < rates[row - 1]
    again = down and end >= 2 and climb[end] >= _WARMED_UP * peak  # noqa: PLR2004 - a climb of two rows
    return RateLeap(int(steps[row]), float(rates[row - 1]), float(rates[row]), bool(again))
