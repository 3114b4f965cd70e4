"""The evaluation loss: its minimum, its rise after that, and which checkpoint holds the best."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.log_table import NO_STEP, Integers
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.noise import (
    MIN_BAND_RATIO,
    Floats,
    Trend,
    cautious_noise,
    finite_part,
    mann_kendall,
    median,
    smoothed,
    step_noise,
)

MIN_EVALUATIONS: Final = 3
"""Evaluations below which nothing can be said about a trend."""

MIN_RISING: Final = 3
"""Evaluations after the minimum that a rise needs (sources N13)."""

RISING: Final = 0.05
"""Probability of the rise by chance, below which it is one: the exact one for a minimum and three
evaluations that rise in order is 1/24."""

BEYOND_DOUBT: Final = 0.01
"""The same, for an error."""

BEYOND_DOUBT_RISE: Final = 0.10
"""Rise above the minimum, as a share of it, for an error: half of it (5 %) is what a person calls
overfitting in the labelled logs of public runs."""


_GAP_NOISE: Final = 3
"""Standard deviations between the best evaluation and the lowest after it."""

_LEAP_BEYOND_DOUBT: Final = 0.25
"""Gap above the minimum, as a share of it, for an error of a loss that never comes back."""


class Evaluation(NamedTuple):
    """One value of `eval_loss`, or of another series."""

    step: int
    value: float


class EvaluationLoss(Struct, frozen=True):
    """The series of `eval_loss`."""

    num_evaluations: int
    """Finite ones."""
    best: float
    """Lowest value."""
    best_step: int
    """Step of the lowest value."""
    last: float
    """Last value."""
    band: float
    """Change below which nothing has happened: twice the noise about the shape, at least 1 %."""
    num_after_best: int
    """Evaluations after the lowest."""
    trend_after_best: Trend
    """Mann-Kendall from the lowest on."""
    training_falls: bool | None
    """The training loss falls over the same stretch; None where it has too few rows there."""
    by_step: tuple[Evaluation, ...]
    """Each evaluation whose step is known."""
    gap_after_best: float = 0.0
    """How far the lowest evaluation after the best stands above it."""
    noise_after_best: float = 0.0
    """Noise of the evaluations after the best."""

    @property
    def rise(self) -> float:
        """How far the last value stands above the lowest."""
        return self.last - self.best

    @property
    def rise_ratio(self) -> float:
        """The same, as a share of the lowest."""
        return self.rise / abs(self.best) if self.best else 0.0

    def stays_above(self, ratio: float, least: int) -> bool:
        """Whether `least` evaluations or more follow the best, and all stand `ratio` above it.

        A rise at once that never comes back has no trend: it may even fall a little again.
        """
        beyond = max(ratio * abs(self.best), _GAP_NOISE * self.noise_after_best)
        return self.num_after_best >= least and self.gap_after_best > beyond

    @property
    def leapt(self) -> bool:
        """Whether the loss left its minimum for good, and training does not rise with it."""
        stays = self.stays_above(BEYOND_DOUBT_RISE, MIN_RISING)
        return stays and self.training_falls is not False

    @property
    def overfits(self) -> bool:
        """It rises from its minimum, beyond noise and chance, while training does not rise.

        A rise that its few evaluations leave possible by chance must be twice as high.
        """
        surely = self.trend_after_best.p_rise < BEYOND_DOUBT
        return self.leapt or (
            self.num_after_best >= MIN_RISING
            and self.trend_after_best.p_rise < RISING
            and self.rise > (self.band if surely else 2 * self.band)
            and self.training_falls is not False
        )

    @property
    def overfits_beyond_doubt(self) -> bool:
        """The same with wide margins, and training was seen to fall meanwhile."""
        is_high = self.leapt and self.stays_above(_LEAP_BEYOND_DOUBT, MIN_RISING)
        surely = self.trend_after_best.p_rise < BEYOND_DOUBT or is_high
        return (
            self.overfits
            and surely
            and self.rise_ratio > BEYOND_DOUBT_RISE
            and self.training_falls is True
        )

    def best_of(self, kept_steps: Iterable[int]) -> Evaluation | None:
        """Return the best evaluation among the checkpoints that were kept.

        A checkpoint after the last evaluation counts as that one: nothing is known to have become
        worse since, and the Trainer saves at the end whether it evaluates there or not.
        """
        last = max(self.by_step, key=lambda evaluation: evaluation.step, default=None)
        if last is None:
            return None
        kept = frozenset(min(step, last.step) for step in kept_steps)
        values = [evaluation for evaluation in self.by_step if evaluation.step in kept]
        return min(values, key=lambda evaluation: evaluation.value, default=None)


def evaluation_loss(log: TrainerState) -> EvaluationLoss | None:
    """Measure the evaluations, or return None for fewer than `MIN_EVALUATIONS` finite ones."""
    table = log.evaluations
    finite = np.isfinite(table.loss)
    return evaluation_series(
        log, table.loss[finite], step=table.step[finite], row=table.row[finite]
    )


def evaluation_series(
    log: TrainerState, values: Floats, *, step: Integers, row: Integers
) -> EvaluationLoss | None:
    """Measure a series of evaluations that gets better as it falls.

    Args:
        log: the whole log.
        values: finite.
        step: their optimiser steps, or `NO_STEP`.
        row: their rows of the log.
    """
    if len(values) < MIN_EVALUATIONS:
        return None
    best = int(np.argmin(values))
    after = values[best + 1 :]
    return EvaluationLoss(
        num_evaluations=len(values),
        best=float(values[best]),
        best_step=int(step[best]),
        last=float(values[-1]),
        band=max(2 * _noise(values), MIN_BAND_RATIO * abs(median(values))),
        num_after_best=len(after),
        trend_after_best=mann_kendall(values[best:]),
        training_falls=_training_falls(log, int(row[best])),
        by_step=tuple(
            Evaluation(step, value)
            for step, value in zip(step.tolist(), values.tolist(), strict=True)
            if step != NO_STEP
        ),
        gap_after_best=float(after.min() - values[best]) if len(after) else 0.0,
        noise_after_best=_noise_after(after),
    )


def _noise_after(values: Floats) -> float:
    """Noise of the evaluations after the best one: what of their gap to it may be chance."""
    if len(values) == 2:  # noqa: PLR2004 - one difference is all there is
        return float(abs(values[1] - values[0]))
    return cautious_noise(values)


def _noise(values: Floats) -> float:
    """Noise of evaluations about their shape: from second differences, which no slope enters."""
    if len(values) < 4:  # noqa: PLR2004 - two second differences
        return 0.0
    second = values[2:] - 2 * values[1:-1] + values[:-2]
    return step_noise(np.cumsum(second)) * 2**0.5 / 6**0.5


def _training_falls(log: TrainerState, since_row: int) -> bool | None:
    """Compare the first and last third of the training rows after the best evaluation."""
    values = finite_part(log.training.loss[log.training.row > since_row])
    if len(values) < MIN_RISING:
        return None
    bins = smoothed(values) if len(values) >= 12 else values  # noqa: PLR2004 - three bins of four
    third = max(1, len(bins) // 3)
    return bool(bins[-third:].mean() < bins[:third].mean())
