"""CFG: how the run was optimised, judged by the guide."""

from colintern.artifacts.printable import printable
from colintern.diagnostics.log.learning_rate import LearningRateTarget
from colintern.engine.evidence import sources
from colintern.engine.recorded import needed
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, WARNING, NoEvidence, Verdict
from colintern.facts.run_config import RunConfig
from colintern.facts.training_mode import (
    planned_warmup,
)
from colintern.families.family import Family
from colintern.guide import Guide

_OF_FEW_EPOCHS = frozenset({"LIV007", "LIV009", "LOG003", "LOG004", "RES001", "RES002"})


@rule(
    "CFG001",
    "too-few-epochs",
    severity=WARNING,
    up_to=ERROR,
    explains=_OF_FEW_EPOCHS | {"RES005"},
    live={"start"},
    setting="Epochs",
    advice={"more-epochs"},
    satisfies={"more-epochs"},
)
def check_epochs(run_config: RunConfig, family: Family, guide: Guide) -> Verdict:
    """The run was asked for fewer epochs than its family needs.

    Why: the guide trains ColIntern3.5 for five epochs and calls this critical: one epoch ends at
        NDCG@5 0.11. Another family has its own figure, and falls below it by a warning at most.
        Less than one epoch may leave a score at chance (RES005); one epoch does not.
    Evidence: `num_train_epochs` and `max_steps` of the run manifest, training_args.bin,
        trainer_state.json or the model card. The log rounds epochs up; its steps tell the rest.
    Fix: set `num_train_epochs` to the epochs expected, leave `max_steps` unset, and train again.
    Source: the guide, debugging checklist; other families: the recipe named in their table entry.
    """
    epochs = needed(
        run_config.planned_epochs,
        sources.MANIFEST_OR_ARGUMENTS,
        "`num_train_epochs`",
        needed_for="the planned epochs",
    )
    least = guide.min_epochs if family.follows_guide else family.min_epochs
    if least is None:
        raise NoEvidence(
            sources.PUBLISHED_RECIPES,
            what=f"a recipe of {family.name}",
            needed_for="its number of epochs",
        )
    return Verdict(
        epochs.value >= least,
        observed=f"planned epochs: {epochs.value:.3g}",
        expected=f"at least {least:g} epochs for {family.name}",
        where=epochs.where,
        severity=ERROR if family.follows_guide else WARNING,
        fix=f"set `num_train_epochs={least:g}`, leave `max_steps` unset, and train again.",
        explains=_OF_FEW_EPOCHS if epochs.value >= 1 else None,
    )


@rule(
    "CFG003",
    "learning-rate-off-target",
    severity=WARNING,
    up_to=ERROR,
    explains={
        "LIV007",
        "LIV009",
        "LOG001",
        "LOG002",
        "LOG003",
        "LOG004",
        "LOG005",
        "LOG006",
        "LOG010",
        "LOG011",
        "LOG020",
        "RES001",
        "RES002",
    },
    live={"start"},
    setting="Learning rate",
    advice={"hyperparameters"},
    satisfies={"hyperparameters"},
)
def check_learning_rate(
    run_config: RunConfig,
    learning_rate_target: LearningRateTarget | None,
    rate_limit: LearningRateTarget | None,
    family: Family | None,
    guide: Guide,
) -> Verdict:
    """The peak learning rate is far from what works for this family and size, or for any.

    Why: too high a rate diverges or collapses, too low a rate leaves the adapter near its start.
        The guide gives several figures for one size; all of them are accepted, and a factor of two
        around them. Beyond a factor of ten it is an error for ColIntern3.5. Where the family is not
        known and the loss rises, a rate above 0.1 is an error under any optimiser of Adam's kind:
        its step is the rate itself.
    Evidence: `learning_rate` of the run manifest, training_args.bin or the model card, else the
        largest in the log, where its rows are close enough about the peak; the number of parameters
        from the base's configuration or its name; `optim`, and the loss.
    Fix: train with a rate inside the interval for the size of the base.
    Source: the guide, learning rate scaling and selection; sources F09; arXiv:1412.6980, 2.1.
    """
    rate = needed(
        run_config.learning_rate,
        sources.MANIFEST_OR_ARGUMENTS,
        "`learning_rate`",
        needed_for="comparing it with the recommended rates",
    )
    target = learning_rate_target or rate_limit
    if target is None:
        raise NoEvidence(sources.FAMILY, needed_for="the rates that suit it")
    factor = target.factor_off(rate.value)
    is_error = target is rate_limit or (
        family is not None and family.follows_guide and factor > guide.learning_rate_error_factor
    )
    return Verdict(
        factor <= (1 if target is rate_limit else guide.learning_rate_warning_factor),
        observed=f"learning rate {rate.value:g}"
        + (f", a factor {factor:.3g} outside" if factor > 1 else ""),
        expected=str(target),
        where=rate.where,
        severity=ERROR if is_error else WARNING,
    )


