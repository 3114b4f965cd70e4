"""The evaluation loss: its minimum, its rise after that, and which checkpoint holds the best."""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.log_table import NO_STEP
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.noise import (
    MIN_BAND_RATIO,
    Floats,
    Trend,
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


class Evaluation(NamedTuple):
    """One value of `eval_loss`."""

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

    @property
    def rise(self) -> float:
        """How far the last value stands above the lowest."""
        return self.last - self.best

    @property
    def rise_ratio(self) -> float:
        """The same, as a share of the lowest."""
        return self.rise / self.best if self.best > 0 else 0.0

    @property
    def overfits(self) -> bool:
        """It rises from its minimum, beyond noise and chance, while training does not rise.

        A rise that its few evaluations leave possible by chance must be twice as high.
        """
        surely = self.trend_after_best.p_rise < BEYOND_DOUBT
        return (
            self.num_after_best >= MIN_RISING
            and self.trend_after_best.p_rise < RISING
            and self.rise > (self.band if surely else 2 * self.band)
            and self.training_falls is not False
        )

    @property
    def overfits_beyond_doubt(self) -> bool:
        """The same with wide margins, and training was seen to fall meanwhile."""
        return (
            self.overfits
            and self.trend_after_best.p_rise < BEYOND_DOUBT
            and self.rise_ratio > BEYOND_DOUBT_RISE
            and self.training_falls is True
        )

    def is_other_metric(self, best_metric: float | None) -> bool:
        """Whether the run chose its best checkpoint by something else than this loss."""
        return best_metric is not None and not math.isclose(best_metric, self.best, rel_tol=1e-3)

    def best_of(self, kept_steps: Iterable[int]) -> Evaluation | None:
        """Return the best evaluation among the checkpoints that were kept."""
        kept = frozenset(kept_steps)
        values = [evaluation for evaluation in self.by_step if evaluation.step in kept]
        return min(values, key=lambda evaluation: evaluation.value, default=None)


def evaluation_loss(log: TrainerState) -> EvaluationLoss | None:
    """Measure the evaluations, or return None for fewer than `MIN_EVALUATIONS` finite ones."""
    table = log.evaluations
    finite = np.isfinite(table.loss)
    values, steps = table.loss[finite], table.step[finite]
    if len(values) < MIN_EVALUATIONS:
        return None
    best = int(np.argmin(values))
    return EvaluationLoss(
        num_evaluations=len(values),
        best=float(values[best]),
        best_step=int(steps[best]),
        last=float(values[-1]),
        band=max(2 * _noise(values), MIN_BAND_RATIO * abs(median(values))),
        num_after_best=len(values) - best - 1,
        trend_after_best=mann_kendall(values[best:]),
        training_falls=_training_falls(log, int(table.row[finite][best])),
        by_step=tuple(
            Evaluation(step, value)
            for step, value in zip(steps.tolist(), values.tolist(), strict=True)
            if step != NO_STEP
        ),
    )


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
