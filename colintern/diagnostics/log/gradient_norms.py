"""Gradient norms: dead, not a number, or exploding where the loss feels it."""

import math
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts.logs.log_table import LogTable
from colintern.diagnostics.log.loss_oscillation import MAX_SAMPLE_CV
from colintern.diagnostics.log.noise import Floats, median, step_noise

_ROWS_ABOUT: Final = 10
"""Rows on each side of a spike whose median it is measured against."""

_BLOCK_ROWS: Final = 50
"""Rows of a block, for a first look."""

MIN_SPIKE_ROWS: Final = 10
"""Rows of the loss that a spike can stand out from."""

_DEAD_ROWS: Final = 3
"""Rows without a gradient that are no accident (sources F10)."""

_ROWS_BEFORE: Final = 20
"""Rows before a spike, the highest of which the loss must leave behind ..."""

_FELT_ROWS: Final = 5
"""... by the median of this many rows: a lasting rise is felt, one hard example is not."""

_FELT_RATIO: Final = 0.1
"""Least such rise, as a share of the median loss."""

_SCATTER: Final = 20
"""A row of the loss is no spike within this many standard deviations of what its examples may
scatter: losses of single examples have long tails."""

_LOSS_SPIKE_NOISE: Final = 8
"""A row of the loss this many noise deviations above its neighbourhood is a spike."""

DEAD_NORM: Final = 1e-6
"""A norm below this moves no weight that is stored in 16 or 32 bits, whatever the learning rate of
an Adam that has divided by it: what is left is the rounding of the backward pass."""

_HIGH_NORM: Final = 300.0
"""A median beyond this is no training: a hundred times the upper end of the guide's normal; the
medians of healthy public logs lie below 90, the one of 2,000 is a collapse."""

_MOST_SPIKES: Final = 1_000
"""Spikes looked at one by one."""


class GradientNorms(Struct, frozen=True):
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
    late: float = float("nan")
    """Median of the last fifth, three rows at least; NaN for fewer."""

    def __str__(self) -> str:
        bad = f"{self.num_bad} of {self.num_rows} NaN or infinite"
        zeros = f"{self.longest_zero_run} rows of zero in a row, {bad}, median {self.median:.3g}"
        return f"{zeros}, {self.late:.2g} at the end" if self.vanished else zeros

    @property
    def vanished(self) -> bool:
        """Whether the norms of the last fifth are above zero in name only."""
        return self.late < DEAD_NORM

    @property
    def high(self) -> bool:
        """Whether the norms are beyond any training from the first row to the last."""
        return self.median > _HIGH_NORM and self.late > _HIGH_NORM

    @property
    def dead(self) -> bool:
        """Zero in three rows in a row, or no number in most of three rows or more."""
        mostly_bad = self.num_rows >= _DEAD_ROWS and self.num_bad * 2 > self.num_rows
        return self.longest_zero_run >= _DEAD_ROWS or mostly_bad


