"""The loss against what a model that knows nothing would have: its chance level."""

import math
from typing import Final

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.log_table import LogTable
from colintern.diagnostics.log.loss_trajectory import LossTrajectory, chance_level
from colintern.diagnostics.log.noise import Floats, finite_part, smoothed
from colintern.facts.loss_kind import LossKind

COLD_START_RATIO: Final = 0.6
"""A run whose first rows are at this share of chance or above starts cold (sources N13)."""

COLD_START_LIMIT: Final = 1.5
"""A loss further above chance is on another scale, or the candidates are others."""

_ABOVE_CHANCE: Final = 1.2
"""A loss that starts this many times above chance may be on another scale."""

_ABOUT: Final = 0.15
"""Distance of a ratio from the number of accumulation steps (sources F05)."""

PAIRWISE_CHANCE: Final = math.log(2)
"""Loss of a pairwise or sigmoid loss without knowledge: 0.693."""

_PAIRWISE_TOLERANCE: Final = 0.015
"""Share of ln 2 within which a pairwise loss is pinned to it (sources F03: 0.01 nats)."""

_LEARNED_RATIO: Final = 0.1
"""A run that falls by this share of its start learned something, wherever it ends ..."""

COLLAPSED_RATIO: Final = 0.03
"""... unless it fell from above and ends within this share of chance: scores have collapsed."""

MAX_EVALUATION_GAP: Final = 0.25
"""Share of chance by which the two ends of a sound run may differ (our choice: the guide has no
figure, and no labelled public run comes near it)."""

MIN_CANDIDATES: Final = 2
"""Pages a query below which there is nothing to tell apart: ln(1) is 0."""

MIN_PINNED_ROWS: Final = 8
"""Rows that must agree for a loss to be pinned (sources F03: ten)."""

_UNKNOWN_TOLERANCE: Final = 0.01
"""Share of ln(batch) within which a loss of unknown kind must stay to be called chance."""


class ContrastiveLoss(Struct, frozen=True):
    """The trajectory of an in-batch contrastive loss, in shares of its chance level."""

    loss: LossTrajectory
    candidates: int
    """Pages that each query is compared with."""

    @property
    def chance(self) -> float:
        """ln(candidates), in nats."""
        return chance_level(self.candidates)

    @property
    def cold_start(self) -> bool:
        """Whether the run began near chance, and not from a trained model."""
        epoch = self.loss.first_epoch
        first = max(epoch.start if epoch else self.loss.start, self.loss.start)
        return COLD_START_RATIO * self.chance <= first <= COLD_START_LIMIT * self.chance

    @property
    def implied_accuracy(self) -> float:
        """exp(-loss): about the share of queries that find their page among the candidates."""
        return math.exp(-max(self.loss.final, 0.0))

    @property
    def share_of_chance(self) -> float:
        """The last fifth over chance: 1 has learned nothing."""
        return self.loss.end / self.chance

    def __str__(self) -> str:
        share = f"{self.loss.final / self.chance:.0%} of chance"
        found = f"about {self.implied_accuracy:.0%} of queries find their page in the batch"
        return f"loss ends at {self.loss.final:.3g}, {share} ({found})"

    def slow(self, ratio: float) -> bool:
        """Whether a cold start falls by less than `ratio` in the first epoch, or not at all.

        The first epoch must surely do so; where it has too few rows, the run as a whole tells.
        """
        epoch = self.loss.first_epoch
        first = epoch is not None and epoch.falls_less_than(ratio)
        # Of a short log the doubt is the run's: few rows hide a small fall.
        fell = self.loss.may_have_fallen(ratio) if self.loss.is_short else self.loss.fell(ratio)
        return self.cold_start and (first or not fell)


class EvaluationGap(Struct, frozen=True):
    """The ends of the training and the evaluation loss, each in shares of its own chance level."""

    training: float
    evaluation: float

    @property
    def far(self) -> bool:
        """Whether they are further apart than memorised data or other preprocessing explains."""
        return abs(self.training - self.evaluation) > MAX_EVALUATION_GAP

    def __str__(self) -> str:
        ends = f"{self.training:.0%} of chance, evaluation at {self.evaluation:.0%}"
        return f"training ends at {ends}"


