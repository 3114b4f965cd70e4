"""RES: whether the figures of the results are possible."""

from colintern.artifacts.printable import listed
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.diagnostics.processor.query_format import mixed_benchmarks
from colintern.diagnostics.results.dataset_revisions import dataset_revisions
from colintern.diagnostics.results.evaluated_weights import ChangedResults
from colintern.diagnostics.results.result_table import ResultTable
from colintern.diagnostics.results.score_validity import main_scores, score_faults, summary
from colintern.engine.evidence import sources
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, WARNING, NoEvidence, Verdict


@rule("RES004", "score-invalid", severity=ERROR, explains={"LIV010"})
def check_scores_are_possible(
    task_results: TaskResults, changed_results: ChangedResults | None
) -> Verdict:
    """A score is impossible: outside [0, 1], not a number, or against another score; or edited.

    Why: recall, MAP and MRR cannot fall in k, and with one relevant page a query k times precision
        is recall. Figures that break this were edited, or computed by broken code. nDCG may fall in
        k where a query has several relevant pages, and NaN under `nauc_*` is normal.
    Evidence: every `METRIC_at_k` and `main_score` of every subset; the hash of the figures that
        colintern_eval.json recorded when they were written.
    Fix: evaluate the task again with a released version of MTEB.
    Source: definition of the metrics; sources I17.
    """
    if not task_results.tasks:
        raise NoEvidence(sources.RESULTS, what="a readable file", needed_for="checking its scores")
    faults = score_faults(task_results)
    edited = changed_results.edited_text if changed_results else ""
    return Verdict(
        not faults and not edited,
        observed="; ".join(filter(None, (edited, summary(faults))))
        or f"{len(task_results.tasks)} tasks with consistent scores",
        expected="scores in [0, 1], a main score, and metrics that agree with each other",
        where=faults[0].task.path if faults else task_results.folder,
    )


@rule("RES006", "main-score-mixed", severity=ERROR, explains={"LIV010", "RES001"})
def check_main_score_is_the_benchmarks_metric(task_results: TaskResults) -> Verdict:
    """The main score of a task is not the metric of its benchmark.

    Why: `main_score` is NDCG@5 on ViDoRe v1 and v2 and NDCG@10 on v3. A mean over main scores of
        different cut-offs, or of another metric, compares with nothing that is published.
    Evidence: `main_score` beside the metrics of the same entry.
    Fix: read `ndcg_at_5` and `ndcg_at_10` by name, and evaluate with a released version of MTEB.
    Source: mteb 2.26, task metadata; sources I08.
    """
    scores = main_scores(task_results)
    if not scores:
        raise NoEvidence(
            sources.RESULTS,
            what="the `main_score` of a ViDoRe task",
            needed_for="comparing it with its metric",
            hint=sources.EVALUATE_ON_VIDORE,
        )
    wrong = [score for score in scores if not score.agrees]
    return Verdict(
        not wrong,
        observed=listed([str(score) for score in wrong]) or f"{len(scores)} main scores agree",
        expected="main_score equal to NDCG@5 on ViDoRe v1 and v2, to NDCG@10 on v3",
        where=wrong[0].task.path if wrong else task_results.folder,
    )


@rule("RES008", "versions-mixed", severity=WARNING, explains={"RES009"})
def check_one_measurement_an_average(
    task_results: TaskResults, result_table: ResultTable, model_meta: ModelMeta | None
) -> Verdict:
    """Tasks of one average are of MTEB versions, or of data, that do not belong together.

    Why: MTEB's wrappers of colpali-engine models added prefix and augmentation twice from 2.0.1 to
        2.12.15. The difference is 0.02 to 0.03 NDCG, more than most models are apart. The data of
        ViDoRe v1 moved twice; at the first revision DocVQA and InfoVQA have 500 queries, later 451
        and 494. A revision that is no commit cannot be loaded; one that no published result has is
        a note: it may be newer than this table.
    Evidence: `mteb_version` and `dataset_revision` of the tasks of each benchmark; `loader` in
        model_meta.json. Wrappers of other people have formats of their own and are not judged.
    Fix: evaluate all tasks of the benchmark with one version of MTEB.
    Source: mteb issues 4360, 4361, 5166; sources D02, J06, M12.
    """
    mixed = None if model_meta is None else mixed_benchmarks(task_results, model_meta, result_table)
    revisions = dataset_revisions(task_results, result_table)
    if mixed is None and revisions is None:
        raise NoEvidence(
            sources.RESULTS,
            what="an MTEB wrapper of a known version, or a `dataset_revision`",
            needed_for="its query format and its data",
            hint="",
        )
    faults = [*(mixed or ()), *(revisions.faults if revisions else ())]
    notes = revisions.unknown if revisions else ()
    return Verdict(
        not faults and not notes,
        observed="; ".join((faults or [*notes])[:4]) or "one query format, and data of one time",
        expected="one query format, and data of one time, for all tasks of a benchmark",
        where=task_results.folder,
        severity=WARNING if faults else INFO,
    )


@rule("RES012", "percent-scale", severity=WARNING, explains={"RES001", "RES004", "RES010"})
def check_scores_are_no_percentages(task_results: TaskResults) -> Verdict:
    """Scores are percentages: between 1 and 100 instead of 0 and 1.

    Why: thresholds and published figures are shares; 80 instead of 0.80 passes every lower bound.
    Evidence: every metric of every subset.
    Fix: divide by 100, or evaluate again with MTEB, which writes shares.
    Source: sources J09.
    """
    if not task_results.tasks:
        raise NoEvidence(
            sources.RESULTS, what="a readable file", needed_for="the scale of its scores"
        )
    percent = [fault for fault in score_faults(task_results) if fault.kind == "percent"]
    return Verdict(
        not percent,
        observed=summary(percent) or f"{len(task_results.tasks)} tasks with scores up to 1",
        expected="scores between 0 and 1",
        where=percent[0].task.path if percent else task_results.folder,
    )