class Instability(Struct, frozen=True):
    """Spikes of the gradient that the loss feels, and of the loss itself."""

    gradients: GradientNorms | None
    """None where the log has no gradient norms."""
    loss_spikes: tuple[int, ...]
    """Steps of single rows far above the rows about them."""
    spike: float
    """The factor that makes a spike."""
    early: str | None = None
    """What the first rows of a run that goes on show of gradients that explode."""

    @property
    def lasting(self) -> bool:
        """Whether the gradients stay that many times above those of the first half."""
        rise = self.gradients.lasting_rise if self.gradients else None
        return rise is not None and rise > self.spike

    @property
    def stable(self) -> bool:
        """Whether nothing was found."""
        felt = self.gradients.felt_spikes if self.gradients else ()
        high = self.gradients is not None and self.gradients.high
        return not (self.loss_spikes or felt or self.lasting or self.early or high)

    def __str__(self) -> str:
        found = [self.early] if self.early else []
        if self.gradients and self.gradients.felt_spikes:
            found.append(f"grad_norm spikes that the loss feels {_at(self.gradients.felt_spikes)}")
        if self.gradients and self.lasting:
            rise = self.gradients.lasting_rise
            found.append(f"grad_norm of the last fifth is {rise:,.0f}x that of the first half")
        if self.gradients and self.gradients.high:
            found.append(f"grad_norm stays at {self.gradients.median:,.0f}")
        if self.loss_spikes:
            found.append(f"single rows of loss beyond {self.spike:g}x {_at(self.loss_spikes)}")
        if not found and self.gradients:
            return f"median {self.gradients.median:.3g}, largest {self.gradients.largest:.3g}"
        return "; ".join(found) or "no spike of the loss; the log has no grad_norm"


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
    values = norms[finite]
    return GradientNorms(
        num_rows=len(recorded),
        median=median(values) if len(values) else float("nan"),
        largest=float(values.max()) if len(values) else float("nan"),
        num_bad=int((~finite).sum()),
        longest_zero_run=_longest_run(norms == 0),
        growth=_ratio(values[len(values) // 2 :], values[: max(1, len(values) // 20)]),
        lasting_rise=_ratio(values[-(len(values) // 5) :], values[: len(values) // 2]),
        felt_spikes=_felt_spikes(training, recorded[finite], values, spike),
        late=median(values[-max(_DEAD_ROWS, len(values) // 5) :])
        if len(values) >= _DEAD_ROWS
        else float("nan"),
    )


def loss_spikes(training: LogTable, *, spike: float, examples: float) -> tuple[int, ...]:
    """Return the steps of single rows whose loss is `spike` times that of the rows about it.

    Args:
        training: the log's training rows.
        spike: the factor.
        examples: how many a row averages at least.

    Returns:
        The steps; such a row also stands above the start of the run and far beyond the noise,
        so that the scatter of tiny losses and of single examples is none.
    """
    rows = np.flatnonzero(np.isfinite(training.loss))
    values = training.loss[rows]
    if len(values) < MIN_SPIKE_ROWS:
        return ()
    factor = max(spike, 1 + _SCATTER * MAX_SAMPLE_CV / math.sqrt(max(examples, 1.0)))
    early = max(_FELT_ROWS, len(values) // 20)
    start = median(values[:early])
    about = _medians_about(values, factor)
    far = about + _LOSS_SPIKE_NOISE * step_noise(values)
    spikes = (about > 0) & (values > factor * about) & (values > far) & (values > start)
    # A loss that starts high and falls at once has no spike there.
    spikes[:early] = False
    return tuple(_place(training, int(row)) for row in rows[spikes][:_MOST_SPIKES])


def _at(steps: tuple[int, ...]) -> str:
    more = f" and {len(steps) - 1} more" if len(steps) > 1 else ""
    return f"at step {steps[0]:,}{more}"


def _longest_run(marked: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], marked, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def _ratio(late: Floats, early: Floats) -> float | None:
    if not len(late) or not len(early):
        return None
    before = median(early)
    return median(late) / before if before > 0 else None


def _felt_spikes(
    training: LogTable, rows: NDArray[np.int64], norms: Floats, spike: float
) -> tuple[int, ...]:
    if len(norms) < 2 * _FELT_ROWS:
        return ()
    loss = np.where(np.isfinite(training.loss), training.loss, 0.0)
    limit = _FELT_RATIO * abs(median(loss))
    about = _medians_about(norms, spike)
    candidates = rows[(about > 0) & (norms > spike * about)][:_MOST_SPIKES]
    return tuple(
        _place(training, row)
        for row in candidates.tolist()
        if row >= _FELT_ROWS and row + 1 < len(loss) and _step_up(loss, row) > limit
    )


def _medians_about(values: Floats, factor: float) -> Floats:
    """Return the median of the rows about each row that may be a spike; infinity elsewhere.

    Blocks sort out the many rows that are none.
    """
    rough = _block_medians(values)
    about = np.full(len(values), np.inf)
    for row in np.flatnonzero(values > factor / 2 * rough)[:_MOST_SPIKES].tolist():
        about[row] = median(values[max(0, row - _ROWS_ABOUT) : row + _ROWS_ABOUT + 1])
    return about


def _block_medians(values: Floats) -> Floats:
    """Return for each row the median of the block of rows that it is in."""
    num_blocks = max(1, len(values) // _BLOCK_ROWS)
    size, num_larger = divmod(len(values), num_blocks)
    ends = num_larger * (size + 1), len(values)
    parts = (values[: ends[0]].reshape(-1, size + 1), values[ends[0] :].reshape(-1, size))
    return np.concatenate([_row_medians(part).repeat(part.shape[1]) for part in parts])


def _row_medians(rows: Floats) -> Floats:
    ordered = np.sort(rows, axis=1)
    middle = rows.shape[1] // 2
    first = middle if rows.shape[1] % 2 else middle - 1
    return np.asarray(ordered[:, first : middle + 1].mean(axis=1), dtype=np.float64)


def _step_up(loss: Floats, row: int) -> float:
    """How far the rows from a spike on stand above the highest of the rows before it."""
    after, before = loss[row : row + _FELT_ROWS], loss[max(0, row - _ROWS_BEFORE) : row]
    return float(median(after) - before.max())


def _place(training: LogTable, row: int) -> int:
    return int(training.step[row]) if training.steps_known() else row