class LossScale(Struct, frozen=True):
    """The logged training loss beside the evaluation loss of the same model."""

    ratio: float
    """Training loss over evaluation loss at the end."""
    accumulation: int
    """Forward passes an optimiser step."""
    starts_above_chance: bool

    @property
    def is_multiple(self) -> bool:
        """Whether the training loss is logged `accumulation` times too high."""
        close = math.isclose(self.ratio, self.accumulation, rel_tol=_ABOUT)
        return self.accumulation > 1 and self.starts_above_chance and close


def loss_scale(found: ContrastiveLoss, last_evaluation: float, accumulation: int) -> LossScale:
    """Compare the end of training with a positive `last_evaluation`."""
    above = found.loss.start > _ABOVE_CHANCE * found.chance
    return LossScale(found.loss.end / last_evaluation, accumulation, above)


class Chance(Struct, frozen=True):
    """Where a run would be if it had learned nothing, and whether it is there."""

    level: float
    """In nats."""
    name: str
    """How the level was computed, as `ln(16)`."""
    tolerance: float
    """Share of the level."""
    end: float
    """Where the loss ends."""
    stuck: bool
    """Whether the loss stays or ends there and does not fall any more."""
    so_far: bool = False
    """Whether the run goes on: `end` is where the loss is now."""

    @property
    def expected(self) -> str:
        """What a run that learns shows."""
        if self.so_far:
            return "a loss below chance by now"
        return f"a loss that leaves chance by more than {self.tolerance:.1%}"

    def __str__(self) -> str:
        state = "is still at" if self.so_far else "ends at"
        return f"loss {state} {self.end:.3g}, chance is {self.name} = {self.level:.3g}"


def contrastive_chance(loss: LossTrajectory, candidates: int, *, ratio: float) -> Chance:
    """Compare the end of a contrastive loss with ln(candidates).

    Args:
        loss: the trajectory.
        candidates: pages that each query is compared with.
        ratio: share of the chance level from which the loss has learned nothing.
    """
    level = chance_level(candidates)
    may_fall = loss.may_have_fallen(_LEARNED_RATIO) if loss.is_short else False
    fell = loss.fell(_LEARNED_RATIO) or may_fall
    nothing_learned = not fell or loss.ends_at(level, COLLAPSED_RATIO)
    stuck = loss.ends_at(level, 1 - ratio) and nothing_learned and not loss.falling_at_the_end
    return Chance(level, f"ln({candidates})", 1 - ratio, loss.end, stuck)


def pinned_chance(
    training: LogTable, kind: LossKind | None, batch_size: int | None
) -> Chance | None:
    """Tell whether a loss whose candidates nobody recorded stays at its chance level throughout.

    A pairwise loss has ln 2. An in-batch loss, or one of unknown kind, that stays at ln(batch) is
    there by no accident; anything else that it does says nothing.

    Returns None where no chance level is known or it says nothing, or fewer than `MIN_PINNED_ROWS`
    rows are finite.
    """
    values = finite_part(training.loss)
    if len(values) < MIN_PINNED_ROWS:
        return None
    kind_name = kind.kind if kind is not None else "unknown"
    if kind_name == "pairwise":
        pinned = _pinned(values, PAIRWISE_CHANCE, _PAIRWISE_TOLERANCE)
        return Chance(PAIRWISE_CHANCE, "ln(2)", _PAIRWISE_TOLERANCE, _end(values), pinned)
    if kind_name == "other" or (batch_size or 0) < MIN_CANDIDATES:
        return None
    level = chance_level(batch_size or 0)
    if not _pinned(values, level, _UNKNOWN_TOLERANCE):
        return None
    return Chance(level, f"ln({batch_size})", _UNKNOWN_TOLERANCE, _end(values), stuck=True)


def _pinned(values: Floats, level: float, tolerance: float) -> bool:
    # The first bin may still come down from the start.
    bins = smoothed(values)[1:] if len(values) >= 2 * MIN_PINNED_ROWS else values
    return bool(np.all(np.abs(bins - level) <= tolerance * level))


def _end(values: Floats) -> float:
    return float(smoothed(values)[-1])
