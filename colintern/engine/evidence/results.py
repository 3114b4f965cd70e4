"""Evidence of evaluation: task results, what describes them, and the tables made of them."""

import os
from contextlib import suppress
from pathlib import Path

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.printable import listed, printable
from colintern.artifacts.results.evaluation_record import (
    EVALUATION_RECORD,
    EvaluationRecord,
    agreed_record,
    read_evaluation_record,
)
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.results.predictions import read_task_queries
from colintern.artifacts.results.search import RESULTS, find_results, find_results_in
from colintern.artifacts.results.task_result import epoch_seconds
from colintern.artifacts.run.layout import RunLayout
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.results.comparison import Comparison, Evaluated, compare
from colintern.diagnostics.results.evaluated_weights import ChangedResults, EvaluatedWeights
from colintern.diagnostics.results.evaluated_weights import changed_results as compare_with_records
from colintern.diagnostics.results.result_table import ResultTable
from colintern.diagnostics.results.result_table import result_table as tabulate
from colintern.engine.evidence import sources
from colintern.engine.resolver import Resolver, artifact, evidence
from colintern.engine.subjects import AuditOptions, Subject
from colintern.engine.verdict import NoEvidence


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
        place = printable(search.places[0])
        looked = f"looked in {place}{' and above' if len(search.places) > 1 else ''}"
        if options.results is not None:
            looked = f"--results {place} holds no readable result of this model"
        raise NoEvidence(sources.RESULTS, detail=f"{looked}{seen}", needed_for="the model's scores")
    return search.results


@artifact
def evaluation_records(
    layout: RunLayout, task_results: TaskResults | None
) -> tuple[EvaluationRecord, ...]:
    """The record that is nearest to each judged result; several where folders have their own."""
    found = _nearest_records(task_results) if task_results is not None else []
    own = (folder / EVALUATION_RECORD for folder in (layout.path, layout.path / RESULTS))
    paths = found or [path for path in own if os.path.lexists(path)][:1]
    if not paths:
        raise NoEvidence(sources.EVALUATION, needed_for="the settings of the evaluation")
    return tuple(
        read_evaluation_record(
            path,
            layout.enclosure if path.is_relative_to(layout.path) else Enclosure.around(path.parent),
        )
        for path in paths
    )


@evidence
def evaluation_record(evaluation_records: tuple[EvaluationRecord, ...]) -> EvaluationRecord:
    """How the results were made, as far as all of them were made alike."""
    return agreed_record(evaluation_records)


@evidence
def changed_results(
    task_results: TaskResults, evaluation_records: tuple[EvaluationRecord, ...]
) -> ChangedResults:
    """Which results are no longer what the evaluation wrote."""
    found = compare_with_records(task_results, evaluation_records)
    if found is None:
        raise NoEvidence(
            sources.EVALUATION, what="`results`", needed_for="telling whether they were changed"
        )
    return found


@evidence
def model_meta(task_results: TaskResults) -> ModelMeta:
    """What MTEB was told about the model."""
    if task_results.model_meta is None:
        raise NoEvidence(sources.MODEL_META, needed_for="MTEB's record of the model")
    return task_results.model_meta


@evidence
def result_table(task_results: TaskResults) -> ResultTable:
    """The figures of every task and benchmark."""
    if not task_results.tasks:
        raise NoEvidence(
            sources.RESULTS,
            what="a readable file",
            detail=f"{len(task_results.errors)} in {printable(task_results.root)} cannot be read",
            needed_for="the model's scores",
        )
    return tabulate(task_results)


@evidence
def evaluated_weights(
    task_results: TaskResults,
    evaluation_records: tuple[EvaluationRecord, ...] | None,
    manifest: RunManifest | None,
    resolver: Resolver,
) -> EvaluatedWeights:
    """Whose weights the results are of.

    Broken weights are nobody's: a rule of its own reports them, and new results would be made
    with them.
    """
    with suppress(NoEvidence):
        resolver.get("tensors")
    recorded = [r.weights_sha256 for r in evaluation_records or () if r.weights_sha256]
    actual = _actual_hash(resolver, manifest) if recorded else None
    dates = [
        result.date
        for result in task_results.tasks.values()
        if result.date is not None and result.harness == "mteb"
    ]
    trained = (manifest.ended or manifest.started) if manifest else None
    return EvaluatedWeights(
        # Of several, one of other weights is what a person must hear of.
        recorded_sha256=next((each for each in recorded if each != actual), actual),
        actual_sha256=actual,
        evaluated=min(dates, default=None),
        trained=epoch_seconds(trained),
        saved_sha256=manifest.weights_sha256 if manifest else None,
    )


def _nearest_records(task_results: TaskResults) -> list[Path]:
    """Look in the folder of each result and in those above it, as far as the results go."""
    found: dict[Path, None] = {}
    for folder in sorted({result.path.parent for result in task_results.tasks.values()}):
        above = (place / EVALUATION_RECORD for place in (folder, *folder.parents))
        inside = (path for path in above if path.is_relative_to(task_results.root))
        if (path := next(filter(os.path.lexists, inside), None)) is not None:
            found[path] = None
    return list(found)


def _actual_hash(resolver: Resolver, manifest: RunManifest | None) -> str | None:
    """The manifest answers for weights that are not here or cannot be read."""
    with suppress(NoEvidence, ArtifactError):
        return str(resolver.get("weights_hash"))
    return manifest.weights_sha256 if manifest else None


@artifact
def baseline_results(layout: RunLayout, subject: Subject, options: AuditOptions) -> TaskResults:
    """The results in `--baseline`: those in the folder, else those below its `results`."""
    folder = options.baseline
    if folder is None:
        raise NoEvidence(sources.BASELINE, needed_for="a comparison with other results")
    for place in (folder, folder / "results"):
        found = find_results_in(place, layout, subject.name, num_subjects=1).results
        if found is not None and found.tasks:
            return found
        if found is not None and found.errors:
            raise found.errors[0]
    raise ArtifactError(
        folder,
        expected="task results in it, in its folder `results`, or in one named like the subject",
        found="none",
        remedy="Name the folder that holds the TASK.json files.",
    )


@evidence
def baseline_comparison(task_results: TaskResults, baseline_results: TaskResults) -> Comparison:
    """The subject's results beside those of the baseline."""
    models = [
        Evaluated(
            name,
            results,
            {
                task: queries
                for task in results.tasks
                if (queries := read_task_queries(results, task)) is not None
            },
        )
        for name, results in (("baseline", baseline_results), ("subject", task_results))
    ]
    return compare(*models)
