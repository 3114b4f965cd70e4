"""RES: what the model scores, and whose scores they are."""

from colintern.artifacts.printable import listed
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.run.layout import RunLayout
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.results.evaluated_weights import ChangedResults, EvaluatedWeights
from colintern.diagnostics.results.model_identity import Identity, identity_faults
from colintern.diagnostics.results.model_meta_faults import meta_faults
from colintern.diagnostics.results.published import published_scores
from colintern.diagnostics.results.result_table import ResultTable
from colintern.diagnostics.results.score_floor import ScoreFloor
from colintern.diagnostics.results.score_level import chance_levels, target_levels
from colintern.engine.evidence import sources
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, WARNING, NoEvidence, Verdict
from colintern.families.family import USUAL_PROJECTION, Family
from colintern.guide import Guide


@rule(
    "RES001",
    "ndcg-below-good",
    severity=ERROR,
    explains={"RES002"},
    setting="Mean NDCG@5",
    advice={"whole-checklist"},
    floor="learned",
)
def check_mean_ndcg_is_good(
    task_results: TaskResults, score_floor: ScoreFloor, guide: Guide
) -> Verdict:
    """The scores are below the guide's "good", or a task is far below every published model.

    Why: the guide calls 0.70 to 0.85 excellent, 0.50 to 0.70 good, 0.10 to 0.30 poor and less
        broken, "training failed"; a retriever below 0.50 misses the page for most questions. From
        0.30 to 0.50 the guide has no word; we say weak. Only ViDoRe v1 and the generated pages are
        banded. A part of v1, even one task, is judged on the scale of the whole, by what the
        weakest published late-interaction model has on both. On every benchmark half of its tasks
        below half of the lowest published score, or one task below a quarter, is no weak spot.
    Evidence: `ndcg_at_5` of every task. A mean over a part is not shown as that of the benchmark.
    Fix: look at the other findings first: low scores are a symptom.
    Source: the guide, Performance Expectations; sources I18, M12.
    """
    if not score_floor.known:
        raise NoEvidence(
            sources.RESULTS,
            what="a task of ViDoRe or of the generated pages",
            needed_for="its NDCG@5",
            hint=sources.EVALUATE_ON_VIDORE,
        )
    faults = score_floor.faults(guide)
    return Verdict(
        not faults,
        observed=f"{'; '.join(faults) or score_floor.text(guide)} ({task_results.model})",
        expected=f"mean NDCG@5 of at least {guide.ndcg_at_5_good:.2f}, "
        "and no task far below the lowest published score",
        where=task_results.folder,
    )


@rule(
    "RES002",
    "task-below-target",
    severity=WARNING,
    requires={"RES004"},
    advice={"whole-checklist"},
    floor="learned",
)
def check_tasks_reach_their_targets(
    task_results: TaskResults, result_table: ResultTable, guide: Guide
) -> Verdict:
    """A task scores below the guide's target and below every published model.

    Why: one weak task shows what the training data or the resolution lacks. The guide's targets are
        not those of published models: DocVQA, for which it asks most, is the hardest of the four
        (best of all 0.687). So a task under the target alone is only noted; it is a warning where
        it lies two standard errors under the lowest published late-interaction model too.
    Evidence: `ndcg_at_5` of ArxivQA, DocVQA, InfoVQA and TATDQA.
    Fix: add training pages of that kind, or raise the budget of visual tokens.
    Source: the guide, Benchmark Performance Targets; scores of embeddings-benchmark/results.
    """
    levels = target_levels(result_table, guide.task_targets, published_scores())
    if not levels:
        raise NoEvidence(
            sources.RESULTS,
            what="a task of the guide",
            needed_for="comparing it with its target",
            hint=sources.EVALUATE_ON_VIDORE,
        )
    below = [level for level in levels if level.below_target]
    return Verdict(
        not below,
        observed=", ".join(str(level) for level in below or levels),
        expected="each task at the guide's target, or at least near the lowest published score",
        where=task_results.folder,
        severity=WARNING if any(level.below_both for level in below) else INFO,
    )


@rule("RES003", "tasks-missing", severity=WARNING)
def check_benchmarks_are_complete(task_results: TaskResults, result_table: ResultTable) -> Verdict:
    """A benchmark was evaluated in part: tasks, the test split or languages are missing.

    Why: the mean over some tasks or languages is another number than the published mean, usually a
        better one. A partial benchmark is shown task by task and never averaged. It is a note where
        at most half of the tasks were evaluated, as when one was asked for, and where only the two
        closed tasks of v3 are missing, which MTEB's maintainers evaluate.
    Evidence: the tasks, splits and `hf_subset` entries of the result files; the tasks that MTEB
        recorded in run_settings.jsonl.
    Fix: evaluate the missing tasks: `mteb.get_benchmark("ViDoRe(v1)")` has them all.
    Source: mteb 2.26, `get_benchmark`; sources I11, J05.
    """
    rows = result_table.benchmarks
    if not rows:
        raise NoEvidence(
            sources.RESULTS,
            what="a ViDoRe task",
            needed_for="checking that its benchmark is complete",
            hint=sources.EVALUATE_ON_VIDORE,
        )
    partial = [row for row in rows if not row.complete]
    lost = task_results.lost_tasks
    gone = f"evaluated, and not here: {listed(lost)}" if lost else ""
    return Verdict(
        not partial and not lost,
        observed="; ".join(filter(None, (gone, *map(str, partial or rows), task_results.left_out))),
        expected="every task of a benchmark, with its test split and all its languages",
        where=task_results.folder,
        severity=INFO
        if not lost and all(row.lacks_closed_tasks_only or row.is_selection for row in partial)
        else WARNING,
    )


