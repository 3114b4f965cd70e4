"""Evidence of evaluation: task results, what describes them, and the tables made of them."""

import os
from contextlib import suppress

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.evaluation_record import (
    EVALUATION_RECORD,
    EvaluationRecord,
    read_evaluation_record,
)
from colintern.artifacts.files import Enclosure
from colintern.artifacts.model_meta import MODEL_META, ModelMeta
from colintern.artifacts.printable import listed, printable
from colintern.artifacts.results_folder import TaskResults
from colintern.artifacts.results_search import RESULTS, find_results, find_results_in
from colintern.artifacts.run_layout import RunLayout
from colintern.artifacts.run_manifest import RunManifest
from colintern.artifacts.task_result import epoch_seconds
from colintern.artifacts.weights_hash import weights_sha256
from colintern.diagnostics.evaluated_weights import EvaluatedWeights
from colintern.diagnostics.result_table import ResultTable
from colintern.diagnostics.result_table import result_table as tabulate
from pytest_colintern.evidence_registry import Resolver, artifact, evidence
from pytest_colintern.subject import AuditOptions, Subject
from pytest_colintern.verdict import NoEvidence


@artifact
def task_results(layout: RunLayout, subject: Subject, options: AuditOptions) -> TaskResults:
    """The results of this subject; those of another model are never taken."""
    if options.results is not None:
        search = find_results_in(
            options.results, layout, subject.name, num_subjects=options.num_subjects
        )
    else:
        search = find_results(layout, subject.name, options.invocation_dir)
    if search.results is None:
        seen = f"; found only {listed(search.other_names)}" if search.other_names else ""
        places = f"{printable(search.places[0])}{' and above' if len(search.places) > 1 else ''}"
        raise NoEvidence(
            f"task results of {printable(subject.name)} (looked in {places}{seen})",
            needed_for="what the model scores",
        )
    return search.results


@artifact
def evaluation_record(layout: RunLayout, task_results: TaskResults | None) -> EvaluationRecord:
    """How the results were made."""
    folders = [layout.path, layout.path / RESULTS]
    if task_results is not None:
        above = [task_results.folder, *task_results.folder.parents]
        folders = [path for path in above if path.is_relative_to(task_results.root)] + folders
    for folder in folders:
        path = folder / EVALUATION_RECORD
        if os.path.lexists(path):
            inside = path.is_relative_to(layout.path)
            return read_evaluation_record(
                path, layout.enclosure if inside else Enclosure.around(folder)
            )
    raise NoEvidence(EVALUATION_RECORD, needed_for="how the results were made")


@evidence
def model_meta(task_results: TaskResults) -> ModelMeta:
    """What MTEB was told about the model."""
    if task_results.model_meta is None:
        raise NoEvidence(MODEL_META, needed_for="what MTEB was told about the model")
    return task_results.model_meta


@evidence
def result_table(task_results: TaskResults) -> ResultTable:
    """The figures of every task and benchmark."""
    if not task_results.tasks:
        raise NoEvidence("a readable task result", needed_for="what the model scores")
    return tabulate(task_results)


@evidence
def evaluated_weights(
    layout: RunLayout,
    task_results: TaskResults,
    evaluation_record: EvaluationRecord | None,
    manifest: RunManifest | None,
    resolver: Resolver,
) -> EvaluatedWeights:
    """Whose weights the results are of.

    Broken weights are nobody's: SEC003 reports them, and new results would be made with them.
    """
    with suppress(NoEvidence):
        resolver.get("tensors")
    recorded = evaluation_record.weights_sha256 if evaluation_record else None
    dates = [
        result.date
        for result in task_results.tasks.values()
        if result.date is not None and result.harness == "mteb"
    ]
    trained = (manifest.ended or manifest.started) if manifest else None
    return EvaluatedWeights(
        recorded_sha256=recorded,
        actual_sha256=_actual_hash(layout, manifest) if recorded else None,
        evaluated=min(dates, default=None),
        trained=epoch_seconds(trained),
    )


def _actual_hash(layout: RunLayout, manifest: RunManifest | None) -> str | None:
    """The manifest answers for weights that are not here or cannot be read."""
    try:
        actual = weights_sha256(layout.weights_folder, layout.enclosure)
    except ArtifactError:
        actual = None
    return actual or (manifest.weights_sha256 if manifest else None)
