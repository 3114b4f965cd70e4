"""LOG: what the training log shows. Smoothed series are judged against their own noise."""

from colintern.artifacts.run_layout import RunLayout
from colintern.artifacts.run_manifest import RunManifest
from colintern.artifacts.trainer_state import TrainerState
from colintern.diagnostics.batch_size import BatchSize
from colintern.diagnostics.contrastive_loss import Chance, ContrastiveLoss
from colintern.diagnostics.evaluation_loss import EvaluationLoss
from colintern.diagnostics.gradient_norms import GradientNorms, Instability
from colintern.diagnostics.learning_rate_schedule import LearningRateSchedule
from colintern.diagnostics.loss_kind import LossKind
from colintern.diagnostics.loss_oscillation import LossOscillation
from colintern.diagnostics.loss_trajectory import LossTrajectory, chance_level
from colintern.diagnostics.loss_validity import LossValidity
from colintern.diagnostics.resume_boundaries import jumps_after_resume
from colintern.diagnostics.run_config import RunConfig
from colintern.diagnostics.training_progress import (
    TrainingProgress,
    interruption,
    kept_checkpoints,
    log_consistency,
)
from colintern.guide import Guide
from pytest_colintern import ERROR, INFO, WARNING, NoEvidence, Verdict, rule

_SEVERITIES = {"error": ERROR, "warning": WARNING, "info": INFO}


@rule(
    "LOG001",
    "non-finite-loss",
    severity=ERROR,
    explains={"ADP010", "LOG011", "RES001", "RES005"},
)
def check_loss_is_finite(loss_validity: LossValidity, training_log: TrainerState) -> Verdict:
    """The loss became NaN or infinite.

    Why: after the first NaN every weight is NaN, and the rest of the run trained nothing. The
        Trainer hides it: `logging_nan_inf_filter` writes such a loss as 0.0, and only the NaN in
        `grad_norm` beside it tells. A NaN gradient norm beside a normal loss is a skipped step of
        the fp16 scaler, which is healthy.
    Evidence: `loss`, `eval_loss`, `grad_norm` and `train_loss` in trainer_state.json.
    Fix: train in bf16, lower the learning rate (2e-5), warm up over 200 steps, set
        `max_grad_norm=1.0`; start again from a checkpoint before the first NaN.
    Source: the guide, training stalls or NaN loss; failure-modes F10; logs of public runs.
    """
    return Verdict(
        not loss_validity.broken,
        observed=str(loss_validity),
        expected="a finite loss in every row",
        where=training_log.path,
    )


@rule(
    "LOG002",
    "loss-at-chance",
    severity=ERROR,
    explains={"LOG003", "LOG004", "RES001", "RES002", "RES005"},
)
def check_loss_leaves_chance(chance: Chance, training_log: TrainerState) -> Verdict:
    """The loss ends where a model that knows nothing would be.

    Why: an in-batch contrastive loss of a model that tells no page from another is ln(candidates):
        2.77 for 16. A run that ends there learned nothing: LoRA reached no module, the learning
        rate was wrong, or the scores were scaled so that no gradient came back.
        A run that falls by a tenth of its start learned something and is left to the other rules,
        unless it fell from above to within 3 % of chance: then its scores have collapsed.
    Evidence: the last fifth of `loss` in trainer_state.json; candidates from the batch size. A
        pairwise loss is at chance when it stays within 1.5 % of ln 2. A loss of unknown kind is
        judged only when the whole run stays within 1 % of ln(train_batch_size).
    Fix: look at the other findings first: adapter coverage, projection, temperature. Then overfit
        a single batch, which must fall to nearly zero, before training again.
    Source: definition (cross-entropy of a uniform guess); failure-modes F03.
    """
    return Verdict(
        not chance.stuck,
        observed=f"loss ends at {chance.end:.3g}, chance is {chance.name} = {chance.level:.3g}",
        expected=f"a loss that leaves chance by more than {chance.tolerance:.1%}",
        where=training_log.path,
    )


