"""How sure a difference between two models is: over the same queries, or by their sampling error.

Two models that answer the same queries are compared query by query: what makes a query hard is hard
for both and cancels. Queries are drawn with replacement (Efron and Tibshirani, "An Introduction to
the Bootstrap", 1993, chapter 13), those that say the same in several languages together. Several
differences that are looked at together share the error (Bonferroni).
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from colintern.artifacts.results.task_result import TaskResult
from colintern.diagnostics.results.benchmarks import (
    DISCOUNTS_AT_5,
    TASKS,
    Task,
    are_possible,
    rank_shares,
)
from colintern.diagnostics.results.result_table import judged_subsets


class SamplingError(Struct, frozen=True):
    """The spread of one model's NDCG@5 over the queries of a task."""

    spread: float
    """Standard deviation of NDCG@5 from query to query."""
    num_queries: int
    """Independent queries: those of one language, for a translation asks nothing new."""

    @property
    def standard_error(self) -> float:
        """Standard deviation of the task's mean."""
        return self.spread / math.sqrt(self.num_queries)


def sampling_error(result: TaskResult) -> SamplingError | None:
    """Derive it from the published figures; None for a task whose size is not known.

    With one relevant page a query, NDCG at 1, 3 and 5 and recall at 3 and 5 tell how many queries
    found their page at which rank, so the spread is exact. With several, it is at most
    sqrt(m (1 - m)) for a mean of m, as of any quantity between 0 and 1 (Bhatia and Davis, "A better
    bound on the variance", American Mathematical Monthly 107, 2000). The queries of one language
    are counted once: a model answers translations of one query alike.
    """
    task = TASKS.get(result.task_name)
    subsets = judged_subsets(result)
    if task is None or not task.num_queries or not subsets:
        return None
    spreads = [_spread(scores.metrics, task) for scores in subsets]
    known = [spread for spread in spreads if spread is not None]
    if len(known) < len(spreads):
        return None
    return SamplingError(math.fsum(known) / len(known), task.num_queries)


def _spread(metrics: Mapping[str, float], task: Task) -> float | None:
    mean = metrics.get("ndcg_at_5", math.nan)
    if not 0 <= mean <= 1:
        return None
    shares = rank_shares(metrics) if task.single_relevant else None
    if shares is None or not are_possible(shares):
        return math.sqrt(mean * (1 - mean))
    square = math.fsum(share * gain**2 for share, gain in zip(shares, DISCOUNTS_AT_5, strict=True))
    return math.sqrt(max(0.0, square - mean**2))


CONFIDENCE: Final = 0.95
"""Of all intervals of one comparison together."""
NUM_RESAMPLES: Final = 10_000
"""Leaves ten draws in each tail for 25 tasks and their mean."""
SEED: Final = 20_260_501
"""The same files give the same interval."""
_BLOCK: Final = 2_000_000
"""Numbers drawn at a time: 16 MB."""

Floats = npt.NDArray[np.float64]