@rule(
    "CFG005",
    "warmup-off",
    severity=WARNING,
    up_to=ERROR,
    explains={"LOG001", "LOG005", "LOG006", "LOG010", "LOG012"},
    live={"start"},
    setting="Warm-up",
    advice={"hyperparameters"},
)
def check_warmup(run_config: RunConfig, family: Family, guide: Guide) -> Verdict:
    """The warm-up is missing, too short, or takes a third of the run.

    Why: a fresh adapter on a random projection takes large first steps; without warm-up the loss
        jumps. A warm-up of a third of the run or more hardly trains at its learning rate.
    Evidence: `warmup_steps` (whole, or a fraction in transformers 5) or `warmup_ratio`, and the
        planned steps and epochs. A length that is not recorded is not held against the run.
    Fix: set `warmup_steps` to the steps, or the share of an epoch, that are expected.
    Source: the guide, internal parameters and optimiser; sources F08.
    """
    warmup = planned_warmup(run_config)
    if warmup is None:
        raise NoEvidence(
            sources.MANIFEST_OR_ARGUMENTS,
            what="`warmup_steps`",
            needed_for=f"the warm-up of {family.name}",
        )
    is_short = warmup.is_shorter(guide.min_warmup_steps, guide.min_warmup_epoch_ratio)
    if is_short is None:
        raise NoEvidence(
            sources.LOG, what="the steps per epoch", needed_for=f"a warm-up of {warmup}"
        )
    is_long = warmup.is_longer(guide.max_warmup_run_ratio)
    return Verdict(
        not is_short and not is_long,
        observed=f"warm-up of {warmup}",
        expected=_warmup_text(guide),
        where=warmup.steps.where,
        severity=ERROR if is_long else WARNING,
    )


def _warmup_text(guide: Guide) -> str:
    epoch, run = f"{guide.min_warmup_epoch_ratio:.0%}", f"{guide.max_warmup_run_ratio:.0%}"
    return f"{guide.min_warmup_steps} steps or {epoch} of an epoch, below {run} of the run"


@rule(
    "CFG008",
    "evaluation-off",
    severity=WARNING,
    live={"start"},
    setting="Evaluation while training",
    advice={"evaluate-while-training"},
)
def check_evaluation_on(retriever_config: RunConfig) -> Verdict:
    """The run never evaluated while it trained.

    Why: without an evaluation loss nobody sees overfitting, and no best checkpoint can be kept.
    Evidence: `eval_strategy` under its new or old name; evaluations in trainer_state.json.
    Fix: set `eval_strategy="steps"` with an `eval_dataset`.
    Source: the guide, poor settings.
    """
    done = retriever_config.num_evaluations
    strategy = retriever_config.eval_strategy
    if strategy is None and not (done and done.value):
        raise NoEvidence(
            sources.MANIFEST_OR_ARGUMENTS,
            what="`eval_strategy`",
            needed_for="evaluations during training",
        )
    count = f"{done.value if done else 0:,} evaluations in the log"
    said = f"eval_strategy {printable(strategy.value, limit=20)}, " if strategy else ""
    return Verdict(
        bool(done and done.value) or (strategy is not None and strategy.value != "no"),
        observed=f"{said}{count}",
        expected="an evaluation strategy other than no",
        where=strategy.where if strategy else None,
    )


@rule(
    "CFG010",
    "no-gradient-clipping",
    severity=WARNING,
    explains={"LOG001", "LOG006", "LOG010"},
    live={"start"},
    setting="Gradient clipping",
    advice={"clip-gradients"},
)
def check_gradient_clipping(retriever_config: RunConfig) -> Verdict:
    """Gradients were not clipped.

    Why: one bad batch then moves the adapter by any amount, and the run may not recover.
    Evidence: `max_grad_norm`: 0 or None is off.
    Fix: set `max_grad_norm=1.0`, the Trainer's default.
    Source: the guide, NaN loss.
    """
    norm = needed(
        retriever_config.max_grad_norm,
        sources.MANIFEST_OR_ARGUMENTS,
        "`max_grad_norm`",
        needed_for="gradient clipping",
    )
    return Verdict(
        norm.value > 0,
        observed=f"max_grad_norm {norm.value:g}",
        expected="above 0",
        where=norm.where,
    )
