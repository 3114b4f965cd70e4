"""NDCG@5 of every query of a task, from its ranking and the pages that answer it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from colintern.artifacts.results.predictions import TaskQueries
from colintern.artifacts.results.task_result import TaskResult
from colintern.diagnostics.results.benchmarks import DISCOUNTS_AT_5
from colintern.diagnostics.results.result_table import judged_subsets

CUT_OFF: Final = 5
AGREEMENT: Final = 1e-4
"""How far the mean of the queries may lie from the published figure, which is rounded to five
decimals: further away the rankings are of another evaluation."""

Relevance = Mapping[tuple[str, str], Mapping[str, Mapping[str, float]]]


class QueryScore(Struct, frozen=True):
    """One query of one language subset."""

    subset: str
    query: str
    group: str
    """Queries of one group say the same in several languages, and are no independent samples."""
    ndcg_at_5: float


class QueryScores(Struct, frozen=True):
    """All queries of a task, or why they cannot be used."""

    scores: tuple[QueryScore, ...] = ()
    reason: str = ""
    """Why there are none, for a person; empty when there are some."""


def query_scores(
    result: TaskResult, queries: TaskQueries | None, relevance: Relevance | None = None
) -> QueryScores:
    """Score every query as trec_eval does.

    Args:
        result: what was published of the task.
        queries: its rankings.
        relevance: the answers, where another model's evaluation of the same data has them.
    """
    if queries is None:
        return QueryScores(reason="no predictions")
    answers = queries.relevance or relevance
    if answers is None:
        return QueryScores(reason="predictions without a relevance file")
    scores: list[QueryScore] = []
    for subset in judged_subsets(result):
        key = (subset.subset, subset.split)
        found = tuple(_scored(subset.subset, queries.rankings.get(key, {}), answers.get(key, {})))
        published = subset.metrics.get("ndcg_at_5")
        mean = math.fsum(score.ndcg_at_5 for score in found) / len(found) if found else math.nan
        if published is None or not abs(mean - published) <= AGREEMENT:
            return QueryScores(reason="predictions of another evaluation")
        scores.extend(found)
    return QueryScores(tuple(scores))


def ndcg_at_5(ranking: Sequence[str], grades: Mapping[str, float]) -> float:
    """Return NDCG@5 of one ranking.

    >>> ndcg_at_5(["a", "b"], {"b": 1})
    0.6309297535714575
    """
    gained = _discounted([max(0.0, grades.get(page, 0.0)) for page in ranking[:CUT_OFF]])
    best = _discounted(sorted((grade for grade in grades.values() if grade > 0), reverse=True))
    return gained / best if best else 0.0


def _discounted(grades: Sequence[float]) -> float:
    return math.fsum(
        grade * discount for grade, discount in zip(grades, DISCOUNTS_AT_5, strict=False)
    )


def _scored(
    subset: str,
    rankings: Mapping[str, tuple[str, ...]],
    answers: Mapping[str, Mapping[str, float]],
) -> Iterator[QueryScore]:
    """Leave out queries without an entry among the answers, as trec_eval does."""
    for query, ranking in sorted(rankings.items()):
        if (grades := answers.get(query)) is not None:
            pages = sorted(page for page, grade in grades.items() if grade > 0)
            yield QueryScore(subset, query, "\n".join(pages), ndcg_at_5(ranking, grades))
