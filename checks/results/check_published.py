"""RES009, RES010: results beside those that other people published."""

from colintern.artifacts.printable import listed
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.results.best_published import (
    best_level,
    tasks_above,
    undeclared_tasks,
)
from colintern.diagnostics.results.published import published_models, published_table
from colintern.diagnostics.results.published_shape import task_offsets
from colintern.diagnostics.results.result_table import ResultTable
from colintern.engine.evidence import sources
from colintern.engine.rule import rule
from colintern.engine.verdict import INFO, WARNING, NoEvidence, Verdict


@rule("RES009", "task-out-of-shape", severity=WARNING, requires={"RES004"})
def check_tasks_have_the_usual_shape(
    task_results: TaskResults, result_table: ResultTable
) -> Verdict:
    """One task lies far below what the model's other tasks let expect.

    Why: late-interaction models differ in level, and hardly in which tasks are hard for them. A
        task that lies further below the shape than 0.25 NDCG@5, than four deviations and than twice
        the deepest published drop was evaluated wrongly: a truncated corpus, another data set,
        another model's file. Models more than 0.25 below the published medians are not judged: a
        poor model loses most on the hard tasks.
    Evidence: `ndcg_at_5` of at least four complete tasks of a benchmark, beside the median and the
        spread of each task among published late-interaction models.
    Fix: evaluate that task again with the same version and settings as the others.
    Source: sources M12, quartiles of embeddings-benchmark/results; sources I19.
    """
    offsets = task_offsets(result_table, published_table().tasks)
    if not offsets:
        raise NoEvidence(
            sources.RESULTS,
            what="four tasks near published scores",
            needed_for="the shape of the results",
            hint=sources.EVALUATE_ON_VIDORE,
        )
    odd = [offset for offset in offsets if offset.out_of_shape]
    return Verdict(
        not odd,
        observed=listed([str(offset) for offset in odd]) or f"{len(offsets)} tasks in shape",
        expected="each task near the level of the others, as in published models",
        where=task_results.tasks[odd[0].task].path if odd else task_results.folder,
    )


@rule("RES010", "too-good", severity=WARNING, requires={"RES004"})
def check_scores_are_not_too_good(
    task_results: TaskResults,
    result_table: ResultTable,
    manifest: RunManifest | None,
    model_meta: ModelMeta | None,
) -> Verdict:
    """A score is above the best published one, or training on the tasks was not declared.

    Why: a score that nobody reached is more often test pages in the training data than a discovery.
        A mean on ViDoRe v1 is a note up to three standard errors above the best published one
        (0.927) and a warning beyond; a single task counts beyond three standard errors only.
        colpali_train_set holds the training splits of four tasks: a model trained on it that does
        not declare them counts as zero-shot there, which it is not.
    Evidence: the mean NDCG@5 of a complete ViDoRe v1, and of each task; `datasets` of the run
        manifest beside `training_datasets` of model_meta.json.
    Fix: search the training data for the pages of the benchmark; declare the tasks by MTEB's names.
    Source: embeddings-benchmark/results, best scores; mteb, ModelMeta; sources I20, J01, M12.
    """
    models = published_models().models
    level = best_level(result_table, task_results, models)
    above = tasks_above(result_table, task_results, models)
    undeclared = undeclared_tasks(manifest, model_meta)
    if level is None and above is None and undeclared is None:
        raise NoEvidence(
            sources.RESULTS,
            what="a ViDoRe task with published scores",
            needed_for="comparing it with the best published one",
            hint=sources.EVALUATE_ON_VIDORE,
        )
    faults = [str(level)] if level and level.above else []
    faults += [str(task) for task in above or ()][:4]
    faults += [f"trained on {listed(undeclared)} without declaring it"] if undeclared else []
    return Verdict(
        not faults,
        observed="; ".join(faults) or str(level or "no task is above the best published score"),
        expected="scores that others have reached, and declared training sets",
        where=task_results.folder,
        severity=WARNING if undeclared or above or (level and level.beyond_noise) else INFO,
    )
