"""Evaluated models on disk, by task scores or by the rank of each query's page."""

import math

from builders.results import (
    entry,
    task_result,
    write_json,
)

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.folder import read_results_folder
from colintern.artifacts.results.predictions import read_task_queries
from colintern.diagnostics.results.comparison import Evaluated
from colintern.diagnostics.results.query_scores import ndcg_at_5

ARXIV = "VidoreArxivQARetrieval"


TABFQUAD = "VidoreTabfquadRetrieval"


def evaluated(folder, name=None):
    results = read_results_folder(folder, Enclosure.around(folder))
    read = {task: read_task_queries(results, task) for task in results.tasks}
    return Evaluated(
        name or folder.name, results, {task: found for task, found in read.items() if found}
    )


def model_of_ranks(folder, ranks, *, task=ARXIV):
    """Write a task of which the page of query i was found at `ranks[i]`."""
    folder.mkdir()
    predictions, answers = {}, {}
    for index, rank in enumerate(ranks):
        pages = [f"p{index}-{place}" for place in range(1, 7)]
        predictions[f"q{index}"] = {page: -float(place) for place, page in enumerate(pages)}
        answers[f"q{index}"] = {pages[0]: 0, f"right-{index}": 1}
        predictions[f"q{index}"][f"right-{index}"] = 1.5 - rank
    mean = math.fsum(
        ndcg_at_5(sorted(scores, key=scores.get, reverse=True), answers[query])
        for query, scores in predictions.items()
    ) / len(ranks)
    changed = entry(task, 0.8, ndcg_at_5=round(mean, 5), main_score=round(mean, 5))
    write_json(folder / f"{task}.json", task_result(task, scores={"test": [changed]}))
    for ending, queries in (("predictions", predictions), ("relevance", answers)):
        write_json(folder / f"{task}_{ending}.json", {"default": {"test": queries}})
    return evaluated(folder)