@rule("LOG003", "slow-convergence", severity=ERROR, explains={"LOG004", "RES001", "RES002"})
def check_loss_falls(
    settled_loss: LossTrajectory,
    contrastive: ContrastiveLoss | None,
    loss_kind: LossKind | None,
    training_log: TrainerState,
    guide: Guide,
) -> Verdict:
    """The loss hardly falls in the first epoch.

    Why: the guide's healthy run goes from 2.40 to 1.50 in the first epoch; 2.40 to 2.35 is its
        example of one that is too slow. Such a run ends untrained after as many GPU hours. Judged
        from a cold start only: a model that begins trained has nothing to fall. A slow first epoch
        whose run falls by a third later is a warning. So is a loss of unknown kind that never falls
        beyond its noise, because a warm start looks the same.
    Evidence: `loss` and `epoch` in trainer_state.json; two standard errors are given in its favour.
    Fix: check that LoRA reaches the language layers, then the learning rate (5e-5 for 1B) and the
        batch size.
    Source: the guide, problematic training.
    """
    if contrastive is None and loss_kind is not None and loss_kind.kind != "unknown":
        raise NoEvidence("a contrastive loss with known candidates", needed_for="a cold start")
    least = guide.min_first_epoch_drop
    slow = contrastive.slow(least) if contrastive else settled_loss.flat()
    return Verdict(
        not slow,
        observed=settled_loss.fall_text(first_epoch=contrastive is not None),
        expected=f"a fall in epoch 1 by {least:.0%} and beyond the noise",
        where=training_log.path,
        severity=ERROR if contrastive and not settled_loss.fell(1 / 3) else WARNING,
    )


@rule("LOG004", "final-loss-high", severity=WARNING)
def check_final_loss(
    contrastive: ContrastiveLoss,
    training_log: TrainerState,
    progress: TrainingProgress | None,
    guide: Guide,
) -> Verdict:
    """The loss of a finished run is still high.

    Why: the guide expects about 0.8 to 1.0 at batch 16. exp(-loss) is about the share of queries
        that find their page among the candidates, so 1.0 means 37 % of 16 pages; a retriever has
        to find it among thousands. The limit is scaled by chance for other batch sizes.
    Evidence: the last tenth of `loss` in trainer_state.json, two standard errors in its favour;
        candidates from the batch size.
    Fix: train longer (five epochs), with more pages a batch, or at the guide's learning rate.
    Source: the guide, key metrics; failure-modes F04.
    """
    if progress is not None and not progress.complete(guide.min_completed_ratio):
        raise NoEvidence("the log of a finished run", needed_for="the final loss")
    limit = guide.max_final_loss * contrastive.chance / chance_level(guide.final_loss_batch_size)
    loss = contrastive.loss
    return Verdict(
        loss.final - 2 * loss.bin_error <= limit,
        observed=str(contrastive),
        expected=f"at most {limit:.3g} with {contrastive.candidates} candidates",
        where=training_log.path,
    )


@rule("LOG005", "loss-oscillating", severity=WARNING, up_to=ERROR, explains={"LOG010"})
def check_loss_is_steady(oscillation: LossOscillation, training_log: TrainerState) -> Verdict:
    """The loss swings up and down instead of falling.

    Why: with few examples a step each update undoes the one before; the guide names a wildly
        oscillating first epoch as the sign of a batch that is too small. The swing is measured
        about the best steady fall, after smoothing, and beyond what single examples may scatter
        (1.5 times their mean over the square root of the examples in a row), so that logs of
        batch one, staircases and one jump are no oscillation. It must leave the corridor for a
        third of the run and change sides four times.
        A warning: bins of four rows or more leave +-15 % of the fall. An error: bins leave +-20 %
        or single rows +-25 % of the fall (or of the level, where that is larger), a swing of half
        of all that was learned. Two thirds of the bins of healthy public logs lie within 3 %.
    Evidence: `loss` in trainer_state.json; the batch size.
    Fix: raise the effective batch to 64 or more, lower the learning rate, warm up longer.
    Source: the guide, problematic training; corridor measured on 84 public logs and on synthetic
        curves with noise of 0.02 to 0.15.
    """
    found = oscillation
    return Verdict(
        not found.oscillates,
        observed=f"a swing of {found.swing:.3g} about the steady fall; {found.share:.0%} of the "
        f"run lies beyond +-{found.corridor:.3g}",
        expected="at most a third of the run outside the corridor",
        where=training_log.path,
        severity=ERROR if found.wild else WARNING,
    )


