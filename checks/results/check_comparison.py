"""CMP: results beside those of a baseline."""

from colintern.artifacts.printable import printable
from colintern.artifacts.results.folder import TaskResults
from colintern.diagnostics.results.comparison import Comparison
from colintern.engine.evidence import sources
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, NoEvidence, Verdict


@rule("CMP001", "significant-regression", severity=ERROR)
def check_no_task_is_worse(task_results: TaskResults, baseline_comparison: Comparison) -> Verdict:
    """A task, or the mean over the common tasks, is worse than the baseline beyond chance.

    Why: benchmarks are small, 52 queries in one task of ViDoRe v2, so a lower score alone means
        little. Where the whole interval of the difference lies below zero, the model is worse.
    Evidence: NDCG@5 of every query where both have predictions and relevance files: a paired
        bootstrap. Else the sampling errors of both results, which only show large losses. All
        intervals hold together with 95 %. Tasks that CMP002 names are not counted, in the mean
        either: they tell nothing, and must not hide what the others tell.
    Fix: compare the configurations of the two runs; undo what changed between them.
    Source: definition; Efron and Tibshirani, An Introduction to the Bootstrap, 1993;
        sources I12.
    """
    judged = [task for task in baseline_comparison.tasks if task.interval is not None]
    if not judged:
        raise NoEvidence(
            sources.BASELINE_RESULTS,
            what="a comparable task of known size",
            needed_for="the uncertainty of a difference",
        )
    worse = baseline_comparison.worse
    return Verdict(
        not worse,
        observed="; ".join(worse) or f"tasks judged: {len(judged)}; none is worse beyond chance",
        expected="no task, and no mean, whose difference is certainly below zero",
        where=task_results.folder,
    )


@rule("CMP002", "not-comparable", severity=ERROR)
def check_results_are_comparable(
    task_results: TaskResults, baseline_comparison: Comparison
) -> Verdict:
    """Results and baseline were not measured in the same way.

    Why: another harness, split, language, cut-off or revision of the data changes scores by more
        than most models differ, so the difference says nothing about the model. CMP001 judges the
        other tasks all the same.
    Evidence: harness, split, subsets, main score, dataset revision and MTEB's query format of each
        task that both have. What one of them does not record is no reason.
    Fix: evaluate both with the same version of MTEB on the same data.
    Source: definition; sources I07, I10.
    """
    refused = baseline_comparison.refused
    if not refused and not baseline_comparison.tasks:
        raise NoEvidence(
            sources.BASELINE_RESULTS, what="a task of this run", needed_for="a comparison"
        )
    texts = [f"{printable(task, limit=80)}: {', '.join(why)}" for task, why in refused.items()]
    return Verdict(
        not refused,
        observed="; ".join(texts) or f"tasks measured alike: {len(baseline_comparison.tasks)}",
        expected="one harness, split, cut-off and dataset revision a task",
        where=task_results.folder,
    )
