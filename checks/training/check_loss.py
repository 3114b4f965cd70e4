"""LOG: the training loss. Smoothed series are judged against their own noise."""

from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.contrastive_loss import Chance, ContrastiveLoss
from colintern.diagnostics.log.gradient_norms import GradientNorms
from colintern.diagnostics.log.loss_oscillation import LossOscillation
from colintern.diagnostics.log.loss_trajectory import LATE_FALL_RATIO, LossTrajectory, chance_level
from colintern.diagnostics.log.loss_validity import LossValidity
from colintern.diagnostics.log.training_progress import TrainingProgress
from colintern.engine.evidence import sources
from colintern.engine.evidence.log import no_supervised_loss
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, WARNING, NoEvidence, Verdict
from colintern.facts.loss_kind import LossKind
from colintern.guide import Guide


@rule(
    "LOG001",
    "non-finite-loss",
    severity=ERROR,
    explains={
        "ADP010",
        "LIV007",
        "LIV009",
        "LOG002",
        "LOG003",
        "LOG004",
        "LOG006",
        "LOG008",
        "LOG009",
        "LOG010",
        "LOG011",
        "LOG013",
        "RES001",
        "RES005",
    },
    live={"course"},
    advice={"lower-learning-rate", "longer-warmup", "clip-gradients"},
)
def check_loss_is_finite(loss_validity: LossValidity, training_log: TrainerState) -> Verdict:
    """The loss became NaN or infinite.

    Why: after the first NaN every weight is NaN, and the rest of the run trained nothing. The
        Trainer hides it: `logging_nan_inf_filter` writes such a loss as 0.0, and only the NaN in
        `grad_norm` beside it tells. A NaN gradient norm beside a normal loss is a skipped step of
        the fp16 scaler, which is healthy.
    Evidence: `loss`, `eval_loss`, `grad_norm` and `train_loss` in trainer_state.json.
    Fix: train in bf16, lower the learning rate, warm up longer, set
        `max_grad_norm=1.0`; start again from a checkpoint before the first NaN.
    Source: the guide, training stalls or NaN loss; sources F10, M04.
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
    explains={"LIV007", "LIV009", "LOG003", "LOG004", "RES001", "RES002", "RES005"},
    live={"course"},
    advice={"whole-checklist"},
    floor="learned",
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
    Source: definition (cross-entropy of a uniform guess); sources F03.
    """
    return Verdict(
        not chance.stuck,
        observed=str(chance),
        expected=chance.expected,
        where=training_log.path,
        severity=WARNING if chance.so_far else ERROR,
    )


@rule(
    "LOG003",
    "slow-convergence",
    severity=ERROR,
    explains={"LOG004", "RES001", "RES002"},
    live={"course"},
    advice={"whole-checklist"},
    floor="learned",
)
def check_loss_falls(
    convergence: LossTrajectory | ContrastiveLoss, training_log: TrainerState, guide: Guide
) -> Verdict:
    """The loss hardly falls in the first epoch.

    Why: the guide's healthy run goes from 2.40 to 1.50 in the first epoch; 2.40 to 2.35 is its
        example of one that is too slow. Such a run ends untrained after as many GPU hours. Judged
        from a cold start only: a model that begins trained has nothing to fall. A slow first epoch
        whose run falls by a third later is a warning. So is a loss of unknown kind, or of unknown
        candidates, that never falls beyond its noise in twenty rows or more, because a warm start
        looks the same; of such a loss that falls nothing is said.
    Evidence: `loss` and `epoch` in trainer_state.json; two standard errors are given in its favour.
    Fix: check that LoRA reaches the language layers, then the learning rate and the batch
        size, which CFG003 and CFG002 judge.
    Source: the guide, problematic training.
    """
    least = guide.min_first_epoch_drop
    known = isinstance(convergence, ContrastiveLoss)
    loss = convergence.loss if isinstance(convergence, ContrastiveLoss) else convergence
    return Verdict(
        not convergence.slow(least),
        observed=loss.fall_text(first_epoch=known),
        expected=f"a fall in epoch 1 by {least:.0%} and beyond the noise",
        where=training_log.path,
        severity=ERROR if known and not loss.fell(LATE_FALL_RATIO) else WARNING,
    )


