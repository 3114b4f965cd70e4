"""Results as a table: every task's figures, what is complete, and the means that may be taken."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from colintern.artifacts.printable import listed
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.task_result import Harness, SubsetScores, TaskResult
from colintern.diagnostics.results.benchmarks import (
    BENCHMARK_OF,
    BENCHMARKS,
    TASKS,
    TEST_SPLIT,
    Benchmark,
)
from colintern.guide import Guide

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

METRICS: Final = ("ndcg_at_5", "ndcg_at_10", "recall_at_100")
"""The guide's primary metrics."""

Band = Literal["excellent", "good", "weak", "poor", "broken"]


class TaskRow(Struct, frozen=True):
    """One task: each figure is the mean over the subsets that are there."""

    name: str
    ndcg_at_5: float | None
    """In [0, 1] when healthy; None when a subset lacks it."""
    ndcg_at_10: float | None
    recall_at_100: float | None
    missing_subsets: tuple[str, ...]
    """Language subsets of the task that the file lacks; the figures are then of the others."""
    missing_split: str | None
    """The test split, when the file has only other ones."""
    harness: Harness
    benchmark: str | None
    """None for a task that belongs to no known benchmark."""

    @property
    def complete(self) -> bool:
        """Whether the figures are those of the whole task."""
        return not self.missing_subsets and self.missing_split is None


class BenchmarkRow(Struct, frozen=True):
    """One benchmark of which at least one task was evaluated."""

    benchmark: Benchmark
    tasks: tuple[TaskRow, ...]
    """Those that were evaluated."""
    missing: tuple[str, ...]
    """Tasks without a result."""
    means: Mapping[str, float] | None
    """Metric to mean over all tasks; None unless the set is complete and of one harness."""

    @property
    def partial_tasks(self) -> tuple[TaskRow, ...]:
        """Tasks that lack their split or a language."""
        return tuple(task for task in self.tasks if not task.complete)

    @property
    def complete(self) -> bool:
        """Whether every task is there, with its split and its languages."""
        return not self.missing and not self.partial_tasks

    @property
    def is_selection(self) -> bool:
        """Whether at most half of the tasks were evaluated, each as a whole.

        Nobody takes that for the benchmark: somebody asked for these tasks.
        """
        return not self.partial_tasks and 2 * len(self.tasks) <= len(self.benchmark.tasks)

    @property
    def lacks_closed_tasks_only(self) -> bool:
        """Whether nothing is missing but tasks whose data only MTEB's maintainers have."""
        return not self.partial_tasks and not any(TASKS[name].public for name in self.missing)

    def __str__(self) -> str:
        name, total = self.benchmark.name, len(self.benchmark.tasks)
        if self.means is not None:
            return f"{name} mean NDCG@5 {self.means['ndcg_at_5']:.3f}"
        parts = [f"{name}: {total - len(self.missing)} of {total} tasks"]
        if self.missing:
            parts.append(f"missing {listed(self.missing)}")
        parts.extend(_lack(task) for task in self.partial_tasks)
        if self.complete and len({task.harness for task in self.tasks}) > 1:
            parts.append("scored by two programs, which do not compare")
        return ", ".join(parts)


class ResultTable(Struct, frozen=True):
    """All results of one model."""

    tasks: tuple[TaskRow, ...]
    benchmarks: tuple[BenchmarkRow, ...]
    """In the order of their publication."""

    @property
    def banded_means(self) -> dict[str, float]:
        """Mean NDCG@5 of each complete benchmark to which the guide's bands apply."""
        return {
            row.benchmark.name: row.means["ndcg_at_5"]
            for row in self.benchmarks
            if row.benchmark.banded and row.means is not None
        }

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a task, with its benchmark and the primary metrics."""
        import pandas as pd  # a second of import, paid where a table is asked for

        rows = [
            {
                "task": task.name,
                "benchmark": task.benchmark,
                **{metric: getattr(task, metric) for metric in METRICS},
                "complete": task.complete,
            }
            for task in self.tasks
        ]
        return pd.DataFrame(rows, columns=["task", "benchmark", *METRICS, "complete"])


def result_table(results: TaskResults) -> ResultTable:
    """Tabulate the results; experiments and other revisions are not part of it."""
    rows = tuple(_task_row(result) for result in results.tasks.values())
    return ResultTable(
        rows,
        tuple(
            _benchmark_row(benchmark, tasks)
            for benchmark in BENCHMARKS
            if (tasks := tuple(row for row in rows if row.benchmark == benchmark.name))
        ),
    )


def judged_subsets(result: TaskResult) -> tuple[SubsetScores, ...]:
    """Return the subsets of the test split, or all of them where no split is recorded."""
    chosen = tuple(scores for scores in result.subsets if scores.split in (TEST_SPLIT, ""))
    return chosen or result.subsets


def band_of(ndcg_at_5: float, guide: Guide) -> Band:
    """Name the guide's band of a mean NDCG@5; its gap between 0.30 and 0.50 is "weak"."""
    if ndcg_at_5 >= guide.ndcg_at_5_excellent:
        return "excellent"
    if ndcg_at_5 >= guide.ndcg_at_5_good:
        return "good"
    if ndcg_at_5 >= guide.ndcg_at_5_weak:
        return "weak"
    return "poor" if ndcg_at_5 >= guide.ndcg_at_5_poor else "broken"


def _lack(task: TaskRow) -> str:
    lack = (
        f"without {listed(task.missing_subsets)}" if task.missing_subsets else "without its split"
    )
    return f"{task.name} {lack}"


def _task_row(result: TaskResult) -> TaskRow:
    subsets = judged_subsets(result)
    present = {scores.subset for scores in subsets}
    task = TASKS.get(result.task_name)
    benchmark = BENCHMARK_OF.get(result.task_name)
    splits = {scores.split for scores in subsets}
    return TaskRow(
        name=result.task_name,
        ndcg_at_5=_mean(subsets, "ndcg_at_5"),
        ndcg_at_10=_mean(subsets, "ndcg_at_10"),
        recall_at_100=_mean(subsets, "recall_at_100"),
        missing_subsets=tuple(sorted(task.subsets - present)) if task else (),
        missing_split=None if not task or splits & {TEST_SPLIT, ""} else TEST_SPLIT,
        harness=result.harness,
        benchmark=benchmark.name if benchmark else None,
    )


def _benchmark_row(benchmark: Benchmark, tasks: tuple[TaskRow, ...]) -> BenchmarkRow:
    names = {task.name for task in tasks}
    missing = tuple(task.name for task in benchmark.tasks if task.name not in names)
    whole = not missing and all(task.complete for task in tasks)
    comparable = len({task.harness for task in tasks}) == 1
    return BenchmarkRow(benchmark, tasks, missing, _means(tasks) if whole and comparable else None)


def _means(tasks: tuple[TaskRow, ...]) -> dict[str, float] | None:
    """A benchmark without a mean NDCG@5 has no mean; the other metrics may lack."""
    means = {}
    for metric in METRICS:
        values = [getattr(task, metric) for task in tasks]
        if all(value is not None and math.isfinite(value) for value in values):
            means[metric] = math.fsum(values) / len(values)
    return means if "ndcg_at_5" in means else None


def _mean(subsets: tuple[SubsetScores, ...], metric: str) -> float | None:
    values = [scores.metrics.get(metric) for scores in subsets]
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None
