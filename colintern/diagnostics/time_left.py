"""How fast a run goes, how long it still takes, and since when nothing was heard of it."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from colintern.artifacts.live_log import Row

_RECENT_ROWS: Final = 20
"""Rows that the pace is taken from: it may change, with the other work of a machine."""

_QUIET_ROWS: Final = 5
"""Intervals between rows without a new one, from which a run is quiet: an evaluation or a save
takes a few."""

_LEAST_QUIET_SECONDS: Final = 120.0
"""Less than that says nothing of a run with short intervals."""


class Pace(Struct, frozen=True):
    """Speed of a run, from the times of its newest log rows; evaluation and saving count."""

    seconds_a_step: float
    row_seconds: float
    """Mean time between two rows."""


def pace_of(rows: Sequence[Row]) -> Pace | None:
    """Measure it, or return None where fewer than two rows of different steps have a time."""
    timed = [row for row in rows if "time" in row][-_RECENT_ROWS:]
    if not timed:
        return None
    seconds = timed[-1]["time"] - timed[0]["time"]
    steps = timed[-1]["step"] - timed[0]["step"]
    # Clocks may be set back while a run trains.
    if steps <= 0 or seconds <= 0:
        return None
    return Pace(seconds / steps, seconds / (len(timed) - 1))


def seconds_left(pace: Pace, step: int, max_steps: int, *, since_last_row: float) -> float:
    """Return the expected time to the end."""
    return max(0.0, (max_steps - step) * pace.seconds_a_step - max(0.0, since_last_row))


def is_quiet(pace: Pace | None, silence: float) -> bool:
    """Whether nothing was written for longer than the run's own rhythm explains."""
    usual = _QUIET_ROWS * pace.row_seconds if pace is not None else 0.0
    return silence > max(_LEAST_QUIET_SECONDS, usual)