class Interval(Struct, frozen=True):
    """A mean difference, second model less first, and where the true one lies."""

    difference: float
    low: float
    high: float
    standard_error: float
    num_queries: int
    """Queries, or groups of translations, that were compared; 0 without any."""
    num_differing: int
    """Of these, the ones that the two models do not answer equally well."""

    @property
    def verdict(self) -> str:
        """`better` or `worse` than the first, or `no difference`: the interval holds 0."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no difference"


def paired_interval(
    differences: Sequence[float], groups: Sequence[str], *, num_comparisons: int = 1
) -> Interval:
    """Return the bootstrap interval of the mean of `differences`.

    Args:
        differences: second less first, one a query.
        groups: queries of one group are drawn together.
        num_comparisons: intervals that hold together with `CONFIDENCE`.
    """
    sums, sizes = _clusters(np.asarray(differences, np.float64), groups)
    mean = float(sums.sum() / sizes.sum())
    num_differing = int(np.count_nonzero(sums))
    if not num_differing:
        return Interval(mean, 0.0, 0.0, 0.0, len(sums), 0)
    draws = _resampled_means(sums, sizes)
    tail = _tail(num_comparisons)
    reach = mean - np.quantile(draws, (tail, 1 - tail))
    low, high = (float(mean - each * _stretch(num_differing, tail)) for each in reach)
    low, high = _wide_enough(low, high, num_differing, num_comparisons)
    return Interval(mean, low, high, float(draws.std()), len(sums), num_differing)


def unpaired_interval(
    difference: float, first: SamplingError, second: SamplingError, *, num_comparisons: int = 1
) -> Interval:
    """Return the interval where only the figures of the tasks are known.

    It is wider than one over queries, because what both models find hard does not cancel.
    """
    error = math.hypot(first.standard_error, second.standard_error)
    if difference == 0:
        return Interval(0.0, 0.0, 0.0, error, 0, 0)
    return _normal(difference, error, num_comparisons)


def mean_interval(intervals: Sequence[Interval], *, num_comparisons: int = 1) -> Interval:
    """Return the interval of the mean over tasks, which count alike and share no query."""
    num_tasks = len(intervals)
    difference = math.fsum(interval.difference for interval in intervals) / num_tasks
    error = math.hypot(*(interval.standard_error for interval in intervals)) / num_tasks
    num_queries = sum(interval.num_queries for interval in intervals)
    num_differing = sum(interval.num_differing for interval in intervals)
    made = _normal(difference, error, num_comparisons)
    low, high = made.low, made.high
    if all(interval.num_queries for interval in intervals):
        reach = (high - difference) * _stretch(num_differing, _tail(num_comparisons))
        low, high = _wide_enough(
            difference - reach, difference + reach, num_differing, num_comparisons
        )
    return Interval(difference, low, high, error, num_queries, num_differing)


def _normal(difference: float, error: float, num_comparisons: int) -> Interval:
    reach = NormalDist().inv_cdf(1 - _tail(num_comparisons)) * error
    return Interval(difference, difference - reach, difference + reach, error, 0, 0)


def _tail(num_comparisons: int) -> float:
    return (1 - CONFIDENCE) / 2 / num_comparisons


def _stretch(num_differing: int, tail: float) -> float:
    """Widen by Student's t for the few queries that differ; the others say nothing of the spread.

    Without it the percentile interval of 300 queries, of which 20 differ, misses in 7 % of cases
    instead of 5 % (Hesterberg, "What teachers should know about the bootstrap", 2015, section 4.3;
    the quantile of t by Abramowitz and Stegun 26.7.5).
    """
    freedom = num_differing - 1
    if freedom < 1:
        return 1.0
    z = NormalDist().inv_cdf(1 - tail)
    t = (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
    return math.sqrt(num_differing / freedom) * t / z


def _wide_enough(
    low: float, high: float, num_differing: int, num_comparisons: int
) -> tuple[float, float]:
    """Let the interval reach 0 where so few queries differ that even all on one side are chance.

    `k` queries fall on one side by chance once in 2 ** (k - 1): the exact sign test.
    """
    if 2.0 ** (1 - num_differing) <= 2 * _tail(num_comparisons):
        return low, high
    return min(low, 0.0), max(high, 0.0)


def _clusters(differences: Floats, groups: Sequence[str]) -> tuple[Floats, Floats]:
    """Sum the differences of each group, and count them."""
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(index, weights=differences)
    return sums.astype(np.float64), np.bincount(index).astype(np.float64)


def _resampled_means(sums: Floats, sizes: Floats) -> Floats:
    random = np.random.default_rng(SEED)
    num_groups = len(sums)
    rows = max(1, _BLOCK // num_groups)
    blocks = []
    for start in range(0, NUM_RESAMPLES, rows):
        shape = (min(rows, NUM_RESAMPLES - start), num_groups)
        drawn = random.integers(0, num_groups, size=shape)
        blocks.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(blocks)
