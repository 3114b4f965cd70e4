"""Gradient norms: dead, not a number, or exploding where the loss feels it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from colintern.artifacts.trainer_state import LogTable
from colintern.diagnostics.noise import MAX_MAGNITUDE, Floats, step_noise

_BLOCK_ROWS: Final = 50
"""Rows about a spike whose median it is measured against."""

_FELT_ROWS: Final = 5
"""Rows before and after a spike whose median losses are compared: a lasting rise is felt,
one hard batch is not."""

_FELT_ERRORS: Final = 4
"""Standard errors by which the loss must be higher after the spike: long logs have many spikes."""

_LOSS_SPIKE_NOISE: Final = 8
"""A row of the loss this many noise deviations above its neighbourhood is a spike."""

_MOST_SPIKES: Final = 1_000
"""Spikes looked at one by one."""


@dataclass(frozen=True, slots=True)
class GradientNorms:
    """What the `grad_norm` column says. Norms are before clipping."""

    num_rows: int
    """Training rows with a gradient norm."""
    median: float
    """Of the finite norms; NaN without any."""
    largest: float
    """Of the finite norms; NaN without any."""
    num_bad: int
    """Rows whose norm is NaN or infinite."""
    longest_zero_run: int
    """Most consecutive rows with a norm of exactly zero."""
    growth: float | None
    """Median of the second half over the median of the first twentieth (one row at least)."""
    lasting_rise: float | None
    """Median of the last fifth over the median of the first half."""
    felt_spikes: tuple[int, ...]
    """Steps (or row numbers) of spikes after which the loss stood higher."""


def gradient_norms(training: LogTable, *, spike: float) -> GradientNorms | None:
    """Measure the gradient norms, or return None when the log has none.

    Args:
        training: the log's training rows.
        spike: a norm beyond this many times the median about it is a spike.
    """
    recorded = np.flatnonzero(training.has_grad_norm)
    if not len(recorded):
        return None
    norms = training.grad_norm[recorded]
    finite = np.isfinite(norms)
    values = np.minimum(norms[finite], MAX_MAGNITUDE)
    return GradientNorms(
        num_rows=len(recorded),
        median=float(np.median(values)) if len(values) else float("nan"),
        largest=float(values.max()) if len(values) else float("nan"),
        num_bad=int((~finite).sum()),
        longest_zero_run=_longest_run(norms == 0),
        growth=_ratio(values[len(values) // 2 :], values[: max(1, len(values) // 20)]),
        lasting_rise=_ratio(values[-(len(values) // 5) :], values[: len(values) // 2]),
        felt_spikes=_felt_spikes(training, recorded[finite], values, spike),
    )


def loss_spikes(training: LogTable, *, spike: float) -> tuple[int, ...]:
    """Return the steps of single rows whose loss is `spike` times that of the rows about it.

    Such a row also stands above the start of the run and far beyond the noise, so that the
    scatter of tiny losses and of single examples is none.
    """
    rows = np.flatnonzero(np.isfinite(training.loss))
    values = np.clip(training.loss[rows], -MAX_MAGNITUDE, MAX_MAGNITUDE)
    if len(values) < _BLOCK_ROWS // 5:
        return ()
    about = _block_medians(values)
    start = float(np.median(values[: max(3, len(values) // 20)]))
    far = about + _LOSS_SPIKE_NOISE * step_noise(values)
    spikes = (about > 0) & (values > spike * about) & (values > far) & (values > start)
    return tuple(_place(training, int(row)) for row in rows[spikes][:_MOST_SPIKES])


def _longest_run(marked: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], marked, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def _ratio(late: Floats, early: Floats) -> float | None:
    if not len(late) or not len(early):
        return None
    before = float(np.median(early))
    return float(np.median(late)) / before if before > 0 else None


def _felt_spikes(
    training: LogTable, rows: NDArray[np.int64], norms: Floats, spike: float
) -> tuple[int, ...]:
    if len(norms) < 2 * _FELT_ROWS:
        return ()
    loss = np.clip(np.nan_to_num(training.loss), -MAX_MAGNITUDE, MAX_MAGNITUDE)
    limit = max(
        _FELT_ERRORS * step_noise(loss) * np.sqrt(2 / _FELT_ROWS), 0.1 * abs(float(np.median(loss)))
    )
    medians = _block_medians(norms)
    candidates = rows[(medians > 0) & (norms > spike * medians)][:_MOST_SPIKES]
    return tuple(
        _place(training, row)
        for row in candidates.tolist()
        if row >= _FELT_ROWS and row + 1 < len(loss) and _step_up(loss, row) > limit
    )


def _block_medians(values: Floats) -> Floats:
    blocks = np.array_split(values, max(1, len(values) // _BLOCK_ROWS))
    return np.concatenate([np.full(len(block), np.median(block)) for block in blocks])


def _step_up(loss: Floats, row: int) -> float:
    after, before = loss[row : row + _FELT_ROWS], loss[row - _FELT_ROWS : row]
    return float(np.median(after) - np.median(before))


def _place(training: LogTable, row: int) -> int:
    return int(training.step[row]) if training.steps_known() else row
