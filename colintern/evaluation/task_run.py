"""Runs one task: MTEB's loop, with the score of every query kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import mteb
from mteb.abstasks.retrieval import AbsTaskRetrieval

from colintern.evaluation.local_data import load_data
from colintern.evaluation.results import PREDICTIONS, FlatCache, ResultsFolder

KEPT: Final = {
    "ndcg_at_5": "ndcg_cut_5",
    "ndcg_at_10": "ndcg_cut_10",
    "recall_at_100": "recall_100",
}
"""The guide's primary metrics, and what pytrec_eval calls them."""


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
) -> None:
    """Evaluate `model` on `task`; subsets that are finished are kept.

    Args:
        task: what to evaluate on.
        model: one of MTEB's kinds of models.
        folder: where the results go.
        batch_size: pages or queries that are embedded at once.
        data: the folder of local copies.

    Raises:
        DataError: the data cannot be read.
    """
    # MTEB forgets a copy's metadata when it unloads the data.
    name, revision = task.metadata.name, task.metadata.revision
    load_data(task, data)
    folder.discard_broken_predictions(name)
    scores = folder.read_per_query(name)
    _keep_query_scores(task, scores)
    try:
        mteb.evaluate(
            model,
            task,
            cache=FlatCache(folder.path),
            co2_tracker=False,
            encode_kwargs={"batch_size": batch_size},
            prediction_folder=folder.path / PREDICTIONS,
        )
    finally:
        task.unload_data()
    folder.write_per_query(name, revision, scores)


def _keep_query_scores(task: AbsTaskRetrieval, scores: dict[str, Any]) -> None:
    """Have `task` put the metrics of every query into `scores` when it averages them."""
    average: Callable[..., dict[str, float]] = task.task_specific_scores

    def kept(
        all_scores: dict[str, dict[str, float]], *rest: Any, hf_split: str, hf_subset: str
    ) -> dict[str, float]:
        scores.setdefault(hf_split, {})[hf_subset] = {
            query: {metric: round(found[theirs], 6) for metric, theirs in KEPT.items()}
            for query, found in all_scores.items()
        }
        return average(all_scores, *rest, hf_split=hf_split, hf_subset=hf_subset)

    task.task_specific_scores = kept
