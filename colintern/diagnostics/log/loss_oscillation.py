"""How far the training loss swings about the steady fall that it should be."""

import math
from typing import Final

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.log_table import LogTable
from colintern.diagnostics.log.noise import (
    Floats,
    binned,
    decreasing_fit,
    finite_part,
    median,
)

MIN_OSCILLATION_ROWS: Final = 40
"""Rows below which a third of the run is too few rows to tell a swing from noise."""

MIN_SHARE: Final = 1 / 3
"""Share of the run that must lie outside the corridor (sources N13: a third of the run)."""

MIN_TURNS: Final = 4
"""Changes of side: a loss that rises once has diverged, it does not oscillate."""

SWING_ROWS: Final = 0.25
"""Half-width of the corridor for single rows, as a share of the fall or the level, whichever is
larger: a swing of half the fall. Two thirds of the rows lie within 0.17 in the worst healthy public
log (sources M06; logs of single examples have their own allowance)."""

SWING_SMOOTHED: Final = 0.2
"""The same for bins, which average at least four rows: beyond it the swing is wild. Two thirds of
the bins lie within 0.03 in healthy public logs, and within 0.13 in one labelled oscillating."""

SWING_SMOOTHED_WARNING: Final = 0.15
"""The same, where the swing is worth a warning."""

MAX_SAMPLE_CV: Final = 1.5
"""Standard deviation of one example's loss over its mean: healthy public logs of single examples
have 0.4 to 1.5 (sources M06). A row that averages n examples may scatter by this over sqrt(n)."""

_CORRIDOR_ERRORS: Final = 2
"""The corridor is at least this many standard deviations of the examples' own scatter."""

_BINS: Final = 60
_MIN_SMOOTHED_ROWS: Final = 96
_ROWS_A_BIN: Final = 4


class LossOscillation(Struct, frozen=True):
    """Swings of the loss about the best steady fall."""

    wild: bool
    """Rows or bins leave the wide corridor for a third of the run, on both sides in turn."""
    oscillates: bool
    """Bins leave the narrow corridor so."""
    swing: float
    """From the 10th to the 90th percentile about the steady fall, in units of the loss."""
    share: float
    """Share of rows (or bins, where that is more) outside the wide corridor."""
    corridor: float
    """Median half-width of the wide corridor of rows, in units of the loss."""


def loss_oscillation(training: LogTable, effective_batch: int) -> LossOscillation | None:
    """Measure the swings, or return None for fewer than `MIN_OSCILLATION_ROWS` finite rows.

    Args:
        training: the log's training rows.
        effective_batch: examples an optimiser step; 1 when unknown, which forgives the most.
    """
    values = finite_part(training.loss)
    if len(values) < MIN_OSCILLATION_ROWS:
        return None
    examples = examples_a_row(training, effective_batch)
    rows = _departure(values, examples, SWING_ROWS)
    smooth = coarse = _Departure(0.0, 0, 0.0)
    if len(values) >= _MIN_SMOOTHED_ROWS:
        bins = binned(values, min(_BINS, len(values) // _ROWS_A_BIN))
        a_bin = examples * len(values) / len(bins)
        coarse = _departure(bins, a_bin, SWING_SMOOTHED)
        smooth = _departure(bins, a_bin, SWING_SMOOTHED_WARNING)
    wild = rows.oscillates or coarse.oscillates
    residual = values - _fit(values)
    return LossOscillation(
        wild=wild,
        oscillates=wild or smooth.oscillates,
        swing=float(np.subtract(*np.percentile(residual, (90, 10)))),
        share=max(rows.share, coarse.share),
        corridor=rows.corridor,
    )


def examples_a_row(training: LogTable, effective_batch: int) -> float:
    """Return how many examples a row averages: those of a step, times the steps between rows."""
    if len(training) < 2 or not training.steps_known():  # noqa: PLR2004 - an interval has two ends
        return float(effective_batch)
    return effective_batch * max(1.0, median(np.diff(training.step)))


class _Departure(Struct, frozen=True):
    share: float
    turns: int
    corridor: float

    @property
    def oscillates(self) -> bool:
        return self.share >= MIN_SHARE and self.turns >= MIN_TURNS


def _departure(values: Floats, examples: float, swing: float) -> _Departure:
    fit = _fit(values)
    # Not from the fit's ends: a swing that begins high and ends low would widen its own corridor.
    fall = float(values[: -(-len(values) // 10)].mean() - values[-(len(values) // 5) :].mean())
    scale = max(fall, abs(median(fit)))
    scatter = MAX_SAMPLE_CV * np.abs(fit) / math.sqrt(max(examples, 1.0))
    corridor = np.maximum(swing * scale, _CORRIDOR_ERRORS * scatter)
    residual = values - fit
    outside = np.abs(residual) > corridor
    sides = np.sign(residual[outside])
    turns = int(np.count_nonzero(np.diff(sides)))
    return _Departure(float(outside.mean()), turns, median(corridor))


def _fit(values: Floats) -> Floats:
    """Fit the steady fall to bins, so that it follows no single row; one value a row."""
    bins = binned(values, _BINS)
    centres = (np.arange(len(bins)) + 0.5) * len(values) / len(bins)
    rows = np.arange(len(values)) + 0.5
    return np.asarray(np.interp(rows, centres, decreasing_fit(bins)), dtype=np.float64)
