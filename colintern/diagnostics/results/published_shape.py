"""The shape that published models share: which tasks are hard, whatever the model's level."""

import statistics
from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from colintern.diagnostics.results.benchmarks import BENCHMARKS, Benchmark
from colintern.diagnostics.results.published import PublishedScores
from colintern.diagnostics.results.result_table import ResultTable

MIN_TASKS: Final = 4
"""Tasks of a benchmark from which a level is taken: all of v2, so that one of them may be wrong."""
MIN_DEPTH: Final = 0.25
"""How far below the shape a task must lie (sources N13)."""
MAX_DEVIATIONS: Final = 4.0
"""The same in median absolute deviations of the task's offset."""
DEEPEST_FACTOR: Final = 2.0
"""The same in the largest published drop: small models that know only English lie 0.22 below on
TabFQuAD and 0.17 on ShiftProject, which are French (embeddings-benchmark/results @ f4cc6c8b)."""
LOWEST_LEVEL: Final = -0.25
"""Level below which there is no shape to compare: a poor model loses most on the hard tasks."""


class TaskOffset(Struct, frozen=True):
    """One task beside the shape."""

    task: str
    ndcg_at_5: float
    expected: float
    """What a published late-interaction model of the same level scores."""
    limit: float
    """How far below that is no longer usual."""

    @property
    def out_of_shape(self) -> bool:
        """Further below than published models are."""
        return self.expected - self.ndcg_at_5 > self.limit

    def __str__(self) -> str:
        return f"{self.task} {self.ndcg_at_5:.3f} where {self.expected:.2f} is usual"


def task_offsets(
    table: ResultTable, published: Mapping[str, PublishedScores]
) -> tuple[TaskOffset, ...]:
    """Compare the complete tasks of each benchmark with its shape.

    Benchmarks with too few tasks, or far below the level of published models, are left out.
    """
    scores = {
        row.name: row.ndcg_at_5
        for row in table.tasks
        if row.complete and row.ndcg_at_5 is not None and row.name in published
    }
    return tuple(
        offset for benchmark in BENCHMARKS for offset in _offsets(benchmark, scores, published)
    )


def level(scores: Mapping[str, float], medians: Mapping[str, float]) -> float:
    """Return how far above the published medians a model is: the median over tasks."""
    return statistics.median(scores[task] - medians[task] for task in scores)


def _offsets(
    benchmark: Benchmark, scores: Mapping[str, float], published: Mapping[str, PublishedScores]
) -> Iterator[TaskOffset]:
    own = {task: scores[task] for task in sorted(benchmark.task_names & scores.keys())}
    if len(own) < MIN_TASKS:
        return
    above = level(own, {task: published[task].median for task in own})
    if above < LOWEST_LEVEL:
        return
    for task, score in own.items():
        usual = published[task]
        yield TaskOffset(
            task,
            score,
            expected=usual.median + above + (usual.offset or 0.0),
            limit=max(
                MIN_DEPTH,
                MAX_DEVIATIONS * (usual.offset_deviation or 0.0),
                DEEPEST_FACTOR * (usual.deepest or 0.0),
            ),
        )
