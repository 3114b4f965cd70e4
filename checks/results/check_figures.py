"""RES: whether the figures are those of the model, of the task and of its queries."""

from colintern.artifacts.results.folder import TaskResults
from colintern.diagnostics.results.ambiguous_results import (
    ambiguities,
    are_mostly_ambiguous,
)
from colintern.diagnostics.results.figure_origin import figure_origin
from colintern.diagnostics.results.model_identity import Identity
from colintern.diagnostics.results.result_table import ResultTable
from colintern.engine.evidence import sources
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, WARNING, NoEvidence, Verdict


@rule(
    "RES013",
    "figures-that-cannot-be",
    severity=WARNING,
    up_to=ERROR,
    requires={"RES004"},
    explains={"RES001", "RES002", "RES005", "RES009", "RES010"},
)
def check_figures_are_of_this_evaluation(
    task_results: TaskResults, result_table: ResultTable, model_identity: Identity
) -> Verdict:
    """Figures cannot be of this model, of this task, or of a whole number of its queries.

    Why: a share of queries times their number is whole, precision and NDCG likewise, and two models
        or two tasks never have the same figures by chance. Figures that break this were edited,
        rounded, copied from another model or task, or are of another set of queries, and no
        comparison with them means anything.
    Evidence: every figure beside the task's number of queries at that revision of the data; the
        figures of published models, of three tasks at least whose scores are not near 1; those of
        the other tasks. A model on the base of a published one, or named like it, may equal it.
    Fix: evaluate these tasks again, all queries, and keep the files as MTEB writes them.
    Source: definition of the metrics; embeddings-benchmark/results; sources I07, M12.
    """
    origin = figure_origin(task_results, result_table, model_identity)
    if not origin.num_judged:
        raise NoEvidence(
            sources.RESULTS,
            what="a task whose number of queries is known",
            needed_for="checking its figures",
            hint=sources.EVALUATE_ON_VIDORE,
        )
    return Verdict(
        not origin.faults,
        observed=str(origin)
        or f"{origin.num_judged} tasks with figures of whole queries, and of no other model",
        expected="figures that the queries of the task can give, and nobody else's",
        where=origin.place or task_results.folder,
        severity=ERROR if origin.is_grave else WARNING,
    )


@rule(
    "RES014",
    "results-ambiguous",
    severity=WARNING,
    explains={"RES001", "RES002", "RES003", "RES005", "RES006", "RES008"},
)
def check_one_result_a_task(task_results: TaskResults) -> Verdict:
    """Several results of one task differ, and nothing tells which is this model's.

    Why: files of an older training beside the new ones, or two revisions in one folder, leave open
        which scores are the model's. Without a date inside none is older than the other; the lowest
        is judged, so that a good file hides no bad one. A file that holds another task than its
        name says was copied or renamed.
    Evidence: the files of each task, their figures and the dates inside them; times of files never
        count. Files that agree, and dated older ones, are no doubt.
    Fix: keep the files of the last evaluation only, or name their folder: `--results DIR`.
    Source: mteb, `ResultCache`; sources I04, J10.
    """
    if not task_results.tasks:
        raise NoEvidence(
            sources.RESULTS, what="a readable file", needed_for="telling its results apart"
        )
    doubts = ambiguities(task_results)
    return Verdict(
        not doubts,
        observed="; ".join(doubts) or f"{len(task_results.tasks)} tasks with one result each",
        expected="one result a task, or dates inside the files",
        where=task_results.folder,
        explains=None if are_mostly_ambiguous(task_results) else (),
    )