@rule(
    "LOG004",
    "final-loss-high",
    severity=WARNING,
    advice={"whole-checklist"},
)
def check_final_loss(
    unscaled: ContrastiveLoss,
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
    Fix: train longer, with more pages a batch, or at a learning rate that CFG003 accepts.
    Source: the guide, key metrics; sources F04.
    """
    if progress is not None and not progress.complete(guide.min_completed_ratio):
        raise NoEvidence(sources.LOG, what="the end of the run", needed_for="the final loss")
    limit = guide.max_final_loss * unscaled.chance / chance_level(guide.final_loss_batch_size)
    loss = unscaled.loss
    return Verdict(
        loss.final - 2 * loss.bin_error <= limit,
        observed=str(unscaled),
        expected=f"at most {limit:.3g} with {unscaled.candidates} candidates",
        where=training_log.path,
    )


@rule(
    "LOG005",
    "loss-oscillating",
    severity=WARNING,
    up_to=ERROR,
    explains={"LOG010"},
    advice={"larger-batch"},
)
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
    Fix: raise the effective batch, lower the learning rate, warm up longer.
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


@rule(
    "LOG006",
    "loss-diverging",
    severity=ERROR,
    explains={
        "LIV007",
        "LIV009",
        "LOG002",
        "LOG003",
        "LOG004",
        "LOG005",
        "LOG007",
        "LOG008",
        "LOG010",
        "LOG015",
        "LOG020",
        "RES001",
        "RES002",
    },
    live={"course"},
    advice={"lower-learning-rate", "longer-warmup", "clip-gradients"},
    floor="learned",
)
def check_loss_does_not_diverge(
    loss: LossTrajectory, gradient_norm: GradientNorms | None, training_log: TrainerState
) -> Verdict:
    """The loss rises and does not come back.

    Why: a run that gives back what it learned has left the region where its learning rate works;
        its last weights are worse than earlier ones. Judged on smoothed bins: the end stands above
        the lowest bin by a third of the fall, a fifth of the start and four standard errors, and
        the last third does not fall again; or it stands that far above the start. Or no row ever
        returns to twice the first rows and the end is three times as high; or the last tenth rises
        to 2.5 times the fifth before it; or no row returns to the first value while gradients grew
        tenfold. Of fewer than twenty rows (five at least) the end must stand above the lowest by
        half of the start and six standard errors.
    Evidence: `loss` and `grad_norm` in trainer_state.json.
    Fix: lower the learning rate, warm up longer, set `max_grad_norm=1.0`, and take the
        checkpoint before the rise.
    Source: the guide, training stalls; sources M05: at rate 0.01 a run went from 1.25 to ln(4).
    """
    growth = gradient_norm.growth if gradient_norm else None
    return Verdict(
        not loss.diverged(growth),
        observed=loss.course_text(),
        expected=f"an end at most {loss.rise_limit:.3g} above the lowest",
        where=training_log.path,
    )


@rule(
    "LOG009",
    "zero-loss",
    severity=ERROR,
    explains={"LOG002", "LOG008", "LOG011", "RES001", "RES002"},
    live={"course"},
)
def check_loss_is_not_zero(
    loss_validity: LossValidity, loss_kind: LossKind | None, training_log: TrainerState
) -> Verdict:
    """A loss is exactly zero, or a cross-entropy is negative.

    Why: with one page a batch there is nothing to tell it from, so the loss is 0 and trains
        nothing. A temperature of 0.02 on scores that are not normalised saturates the softmax
        with the same result. A supervised loss of any kind that falls from well above zero to
        exactly 0 at once, and stays, has overflowed in a kernel or lost its labels. No
        cross-entropy is below zero. In reinforcement learning a zero loss is normal.
    Evidence: `loss` and `eval_loss` in trainer_state.json: below 1e-7 in five training rows or two
        evaluations of a contrastive loss; in the last five rows or more, after a median above 0.01,
        of any other; below -0.01 in a twentieth of the rows of a known cross-entropy.
    Fix: `per_device_train_batch_size` and `per_device_eval_batch_size` of 2 or more, drop the last
        incomplete batch, and check temperature and normalisation.
    Source: sources E01, A06; LLaMA-Factory#8004 (0.35, then 0.0 to the end).
    """
    if training_log.is_reinforcement:
        raise no_supervised_loss()
    found, kind = loss_validity, loss_kind.kind if loss_kind is not None else "unknown"
    wrong = found.zero_from is not None
    if kind in {"contrastive", "pairwise"}:
        wrong = wrong or found.negative or (kind == "contrastive" and found.always_zero)
    elif not wrong:
        raise NoEvidence(
            sources.MANIFEST_OR_CARD,
            what="an in-batch contrastive loss",
            needed_for="ruling out a legitimate zero",
        )
    return Verdict(
        not wrong,
        observed=found.zero_text(),
        expected="a loss above zero",
        where=training_log.path,
    )
