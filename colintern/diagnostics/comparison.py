"""Two models task by task, and several in one table whose mean is over common tasks only."""

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from colintern.artifacts.predictions import TaskQueries
from colintern.artifacts.printable import printable
from colintern.artifacts.results_folder import TaskResults
from colintern.diagnostics.comparability import mean_score, obstacles
from colintern.diagnostics.paired_bootstrap import (
    Interval,
    mean_interval,
    paired_interval,
    unpaired_interval,
)
from colintern.diagnostics.query_scores import QueryScore, query_scores
from colintern.diagnostics.sampling_error import sampling_error


class Evaluated(Struct, frozen=True):
    """One model's results, and what it ranked where that was kept."""

    name: str
    results: TaskResults
    queries: Mapping[str, TaskQueries]
    """By task."""


class TaskDifference(Struct, frozen=True):
    """One task that both models have results of."""

    task: str
    first: float
    """NDCG@5 of the first model."""
    second: float
    interval: Interval | None
    """None where neither queries nor the task's size are known."""
    basis: str
    """What the interval rests on: `queries`, `sampling error` or nothing."""
    wins: int | None = None
    """Queries that the second model answers better; None without predictions."""
    losses: int | None = None

    def __str__(self) -> str:
        shown = f"{printable(self.task, limit=80)} {self.second:.3f} against {self.first:.3f}"
        return f"{shown} ({interval_text(self.interval)})" if self.interval else shown


class Comparison(Struct, frozen=True):
    """A second model against a first."""

    first: str
    second: str
    tasks: tuple[TaskDifference, ...]
    """Those that may be compared."""
    refused: Mapping[str, tuple[str, ...]]
    """Common tasks that may not be compared, with the reasons."""
    mean: Interval | None
    """Over `tasks`; None for fewer than two, or where one has no interval."""

    @property
    def worse(self) -> tuple[str, ...]:
        """The tasks, and the mean, that are worse beyond chance."""
        return self._of_verdict("worse")

    @property
    def better(self) -> tuple[str, ...]:
        """The tasks, and the mean, that are better beyond chance."""
        return self._of_verdict("better")

    def _of_verdict(self, verdict: str) -> tuple[str, ...]:
        found = [
            str(task) for task in self.tasks if task.interval and task.interval.verdict == verdict
        ]
        if self.mean is not None and self.mean.verdict == verdict:
            found.append(f"mean of {len(self.tasks)} tasks ({interval_text(self.mean)})")
        return tuple(found)


class ScoreTable(Struct, frozen=True):
    """NDCG@5 of several models, one row a task."""

    names: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]
    common: tuple[str, ...]
    """Tasks that every model has, and that may be compared."""
    means: tuple[float | None, ...]
    """Over `common`."""


def interval_text(interval: Interval) -> str:
    """Show a difference with its interval."""
    return f"{interval.difference:+.4f}, {interval.low:+.4f} to {interval.high:+.4f}"


def compare(first: Evaluated, second: Evaluated) -> Comparison:
    """Compare `second` with `first` on the tasks that both have."""
    common = sorted(first.results.tasks.keys() & second.results.tasks.keys())
    reasons = {task: obstacles(first.results, second.results, task) for task in common}
    kept = [task for task in common if not reasons[task]]
    num_comparisons = len(kept) + (len(kept) > 1)
    tasks = tuple(_task_difference(first, second, task, num_comparisons) for task in kept)
    intervals = [task.interval for task in tasks if task.interval is not None]
    whole = len(tasks) > 1 and len(intervals) == len(tasks)
    mean = mean_interval(intervals, num_comparisons=num_comparisons) if whole else None
    refused = {task: why for task, why in reasons.items() if why}
    return Comparison(first.name, second.name, tasks, refused, mean)


def score_table(models: Sequence[Evaluated], comparisons: Sequence[Comparison]) -> ScoreTable:
    """Tabulate the models; `comparisons` are those of each further model with the first."""
    tasks = sorted({task for model in models for task in model.results.tasks})
    rows = {task: tuple(_score(model, task) for model in models) for task in tasks}
    refused = {task for comparison in comparisons for task in comparison.refused}
    common = tuple(task for task in tasks if None not in rows[task] and task not in refused)
    columns = zip(*(rows[task] for task in common), strict=True) if common else ()
    means = tuple(math.fsum(filter(None, column)) / len(common) for column in columns)
    return ScoreTable(
        tuple(model.name for model in models), rows, common, means or (None,) * len(models)
    )


def _score(model: Evaluated, task: str) -> float | None:
    result = model.results.tasks.get(task)
    return mean_score(result) if result is not None else None


def _task_difference(
    first: Evaluated, second: Evaluated, task: str, num_comparisons: int
) -> TaskDifference:
    one, other = _score(first, task) or 0.0, _score(second, task) or 0.0
    pairs = _pairs(first, second, task)
    if pairs:
        differences = [right.ndcg_at_5 - left.ndcg_at_5 for left, right in pairs]
        return TaskDifference(
            task,
            one,
            other,
            paired_interval(
                differences, [left.group for left, _ in pairs], num_comparisons=num_comparisons
            ),
            "queries",
            wins=sum(difference > 0 for difference in differences),
            losses=sum(difference < 0 for difference in differences),
        )
    errors = tuple(sampling_error(model.results.tasks[task]) for model in (first, second))
    if errors[0] is None or errors[1] is None:
        return TaskDifference(task, one, other, None, "")
    interval = unpaired_interval(other - one, errors[0], errors[1], num_comparisons=num_comparisons)
    return TaskDifference(task, one, other, interval, "sampling error")


def _pairs(
    first: Evaluated, second: Evaluated, task: str
) -> tuple[tuple[QueryScore, QueryScore], ...]:
    """Pair the queries of the two models; none unless both answered the same ones."""
    left, right = first.queries.get(task), second.queries.get(task)
    scored = [
        query_scores(model.results.tasks[task], own, other.relevance if other else None).scores
        for model, own, other in ((first, left, right), (second, right, left))
    ]
    by_query = [{(score.subset, score.query): score for score in scores} for scores in scored]
    if by_query[0].keys() != by_query[1].keys():
        return ()
    return tuple((by_query[0][key], by_query[1][key]) for key in sorted(by_query[0]))
