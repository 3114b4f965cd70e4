"""Scores that cannot be: out of range, of another metric, or against what the metrics mean."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.task_result import METRIC, SubsetScores, TaskResult
from colintern.diagnostics.results.benchmarks import (
    BENCHMARK_OF,
    RANK_METRICS,
    TASKS,
    Task,
    are_possible,
    rank_shares,
)
from colintern.diagnostics.results.result_table import judged_subsets

FALL_TOLERANCE: Final = 1e-4
"""How far recall, MAP or MRR may fall in k: published files round to five decimals."""
ROUNDING: Final = 0.5e-5
"""Largest rounding error of one published figure."""
RANGE_TOLERANCE: Final = 1e-6
"""How far outside [0, 1] a mean may lie by floating-point error."""
MAIN_SCORE_TOLERANCE: Final = 1e-5
"""Between `main_score` and the metric it repeats, both rounded to five decimals."""
MAX_PERCENT: Final = 100.0
"""Above it a score is no percentage either."""

_SHOWN: Final = 3
_RISING: Final = ("recall", "map", "mrr")
"""Metrics that cannot fall in k. nDCG can where a query has several relevant pages."""

FaultKind = Literal["range", "percent", "missing", "falling", "disagreeing"]


class ScoreFault(Struct, frozen=True):
    """One impossible figure."""

    kind: FaultKind
    task: TaskResult
    subset: str
    text: str
    """The figures, for a person."""

    def __str__(self) -> str:
        return f"{_place(self.task, self.subset)}: {self.text}"


class MainScore(Struct, frozen=True):
    """The recorded `main_score` beside the metric that it should repeat."""

    task: TaskResult
    subset: str
    metric: str
    main_score: float
    expected: float

    @property
    def agrees(self) -> bool:
        """Equal but for rounding; NaN agrees with nothing and is another rule's business."""
        return not abs(self.main_score - self.expected) > MAIN_SCORE_TOLERANCE

    def __str__(self) -> str:
        place = _place(self.task, self.subset)
        other = f", which is {self.repeats}" if self.repeats else ""
        return (
            f"{place}: main_score {self.main_score:.5g}{other}, {self.metric} {self.expected:.5g}"
        )

    @property
    def repeats(self) -> str | None:
        """The metric that `main_score` repeats instead."""
        scores = next(s for s in judged_subsets(self.task) if s.subset == self.subset)
        return next(
            (
                name
                for name, value in scores.metrics.items()
                if name.startswith("ndcg_at_")
                and abs(value - self.main_score) <= MAIN_SCORE_TOLERANCE
            ),
            None,
        )


def score_faults(results: TaskResults) -> tuple[ScoreFault, ...]:
    """Find every impossible figure of the main results."""
    return tuple(
        fault
        for task in results.tasks.values()
        for scores in task.subsets
        for fault in _faults(task, scores)
    )


def summary(faults: Sequence[ScoreFault]) -> str:
    """Show the first of the faults and count the rest; empty when there are none."""
    shown = "; ".join(str(fault) for fault in faults[:_SHOWN])
    return f"{shown} and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else shown


def main_scores(results: TaskResults) -> tuple[MainScore, ...]:
    """Pair each recorded `main_score` with its benchmark's metric; unknown tasks are left out."""
    return tuple(
        MainScore(task, scores.subset, benchmark.metric, scores.main_score, expected)
        for task in results.tasks.values()
        if (benchmark := BENCHMARK_OF.get(task.task_name)) is not None
        for scores in judged_subsets(task)
        if scores.main_score is not None
        if (expected := scores.metrics.get(benchmark.metric)) is not None
    )


def _place(task: TaskResult, subset: str) -> str:
    name = printable(task.task_name, limit=80)
    return name if subset == "default" else f"{name} ({printable(subset, limit=40)})"


def _faults(task: TaskResult, scores: SubsetScores) -> Iterator[ScoreFault]:
    def fault(kind: FaultKind, text: str) -> ScoreFault:
        return ScoreFault(kind, task, scores.subset, text)

    yield from (fault(kind, text) for kind, text in _range_faults(scores))
    if task.harness == "mteb" and scores.main_score is None:
        yield fault("missing", "no main_score")
    curves = _curves(scores.metrics)
    for metric in _RISING:
        yield from (fault("falling", text) for text in _falls(metric, curves.get(metric, {})))
    known = TASKS.get(task.task_name)
    if known is not None and known.single_relevant:
        yield from (fault("disagreeing", text) for text in _disagreements(curves, known))
        yield from (fault("disagreeing", text) for text in _impossible_ranks(scores.metrics))


def _range_faults(scores: SubsetScores) -> Iterator[tuple[FaultKind, str]]:
    main = {} if scores.main_score is None else {"main_score": scores.main_score}
    figures = {**main, **scores.metrics}
    are_percentages = _are_percentages(figures.values())
    for name, value in figures.items():
        if math.isfinite(value) and -RANGE_TOLERANCE <= value <= 1 + RANGE_TOLERANCE:
            continue
        is_percent = are_percentages and 1 < value <= MAX_PERCENT
        yield ("percent" if is_percent else "range"), f"{name} = {value:.5g}"


def _are_percentages(figures: Collection[float]) -> bool:
    """Whether most figures that are not 0 are above 1: a single one among shares is a wrong one."""
    known = [value for value in figures if math.isfinite(value) and value != 0]
    return 2 * sum(1 < value <= MAX_PERCENT for value in known) > len(known)


def _curves(metrics: Mapping[str, float]) -> dict[str, dict[int, float]]:
    """Metric to its values by k, k ascending."""
    curves: dict[str, dict[int, float]] = {}
    for name, value in metrics.items():
        if match := METRIC.fullmatch(name):
            curves.setdefault(match[1], {})[int(match[2])] = value
    return {metric: dict(sorted(curve.items())) for metric, curve in curves.items()}


def _falls(metric: str, curve: Mapping[int, float]) -> Iterator[str]:
    points = curve.items()
    for (k, value), (later_k, later) in pairwise(points):
        if later < value - FALL_TOLERANCE:
            yield f"{metric}@{later_k} {later:.5g} is below {metric}@{k} {value:.5g}"


def _disagreements(curves: Mapping[str, Mapping[int, float]], task: Task) -> Iterator[str]:
    """With one relevant page a query, k times precision@k is recall@k."""
    recall = curves.get("recall", {})
    for k, precision in curves.get("precision", {}).items():
        if k not in recall or (task.num_pages is not None and k > task.num_pages):
            continue
        if abs(k * precision - recall[k]) > k * ROUNDING + 2 * ROUNDING:
            yield f"{k} x precision@{k} is {k * precision:.5g}, recall@{k} is {recall[k]:.5g}"


def _impossible_ranks(metrics: Mapping[str, float]) -> Iterator[str]:
    """With one relevant page a query, NDCG and recall tell how many were found at which rank."""
    shares = rank_shares(metrics)
    if shares is None or not all(0 <= metrics[name] <= 1 for name in RANK_METRICS):
        return
    if not are_possible(shares):
        worst = min(range(len(shares)), key=lambda rank: min(shares[rank], 1 - shares[rank]))
        yield f"NDCG and recall at 1 to 5 put {shares[worst]:.1%} of the pages at rank {worst + 1}"
