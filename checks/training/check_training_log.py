"""LOG: gradients, learning rate and course of the run, as the training log shows them."""

from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.run.layout import RunLayout
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.log.gradient_norms import GradientNorms, Instability
from colintern.diagnostics.log.learning_rate import LearningRateSchedule
from colintern.diagnostics.log.loss_leaps import LEAP_RATIO, LossLeaps
from colintern.diagnostics.log.loss_trajectory import (
    LEARNED_RATIO,
    TELLING_FALL_RATIO,
    LossTrajectory,
)
from colintern.diagnostics.log.resume_boundaries import jumps_after_resume
from colintern.diagnostics.log.training_progress import (
    TrainingProgress,
    interruption,
    log_consistency,
)
from colintern.engine.evidence.log import no_supervised_loss, too_few_rows
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, WARNING, Verdict
from colintern.facts.batch_size import log_contradictions
from colintern.facts.run_config import RunConfig
from colintern.guide import Guide

_AFTER_THE_START = ("LOG003", "LOG004", "RES001", "RES002")
"""What an early end explains of a run that had begun to move its weights: neither a missing warm-up
nor a leap of the rate, which lie before it."""

_OF_A_ROUGH_RATE = ("LOG004", "LOG005", "LOG006", "LOG010", "LOG020", "RES001", "RES002")
"""What a rate that was high too early, too late or again explains: not a loss that never fell."""

_SEVERITIES = {"error": ERROR, "warning": WARNING, "info": INFO}


@rule(
    "LOG010",
    "grad-norm-unstable",
    severity=WARNING,
    live={"course"},
    advice={"lower-learning-rate", "longer-warmup", "clip-gradients"},
)
def check_gradients_are_stable(instability: Instability, training_log: TrainerState) -> Verdict:
    """Gradients or the loss spike.

    Why: the guide's gradient norm is stable at 1 to 3. A spike beyond ten times the median about it
        that leaves the loss higher has damaged the weights; one that the loss does not feel was
        clipped and is harmless. Gradients that stay ten times higher, or beyond 300 in the whole
        run, and single rows of the loss ten times above the rows about them, count too.
    Evidence: `grad_norm` and `loss` in trainer_state.json.
    Fix: `max_grad_norm=1.0`, a longer warm-up, a larger batch; look for broken pages in the data.
    Source: the guide, key metrics; sources F10.
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
    live={"course"},
)
def check_gradients_live(
    gradient_norm: GradientNorms, loss: LossTrajectory | None, training_log: TrainerState
) -> Verdict:
    """Gradients are zero or next to it, or no number in most rows.

    Why: a gradient of exactly zero in three rows means that nothing which is trained is connected
        to the loss: reentrant checkpointing without an input that requires gradients, or frozen
        weights. Norms that end below 1e-6 while the loss is far from zero are what rounding leaves:
        a softmax that is saturated, or a rate that has driven the weights out of reach. NaN in most
        rows means that the scaler skips every step. A warning when the loss falls by a tenth all
        the same: then only the logged norm is wrong.
    Evidence: `grad_norm` in trainer_state.json.
    Fix: `gradient_checkpointing_kwargs={"use_reentrant": False}`; bf16 in place of fp16; see that
        LoRA matched its modules.
    Source: sources F10, F11.
    """
    if training_log.is_reinforcement:
        raise no_supervised_loss()
    learned = loss is not None and loss.end <= LEARNED_RATIO * abs(loss.start)
    return Verdict(
        not (gradient_norm.dead or (gradient_norm.vanished and not learned)),
        observed=str(gradient_norm),
        expected="fewer than 3 rows of zero in a row, a number in most rows, norms above 1e-6",
        where=training_log.path,
        severity=WARNING if loss is not None and loss.fell(TELLING_FALL_RATIO) else ERROR,
        # What is left of gradients that vanish is a symptom of whatever holds the loss there.
        explains=None if gradient_norm.dead else (),
    )


@rule(
    "LOG012",
    "schedule-off",
    severity=WARNING,
    up_to=ERROR,
    explains={
        "ADP011",
        *("LOG002", "LOG003", "LOG004", "LOG005", "LOG006", "LOG010", "LOG020"),
        *("RES001", "RES002"),
    },
    setting="Schedule",
    fails_if_stopped=True,
)
def check_schedule(
    learning_rate: LearningRateSchedule, run_config: RunConfig | None, training_log: TrainerState
) -> Verdict:
    """The learning rate had hardly a warm-up, no decay, a leap, or a dead stretch.

    Why: the guide's learning rate warms up, then decays. Without warm-up the first steps at full
        rate damage pretrained weights; without decay the end stays noisy; a rate of zero trains
        nothing; a leap in the middle, up or down, is another schedule after a resumption, and so is
        a warm-up that runs again. Staircases and restarts are schedules. A warm-up that ended
        before the first logged row cannot be seen and is not accused.
        An error when the rate is zero in every row.
    Evidence: `learning_rate` in trainer_state.json.
    Fix: the `warmup_steps` that CFG005 expects, a linear or cosine schedule, and the same arguments
        on resumption.
    Source: the guide, key metrics; sources F08.
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
        explains=None if learning_rate.starves(asked) else _OF_A_ROUGH_RATE,
    )


