"""CMP: results that are worse than a baseline, or of another measurement."""

from builders.results import (
    GOOD_SCORES,
    results_folder,
    task_result,
    write_json,
    write_results,
    write_tasks,
)

from cases.case import Case

ARXIV = "VidoreArxivQARetrieval"


def _baseline(run):
    write_tasks(run.parent / "baseline", GOOD_SCORES)


def _worse(run):
    _baseline(run)
    write_results(run, scores={ARXIV: 0.6})


def _hardly_worse(run):
    _baseline(run)
    write_results(run, scores={ARXIV: 0.77})


def _other_revision(run):
    _baseline(run)
    document = task_result(ARXIV, 0.6, dataset_revision="f" * 40)
    write_json(results_folder(run) / f"{ARXIV}.json", document)


OPTIONS = ("--baseline", "{run}/../baseline")
CASES = {
    "CMP001": Case(bad=_worse, good=_hardly_worse, options=OPTIONS),
    "CMP002": Case(bad=_other_revision, good=_hardly_worse, options=OPTIONS),
}
