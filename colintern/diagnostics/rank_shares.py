"""At which rank the pages were found: what the figures of a task with one page a query imply."""

from collections.abc import Mapping
from typing import Final

from colintern.diagnostics.benchmarks import DISCOUNTS_AT_5

RANK_METRICS: Final = ("ndcg_at_1", "ndcg_at_3", "ndcg_at_5", "recall_at_3", "recall_at_5")
"""What the shares follow from."""
SHARE_TOLERANCE: Final = 1e-3
"""How far a share may lie outside [0, 1]: rounding to five decimals leaves 5e-4 at ranks 4 and 5,
and 2e-4 in all 354 published results; one query of 500 is 2e-3."""


def rank_shares(metrics: Mapping[str, float]) -> tuple[float, ...] | None:
    """Return the share of queries whose one page came first, second, ... fifth.

    A page at rank r adds 1 / log2(r + 1) to NDCG and 1 to recall at every cut-off from r on, so
    NDCG at 1, 3, 5 and recall at 3, 5 are five equations for five shares. None where one is absent.
    """
    if any(name not in metrics for name in RANK_METRICS):
        return None
    ndcg_1, ndcg_3, ndcg_5, recall_3, recall_5 = (metrics[name] for name in RANK_METRICS)
    second, third = _two_shares(recall_3 - ndcg_1, ndcg_3 - ndcg_1, DISCOUNTS_AT_5[1:3])
    fourth, fifth = _two_shares(recall_5 - recall_3, ndcg_5 - ndcg_3, DISCOUNTS_AT_5[3:5])
    return ndcg_1, second, third, fourth, fifth


def are_possible(shares: tuple[float, ...]) -> bool:
    """Whether every share is one; NaN is not."""
    return all(-SHARE_TOLERANCE <= share <= 1 + SHARE_TOLERANCE for share in shares)


def _two_shares(found: float, gain: float, discounts: tuple[float, ...]) -> tuple[float, float]:
    """Split the queries `found` at two neighbouring ranks so that they add `gain`."""
    earlier = (gain - discounts[1] * found) / (discounts[0] - discounts[1])
    return earlier, found - earlier
