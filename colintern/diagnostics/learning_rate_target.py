"""The learning rates that suit a family and a size, and how far a run is off them."""

import math
import re
from typing import Final

from msgspec import Struct

from colintern.families import Family

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
        return f"{interval} for {self.label}"


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
