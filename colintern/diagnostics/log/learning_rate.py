"""The learning rate that was really used: its warm-up, peak, decay and jumps."""

import math
import re
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.noise import Floats
from colintern.diagnostics.log.rate_leaps import RateLeap, rate_leaps
from colintern.families.family import Family

MIN_SCHEDULE_ROWS: Final = 10
"""Rows with a learning rate that a schedule can be seen in."""

REACHED_RATIO: Final = 0.9
"""A warm-up is over at this share of the peak."""

DECAYED_RATIO: Final = 0.5
"""A schedule that never falls below this share of its peak has no decay."""

ZERO_RATIO: Final = 1e-3
"""A rate below this share of the peak trains nothing."""

_NO_WARMUP_RUN_RATIO: Final = 0.02
"""A short run whose peak comes later than in its first 2 % did warm up."""

PEAK_REACHED_RATIO: Final = 0.8
"""A complete run whose largest rate is below this share of the one asked for never reached it; a
row may miss the peak by a few per cent (sources F08 uses 0.95 for rows at every step)."""

MAX_ZERO_SHARE: Final = 0.05
"""Share of the run that may pass at a rate of zero (finetune-doctor's figure)."""

_MOST_NAMED: Final = 5
"""Leaps that are named one by one."""

_COMPLETE: Final = 0.95
"""Share of the planned steps after which a decay must have been seen."""


class LearningRateSchedule(Struct, frozen=True):
    """The learning rate over the run."""

    num_rows: int
    """Training rows with a learning rate."""
    peak: float
    """Largest rate logged."""
    peak_step: int
    """Step at which nine tenths of the peak were first seen."""
    last: float
    """Rate of the last row."""
    no_warmup: bool
    """The peak was there within the first steps. False where the first row comes later."""
    no_decay: bool
    """A run that is complete and whose rate never falls below half of its peak."""
    zero_share: float
    """Share of the planned steps, at the end, that a rate of zero wasted; 0 in a normal decay."""
    leaps: tuple[RateLeap, ...]
    """Places at which the rate is not what the rows before and after lead to."""
    complete: bool
    """The log reaches the end of the plan."""
    always_zero: bool
    """The rate never left zero."""

    def faults(self, asked: float | None) -> tuple[str, ...]:
        """Name what is wrong.

        Args:
            asked: the peak that was configured, or None.
        """
        if self.always_zero:
            return ("the rate is 0 in every row",)
        missed = asked is not None and self.complete and self.peak < PEAK_REACHED_RATIO * asked
        found = {
            self._leap_text: bool(self.leaps),
            self._short_warmup: self.no_warmup,
            f"no decay: the last rate is {self.last:.2g}": self.no_decay,
            f"peak {self.peak:.2g} never reached {asked or 0:.2g}": missed,
            f"the rate is 0 for the last {self.zero_share:.0%} of the run": (
                self.zero_share > MAX_ZERO_SHARE
            ),
        }
        return tuple(text for text, is_wrong in found.items() if is_wrong)

    def starves(self, asked: float | None) -> bool:
        """Whether the rate was too low, for so long, that nothing could be learned."""
        missed = asked is not None and self.complete and self.peak < PEAK_REACHED_RATIO * asked
        return self.always_zero or missed or self.zero_share > MAX_ZERO_SHARE

    @property
    def _leap_text(self) -> str:
        more = len(self.leaps) - _MOST_NAMED
        named = ", ".join(str(leap) for leap in self.leaps[:_MOST_NAMED])
        return f"{named} and {more} more" if more > 0 else named

    @property
    def _short_warmup(self) -> str:
        if self.peak_step <= 1:
            return f"no warm-up: the peak is there at step {self.peak_step:,}"
        at = f"{REACHED_RATIO:.0%} of the peak are there at step {self.peak_step:,}"
        return f"a warm-up of at most {self.peak_step:,} steps: {at}"


