"""Figures that are somebody else's: a published model's, or another task's of the same run."""

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import listed
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.task_result import SubsetScores, TaskResult
from colintern.diagnostics.results.benchmarks import TASKS
from colintern.diagnostics.results.published import PublishedModel
from colintern.diagnostics.results.result_table import ResultTable, TaskRow

MIN_TASKS: Final = 3
"""Equal tasks from which figures are a copy. Of 2,080 pairs of published models six share two, all
of them synthetic tasks of 100 queries near 1, and none shares three (sources M12)."""
MIN_MISSES: Final = 10
"""Queries that a task must not have answered at once before its figures tell models apart: two
models that miss 3 of 100 have the same figures in one case of ten."""
FIGURE_TOLERANCE: Final = 0.6e-5
"""Of two figures that are both rounded to five decimals."""

_FIGURES: Final = ("ndcg_at_5", "ndcg_at_10", "recall_at_100")
_MIN_EQUAL: Final = 20
"""Figures of a subset that two tasks must share: all 42 in published files, 35 in older ones."""


class Copy(Struct, frozen=True):
    """Tasks whose figures are those of a published model."""

    model: PublishedModel
    tasks: tuple[str, ...]

    def __str__(self) -> str:
        return f"figures of {self.model.name} in {listed(self.tasks)}"


def copied_models(table: ResultTable, models: Sequence[PublishedModel]) -> tuple[Copy, ...]:
    """Find the published models that share at least `MIN_TASKS` telling tasks with the results."""
    rows = [row for row in table.tasks if row.complete and _tells(row)]
    found = [
        Copy(model, tuple(row.name for row in rows if _is_equal(row, model))) for model in models
    ]
    return tuple(copy for copy in found if len(copy.tasks) >= MIN_TASKS)


def equal_tasks(results: TaskResults) -> tuple[tuple[str, str], ...]:
    """Find pairs of tasks with the same figures; a task and its `.v2` share pages and queries."""
    return tuple(
        (one, other)
        for one, other in combinations(sorted(results.tasks), 2)
        if one.removesuffix(".v2") != other.removesuffix(".v2")
        and any(_equal_subsets(results.tasks[one], results.tasks[other]))
    )


def _tells(row: TaskRow) -> bool:
    task = TASKS.get(row.name)
    if task is None or not task.num_queries or row.ndcg_at_5 is None or not row.ndcg_at_5 > 0:
        return False
    return (1 - row.ndcg_at_5) * task.num_queries * len(task.subsets) >= MIN_MISSES


def _is_equal(row: TaskRow, model: PublishedModel) -> bool:
    published = model.tasks.get(row.name)
    if published is None:
        return False
    pairs = ((getattr(row, name), getattr(published, name)) for name in _FIGURES)
    return all(
        own is None or other is None or abs(own - other) <= FIGURE_TOLERANCE for own, other in pairs
    )


def _equal_subsets(one: TaskResult, other: TaskResult) -> Iterator[bool]:
    others = {scores.subset: scores for scores in other.subsets}
    for scores in one.subsets:
        twin = others.get(scores.subset)
        if twin is not None and _misses(scores, (one, other)):
            names = scores.metrics.keys() & twin.metrics.keys()
            yield len(names) >= _MIN_EQUAL and all(
                scores.metrics[name] == twin.metrics[name] for name in names
            )


def _misses(scores: SubsetScores, tasks: Collection[TaskResult]) -> bool:
    """Whether so many queries do not have their page first that equal figures are no accident."""
    first = scores.metrics.get("precision_at_1", scores.metrics.get("ndcg_at_1", 1.0))
    known = [TASKS[result.task_name].num_queries for result in tasks if result.task_name in TASKS]
    counts = [count for count in known if count]
    return 0 < first < 1 and bool(counts) and (1 - first) * min(counts) >= MIN_MISSES
