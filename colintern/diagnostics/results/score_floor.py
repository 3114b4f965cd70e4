"""Scores below what any trained model has: of a benchmark, of a part of it, and of single tasks.

The guide's bands are for means over ViDoRe v1. A part of it is another scale: nobody has 0.70 on
DocVQA, and the weakest published late-interaction model has 0.92 on four synthetic tasks. So a part
is brought to the scale of the whole by what that model has on both. On the other benchmarks good
models are below the guide's "good", and a task counts only where it is far below every published
late-interaction model.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import listed
from colintern.artifacts.results.folder import TaskResults
from colintern.diagnostics.results.paired_bootstrap import sampling_error
from colintern.diagnostics.results.published import PublishedModel, PublishedScores
from colintern.diagnostics.results.result_table import (
    BenchmarkRow,
    ResultTable,
    TaskRow,
    band_of,
)
from colintern.guide import Guide

FLOOR_ERRORS: Final = 2.0
"""Standard errors below "good" that are more than noise, of a part of a benchmark."""
FAR_BELOW: Final = 0.5
"""Share of the lowest published score that at least half of a benchmark's tasks must be below. On
v3 the weakest late-interaction model, colSmol-256M, has 0.12 to 0.27, which the guide's bands would
call poor (sources M12)."""
LOST: Final = 0.25
"""The same for one task alone. Models that know only English, and models of one vector a page, have
0.40 to 0.45 of the lowest on single tasks, mostly French ones (sources M12)."""
MAIN_LANGUAGE: Final = "english"
"""The subset that stands for a task whose other languages were not evaluated: no model is better in
those, so it is not below the mean over all."""
_TRAINING_FAILED: Final = "broken"
_SHOWN: Final = 3


class PartMean(Struct, frozen=True):
    """The mean NDCG@5 over all tasks, or some, of a benchmark that the guide's bands are for."""

    benchmark: str
    tasks: tuple[str, ...]
    complete: bool
    """Whether these are all tasks of the benchmark, evaluated by one program."""
    ndcg_at_5: float
    error: float
    """Standard error of the mean over queries."""
    lowest: float | None
    """Lowest mean of a published late-interaction model over the same tasks; None of none."""
    lowest_of_all: float | None
    """The same over all tasks of the benchmark."""

    def is_low(self, guide: Guide) -> bool:
        """Below the guide's "good", and for a part also on the scale of the whole."""
        if self.complete or not self.lowest or not self.lowest_of_all:
            return self.ndcg_at_5 < guide.ndcg_at_5_good
        at_most = self.ndcg_at_5 + FLOOR_ERRORS * self.error
        on_the_whole = at_most * self.lowest_of_all / self.lowest
        return max(at_most, on_the_whole) < guide.ndcg_at_5_good

    def text(self, guide: Guide) -> str:
        """Name the mean, its band, and for a part what others have there."""
        band = band_of(self.ndcg_at_5, guide)
        failed = ": training failed" if band == _TRAINING_FAILED else ""
        others = "" if self.lowest is None else f", published from {self.lowest:.3f}"
        if self.complete:
            return f"{self.benchmark} mean NDCG@5 {self.ndcg_at_5:.3f}, {band}{failed}"
        if len(self.tasks) == 1:
            return f"{self.tasks[0]} NDCG@5 {self.ndcg_at_5:.3f}, {band}{failed}{others}"
        return (
            f"{listed(self.tasks)} of {self.benchmark}: mean NDCG@5 {self.ndcg_at_5:.3f}, "
            f"{band}{failed}{others}"
        )


class TaskFloor(Struct, frozen=True):
    """One task beside the lowest published late-interaction model."""

    task: str
    benchmark: str
    ndcg_at_5: float
    lowest: float

    @property
    def far_below(self) -> bool:
        """Below half of it."""
        return self.ndcg_at_5 < FAR_BELOW * self.lowest

    @property
    def lost(self) -> bool:
        """So far below it that no language or kind of model explains it."""
        return self.ndcg_at_5 < LOST * self.lowest

    def __str__(self) -> str:
        return f"{self.task} NDCG@5 {self.ndcg_at_5:.3f}, published from {self.lowest:.3f}"


