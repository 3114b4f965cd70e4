"""The learning rates that the guide gives for a model's size, and how far a run is off them."""

import math
from dataclasses import dataclass
from typing import Final

BILLION: Final = 1_000_000_000

ACCEPTED: Final = (
    (0.5 * BILLION, (2e-5, 7e-5)),
    (2 * BILLION, (2e-5, 5e-5)),
    (math.inf, (1e-5, 3e-5)),
)
"""Parameters below which an interval holds, and the interval: all figures that the guide gives for
that size (it contradicts itself: 1B 5e-5, 3B+ 3e-5, <500M 7e-5; elsewhere <1B 5e-5, 1-3B 3e-5,
>3B 1e-5) and its 2e-5 for unstable runs. Design 9."""

ANY_SIZE: Final = (1e-5, 7e-5)
"""The union of the intervals: for a model whose size is not known."""


@dataclass(frozen=True, slots=True)
class LearningRateTarget:
    """An interval of learning rates and what it belongs to."""

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
        return f"{self.low:g} to {self.high:g} for {self.label}"


def learning_rate_by_size(name: str, num_parameters: int | None) -> LearningRateTarget:
    """Return the guide's interval for a ColIntern model of `num_parameters`."""
    if num_parameters is None:
        return LearningRateTarget(*ANY_SIZE, f"{name} of any size")
    low, high = next(interval for limit, interval in ACCEPTED if num_parameters < limit)
    size = num_parameters / BILLION
    shown = f"{size:.1f}B" if size >= 0.1 else f"{num_parameters / 1e6:.1f}M"  # noqa: PLR2004 - a unit
    return LearningRateTarget(low, high, f"{name} of {shown} parameters")