@rule("LOG006", "loss-diverging", severity=ERROR, explains={"LOG004", "LOG008", "RES001"})
def check_loss_does_not_diverge(
    loss: LossTrajectory, gradient_norm: GradientNorms | None, training_log: TrainerState
) -> Verdict:
    """The loss rises and does not come back.

    Why: a run that gives back what it learned has left the region where its learning rate works;
        its last weights are worse than earlier ones. Judged on smoothed bins: the end stands above
        the lowest bin by a third of the fall, a fifth of the start and four standard errors, and
        the last third does not fall again. Or no row ever returns to the first value while
        gradients grew tenfold.
    Evidence: `loss` and `grad_norm` in trainer_state.json.
    Fix: lower the learning rate (2e-5), warm up longer, set `max_grad_norm=1.0`, and take the
        checkpoint before the rise.
    Source: the guide, training stalls; corpus: a run at learning rate 0.01 went from 1.25 to ln(4).
    """
    growth = gradient_norm.growth if gradient_norm else None
    return Verdict(
        not loss.diverged(growth),
        observed=f"loss from {loss.start:.3g} (first row {loss.first:.3g}) to a lowest "
        f"{loss.minimum:.3g} to {loss.end:.3g} at the end",
        expected=f"an end at most {loss.rise_limit:.3g} above the lowest",
        where=training_log.path,
    )


@rule(
    "LOG007",
    "overfitting",
    severity=WARNING,
    up_to=ERROR,
    explains={"LOG008", "LOG015"},
)
def check_evaluation_loss_holds(
    evaluation_loss: EvaluationLoss, training_log: TrainerState
) -> Verdict:
    """The evaluation loss rises while the training loss falls.

    Why: from its minimum on the model learns its training pages by heart, and the last weights are
        worse than earlier ones. Three evaluations or more must follow the minimum and rise, by
        Mann-Kendall (p < 0.05) and beyond the noise of evaluations (twice that, unless p < 0.01).
        An error when it is beyond
        doubt: p < 0.01, more than 10 % above the minimum, training seen to fall.
    Evidence: `eval_loss` and `loss` in trainer_state.json.
    Fix: take the checkpoint of the lowest evaluation, or stop there: `load_best_model_at_end` with
        early stopping; more data, or dropout 0.1.
    Source: finetune-doctor's noise band; failure-modes F14; 5 % above the minimum is what a person
        calls overfitting in the labelled public logs.
    """
    found = evaluation_loss
    return Verdict(
        not found.overfits,
        observed=f"eval_loss {found.best:.4g} at step {found.best_step:,}, {found.last:.4g} at the "
        f"end ({found.rise_ratio:+.1%}, p = {found.trend_after_best.p_rise:.2g})",
        expected=f"no rise beyond the noise of {found.band:.2g}",
        where=training_log.path,
        severity=ERROR if found.overfits_beyond_doubt else WARNING,
    )


