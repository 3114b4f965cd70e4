"""How much a series moves by chance, and whether it moves beyond that.

Every series here is finite: callers pass the finite part of a log. Pairwise statistics are taken on
at most `MAX_PAIRWISE` binned points, so that a long log costs no more than a short one.
"""

import math
from functools import cache
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_PAIRWISE: Final = 300
"""Points of a pairwise statistic: 45,000 pairs take about a millisecond."""

MIN_BAND_RATIO: Final = 0.01
"""Least width of the noise band as a share of the level: logs are rounded, and an evaluation
repeats to about a per cent (finetune-doctor's figure; calibrated there on 89 public logs)."""

_NORMAL_MAD: Final = 1.4826
"""Standard deviation of a normal distribution, per median absolute deviation."""

_NORMAL_MEAN_DEVIATION: Final = 1.2533
"""Standard deviation of a normal distribution, per mean absolute deviation."""

_EXACT_POINTS: Final = 10
"""Up to here the distribution of Kendall's S is counted, not approximated."""

_MIN_BIN_ROWS: Final = 4
"""Rows that a bin averages at least, where the series is long enough for two such bins."""


def finite_part(values: Floats) -> Floats:
    """Return the values that are a number."""
    return values[np.isfinite(values)]


def median(values: Floats) -> float:
    """Return the median of a finite, non-empty series.

    `np.median` imports numpy.ma (40 ms) and costs ten times as much on a short series.

    >>> median(np.array([3.0, 1.0, 2.0, 10.0]))
    2.5
    """
    ordered = np.sort(values)
    middle = ordered.size // 2
    return float(ordered[middle] if ordered.size % 2 else ordered[middle - 1 : middle + 1].mean())


def step_noise(values: Floats) -> float:
    """Return the standard deviation of a row about its neighbours.

    From the median difference of consecutive rows, so a trend, a jump or a few spikes do not
    count as noise. Zero for fewer than three rows.
    """
    if len(values) < 3:  # noqa: PLR2004 - two differences are the least that can scatter
        return 0.0
    difference = np.abs(np.diff(values))
    robust = _NORMAL_MAD * median(difference)
    # A log of rounded values may repeat itself in most rows: then the mean still shows the rest.
    spread = robust or _NORMAL_MEAN_DEVIATION * float(np.mean(difference))
    return spread / math.sqrt(2)


def cautious_noise(values: Floats) -> float:
    """Return the same from the mean difference, where few rows make a median of them a gamble.

    The largest difference is left out: one jump is what the noise is to be compared with. The
    factor is that of an estimate from so few differences (two standard errors, 0.9 / sqrt(n) each).
    """
    if len(values) < 3:  # noqa: PLR2004 - as above
        return 0.0
    difference = np.sort(np.abs(np.diff(values)))[:-1]
    spread = _NORMAL_MEAN_DEVIATION * float(np.mean(difference)) / math.sqrt(2)
    return spread * (1 + 1.8 / math.sqrt(len(difference)))


def noise_band(values: Floats, noise: float | None = None) -> float:
    """Return the change below which nothing has happened: twice the noise, at least 1 %."""
    if not len(values):
        return 0.0
    deviation = step_noise(values) if noise is None else noise
    return max(2 * deviation, MIN_BAND_RATIO * abs(median(values)))


def binned(values: Floats, most: int) -> Floats:
    """Return the means of at most `most` equal stretches of the series.

    >>> binned(np.array([1.0, 3.0, 5.0, 7.0]), 2).tolist()
    [2.0, 6.0]
    """
    count = min(most, len(values))
    if count == len(values):
        return values
    starts = bin_starts(len(values), count)
    sizes = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(values, starts) / sizes


def bin_starts(length: int, count: int) -> NDArray[np.int64]:
    """Return the first index of each of `count` equal stretches of `length` rows."""
    return (np.arange(count, dtype=np.int64) * length) // count


def smoothed(values: Floats, most: int = 20) -> Floats:
    """Return bins of at least four rows, at most `most` of them."""
    return binned(values, max(1, min(most, len(values) // _MIN_BIN_ROWS)))


class Trend(Struct, frozen=True):
    """The Mann-Kendall test of a series against its order."""

    tau: float
    """Kendall's tau-b: 1 for a steady rise, -1 for a steady fall."""
    p_rise: float
    """Probability of so strong a rise in a series without order."""
    p_fall: float
    """Probability of so strong a fall."""


def mann_kendall(values: Floats) -> Trend:
    """Test a series for a monotone trend; ties count neither way.

    The probability is exact up to ten points without ties, else the normal approximation with
    ties in the variance and a continuity correction.
    """
    series = binned(values, MAX_PAIRWISE)
    count = len(series)
    if count < 2:  # noqa: PLR2004 - a pair is the least that has an order
        return Trend(0.0, 1.0, 1.0)
    upper = np.triu_indices(count, 1)
    score = int(np.sign(series[upper[1]] - series[upper[0]]).sum())
    ties = np.unique(series, return_counts=True)[1].astype(np.float64)
    pairs = count * (count - 1) / 2
    untied = pairs - float((ties * (ties - 1)).sum()) / 2
    tau = score / math.sqrt(pairs * untied) if untied > 0 else 0.0
    if count <= _EXACT_POINTS and len(ties) == count:
        return Trend(tau, _exact_tail(count, score), _exact_tail(count, -score))
    variance = count * (count - 1) * (2 * count + 5) - float(
        (ties * (ties - 1) * (2 * ties + 5)).sum()
    )
    if variance <= 0:
        return Trend(0.0, 1.0, 1.0)
    deviation = math.sqrt(variance / 18)
    return Trend(tau, _normal_tail((score - 1) / deviation), _normal_tail((-score - 1) / deviation))


def theil_sen(values: Floats) -> float:
    """Return the median slope over all pairs, in units of the series per whole series."""
    series = binned(values, MAX_PAIRWISE)
    if len(series) < 2:  # noqa: PLR2004 - as above
        return 0.0
    first, second = np.triu_indices(len(series), 1)
    slope = median((series[second] - series[first]) / (second - first))
    return float(slope) * (len(series) - 1)


def decreasing_fit(values: Floats) -> Floats:
    """Return the series that never rises and is nearest in squares (pool adjacent violators)."""
    means: list[float] = []
    sizes: list[int] = []
    for value in values.tolist():
        mean, size = value, 1
        while means and means[-1] < mean:
            before, weight = means.pop(), sizes.pop()
            mean = (mean * size + before * weight) / (size + weight)
            size += weight
        means.append(mean)
        sizes.append(size)
    return np.repeat(np.array(means, dtype=np.float64), np.array(sizes, dtype=np.int64))


def _normal_tail(z: float) -> float:
    return min(1.0, 0.5 * math.erfc(z / math.sqrt(2)))


def _exact_tail(count: int, score: int) -> float:
    """Return P(S >= score) over all orders of `count` different values."""
    counts = _inversion_counts(count)
    inversions = (count * (count - 1) // 2 - score) // 2
    return sum(counts[: inversions + 1]) / sum(counts)


@cache
def _inversion_counts(count: int) -> tuple[int, ...]:
    """Return how many orders of `count` values have 0, 1, 2 ... pairs out of order."""
    counts = [1]
    for size in range(2, count + 1):
        longer = [0] * (len(counts) + size - 1)
        for inversions, orders in enumerate(counts):
            for added in range(size):
                longer[inversions + added] += orders
        counts = longer
    return tuple(counts)
