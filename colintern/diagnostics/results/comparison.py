"""Two models task by task, and several in one table whose mean is over common tasks only."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import listed, printable
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.predictions import TaskQueries
from colintern.artifacts.results.task_result import TaskResult
from colintern.diagnostics.processor.query_format import (
    certainly_mixed,
    is_mteb_wrapper,
    query_eras,
)
from colintern.diagnostics.results.paired_bootstrap import (
    Interval,
    mean_interval,
    paired_interval,
    sampling_error,
    unpaired_interval,
)
from colintern.diagnostics.results.query_scores import QueryScore, query_scores
from colintern.diagnostics.results.result_table import judged_subsets
from colintern.diagnostics.results.score_validity import MAIN_SCORE_TOLERANCE

METRIC: Final = "ndcg_at_5"
"""What is compared: the guide's first metric, which every layout records."""


def mean_score(result: TaskResult, metric: str = METRIC) -> float | None:
    """Return the mean of `metric` over the subsets; None where one lacks it or it is no share."""
    scores = [subset.metrics.get(metric, math.nan) for subset in judged_subsets(result)]
    return math.fsum(scores) / len(scores) if scores and all(map(_is_share, scores)) else None


def obstacles(first: TaskResults, second: TaskResults, task: str) -> tuple[str, ...]:
    """Say why the results of `task`, which both have, are not of the same measurement.

    What one of them does not record is no reason.
    """
    one, other = first.tasks[task], second.tasks[task]
    found = [
        text
        for name, left, right in _facts(one, other)
        if left and right and left != right
        for text in [f"{name} {left} and {right}"]
    ]
    return (*found, *_metric_obstacles(one, other), *_era_obstacles(first, second, task))


def _facts(one: TaskResult, other: TaskResult) -> Iterator[tuple[str, str, str]]:
    yield "harness", one.harness, other.harness
    yield "split", _splits(one), _splits(other)
    yield "subsets", _subsets(one), _subsets(other)
    yield "dataset revision", _revision(one), _revision(other)


def _splits(result: TaskResult) -> str:
    return listed({subset.split for subset in judged_subsets(result)})


def _subsets(result: TaskResult) -> str:
    return listed({subset.subset for subset in judged_subsets(result)}, most=8)


def _revision(result: TaskResult) -> str:
    return printable(result.dataset_revision or "", limit=64)


def _metric_obstacles(one: TaskResult, other: TaskResult) -> Iterator[str]:
    left, right = _main_metrics(one), _main_metrics(other)
    if left and right and not left & right:
        yield f"main score {_likeliest(left)} and {_likeliest(right)}"
    lacking = [result.path for result in (one, other) if mean_score(result) is None]
    if lacking:
        yield f"no NDCG@5 between 0 and 1 in {printable(lacking[0])}"


def _main_metrics(result: TaskResult) -> frozenset[str]:
    """Names of the metrics that `main_score` repeats in every subset; several may be equal."""
    named = [
        frozenset(
            name
            for name, value in subset.metrics.items()
            if abs(value - subset.main_score) <= MAIN_SCORE_TOLERANCE
        )
        for subset in judged_subsets(result)
        if subset.main_score is not None
    ]
    return frozenset.intersection(*named) if named else frozenset()


def _likeliest(names: frozenset[str]) -> str:
    """Of metrics that are equal: NDCG, which every benchmark takes, at the smallest cut-off."""
    return min(names, key=lambda name: (not name.startswith("ndcg"), len(name), name))


def _era_obstacles(first: TaskResults, second: TaskResults, task: str) -> Iterator[str]:
    """MTEB's own wrappers added prefix and augmentation twice for a while (sources D02)."""
    metas = (first.model_meta, second.model_meta)
    if any(meta is None or not is_mteb_wrapper(meta) for meta in metas):
        return
    if certainly_mixed(query_eras(first, [task]) | query_eras(second, [task])):
        versions = [results.tasks[task].mteb_version or "" for results in (first, second)]
        yield f"query formats of mteb {printable(versions[0])} and {printable(versions[1])}"


def _is_share(value: float) -> bool:
    return 0 <= value <= 1


class Evaluated(Struct, frozen=True):
    """One model's results, and what it ranked where that was kept."""

    name: str
    results: TaskResults
    queries: Mapping[str, TaskQueries]
    """By task."""
    unreadable: Mapping[str, str] = {}
    """Tasks whose rankings are there and cannot be read, with the reason."""


