"""Where the training loss starts, how it falls and where it ends, each with its own noise."""

import math
from typing import Final

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.log_table import LogTable
from colintern.diagnostics.log.loss_rise import (
    DIVERGED_ERRORS,
    MIN_FINAL_ROWS,
    SHORT_END,
    blew_up,
    first_row_is_of_fewer_steps,
    late_rise,
)
from colintern.diagnostics.log.noise import (
    MIN_BAND_RATIO,
    Floats,
    binned,
    cautious_noise,
    finite_part,
    mann_kendall,
    noise_band,
    smoothed,
    step_noise,
    theil_sen,
)

LATE_FALL_RATIO: Final = 1 / 3
"""A run whose loss falls by this share of its start did learn, however slow its first epoch was."""

TELLING_FALL_RATIO: Final = 0.1
"""A fall by this share of the start shows that gradients arrived, whatever norm was logged."""

LEARNED_RATIO: Final = 0.02
"""A run that ends below this share of its start has nothing left to learn: its gradients may be
next to zero."""

MIN_ROWS: Final = 5
"""Training rows that a trajectory needs: below, its end is as many rows as its start."""

WHOLE_ROWS: Final = 20
"""Rows from which bins of four rows can be had; a shorter log is judged with wider margins."""

_SHORT_BINS: Final = 5
"""Bins of a shorter log: the first and the last row alone would each be a verdict."""

SHORT_START_RATIO: Final = 0.5
"""Least rise of a shorter log, as a share of its start: warm starts of 12 rows wander from .17 to
.23 within their noise (labelled public log)."""

SHORT_ERRORS: Final = 6
"""The same in standard errors: a noise that is itself told from few rows may be half of the true
one (95 % point of Student's t with three degrees of freedom over that of the normal: 1.6)."""

MIN_EPOCH_ROWS: Final = 10
"""Rows of the first epoch that its own noise can be told from."""

DIVERGED_FALL_RATIO: Final = 1 / 3
"""A loss that gives back a third of its fall has diverged (own choice: twice what the worst healthy
run of sources M05 gives back)."""

DIVERGED_START_RATIO: Final = 0.2
"""Least rise, as a share of the start: warm starts with a change of data rise by up to 17 %."""

GRADIENT_GROWTH: Final = 10
"""With gradients this many times those of the start, a loss that never returns to its first value
has diverged (guide: normal is 1-3; sources F10: 10 x is a spike)."""

_SIGNIFICANT: Final = 0.01
"""Probability below which a trend is one."""

_LATE_RISE: Final = 2.5
"""The last tenth over the fifth before it, from which a late rise is one: half of the threefold
rise is beyond any labelled healthy run, whose worst doubles over a quarter of the run."""


class FirstEpoch(Struct, frozen=True):
    """The fall of the loss within the first epoch."""

    start: float
    """Mean of the first tenth of its rows."""
    end: float
    """Mean of the last fifth of its rows."""
    standard_error: float
    """Of the difference, from the noise of its rows."""
    num_rows: int

    @property
    def fall_ratio(self) -> float:
        """Fall as a share of the start."""
        return (self.start - self.end) / self.start if self.start > 0 else 0.0

    def falls_less_than(self, ratio: float) -> bool:
        """Whether the fall is below `ratio` of the start by more than two standard errors."""
        return self.start - self.end + 2 * self.standard_error < ratio * self.start