@rule(
    "LOG013",
    "training-incomplete",
    severity=ERROR,
    explains={"ADP011", "ADP012", "LOG003", "LOG004", "LOG012", "PRJ002", "RES001", "RES002"},
    setting="Optimiser steps",
    fails_if_stopped=True,
)
def check_training_is_complete(  # noqa: PLR0917 - the resolver calls it by name
    progress: TrainingProgress,
    layout: RunLayout,
    manifest: RunManifest | None,
    training_log: TrainerState,
    live_end: str | None,
    guide: Guide,
) -> Verdict:
    """The run stopped before its end.

    Why: a schedule that was cut leaves the weights at a high learning rate, before the steps that
        settle them. Judged by optimiser steps, for epochs are rounded. Fine are: the last step at
        which the run saves, and early stopping that used up its patience. The row that the Trainer
        closes its log with, and a manifest that says "completed", are written wherever a run ends,
        and make no 11 of 500 steps complete. A snapshot is only noted: a folder `checkpoint-N`, or
        a log that ends at a save point without checkpoints beside it, which is a copy of one. A
        warning when final weights lie beside the checkpoints (then only the log may be unfinished),
        or when four fifths of the steps were done. Weights that never moved follow from an end
        after the first step, which a warm-up takes at a rate of zero.
    Evidence: `global_step`, `max_steps`, `save_steps` and `stateful_callbacks` in
        trainer_state.json; `status` in the run manifest; `stopped_by` in colintern_live.json, the
        rule by which a live audit ended the run.
    Fix: resume with `resume_from_checkpoint=True`, or audit the finished run's folder.
    Source: sources M02: 98 of 177 public logs end before `max_steps`, many at a save point.
    """
    found = interruption(progress, layout, manifest, guide.min_completed_ratio)
    return Verdict(
        found is None,
        observed=progress.text(live_end),
        expected=f"{guide.min_completed_ratio:.0%} of the steps, or the last save point",
        where=training_log.path,
        severity=_SEVERITIES[found or "error"],
        explains=None if progress.is_at_start else _AFTER_THE_START,
    )


@rule(
    "LOG014",
    "jump-after-resume",
    severity=ERROR,
    explains={*("LOG004", "LOG005", "LOG006", "LOG008", "LOG010", "LOG015"), *("RES001", "RES002")},
)
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
    Source: sources H05.
    """
    if training_log.is_reinforcement:
        raise no_supervised_loss()
    if len(training_log.training) < 10:
        raise too_few_rows(training_log, 10, "leaps of the loss")
    found = jumps_after_resume(training_log)
    return Verdict(
        not found.jumps,
        observed=str(found),
        expected="a loss that goes on where it was, within 1.5 times",
        where=training_log.path,
    )


@rule(
    "LOG017",
    "log-inconsistent",
    severity=WARNING,
    explains={"LOG005", "LOG006", "LOG010", "LOG012", "LOG014", "LOG020"},
)
def check_log_is_consistent(training_log: TrainerState, run_config: RunConfig) -> Verdict:
    """The log contradicts itself or the arguments of the run.

    Why: a log that was edited, merged, or resumed from an earlier step describes no single run, and
        the weights belong to some of its rows only. A log whose epochs, steps or batch are not
        those of the arguments is of another run, and so is every verdict on it. Rows that are
        missing hide what happened there; epochs that go back while steps go on are those of other
        data. Steps that go back make leaps of what was none. A batch or a
        number of candidates beyond what its own parts give was not counted but written; the parts
        are judged then.
    Evidence: `step`, `epoch` and `global_step` in trainer_state.json (evaluations may share a
        step; five intervals and a twentieth of the run without a row are a gap);
        `num_train_epochs`, `max_steps` and `train_batch_size` beside the run manifest or
        training_args.bin; `effective_batch_size` and `candidates` of the manifest beside per-device
        batch, accumulation and processes.
    Fix: audit the folder of the run that made the weights, with its own log.
    Source: sources M03: none of 177 public logs has such steps.
    """
    if not len(training_log.training):
        raise too_few_rows(training_log, 1, "the order of the steps")
    found = log_consistency(training_log, log_contradictions(run_config))
    return Verdict(
        found.consistent,
        observed=str(found),
        expected="steps that only go up, to global_step at most, and the run's own arguments",
        where=training_log.path,
        explains=None if found.num_backward else (),
    )


@rule(
    "LOG020",
    "loss-leaps",
    severity=WARNING,
    explains={"LOG004", "LOG008", "RES001", "RES002"},
    advice={"lower-learning-rate", "longer-warmup", "clip-gradients"},
)
def check_loss_does_not_leap(leaps: LossLeaps, training_log: TrainerState) -> Verdict:
    """The loss leaps up within one row, and stays up.

    Why: a step that was too large, broken data or weights that were lost in part undo what was
        learned, also where the loss comes down again. All of the five rows from there on stand
        above all of the twenty before, 1.5 times as high and six standard errors apart: a change
        of data raises the loss by less, and what single examples scatter comes back. A leap where
        the run was resumed is LOG014's.
    Evidence: `loss` in trainer_state.json, ten rows or more.
    Fix: look at the step: gradient norm, learning rate, the data that begins there; go on from the
        checkpoint before it, with `max_grad_norm=1.0`.
    Source: sources H05 (size and width of the windows), F10; 84 public logs (no healthy one leaps).
    """
    return Verdict(
        not leaps.found,
        observed=str(leaps),
        expected=f"no lasting rise within one row by {LEAP_RATIO:g} times",
        where=training_log.path,
    )