@rule(
    "RES005",
    "score-at-random",
    severity=ERROR,
    requires={"RES004"},
    explains={"RES001", "RES002"},
    advice={"load-with-wrapper"},
    floor="learned",
)
def check_scores_beat_chance(task_results: TaskResults, result_table: ResultTable) -> Verdict:
    """A task scores what a random ranking scores.

    Why: a pretrained base with a random projection still finds some pages (0.05 to 0.15 on ViDoRe
        v1). A score at chance means that the pipeline is broken: weights that were not loaded,
        queries or pages in the wrong order. With one relevant page of N chance is 2.9485 / N, and a
        score counts as chance below three times that and within three standard errors of it; for
        tasks with several relevant pages below 0.01 as well.
    Evidence: `ndcg_at_5` beside the number of pages of the task.
    Fix: score one query against its own page by hand with the weights and processor of this folder.
    Source: sources I18; pages and queries from mteb's descriptive statistics.
    """
    levels = chance_levels(result_table)
    if not levels:
        raise NoEvidence(sources.RESULTS, what="a known task", needed_for="its chance level")
    lost = [level for level in levels if level.at_chance]
    return Verdict(
        not lost,
        observed=listed([str(level) for level in lost]) or f"{len(levels)} tasks above chance",
        expected="NDCG@5 above that of a random ranking",
        where=task_results.folder,
    )


@rule(
    "RES007",
    "result-of-other-weights",
    severity=WARNING,
    up_to=ERROR,
    explains={"LIV010", "RES001", "RES002", "RES005", "RES009"},
)
def check_results_are_of_these_weights(
    task_results: TaskResults,
    evaluated_weights: EvaluatedWeights,
    changed_results: ChangedResults | None,
) -> Verdict:
    """The results, or those of one task, were made with other weights than those in this folder.

    Why: MTEB finds cached results by name and revision and does not evaluate again, so a run that
        was trained again into the same folder shows the scores of its predecessor.
    Evidence: `weights_sha256` in colintern_eval.json beside the weights, and the hash of every
        task's figures in it; dates inside the result files beside the run manifest. Times of files
        never count: copying changes them. Weights that cannot be read are not judged: restore them
        first.
    Fix: restore the weights that were evaluated, or run `colintern evaluate` again: it replaces the
        results of other weights. MTEB alone needs `overwrite_strategy="always"`.
    Source: mteb, `ResultCache`; sources I04, J10.
    """
    replaced = changed_results.replaced_text if changed_results else ""
    if evaluated_weights.same is None and not replaced:
        raise NoEvidence(
            sources.EVALUATION,
            what="`weights_sha256`",
            needed_for="telling which weights the results are of",
        )
    return Verdict(
        evaluated_weights.same is not False and not replaced,
        observed="; ".join(filter(None, (replaced, str(evaluated_weights)))),
        expected="results of the weights in this folder",
        where=task_results.folder,
        severity=ERROR if evaluated_weights.hashes_differ or replaced else WARNING,
        fix=None if replaced else evaluated_weights.fix,
        independent=evaluated_weights.of_other_training,
    )


@rule("RES011", "metadata-wrong", severity=WARNING)
def check_metadata_is_right(
    model_meta: ModelMeta,
    layout: RunLayout,
    tensors: TensorStore | None,
    family: Family | None,
    model_identity: Identity,
) -> Verdict:
    """`model_meta.json` claims what is not so.

    Why: MTEB tells from `training_datasets` which tasks are zero-shot, and it compares names: the
        name "DocVQA" matches no task, so a model trained on it counts as zero-shot there. A
        revision that is no commit cannot be evaluated again, and a wrong `embed_dim` misleads
        whoever plans an index. The name of a published model whose family these weights are not
        of, or whose base they do not start from, means that file and results are that model's.
    Evidence: model_meta.json beside the weights, beside MTEB's task names and beside the names and
        revisions of published models. Training sets that MTEB has no task for are not judged. Where
        the family is known PRJ003 judges `embed_dim`.
    Fix: take names from `mteb.get_tasks()`, the revision from the Hub, sizes from the weights.
    Source: mteb issues 3531, 3636, 4592; sources J01, J02, J03, J04.
    """
    faults = identity_faults(model_meta, model_identity) + meta_faults(
        model_meta,
        {name: entry.shape for name, entry in tensors.entries.items()} if tensors else {},
        projection=None if family else USUAL_PROJECTION,
        whole_model=layout.kind == "merged",
    )
    return Verdict(
        not faults,
        observed="; ".join(faults[:4]) or "revision, sizes and training sets agree",
        expected="revision, sizes and training sets as they are",
        where=model_meta.path,
    )
