"""LOG: the evaluation loss, alone and beside the training loss."""

from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.run.layout import RunLayout
from colintern.diagnostics.log.contrastive_loss import (
    MAX_EVALUATION_GAP,
    EvaluationGap,
    LossScale,
)
from colintern.diagnostics.log.evaluation_course import EvaluationCourse
from colintern.diagnostics.log.training_progress import (
    kept_checkpoints,
)
from colintern.engine.evidence import sources
from colintern.engine.evidence.checkpoints import JudgedWeights
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, WARNING, NoEvidence, Verdict


@rule(
    "LOG007",
    "overfitting",
    severity=WARNING,
    up_to=ERROR,
    explains={"LOG008", "LOG015", "RES001", "RES002"},
    live={"course"},
    live_softened=True,
)
def check_evaluation_loss_holds(
    evaluation_course: EvaluationCourse,
    judged_weights: JudgedWeights | None,
    training_log: TrainerState,
) -> Verdict:
    """The evaluations get worse while the training loss falls.

    Why: from its minimum on the model learns its training pages by heart, and the last weights are
        worse than earlier ones. Three evaluations or more must follow the minimum and rise, by
        Mann-Kendall (p < 0.05) and beyond the noise of evaluations (twice that, unless p < 0.01).
        Or all of three evaluations or more stay 10 % above the minimum, however they go on. Judged
        is the metric that the run chooses its best checkpoint by, else `eval_loss`, else its
        retrieval score. A score counts like a loss turned round, and two evaluations after its best
        that are both 5 % below it are enough. An error when it is beyond doubt: p < 0.01 or 25 %
        above for good, more than 10 % at the end, training seen to fall. Where the best checkpoint
        was loaded, the audited weights are those, and this passes; where it may have been, and
        nothing shows it, this is a warning.
    Evidence: `eval_loss` or other `eval_...` values, and `loss`, in trainer_state.json; the bytes
        of the adapter beside those of the best checkpoint; `load_best_model_at_end`.
    Fix: take the checkpoint of the lowest evaluation, or stop there: `load_best_model_at_end` with
        early stopping; more data, or more dropout.
    Source: sources F14, M07, M10 (noise band); 5 % above the minimum is what a person
        calls overfitting in the labelled public logs.
    """
    found, weights = evaluation_course, judged_weights
    step = weights.step if weights is not None else None
    loaded = found.overfits and step is not None and found.is_best(step)
    may_be_best = weights is not None and weights.may_be_best
    note = f"; the audited weights are those of step {step:,}" if loaded else ""
    return Verdict(
        not found.overfits or loaded,
        observed=f"{found}{note}",
        expected=f"nothing worse than the best beyond the noise of {found.series.band:.2g}",
        where=training_log.path,
        severity=ERROR if found.series.overfits_beyond_doubt and not may_be_best else WARNING,
    )


@rule("LOG008", "eval-far-from-train", severity=WARNING)
def check_evaluation_follows_training(
    evaluation_gap: EvaluationGap, training_log: TrainerState
) -> Verdict:
    """The evaluation loss is far from the training loss.

    Why: the guide's evaluation loss follows the training loss closely. Each is divided by its own
        chance level first, because an evaluation batch of another size has another one. A gap of
        a quarter of chance is memorised data, or another preprocessing in evaluation.
    Evidence: `loss` and `eval_loss` in trainer_state.json; `per_device_eval_batch_size`.
    Fix: compare query prefix, resolution and dataset of evaluation with those of training.
    Source: the guide, key metrics; sources F12.
    """
    return Verdict(
        not evaluation_gap.far,
        observed=str(evaluation_gap),
        expected=f"within {MAX_EVALUATION_GAP:.0%} of chance of each other",
        where=training_log.path,
    )


@rule("LOG015", "best-checkpoint-lost", severity=WARNING)
def check_best_checkpoint_is_kept(
    evaluation_course: EvaluationCourse, layout: RunLayout, training_log: TrainerState
) -> Verdict:
    """The checkpoint of the best evaluation was not kept, or the worst was taken for it.

    Why: with `save_total_limit` and no `load_best_model_at_end` the Trainer deletes old checkpoints
        whatever their score, and what is left may be worse than what was had. The last checkpoint
        counts as evaluated when the last evaluation was. With `greater_is_better` the wrong way
        round the Trainer keeps the worst evaluation for the best.
    Evidence: `eval_loss`, or the metric that the run goes by, and `best_metric` in
        trainer_state.json; the `checkpoint-N` folders that are there.
    Fix: `load_best_model_at_end=True` with `metric_for_best_model="eval_loss"`, and saves at the
        steps of the evaluations; for a score `greater_is_better=True`.
    Source: sources F13; finetune-doctor (sources M10).
    """
    found = evaluation_course
    if found.wrong_sign:
        return Verdict(
            False,
            observed=f"best_metric {training_log.best_metric:.4g} is the worst {found.name}; the "
            f"best is {found.best:.4g} at step {found.series.best_step:,}",
            expected="the best evaluation held for the best",
            where=training_log.path,
        )
    kept = found.series.best_of(kept_checkpoints(layout, training_log))
    if kept is None or found.is_other_metric(training_log.best_metric):
        raise NoEvidence(
            sources.CHECKPOINTS,
            what="an evaluated step",
            needed_for="telling which evaluation was kept",
            hint="Set `save_steps` to a multiple of `eval_steps`.",
        )
    best = f"best {found.name} {found.best:.4g} at step {found.series.best_step:,}"
    return Verdict(
        kept.value - found.series.best <= found.series.band,
        observed=f"{best}; best that was kept {found.shown(kept):.4g} at step {kept.step:,}",
        expected=f"a kept checkpoint within {found.series.band:.2g} of the best",
        where=layout.path,
    )


@rule("LOG016", "loss-scaled-by-accumulation", severity=INFO)
def check_loss_is_not_scaled(scale: LossScale, training_log: TrainerState) -> Verdict:
    """The logged training loss is a multiple of the real one.

    Why: some versions of transformers skip the division by `gradient_accumulation_steps`, so the
        training loss is logged that many times too high; every comparison with chance is off, so
        LOG004 and LOG008 then say nothing.
    Evidence: the ratio of `loss` to `eval_loss` in trainer_state.json, within 15 % of the number of
        accumulation steps, and a first loss above chance.
    Fix: update transformers, or read the training loss divided by the accumulation steps.
    Source: sources F05; transformers#37766.
    """
    return Verdict(
        not scale.is_multiple,
        observed=f"training loss is {scale.ratio:.2g} times the evaluation loss, "
        f"{scale.accumulation} accumulation steps",
        expected="losses of one scale",
        where=training_log.path,
    )