@rule("LOG008", "eval-far-from-train", severity=WARNING)
def check_evaluation_follows_training(
    contrastive: ContrastiveLoss,
    evaluation_loss: EvaluationLoss,
    run_config: RunConfig,
    training_log: TrainerState,
) -> Verdict:
    """The evaluation loss is far from the training loss.

    Why: the guide's evaluation loss follows the training loss closely. Each is divided by its own
        chance level first, because an evaluation batch of another size has another one. A gap of
        a quarter of chance is memorised data, or another preprocessing in evaluation.
    Evidence: `loss` and `eval_loss` in trainer_state.json; `per_device_eval_batch_size`.
    Fix: compare query prefix, resolution and dataset of evaluation with those of training.
    Source: the guide, key metrics; failure-modes F12.
    """
    size = run_config.per_device_eval_batch_size
    if size is None or size.value < 2:
        raise NoEvidence("per_device_eval_batch_size", needed_for="the chance level in evaluation")
    ends = (contrastive.share_of_chance, evaluation_loss.last / chance_level(size.value))
    return Verdict(
        abs(ends[0] - ends[1]) <= 0.25,
        observed=f"training ends at {ends[0]:.0%} of chance, evaluation at {ends[1]:.0%}",
        expected="within 25 % of chance of each other",
        where=training_log.path,
    )


@rule("LOG009", "zero-loss", severity=ERROR, explains={"RES001"})
def check_loss_is_not_zero(
    loss_validity: LossValidity, loss_kind: LossKind | None, training_log: TrainerState
) -> Verdict:
    """A contrastive loss is exactly zero.

    Why: with one page a batch there is nothing to tell it from, so the loss is 0 and trains
        nothing. A temperature of 0.02 on scores that are not normalised saturates the softmax
        with the same result. In reinforcement learning a zero loss is normal.
    Evidence: `loss` and `eval_loss` in trainer_state.json, below 1e-7 in five training rows or two
        evaluations.
    Fix: `per_device_train_batch_size` and `per_device_eval_batch_size` of 2 or more, drop the last
        incomplete batch, and check temperature and normalisation.
    Source: failure-modes E01, A06.
    """
    if training_log.is_reinforcement or loss_kind is None or loss_kind.kind != "contrastive":
        raise NoEvidence("an in-batch contrastive loss", needed_for="a loss that cannot be zero")
    found = loss_validity
    return Verdict(
        not found.always_zero,
        observed=f"zero in {found.zero_training} of {found.num_training} training rows and "
        f"{found.zero_evaluations} of {found.num_evaluations} evaluations",
        expected="a loss above zero",
        where=training_log.path,
    )


@rule("LOG010", "grad-norm-unstable", severity=WARNING)
def check_gradients_are_stable(instability: Instability, training_log: TrainerState) -> Verdict:
    """Gradients or the loss spike.

    Why: the guide's gradient norm is stable at 1 to 3. A spike beyond ten times the median about it
        that leaves the loss higher has damaged the weights; one that the loss does not feel was
        clipped and is harmless. Gradients that stay ten times higher, and single rows of the loss
        ten times above the rows about them, count too.
    Evidence: `grad_norm` and `loss` in trainer_state.json.
    Fix: `max_grad_norm=1.0`, a longer warm-up, a larger batch; look for broken pages in the data.
    Source: the guide, key metrics; failure-modes F10.
    """
    return Verdict(
        instability.stable,
        observed=str(instability),
        expected=f"no spike beyond {instability.spike:g}x that the loss feels",
        where=training_log.path,
    )


@rule(
    "LOG011",
    "gradients-dead",
    severity=ERROR,
    explains={"LOG002", "LOG003", "ADP011", "RES001"},
)
def check_gradients_live(
    gradient_norm: GradientNorms, loss: LossTrajectory | None, training_log: TrainerState
) -> Verdict:
    """Gradients are zero, or no number in most rows.

    Why: a gradient of exactly zero in three rows means that nothing which is trained is connected
        to the loss: reentrant checkpointing without an input that requires gradients, or frozen
        weights. NaN in most rows means that the scaler skips every step. A warning when the loss
        falls by a tenth all the same: then only the logged norm is wrong.
    Evidence: `grad_norm` in trainer_state.json.
    Fix: `gradient_checkpointing_kwargs={"use_reentrant": False}`; bf16 in place of fp16; see that
        LoRA matched its modules.
    Source: failure-modes F10, F11.
    """
    if training_log.is_reinforcement:
        raise NoEvidence("a supervised loss", needed_for="gradients that cannot be zero")
    return Verdict(
        not gradient_norm.dead,
        observed=str(gradient_norm),
        expected="fewer than 3 rows of zero in a row, and a number in most rows",
        where=training_log.path,
        severity=WARNING if loss is not None and loss.fell(0.1) else ERROR,
    )


