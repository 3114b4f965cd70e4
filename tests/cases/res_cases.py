"""RES: results that are bad, partial, impossible or of something else."""

import json

from builders.results import (
    DATE,
    entry,
    metrics,
    rank_of,
    results_folder,
    task_result,
    whole,
    write_json,
    write_record,
    write_results,
)

from cases.case import Case
from colintern.diagnostics.results.benchmarks import VIDORE_V1
from colintern.diagnostics.results.published import published_model

BEST = "DataScience-UIBK/Argus-Colqwen3.5-4b-v0"
DOCVQA = "VidoreDocVQARetrieval"
ENERGY = "VidoreSyntheticDocQAEnergyRetrieval"


def _results(**changes):
    return lambda run: write_results(run, **changes)


def _score(score):
    return _results(scores=dict.fromkeys(VIDORE_V1.task_names, score))


def _published(model):
    return {name: task.ndcg_at_5 for name, task in published_model(model).tasks.items()}


def _task(task, **changes):
    def edit(run):
        document = task_result(task, **changes)
        write_json(results_folder(run) / f"{task}.json", document)

    return edit


def _entry(task, **changes):
    return _task(task, scores={"test": [entry(task, 0.8, **changes)]})


def _without(*tasks):
    def edit(run):
        for task in tasks:
            (results_folder(run) / f"{task}.json").unlink()

    return edit


def _percent(run):
    for path in results_folder(run).glob("Vidore*.json"):
        document = json.loads(path.read_text())
        for scores in document["scores"]["test"]:
            for name, value in scores.items():
                if isinstance(value, float):
                    scores[name] = value * 100
        write_json(path, document)


def _second(run, **changes):
    """A result of an earlier training, under another name beside the new one."""
    document = task_result(DOCVQA, whole(DOCVQA, 0.5), **changes)
    write_json(results_folder(run) / "docvqa_before.json", document)


def _undated_twice(run):
    write_results(run, date=None)
    _second(run, date=None)


def _dated_twice(run):
    _second(run, date=DATE - 1000)


def _copied(run):
    """A published model's figures in its three hardest tasks, as somebody typed them in."""
    for task in (DOCVQA, "VidoreArxivQARetrieval", "VidoreTatdqaRetrieval"):
        figures = published_model(BEST).tasks[task]
        document = task_result(task, whole(task, figures.ndcg_at_5))
        for scores in document["scores"]["test"]:
            scores |= {
                "ndcg_at_5": figures.ndcg_at_5,
                "ndcg_at_10": figures.ndcg_at_10,
                "recall_at_100": figures.recall_at_100,
                "main_score": figures.ndcg_at_5,
            }
            for name in [name for name in scores if name.startswith(("precision", "recall"))]:
                if name != "recall_at_100":
                    del scores[name]
        write_json(results_folder(run) / f"{task}.json", document)


def _two_eras(run):
    write_results(run, meta={"loader": "ColPaliWrapper"})
    _task(
        ENERGY, mteb_version="2.1.4", scores={"test": [entry(ENERGY, 0.8, mteb_version="2.1.4")]}
    )(run)


CASES = {
    "RES001": Case(bad=_score(0.42), good=_score(0.5)),
    "RES002": Case(
        bad=_results(scores={"VidoreDocVQARetrieval": 0.4}),
        outcome="warned",
        good=_results(scores={"VidoreDocVQARetrieval": 0.66}),
    ),
    "RES003": Case(bad=_without(ENERGY), outcome="warned"),
    "RES004": Case(bad=_entry(ENERGY, recall_at_10=0.7)),
    "RES005": Case(bad=_results(scores={ENERGY: 0.002}), good=_results(scores={ENERGY: 0.03})),
    "RES006": Case(bad=_entry(ENERGY, main_score=metrics(0.8, rank_of(ENERGY))["ndcg_at_100"])),
    "RES007": Case(
        bad=lambda run: write_record(run, weights_sha256="0" * 64),
        good=lambda run: write_record(run, weights_sha256=None),
    ),
    "RES008": Case(
        bad=_two_eras,
        outcome="warned",
        good=_results(meta={"loader": "ColPaliWrapper"}),
    ),
    "RES009": Case(
        bad=_results(scores={ENERGY: 0.5}),
        outcome="warned",
        good=_results(scores={ENERGY: 0.7}),
    ),
    "RES010": Case(bad=_score(0.97), outcome="warned", good=_results(scores=_published(BEST))),
    "RES011": Case(
        bad=_results(
            meta={"revision": "checkpoint-600", "training_datasets": {"DocVQA": ["train"]}}
        ),
        outcome="warned",
        good=_results(meta={"training_datasets": ["a set of our own"]}),
    ),
    "RES012": Case(bad=_percent, outcome="warned"),
    "RES014": Case(bad=_undated_twice, outcome="warned", good=_dated_twice),
    "RES013": Case(bad=_copied, good=_results(scores={DOCVQA: 0.6})),
}
