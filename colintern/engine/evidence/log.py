"""Evidence of the training log."""

from typing import Final

from colintern.artifacts.logs.trainer_state import TrainerState, read_trainer_state
from colintern.artifacts.run.layout import TRAINER_STATE, RunLayout
from colintern.diagnostics.log.contrastive_loss import (
    MIN_CANDIDATES,
    Chance,
    ContrastiveLoss,
    EvaluationGap,
    LossScale,
    contrastive_chance,
    loss_scale,
    pinned_chance,
)
from colintern.diagnostics.log.evaluation_course import EvaluationCourse
from colintern.diagnostics.log.evaluation_course import evaluation_course as course_of_evaluations
from colintern.diagnostics.log.evaluation_loss import MIN_EVALUATIONS, EvaluationLoss
from colintern.diagnostics.log.evaluation_loss import evaluation_loss as measured_evaluations
from colintern.diagnostics.log.gradient_norms import (
    MIN_SPIKE_ROWS,
    GradientNorms,
    Instability,
    gradient_norms,
    loss_spikes,
)
from colintern.diagnostics.log.learning_rate import (
    MIN_SCHEDULE_ROWS,
    LearningRateSchedule,
    learning_rate_schedule,
)
from colintern.diagnostics.log.loss_leaps import MIN_LEAP_ROWS, LossLeaps, loss_leaps
from colintern.diagnostics.log.loss_oscillation import (
    MIN_OSCILLATION_ROWS,
    LossOscillation,
    examples_a_row,
    loss_oscillation,
)
from colintern.diagnostics.log.loss_trajectory import (
    MIN_ROWS,
    WHOLE_ROWS,
    LossTrajectory,
    chance_level,
    loss_trajectory,
)
from colintern.diagnostics.log.loss_validity import LossValidity
from colintern.diagnostics.log.loss_validity import loss_validity as counted_losses
from colintern.diagnostics.log.resume_boundaries import jumps_after_resume
from colintern.diagnostics.log.training_progress import TrainingProgress, training_progress
from colintern.engine.evidence import sources
from colintern.engine.resolver import Resolver, artifact, evidence
from colintern.engine.verdict import NoEvidence
from colintern.facts.batch_size import BatchSize
from colintern.facts.loss_kind import LossKind
from colintern.facts.run_config import RunConfig
from colintern.guide import Guide

_WHOLE_EPOCH: Final = 0.99
"""Epochs; a remainder of the data may be dropped."""

_HALF_OF_RUN: Final = 0.5

_CHANCE: Final = "the chance level"
_SCALE: Final = "the scale of the loss"

_LARGEST_BATCH: Final = 1_000_000
"""Examples a step beyond which a batch is a slip of the pen."""


@artifact
def training_log(layout: RunLayout) -> TrainerState:
    """The trainer's state: of the root, else of the newest checkpoint that has one."""
    path = layout.find(TRAINER_STATE)
    if path is None:
        raise NoEvidence(sources.LOG, needed_for="the training log")
    return read_trainer_state(path, layout.enclosure)


@evidence
def loss_validity(training_log: TrainerState) -> LossValidity:
    """How many losses are no number, or zero."""
    if not len(training_log.training) and not len(training_log.evaluations):
        raise NoEvidence(
            sources.LOG,
            what="rows with `loss` or `eval_loss`",
            needed_for="judging the loss",
            hint=sources.LOG_MORE,
        )
    return counted_losses(training_log)


@evidence
def loss(training_log: TrainerState) -> LossTrajectory:
    """How the training loss falls."""
    _refuse_rewards(training_log)
    measured = loss_trajectory(training_log.training)
    if measured is None:
        raise too_few_rows(training_log, MIN_ROWS, "the course of the loss")
    return measured


@evidence
def chance(
    training_log: TrainerState, resolver: Resolver, loss_kind: LossKind | None, guide: Guide
) -> Chance:
    """Where the loss would be without knowledge, and whether it is there."""
    _refuse_rewards(training_log)
    _refuse_early(training_log)
    if loss_kind is not None and loss_kind.kind == "contrastive" and loss_kind.candidates:
        known: ContrastiveLoss = resolver.get("contrastive")
        return contrastive_chance(known.loss, known.candidates, ratio=guide.chance_ratio)
    pinned = pinned_chance(training_log.training, loss_kind, training_log.train_batch_size)
    if pinned is None:
        raise NoEvidence(
            sources.MANIFEST, what="the kind of loss and its candidates", needed_for=_CHANCE
        )
    return pinned