class LossTrajectory(Struct, frozen=True):
    """The training loss of a run, smoothed. Levels are in units of the loss (nats)."""

    num_rows: int
    """Finite training rows."""
    first: float
    """The first finite row."""
    start: float
    """Mean of the first bin: a twentieth of the rows, at least four."""
    minimum: float
    """Lowest bin."""
    end: float
    """Mean of the last fifth of the rows."""
    final: float
    """Mean of the last tenth of the rows, at least four."""
    noise: float
    """Standard deviation of a row about its neighbours."""
    band: float
    """Change below which nothing has happened."""
    bin_error: float
    """Standard error of a bin."""
    bins: Floats
    """The smoothed series, at most 20 points."""
    first_epoch: FirstEpoch | None
    """None where the first epoch has too few rows, or the log has no epochs."""
    falling_at_the_end: bool
    """The last third of the run still falls, beyond noise."""
    never_returned: bool
    """Every later row stands above the first by more than the band."""
    first_rows: float
    """Lowest of the first rows: a hundredth of them, one at least and ten at most."""
    blown_up: bool
    """The loss leaves its first rows upward, many times over, and no row comes back to them."""
    late_rise: float
    """The last tenth over the fifth of the rows before it; 1 where nothing rises."""
    trend: float
    """Theil-Sen slope over the whole run: negative when the loss falls."""

    @property
    def fall(self) -> float:
        """How far the smoothed loss fell at best."""
        return max(0.0, self.start - self.minimum)

    @property
    def is_short(self) -> bool:
        """Whether its few rows leave its noise uncertain."""
        return self.num_rows < WHOLE_ROWS

    @property
    def rise(self) -> float:
        """How far the end stands above the lowest bin."""
        return self.end - self.minimum

    @property
    def rise_limit(self) -> float:
        """The rise beyond which the loss has diverged."""
        of_start = SHORT_START_RATIO if self.is_short else DIVERGED_START_RATIO
        errors = SHORT_ERRORS if self.is_short else DIVERGED_ERRORS
        return max(
            DIVERGED_FALL_RATIO * self.fall,
            of_start * abs(self.start),
            errors * self.bin_error,
            self.band,
        )

    @property
    def ends_above_start(self) -> bool:
        """Whether the end stands above the start by as much as a divergence must rise."""
        return self.end - self.start > self.rise_limit

    def fell(self, ratio: float = 0.0) -> bool:
        """Whether the run as a whole fell by `ratio` of its start and beyond its noise."""
        return self.start - self.end > max(2 * self.bin_error, ratio * abs(self.start), 0.0)

    def may_have_fallen(self, ratio: float) -> bool:
        """Whether a fall by `ratio` of the start is within two standard errors of what is seen."""
        return self.start - self.end + 2 * self.bin_error >= ratio * abs(self.start)

    def flat(self) -> bool:
        """Whether the run as a whole does not fall beyond its noise, or by less than 1 %."""
        return not self.fell(MIN_BAND_RATIO)

    def slow(self, _ratio: float) -> bool:
        """Whether nothing was learned, of a loss whose chance level is unknown."""
        return self.flat()

    def fall_text(self, *, first_epoch: bool) -> str:
        """Tell the fall of the run, and of its first epoch where that is judged."""
        whole = f"the run goes from {self.start:.3g} to {self.end:.3g}, noise {self.noise:.2g}"
        epoch = self.first_epoch
        if not first_epoch or epoch is None:
            return whole
        fall = f"epoch 1 goes from {epoch.start:.3g} to {epoch.end:.3g} ({-epoch.fall_ratio:+.1%})"
        return f"{fall}; {whole}"

    def diverged(self, gradient_growth: float | None) -> bool:
        """Whether the loss ends high and is not on its way back.

        Args:
            gradient_growth: late gradient norm over early gradient norm, or None.
        """
        if self.rise > self.rise_limit and not self.falling_at_the_end:
            return True
        if self.blown_up or self.ends_above_start or self.late_rise >= _LATE_RISE:
            return True
        return self.never_returned and (gradient_growth or 0) >= GRADIENT_GROWTH

    def course_text(self) -> str:
        """Tell the course of the run: where it begins, its lowest and its end."""
        end = f"{self.end:.3g} at the end"
        if self.late_rise >= _LATE_RISE:
            end = f"{self.final:.3g} at the end ({self.late_rise:.1f}x within the last tenth)"
        if self.blown_up:
            return f"loss from {self.first_rows:.3g} in the first rows, never back there, to {end}"
        first = f"loss from {self.start:.3g} (first row {self.first:.3g})"
        return f"{first} to a lowest {self.minimum:.3g} to {end}"

    def ends_at(self, level: float, ratio: float) -> bool:
        """Whether the last fifth lies within `ratio` of `level`."""
        return abs(self.end - level) <= ratio * level


def chance_level(candidates: int) -> float:
    """Return the in-batch contrastive loss of a model that knows nothing.

    >>> round(chance_level(16), 2)
    2.77
    """
    return math.log(candidates)


def loss_trajectory(training: LogTable, *, least: int = MIN_ROWS) -> LossTrajectory | None:
    """Measure the training loss, or return None when fewer than `least` rows are finite."""
    values = finite_part(training.loss)
    count = len(values)
    if count < max(least, MIN_ROWS):
        return None
    short = count < WHOLE_ROWS
    bins = binned(values, _SHORT_BINS) if short else smoothed(values)
    noise = cautious_noise(values) if short else step_noise(values)
    band = noise_band(values, noise)
    last_third = values[-(count // 3) :]
    end = values[-max(SHORT_END if short else 1, count // 5) :]
    final = values[-max(SHORT_END if short else MIN_FINAL_ROWS, count // 10) :]
    falls = (values, bins) if short else (last_third, smoothed(last_third))
    begun = values[1:] if first_row_is_of_fewer_steps(training) else values
    first_rows = float(begun[: max(1, min(10, count // 100))].min())
    return LossTrajectory(
        num_rows=count,
        first=float(values[0]),
        start=float(bins[0]),
        minimum=float(bins.min()),
        end=float(end.mean()),
        final=float(final.mean()),
        noise=noise,
        band=band,
        bin_error=noise / math.sqrt(count / len(bins)),
        bins=bins,
        first_epoch=_first_epoch(training),
        falling_at_the_end=_falls(*falls, band),
        never_returned=bool(values[1:].min() > values[0] + band),
        first_rows=first_rows,
        blown_up=blew_up(begun, first_rows),
        late_rise=1.0 if short else late_rise(values, float(bins[0]), noise),
        trend=theil_sen(bins),
    )


def _falls(rows: Floats, bins: Floats, band: float) -> bool:
    significant = mann_kendall(rows).p_fall < _SIGNIFICANT
    return significant and float(bins[0] - bins[-1]) > band


def _first_epoch(training: LogTable) -> FirstEpoch | None:
    within = np.isfinite(training.loss) & (training.epoch <= 1)
    # The row of `logging_first_step` is a single batch: a tenth of the epoch may be no more.
    if len(within) and first_row_is_of_fewer_steps(training):
        within[0] = False
    values = finite_part(training.loss[within])
    if len(values) < MIN_EPOCH_ROWS:
        return None
    head, tail = max(1, len(values) // 10), max(1, len(values) // 5)
    return FirstEpoch(
        start=float(values[:head].mean()),
        end=float(values[-tail:].mean()),
        standard_error=step_noise(values) * math.sqrt(1 / head + 1 / tail),
        num_rows=len(values),
    )
