"""How good a score is: beside chance, beside the guide's target and beside published models."""

import math
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from colintern.diagnostics.results.benchmarks import TASKS, Task
from colintern.diagnostics.results.published import PublishedScores
from colintern.diagnostics.results.result_table import ResultTable

RANDOM_FACTOR: Final = 3.0
"""A score below this multiple of chance may be chance (sources I18)."""
RANDOM_ERRORS: Final = 3.0
"""It is chance when it is also within this many standard errors of it: TabFQuAD has 70 pages, so
three times chance is 0.13 there, 8 standard errors above it and no accident."""
TARGET_ERRORS: Final = 2.0
"""Standard errors below the lowest published score that are more than noise."""
USELESS_NDCG_AT_5: Final = 0.01
"""Where chance is not known exactly (sources I18)."""


class ChanceLevel(Struct, frozen=True):
    """A task's NDCG@5 beside that of a random ranking."""

    task: str
    ndcg_at_5: float
    limit: float
    """Below it the score is not told from chance."""
    chance: float | None
    """Expected of a random ranking; None where the corpus is not known."""

    @property
    def at_chance(self) -> bool:
        """Whether a random ranking would do as well."""
        return self.ndcg_at_5 < self.limit

    def __str__(self) -> str:
        chance = "" if self.chance is None else f" (a random ranking: {self.chance:.4f})"
        return f"{self.task} {self.ndcg_at_5:.4f}{chance}"


class TargetLevel(Struct, frozen=True):
    """A task's NDCG@5 beside the guide's target and published late-interaction models."""

    task: str
    ndcg_at_5: float
    target: tuple[float, float]
    """The guide's interval."""
    published: PublishedScores | None
    """Of late-interaction models; None for a task that too few published."""
    error: float
    """Standard error of the score over the queries of the task, at most."""

    @property
    def below_target(self) -> bool:
        """Under the guide's interval."""
        return self.ndcg_at_5 < self.target[0]

    @property
    def below_both(self) -> bool:
        """Under the guide's interval and, beyond noise, under every published model."""
        return (
            self.below_target
            and self.published is not None
            and self.ndcg_at_5 < self.published.lowest - TARGET_ERRORS * self.error
        )

    def __str__(self) -> str:
        low, high = self.target
        published = (
            ""
            if self.published is None
            else f", published from {self.published.lowest:.3f}, median {self.published.median:.3f}"
        )
        return f"{self.task} {self.ndcg_at_5:.3f} (guide {low:.2f}-{high:.2f}{published})"


def chance_levels(table: ResultTable) -> tuple[ChanceLevel, ...]:
    """Compare every task that the benchmarks know with a random ranking."""
    return tuple(
        ChanceLevel(row.name, row.ndcg_at_5, _limit(task), task.random_ndcg_at_5)
        for row in table.tasks
        if (task := TASKS.get(row.name)) is not None and row.ndcg_at_5 is not None
    )


def target_levels(
    table: ResultTable,
    targets: Mapping[str, tuple[float, float]],
    published: Mapping[str, PublishedScores],
) -> tuple[TargetLevel, ...]:
    """Compare the complete tasks that have a target with it."""
    return tuple(
        TargetLevel(
            row.name,
            row.ndcg_at_5,
            targets[row.name],
            published.get(row.name),
            _largest_error(row.name, row.ndcg_at_5),
        )
        for row in table.tasks
        if row.name in targets and row.complete and row.ndcg_at_5 is not None
    )


def _limit(task: Task) -> float:
    chance, error = task.random_ndcg_at_5, task.random_ndcg_at_5_error
    if chance is None or error is None:
        return USELESS_NDCG_AT_5
    limit = min(RANDOM_FACTOR * chance, chance + RANDOM_ERRORS * error)
    return limit if task.single_relevant else min(limit, USELESS_NDCG_AT_5)


def _largest_error(name: str, score: float) -> float:
    """Bound the standard error by that of a score that is 0 or 1 for each query."""
    task = TASKS.get(name)
    num_queries = (task.num_queries if task else None) or 1
    return math.sqrt(max(0.0, score * (1 - score)) / num_queries)