@evidence
def convergence(
    settled_loss: LossTrajectory, contrastive: ContrastiveLoss | None
) -> LossTrajectory | ContrastiveLoss:
    """The loss in shares of chance; without that, a loss that does not fall is all that tells."""
    if contrastive is not None:
        return contrastive
    if settled_loss.is_short:
        raise NoEvidence(
            sources.LOG,
            what=f"at least {WHOLE_ROWS} loss rows",
            detail=f"found {settled_loss.num_rows}",
            needed_for="the convergence of a loss whose chance level nobody recorded",
            hint=sources.LOG_MORE,
        )
    if not settled_loss.flat():
        raise NoEvidence(
            sources.MANIFEST_OR_ARGUMENTS,
            what="a contrastive loss with known candidates",
            needed_for="spotting a cold start",
        )
    return settled_loss


@evidence
def settled_loss(loss: LossTrajectory, training_log: TrainerState) -> LossTrajectory:
    """The course of the loss over an epoch or half of the run at least: its convergence."""
    _refuse_early(training_log)
    return loss


@evidence
def oscillation(training_log: TrainerState, batch: BatchSize | None) -> LossOscillation:
    """How far the training loss swings."""
    _refuse_rewards(training_log)
    measured = loss_oscillation(training_log.training, _least_batch(training_log, batch))
    if measured is None:
        raise too_few_rows(training_log, MIN_OSCILLATION_ROWS, "swings of the loss")
    return measured


@evidence
def contrastive(loss: LossTrajectory, loss_kind: LossKind | None) -> ContrastiveLoss:
    """The loss in shares of its chance level, for a loss that is known to be contrastive."""
    if loss_kind is None or loss_kind.kind != "contrastive":
        raise NoEvidence(
            sources.MANIFEST,
            what="an in-batch contrastive loss",
            detail=f"told from {loss_kind.reason}"
            if loss_kind and loss_kind.kind != "unknown"
            else "",
            needed_for=_CHANCE,
        )
    if loss_kind.candidates is None or loss_kind.candidates < MIN_CANDIDATES:
        raise NoEvidence(
            sources.MANIFEST_OR_ARGUMENTS,
            what="the number of candidates per query",
            needed_for=_CHANCE,
        )
    return ContrastiveLoss(loss, loss_kind.candidates)


@evidence
def scale(
    contrastive: ContrastiveLoss, evaluation_loss: EvaluationLoss, batch: BatchSize
) -> LossScale:
    """The training loss beside the evaluation loss, where accumulation may have scaled it."""
    if batch.accumulation is None:
        raise NoEvidence(
            sources.MANIFEST_OR_ARGUMENTS, what="`gradient_accumulation_steps`", needed_for=_SCALE
        )
    if evaluation_loss.last <= 0:
        raise NoEvidence(sources.LOG, what="an `eval_loss` above 0", needed_for=_SCALE)
    return loss_scale(contrastive, evaluation_loss.last, batch.accumulation.value)


@evidence
def unscaled(contrastive: ContrastiveLoss, scale: LossScale | None) -> ContrastiveLoss:
    """The same loss where it is not logged as a multiple of itself (sources F05)."""
    if scale is not None and scale.is_multiple:
        raise NoEvidence(
            sources.LOG,
            what="an unscaled loss",
            detail="found one multiplied by accumulation",
            needed_for="its true level",
        )
    return contrastive


@evidence
def evaluation_gap(
    unscaled: ContrastiveLoss, evaluation_loss: EvaluationLoss, run_config: RunConfig
) -> EvaluationGap:
    """How far the evaluation loss ends from the training loss."""
    size = run_config.per_device_eval_batch_size
    if size is None or size.value < MIN_CANDIDATES:
        raise NoEvidence(
            sources.MANIFEST_OR_ARGUMENTS,
            what=f"a `per_device_eval_batch_size` of at least {MIN_CANDIDATES}",
            detail=f"found {size.value}" if size is not None else "",
            needed_for="the chance level in evaluation",
        )
    of_chance = evaluation_loss.last / chance_level(size.value)
    return EvaluationGap(unscaled.share_of_chance, of_chance)


@evidence
def evaluation_loss(training_log: TrainerState) -> EvaluationLoss:
    """The evaluation loss and its minimum."""
    _refuse_rewards(training_log)
    measured = measured_evaluations(training_log)
    if measured is None:
        raise NoEvidence(
            sources.LOG,
            what=f"at least {MIN_EVALUATIONS} evaluations",
            detail=f"found {len(training_log.evaluations)}",
            needed_for="the course of the evaluation loss",
            hint=sources.EVALUATE_IN_TRAINING,
        )
    return measured


