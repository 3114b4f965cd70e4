"""Whether two results of one task may be compared at all: reasons why not, for a person."""

import math
from collections.abc import Iterator
from typing import Final

from colintern.artifacts.printable import listed, printable
from colintern.artifacts.results_folder import TaskResults
from colintern.artifacts.task_result import TaskResult
from colintern.diagnostics.query_format import ENGINE_WRAPPERS, certainly_mixed, query_eras
from colintern.diagnostics.result_table import judged_subsets
from colintern.diagnostics.score_validity import MAIN_SCORE_TOLERANCE

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
    """MTEB's own wrappers added prefix and augmentation twice for a while (RES008)."""
    metas = (first.model_meta, second.model_meta)
    if any(meta is None or meta.loader not in ENGINE_WRAPPERS for meta in metas):
        return
    if certainly_mixed(query_eras(first, [task]) | query_eras(second, [task])):
        versions = [results.tasks[task].mteb_version or "" for results in (first, second)]
        yield f"query formats of mteb {printable(versions[0])} and {printable(versions[1])}"


def _is_share(value: float) -> bool:
    return 0 <= value <= 1
