"""Where the training loss starts, how it falls and where it ends, each with its own noise."""

import math
from typing import Final

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.log_table import LogTable
from colintern.diagnostics.log.noise import (
    MIN_BAND_RATIO,
    Floats,
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

MIN_ROWS: Final = 20
"""Training rows that a trajectory needs: below, five bins of four rows cannot be had."""

MIN_EPOCH_ROWS: Final = 10
"""Rows of the first epoch that its own noise can be told from."""

MIN_FINAL_ROWS: Final = 4
"""Rows that the final loss averages at least."""

DIVERGED_FALL_RATIO: Final = 1 / 3
"""A loss that gives back a third of its fall has diverged (own choice: twice what the worst healthy
run of sources M05 gives back)."""

DIVERGED_START_RATIO: Final = 0.2
"""Least rise, as a share of the start: warm starts with a change of data rise by up to 17 %."""

DIVERGED_ERRORS: Final = 4
"""Least rise in standard errors of a bin."""

GRADIENT_GROWTH: Final = 10
"""With gradients this many times those of the start, a loss that never returns to its first value
has diverged (guide: normal is 1-3; sources F10: 10 x is a spike)."""

_SIGNIFICANT: Final = 0.01
"""Probability below which a trend is one."""


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
    trend: float
    """Theil-Sen slope over the whole run: negative when the loss falls."""

    @property
    def fall(self) -> float:
        """How far the smoothed loss fell at best."""
        return max(0.0, self.start - self.minimum)

    @property
    def rise(self) -> float:
        """How far the end stands above the lowest bin."""
        return self.end - self.minimum

    @property
    def rise_limit(self) -> float:
        """The rise beyond which the loss has diverged."""
        return max(
            DIVERGED_FALL_RATIO * self.fall,
            DIVERGED_START_RATIO * abs(self.start),
            DIVERGED_ERRORS * self.bin_error,
            self.band,
        )

    def fell(self, ratio: float = 0.0) -> bool:
        """Whether the run as a whole fell by `ratio` of its start and beyond its noise."""
        return self.start - self.end > max(2 * self.bin_error, ratio * abs(self.start), 0.0)

    def flat(self) -> bool:
        """Whether the run as a whole does not fall beyond its noise, or by less than 1 %."""
        return not self.fell(MIN_BAND_RATIO)

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
        return self.never_returned and (gradient_growth or 0) >= GRADIENT_GROWTH

    def ends_at(self, level: float, ratio: float) -> bool:
        """Whether the last fifth lies within `ratio` of `level`."""
        return abs(self.end - level) <= ratio * level


def chance_level(candidates: int) -> float:
    """Return the in-batch contrastive loss of a model that knows nothing.

    >>> round(chance_level(16), 2)
    2.77
    """
    return math.log(candidates)


def loss_trajectory(training: LogTable) -> LossTrajectory | None:
    """Measure the training loss, or return None when fewer than `MIN_ROWS` rows are finite."""
    values = finite_part(training.loss)
    if len(values) < MIN_ROWS:
        return None
    bins = smoothed(values)
    noise, band = step_noise(values), noise_band(values)
    last_third = smoothed(values[-(len(values) // 3) :])
    return LossTrajectory(
        num_rows=len(values),
        first=float(values[0]),
        start=float(bins[0]),
        minimum=float(bins.min()),
        end=float(values[-(len(values) // 5) :].mean()),
        final=float(values[-max(MIN_FINAL_ROWS, len(values) // 10) :].mean()),
        noise=noise,
        band=band,
        bin_error=noise / math.sqrt(len(values) / len(bins)),
        bins=bins,
        first_epoch=_first_epoch(training),
        falling_at_the_end=_falls(values[-(len(values) // 3) :], last_third, band),
        never_returned=bool(values[1:].min() > values[0] + band),
        trend=theil_sen(bins),
    )


def _falls(rows: Floats, bins: Floats, band: float) -> bool:
    significant = mann_kendall(rows).p_fall < _SIGNIFICANT
    return significant and float(bins[0] - bins[-1]) > band


def _first_epoch(training: LogTable) -> FirstEpoch | None:
    within = np.isfinite(training.loss) & (training.epoch <= 1)
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