@evidence
def evaluation_course(training_log: TrainerState, run_config: RunConfig | None) -> EvaluationCourse:
    """The evaluations by the measure that the run goes by: the loss, or a metric of its own."""
    _refuse_rewards(training_log)
    chosen = run_config.metric_for_best_model if run_config is not None else None
    greater = run_config.greater_is_better if run_config is not None else None
    measured = course_of_evaluations(
        training_log,
        chosen=chosen.value if chosen is not None else None,
        greater_is_better=greater.value if greater is not None else None,
    )
    if measured is None:
        raise NoEvidence(
            sources.LOG,
            what=f"at least {MIN_EVALUATIONS} evaluations by one measure of a known direction",
            detail=f"found {training_log.num_evaluations} evaluations",
            needed_for="the course of the evaluations",
            hint=sources.EVALUATE_IN_TRAINING,
        )
    return measured


@evidence
def learning_rate(
    training_log: TrainerState, run_config: RunConfig | None, guide: Guide
) -> LearningRateSchedule:
    """The learning rate that was really used."""
    named = run_config.lr_scheduler_type if run_config is not None else None
    measured = learning_rate_schedule(
        training_log,
        min_warmup_steps=guide.min_warmup_steps,
        scheduler=named.value if named is not None else None,
    )
    if measured is None:
        raise NoEvidence(
            sources.LOG,
            what=f"at least {MIN_SCHEDULE_ROWS} rows with `learning_rate`",
            needed_for="the schedule",
            hint=sources.LOG_MORE,
        )
    return measured


@evidence
def gradient_norm(training_log: TrainerState, guide: Guide) -> GradientNorms:
    """The gradient norms before clipping."""
    measured = gradient_norms(training_log.training, spike=guide.max_grad_norm_spike)
    if measured is None:
        raise NoEvidence(
            sources.LOG,
            what="`grad_norm`",
            needed_for="judging the gradients",
            hint="Train with transformers 4.38 or later, which logs it.",
        )
    return measured


@evidence
def instability(
    training_log: TrainerState,
    gradient_norm: GradientNorms | None,
    batch: BatchSize | None,
    guide: Guide,
) -> Instability:
    """Spikes of the gradient or of the loss."""
    _refuse_rewards(training_log)
    if len(training_log.training) < MIN_SPIKE_ROWS:
        raise too_few_rows(training_log, MIN_SPIKE_ROWS, "spikes")
    spike = guide.max_grad_norm_spike
    examples = examples_a_row(training_log.training, _least_batch(training_log, batch))
    spikes = loss_spikes(training_log.training, spike=spike, examples=examples)
    return Instability(gradient_norm, spikes, spike)


@evidence
def leaps(training_log: TrainerState) -> LossLeaps:
    """Where the loss leaps up, resumptions apart."""
    _refuse_rewards(training_log)
    resumed = (jump.step for jump in jumps_after_resume(training_log).jumps)
    measured = loss_leaps(training_log.training, resumed)
    if measured is None:
        raise too_few_rows(training_log, MIN_LEAP_ROWS, "leaps of the loss")
    return measured


@evidence
def progress(training_log: TrainerState) -> TrainingProgress:
    """How far the run came."""
    measured = training_progress(training_log)
    if measured is None:
        raise NoEvidence(
            sources.LOG, what="`global_step` and `max_steps`", needed_for="the progress of the run"
        )
    return measured


def _refuse_early(log: TrainerState) -> None:
    """Nothing is said of convergence before an epoch, or half of the run, is over."""
    done = training_progress(log)
    whole_epoch = log.epoch is not None and log.epoch >= _WHOLE_EPOCH
    if not whole_epoch and (done is None or done.ratio < _HALF_OF_RUN):
        raise NoEvidence(
            sources.LOG, what="an epoch or half of the run", needed_for="judging convergence"
        )


def _least_batch(log: TrainerState, batch: BatchSize | None) -> int:
    """Return the least batch that is certain: a small one scatters more, so it accuses nobody."""
    logged = max(1, log.train_batch_size or 1)
    if batch is None or batch.effective_low is None:
        return min(logged, _LARGEST_BATCH)
    return int(min(max(logged, batch.effective_low), _LARGEST_BATCH))


def _refuse_rewards(log: TrainerState) -> None:
    if log.is_reinforcement:
        raise no_supervised_loss()


def no_supervised_loss() -> NoEvidence:
    """Return what is missing in a log of reinforcement learning: its loss says nothing."""
    return NoEvidence(
        sources.LOG,
        what="a supervised loss",
        detail="the log is of reinforcement learning",
        needed_for="judging the training",
    )


def too_few_rows(log: TrainerState, least: int, needed_for: str) -> NoEvidence:
    """Return what is missing in a log that has fewer than `least` rows with a loss."""
    return NoEvidence(
        sources.LOG,
        what=f"at least {least} loss rows",
        detail=f"found {len(log.training)}",
        needed_for=needed_for,
        hint=sources.LOG_MORE,
    )
