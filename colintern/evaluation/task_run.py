"""Runs one task: MTEB's loop, with the score of every query kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import mteb
from mteb.abstasks.retrieval import AbsTaskRetrieval

from colintern.evaluation.local_data import load_data
from colintern.evaluation.processes import Processes
from colintern.evaluation.query_files import Answers, Rankings, write_queries
from colintern.evaluation.results import FlatCache, ResultsFolder

KEPT: Final = {
    "ndcg_at_5": "ndcg_cut_5",
    "ndcg_at_10": "ndcg_cut_10",
    "recall_at_100": "recall_100",
}
"""The guide's primary metrics, and what pytrec_eval calls them."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """The queries of one subset."""

    split: str
    subset: str
    metrics: Mapping[str, Mapping[str, float]]
    rankings: Rankings
    answers: Answers


def is_finished(task: AbsTaskRetrieval, folder: ResultsFolder) -> bool:
    """Whether every subset of the task has a result of the same data."""
    result = folder.task_result(task.metadata.name)
    if result is None or result.dataset_revision != task.metadata.revision:
        return False
    return not result.get_missing_evaluations(task)


def run_task(
    task: AbsTaskRetrieval,
    model: Any,
    folder: ResultsFolder,
    *,
    batch_size: int,
    data: Path | None = None,
    processes: Processes | None = None,
) -> None:
    """Evaluate `model` on `task`; subsets that are finished are kept.

    Args:
        task: what to evaluate on.
        model: one of MTEB's kinds of models.
        folder: where the results go.
        batch_size: pages or queries that are embedded at once.
        data: the folder of local copies.
        processes: those that share the work; the first one writes.

    Raises:
        DataError: the data cannot be read.
    """
    several = processes or Processes()
    # MTEB forgets a copy's metadata when it unloads the data.
    name, revision, meta = task.metadata.name, task.metadata.revision, model.mteb_model_meta
    with several.together():
        load_data(task, data)
    scores = folder.read_per_query(name, revision)

    described = {"model_name": meta.name, "revision": meta.revision}

    def keep(scored: _Scored) -> None:
        # Before MTEB writes the result, so that no result is without them after a kill.
        scores.setdefault(scored.split, {})[scored.subset] = scored.metrics
        if several.is_first:
            write_queries(
                folder.path,
                name,
                subset=scored.subset,
                split=scored.split,
                rankings=scored.rankings,
                answers=scored.answers,
                model=described,
            )
            folder.write_per_query(name, revision, scores)

    _keep_query_scores(task, keep)
    try:
        _evaluate(task, model, folder, batch_size, several)
    finally:
        task.unload_data()


def _evaluate(
    task: AbsTaskRetrieval,
    model: Any,
    folder: ResultsFolder,
    batch_size: int,
    processes: Processes,
) -> None:
    """Have MTEB evaluate one subset after the other, in the same order in all processes."""
    first = processes.is_first
    for subset in processes.first_says(_missing_subsets(task, folder) if first else None):
        task.hf_subsets = [subset]
        mteb.evaluate(
            model,
            task,
            cache=FlatCache(folder.path) if first else None,
            co2_tracker=False,
            encode_kwargs={"batch_size": batch_size, "show_progress_bar": first},
            show_progress_bar=False,
        )


def _missing_subsets(task: AbsTaskRetrieval, folder: ResultsFolder) -> list[str]:
    """List the subsets without a result; a result of other data is removed."""
    subsets = list(task.hf_subsets)
    result = folder.task_result(task.metadata.name)
    if result is None or result.dataset_revision != task.metadata.revision:
        folder.discard_task(task.metadata.name)
        return subsets
    missing = {name for names in result.get_missing_evaluations(task).values() for name in names}
    return [name for name in subsets if name in missing]


def _keep_query_scores(task: AbsTaskRetrieval, keep: Callable[[_Scored], None]) -> None:
    """Have `task` hand over everything about its queries when it averages them."""
    average: Callable[..., dict[str, float]] = task.task_specific_scores

    def kept(
        scores: dict[str, dict[str, float]],
        qrels: Answers,
        results: Rankings,
        hf_split: str,
        hf_subset: str,
    ) -> dict[str, float]:
        found = {
            query: {metric: round(measured[theirs], 6) for metric, theirs in KEPT.items()}
            for query, measured in scores.items()
        }
        keep(_Scored(hf_split, hf_subset, found, results, qrels))
        return average(scores, qrels, results, hf_split=hf_split, hf_subset=hf_subset)

    task.task_specific_scores = kept