@rule("LOG012", "schedule-off", severity=WARNING, up_to=ERROR)
def check_schedule(
    learning_rate: LearningRateSchedule, run_config: RunConfig | None, training_log: TrainerState
) -> Verdict:
    """The learning rate had no warm-up, no decay, a leap, or a dead stretch.

    Why: the guide's learning rate warms up, then decays. Without warm-up the first steps at full
        rate damage pretrained weights; without decay the end stays noisy; a rate of zero trains
        nothing; a leap in the middle is another schedule after a resumption. A warm-up that ended
        before the first logged row cannot be seen and is not accused.
        An error when the rate is zero in every row.
    Evidence: `learning_rate` in trainer_state.json.
    Fix: `warmup_steps=100` with a linear or cosine schedule, and the same arguments on resumption.
    Source: the guide, key metrics; failure-modes F08.
    """
    asked = run_config.learning_rate.value if run_config and run_config.learning_rate else None
    faults = learning_rate.faults(asked)
    shape = f"peak {learning_rate.peak:.2g} at step {learning_rate.peak_step:,}"
    return Verdict(
        not faults,
        observed="; ".join(faults) or f"{shape}, then down to {learning_rate.last:.2g}",
        expected="a warm-up, a peak and a decay, without leaps",
        where=training_log.path,
        severity=ERROR if learning_rate.always_zero else WARNING,
    )


@rule("LOG013", "training-incomplete", severity=ERROR, explains={"LOG004", "LOG012", "RES001"})
def check_training_is_complete(
    progress: TrainingProgress,
    layout: RunLayout,
    manifest: RunManifest | None,
    training_log: TrainerState,
    guide: Guide,
) -> Verdict:
    """The run stopped before its end.

    Why: a schedule that was cut leaves the weights at a high learning rate, before the steps that
        settle them. Judged by optimiser steps, for epochs are rounded. Fine are: the last step at
        which the run saves, early stopping that used up its patience, and a log that the Trainer
        closed itself. A snapshot is only noted: a folder `checkpoint-N`, or a log that ends at a
        save point without checkpoints beside it, which is a copy of one. A warning when final
        weights lie beside the checkpoints (then only the log may be unfinished), or when four
        fifths of the steps were done.
    Evidence: `global_step`, `max_steps`, `save_steps` and `stateful_callbacks` in
        trainer_state.json; `status` in the run manifest.
    Fix: resume with `resume_from_checkpoint=True`, or audit the finished run's folder.
    Source: corpus: 98 of 177 public logs end before `max_steps`, most of them at a save point.
    """
    found = interruption(progress, layout, manifest, guide.min_completed_ratio)
    return Verdict(
        found is None,
        observed=f"{progress.global_step:,} of {progress.max_steps:,} steps ({progress.ratio:.0%})",
        expected=f"{guide.min_completed_ratio:.0%} of the steps, or the last save point",
        where=training_log.path,
        severity=_SEVERITIES[found or "error"],
    )


@rule("LOG014", "jump-after-resume", severity=ERROR, explains={"LOG006", "LOG004"})
def check_resumption_continues(training_log: TrainerState) -> Verdict:
    """The loss leaps up where the run was resumed.

    Why: a resumption that loads no adapter, wraps a second one, or draws a new random projection
        starts again from the beginning while steps and learning rate go on. The log has no mark of
        a resumption; it shows as a leap of the learning rate, repeated steps, a closing row in the
        middle, or a leap of the loss exactly at a save point that is then learned anew.
    Evidence: `loss`, `step` and `learning_rate` in trainer_state.json: means of up to twenty rows
        before and five after, 1.5 times and four standard errors apart.
    Fix: resume with the adapter and the saved projection in place, and compare the first loss with
        the last one before.
    Source: failure-modes H05.
    """
    if training_log.is_reinforcement or len(training_log.training) < 10:
        raise NoEvidence("a log of 10 rows of a supervised loss", needed_for="leaps of the loss")
    found = jumps_after_resume(training_log)
    return Verdict(
        not found.jumps,
        observed=str(found),
        expected="a loss that goes on where it was, within 1.5 times",
        where=training_log.path,
    )