class QueryPair(Struct, frozen=True):
    """One query that both models answered, with the NDCG@5 of each."""

    subset: str
    query: str
    first: float
    second: float

    @property
    def difference(self) -> float:
        """How much better the second model answers it."""
        return self.second - self.first


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
    pairs: tuple[QueryPair, ...] = ()
    """Every query; none where the two were not compared query by query."""
    unpaired: str = ""
    """Why they were not, for a person."""

    @property
    def wins(self) -> int | None:
        """Queries that the second model answers better; None without pairs."""
        return sum(pair.difference > 0 for pair in self.pairs) if self.pairs else None

    @property
    def losses(self) -> int | None:
        """Queries that it answers worse."""
        return sum(pair.difference < 0 for pair in self.pairs) if self.pairs else None

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `no difference` or, without an interval, `not judged`."""
        return self.interval.verdict if self.interval else "not judged"

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
        found = [str(task) for task in self.tasks if task.verdict == verdict]
        if self.mean is not None and self.mean.verdict == verdict:
            found.append(f"{mean_name(len(self.tasks))} ({interval_text(self.mean)})")
        return tuple(found)


class ScoreTable(Struct, frozen=True):
    """One metric of several models, one row a task."""

    metric: str
    names: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]
    common: tuple[str, ...]
    """Tasks that every model has, and that may be compared."""
    means: tuple[float | None, ...]
    """Over `common`."""


def interval_text(interval: Interval) -> str:
    """Show a difference with its interval."""
    return f"{interval.difference:+.4f}, {interval.low:+.4f} to {interval.high:+.4f}"


def mean_name(num_tasks: int, *, common: bool = False) -> str:
    """Name the row of a mean.

    >>> mean_name(1), mean_name(10, common=True)
    ('mean of 1 task', 'mean of 10 common tasks')
    """
    return f"mean of {num_tasks} {'common ' * common}task{'' if num_tasks == 1 else 's'}"


def reasons_of_pairing(comparison: Comparison) -> dict[str, str]:
    """Say why tasks were not compared query by query: reason to the tasks that have it."""
    found: dict[str, list[str]] = {}
    for task in comparison.tasks:
        if task.unpaired:
            found.setdefault(task.unpaired, []).append(task.task)
    return {reason: listed(tasks) for reason, tasks in found.items()}


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


def score_table(
    models: Sequence[Evaluated], comparisons: Sequence[Comparison], metric: str = METRIC
) -> ScoreTable:
    """Tabulate the models; `comparisons` are those of each further model with the first."""
    tasks = sorted({task for model in models for task in model.results.tasks})
    rows = {task: tuple(_score(model, task, metric) for model in models) for task in tasks}
    refused = {task for comparison in comparisons for task in comparison.refused}
    common = tuple(task for task in tasks if None not in rows[task] and task not in refused)
    columns = zip(*(rows[task] for task in common), strict=True) if common else ()
    means = tuple(math.fsum(filter(None, column)) / len(common) for column in columns)
    names = tuple(model.name for model in models)
    return ScoreTable(metric, names, rows, common, means or (None,) * len(models))


def _score(model: Evaluated, task: str, metric: str = METRIC) -> float | None:
    result = model.results.tasks.get(task)
    return mean_score(result, metric) if result is not None else None


def _task_difference(
    first: Evaluated, second: Evaluated, task: str, num_comparisons: int
) -> TaskDifference:
    one, other = _score(first, task) or 0.0, _score(second, task) or 0.0
    paired = _paired(first, second, task)
    if paired.reason:
        interval = _unpaired_interval(first, second, task, num_comparisons)
        basis = "sampling error" if interval else ""
        return TaskDifference(task, one, other, interval, basis, unpaired=paired.reason)
    interval = paired_interval(
        [pair.difference for pair in paired.pairs], paired.groups, num_comparisons=num_comparisons
    )
    return TaskDifference(task, one, other, interval, "queries", pairs=paired.pairs)


def _unpaired_interval(
    first: Evaluated, second: Evaluated, task: str, num_comparisons: int
) -> Interval | None:
    one, other = (sampling_error(model.results.tasks[task]) for model in (first, second))
    if one is None or other is None:
        return None
    difference = (_score(second, task) or 0.0) - (_score(first, task) or 0.0)
    return unpaired_interval(difference, one, other, num_comparisons=num_comparisons)


class _Paired(Struct, frozen=True):
    pairs: tuple[QueryPair, ...] = ()
    groups: tuple[str, ...] = ()
    reason: str = ""


def _paired(first: Evaluated, second: Evaluated, task: str) -> _Paired:
    """Pair the queries of the two models; none unless both answered the same ones."""
    left, right = first.queries.get(task), second.queries.get(task)
    scored: list[dict[tuple[str, str], QueryScore]] = []
    for model, own, other in ((first, left, right), (second, right, left)):
        found = query_scores(model.results.tasks[task], own, other.relevance if other else None)
        if found.reason:
            why = model.unreadable.get(task, found.reason)
            return _Paired(reason=f"{printable(model.name, limit=60)}: {why}")
        scored.append({(score.subset, score.query): score for score in found.scores})
    if scored[0].keys() != scored[1].keys():
        return _Paired(reason="the two did not answer the same queries")
    keys = sorted(scored[0])
    return _Paired(
        tuple(QueryPair(*key, scored[0][key].ndcg_at_5, scored[1][key].ndcg_at_5) for key in keys),
        tuple(scored[0][key].group for key in keys),
    )
