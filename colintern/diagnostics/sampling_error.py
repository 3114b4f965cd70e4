"""How far a task's NDCG@5 would move if other queries of the same kind had been asked."""

import math
from collections.abc import Mapping

from msgspec import Struct

from colintern.artifacts.task_result import TaskResult
from colintern.diagnostics.benchmarks import DISCOUNTS_AT_5, TASKS, Task
from colintern.diagnostics.rank_shares import are_possible, rank_shares
from colintern.diagnostics.result_table import judged_subsets


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