def learning_rate_schedule(
    log: TrainerState, *, min_warmup_steps: int, scheduler: str | None = None
) -> LearningRateSchedule | None:
    """Measure the schedule, or return None when too few rows have a rate or a step.

    Args:
        log: the trainer's state.
        min_warmup_steps: the guide's warm-up; a peak reached within a fifth of it had none.
        scheduler: `lr_scheduler_type`, where it is recorded.
    """
    chosen = np.isfinite(log.training.learning_rate) & (log.training.step >= 0)
    rates, steps = log.training.learning_rate[chosen], log.training.step[chosen]
    if len(rates) < MIN_SCHEDULE_ROWS:
        return None
    peak = float(rates.max())
    planned = max(log.max_steps or 0, int(steps[-1]), 1)
    reached = int(np.argmax(rates >= REACHED_RATIO * peak))
    complete = steps[-1] >= _COMPLETE * planned
    early = min(min_warmup_steps / 5, max(1.0, _NO_WARMUP_RUN_RATIO * planned))
    return LearningRateSchedule(
        num_rows=len(rates),
        peak=peak,
        peak_step=int(steps[reached]),
        last=float(rates[-1]),
        no_warmup=peak > 0 and bool(steps[reached] <= early),
        no_decay=peak > 0 and complete and float(rates[reached:].min()) > DECAYED_RATIO * peak,
        zero_share=_zero_share(rates, steps, peak, planned),
        leaps=rate_leaps(rates, steps, peak, restarts="restart" in (scheduler or "")),
        complete=bool(complete),
        always_zero=peak <= 0,
    )


def _zero_share(rates: Floats, steps: NDArray[np.int64], peak: float, planned: int) -> float:
    """Share of the run in its longest stretch at zero, the last row of a normal decay left out."""
    zero = rates <= ZERO_RATIO * peak
    live = np.flatnonzero(~zero)
    if peak <= 0 or not len(live):
        return 1.0
    after = np.flatnonzero(zero[live[-1] :])
    if not len(after):
        return 0.0
    first = int(live[-1]) + int(after[0])
    return float(steps[-1] - steps[first]) / planned


_BILLION: Final = 1_000_000_000
_MILLION: Final = 1_000_000
_SIZE: Final = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,2})?)([BM])(?![A-Za-z0-9])", re.IGNORECASE)


class LearningRateTarget(Struct, frozen=True):
    """An interval of peak learning rates and what it belongs to."""

    low: float
    high: float
    label: str
    """As `ColIntern3.5 of 0.9B parameters`."""

    def factor_off(self, learning_rate: float) -> float:
        """How many times too high or too low; 1 inside the interval."""
        if learning_rate <= 0:
            return math.inf
        return max(self.low / learning_rate, learning_rate / self.high, 1.0)

    def __str__(self) -> str:
        interval = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        interval = interval if self.low else f"at most {self.high:g}"
        return f"{interval} for {self.label}"


_ADAM_LIKE: Final = re.compile(r"adam|lamb|lion|rmsprop|ademamix", re.IGNORECASE)
"""Optimisers whose step is the rate itself, whatever the gradient; Prodigy's and D-Adaptation's
rate of 1.0 is a factor, SGD's and Adafactor's steps follow the gradient or the weights."""
_LARGEST: Final = 0.1
"""Such a step moves every weight of a trained model, some 0.02 large, by several times itself."""


def rate_bound(
    optimiser: str | None, first_loss: float, last_loss: float
) -> LearningRateTarget | None:
    """Return what no rate may exceed, whatever the family; None where that cannot be said.

    Args:
        optimiser: `optim` of the arguments; None where nobody recorded it.
        first_loss: at the start of the log.
        last_loss: at its end: only a run that gets worse shows that the rate is one.
    """
    is_adam_like = optimiser is None or _ADAM_LIKE.search(optimiser) is not None
    if not is_adam_like or not last_loss > first_loss:
        return None
    return LearningRateTarget(0.0, _LARGEST, "any model, by the step that Adam takes")


def learning_rates_of(family: Family, num_parameters: int | None) -> LearningRateTarget:
    """Return the family's interval for the size; of an unknown size all its intervals together."""
    rates = family.learning_rate_for(num_parameters)
    if rates is None:
        low = min(each.low for each in family.learning_rates)
        high = max(each.high for each in family.learning_rates)
        return LearningRateTarget(low, high, f"{family.name} of any size")
    depends_on_size = len(family.learning_rates) > 1 and num_parameters is not None
    label = f"{family.name} of {shown_size(num_parameters or 0)} parameters"
    return LearningRateTarget(rates.low, rates.high, label if depends_on_size else family.name)


def size_in_name(name: str) -> int | None:
    """Read the parameters from a model's name: 1,000,000,000 of `InternVL3_5-1B-HF`."""
    sizes = _SIZE.findall(name[:300])
    if not sizes:
        return None
    number, unit = sizes[-1]
    return int(float(number) * (_BILLION if unit in "bB" else _MILLION))


def shown_size(num_parameters: int) -> str:
    """Show a number of parameters, as 0.9B."""
    billions = num_parameters / _BILLION
    return f"{billions:.1f}B" if billions >= 0.1 else f"{num_parameters / _MILLION:.1f}M"  # noqa: PLR2004 - where B reads badly