@rule("LOG015", "best-checkpoint-lost", severity=WARNING)
def check_best_checkpoint_is_kept(
    evaluation_loss: EvaluationLoss, layout: RunLayout, training_log: TrainerState
) -> Verdict:
    """The checkpoint of the best evaluation was not kept.

    Why: with `save_total_limit` and no `load_best_model_at_end` the Trainer deletes old checkpoints
        whatever their score, and what is left may be worse than what was had.
    Evidence: `eval_loss` in trainer_state.json; the `checkpoint-N` folders that are there.
    Fix: `load_best_model_at_end=True` with `metric_for_best_model="eval_loss"`, and saves at the
        steps of the evaluations.
    Source: failure-modes F13; finetune-doctor.
    """
    kept = evaluation_loss.best_of(kept_checkpoints(layout, training_log))
    if kept is None or evaluation_loss.is_other_metric(training_log.best_metric):
        raise NoEvidence("checkpoints at evaluated steps", needed_for="which evaluation was kept")
    best = f"best eval_loss {evaluation_loss.best:.4g} at step {evaluation_loss.best_step:,}"
    return Verdict(
        kept.value - evaluation_loss.best <= evaluation_loss.band,
        observed=f"{best}; best that was kept {kept.value:.4g} at step {kept.step:,}",
        expected=f"a kept checkpoint within {evaluation_loss.band:.2g} of the best",
        where=layout.path,
    )


@rule("LOG016", "loss-scaled-by-accumulation", severity=INFO)
def check_loss_is_not_scaled(
    contrastive: ContrastiveLoss,
    evaluation_loss: EvaluationLoss,
    batch: BatchSize,
    training_log: TrainerState,
) -> Verdict:
    """The logged training loss is a multiple of the real one.

    Why: some versions of transformers skip the division by `gradient_accumulation_steps`, so the
        training loss is logged that many times too high; every comparison with chance is off.
    Evidence: the ratio of `loss` to `eval_loss` in trainer_state.json, within 15 % of the number of
        accumulation steps, and a first loss above chance.
    Fix: update transformers, or read the training loss divided by the accumulation steps.
    Source: failure-modes F05; transformers#37766.
    """
    accumulation = batch.accumulation.value if batch.accumulation else None
    if accumulation is None or evaluation_loss.last <= 0:
        raise NoEvidence("gradient_accumulation_steps", needed_for="the scale of the loss")
    ratio = contrastive.loss.end / evaluation_loss.last
    return Verdict(
        not contrastive.is_scaled_by(accumulation, ratio),
        observed=f"training loss is {ratio:.2g} times the evaluation loss, {accumulation} "
        "accumulation steps",
        expected="losses of one scale",
        where=training_log.path,
    )


@rule("LOG017", "log-inconsistent", severity=WARNING)
def check_log_is_consistent(training_log: TrainerState) -> Verdict:
    """Steps of the log are out of order, repeated, or beyond the end.

    Why: a log that was edited, merged, or resumed from an earlier step describes no single run, and
        the weights belong to some of its rows only.
    Evidence: `step` and `global_step` in trainer_state.json. Evaluations may share a step.
    Fix: audit the folder of the run that made the weights, with its own log.
    Source: corpus: none of 177 public logs has such steps.
    """
    if not len(training_log.training):
        raise NoEvidence("a row with loss", needed_for="the order of steps")
    found = log_consistency(training_log)
    return Verdict(
        found.consistent,
        observed=str(found),
        expected="steps that only go up, to global_step at most",
        where=training_log.path,
    )