class ScoreFloor(Struct, frozen=True):
    """All that can be judged of one model's level."""

    means: tuple[PartMean, ...]
    tasks: tuple[TaskFloor, ...]

    @property
    def known(self) -> bool:
        """Whether anything can be judged."""
        return bool(self.means or self.tasks)

    def faults(self, guide: Guide) -> list[str]:
        """Describe what is too low; the tasks of a low mean are not told again."""
        low = [mean for mean in self.means if mean.is_low(guide)]
        told = {task for mean in low for task in mean.tasks}
        far = [str(task) for task in self._far_below() if task.task not in told]
        shown = [*far[:_SHOWN], f"{len(far) - _SHOWN} more tasks"] if len(far) > _SHOWN else far
        return [mean.text(guide) for mean in low] + shown

    def text(self, guide: Guide) -> str:
        """Describe what is high enough."""
        means = ", ".join(mean.text(guide) for mean in self.means)
        return means or f"{len(self.tasks)} tasks, most above half of the lowest published score"

    def _far_below(self) -> Iterator[TaskFloor]:
        """Yield the tasks of benchmarks of which half are far below, and those that are lost."""
        far = Counter(task.benchmark for task in self.tasks if task.far_below)
        judged = Counter(task.benchmark for task in self.tasks)
        for task in self.tasks:
            most = 2 * far[task.benchmark] >= judged[task.benchmark]
            if task.lost or (most and task.far_below):
                yield task


def score_floor(
    table: ResultTable,
    results: TaskResults,
    scores: Mapping[str, PublishedScores],
    models: Sequence[PublishedModel],
) -> ScoreFloor:
    """Compare every benchmark and every task with the lowest published ones.

    Args:
        table: of `results`.
        results: the judged ones.
        scores: of published late-interaction models, by task.
        models: published ones, of every kind.
    """
    late = [model for model in models if model.late_interaction]
    means = (_mean(row, results, late) for row in table.benchmarks if row.benchmark.banded)
    return ScoreFloor(
        tuple(mean for mean in means if mean is not None), tuple(_floors(table.tasks, scores))
    )


def _mean(
    row: BenchmarkRow, results: TaskResults, late: Sequence[PublishedModel]
) -> PartMean | None:
    """Take the mean over the whole tasks of a benchmark; None where two programs scored them."""
    scores = {task.name: task.ndcg_at_5 for task in row.tasks if task.complete}
    known = {name: score for name, score in scores.items() if score is not None and 0 <= score <= 1}
    if not known or len({task.harness for task in row.tasks}) > 1:
        return None
    errors = [sampling_error(results.tasks[name]) for name in known]
    squares = [error.standard_error**2 for error in errors if error is not None]
    return PartMean(
        row.benchmark.name,
        tuple(known),
        complete=row.means is not None,
        ndcg_at_5=math.fsum(known.values()) / len(known),
        error=math.sqrt(math.fsum(squares)) / len(known),
        lowest=_lowest_mean(late, known.keys()),
        lowest_of_all=_lowest_mean(late, row.benchmark.task_names),
    )


def _lowest_mean(models: Sequence[PublishedModel], tasks: Collection[str]) -> float | None:
    means = [
        math.fsum(model.tasks[task].ndcg_at_5 for task in tasks) / len(tasks)
        for model in models
        if model.tasks.keys() >= set(tasks)
    ]
    return min(means, default=None)


def _floors(rows: Sequence[TaskRow], scores: Mapping[str, PublishedScores]) -> Iterator[TaskFloor]:
    for row in rows:
        score = row.ndcg_at_5
        whole = row.missing_split is None and MAIN_LANGUAGE not in row.missing_subsets
        if whole and row.name in scores and score is not None and 0 <= score <= 1:
            yield TaskFloor(row.name, row.benchmark or "", score, scores[row.name].lowest)
