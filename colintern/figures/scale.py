"""From values to places in an image: linear and logarithmic scales with round ticks."""

import math
from typing import Final

import numpy as np
from msgspec import Struct

from colintern.diagnostics.log.noise import Floats

_ROUND: Final = (1.0, 2.0, 5.0, 10.0)


class Scale(Struct, frozen=True):
    """Maps the values from `low` to `high` onto the places from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return the place of `value`; one outside the scale is put at its edge."""
        return float(self.places(np.array([value]))[0])

    def places(self, values: Floats) -> Floats:
        """Return the places of many values."""
        inside = np.clip(values, self.low, self.high)
        if self.log:
            share = np.log(inside / self.low) / math.log(self.high / self.low)
        else:
            share = (inside - self.low) / (self.high - self.low)
        places: Floats = self.start + share * (self.end - self.start)
        return places

    def ticks(self, most: int = 5) -> list[float]:
        """Return round values inside the scale, about `most` of them."""
        return self._decades(most) if self.log else self._steps(most)

    def _steps(self, most: int) -> list[float]:
        rough = (self.high - self.low) / most
        unit = 10.0 ** math.floor(math.log10(rough))
        step = unit * next(factor for factor in _ROUND if factor * unit >= rough * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]

    def _decades(self, most: int) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        factors = _ROUND[:3] if last - first <= most // 2 else _ROUND[:1]
        every = max(1, math.ceil((last - first) / most))
        values = [
            factor * 10.0**power for power in range(first, last + 1, every) for factor in factors
        ]
        return [value for value in values if self.low <= value <= self.high]


def value_scale(low: float, high: float, start: float, end: float, *, log: bool = False) -> Scale:
    """Make a scale from `low` to a little above `high`, whatever they are."""
    if log:
        bottom = max(low, 1e-12)
        return Scale(bottom / 1.2, max(high, bottom * 1.5) * 1.2, start, end, log=True)
    top = high if high > low else low + 1.0
    return Scale(low, top + 0.05 * (top - low), start, end)


def shown(value: float) -> str:
    """Show a value as an axis does.

    >>> [shown(value) for value in (0.0, 0.25, 1500.0, 2e-5, 3e6)]
    ['0', '0.25', '1,500', '2e-5', '3e6']
    """
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e6:  # noqa: PLR2004 - beyond these, zeros are hard to count
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"  # noqa: PLR2004 - as above
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
