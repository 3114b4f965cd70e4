"""The words that the fields of a rule may hold: moments, settings, advice and roles."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any, Final, Literal, get_args

Moment = Literal["start", "course"]
"""When the audit of a running training asks a rule: before the first step, or as the log grows."""

Role = Literal["malformed-files", "escaping-files"]
"""What the judge itself needs a rule for: it blocks whatever needed such a file, and reports it."""

Floor = Literal["finite", "trained", "head", "learned"]
"""What a rule shows of a model where it comes to a verdict: that its weights are numbers, that
training has moved them, that its head is whole, that it has learned. A pass rests on these."""

Setting = Literal[
    # The recipe of a run.
    "Recipe",
    "Base model",
    "Training data",
    "Epochs",
    "Optimiser steps",
    "Batch per device",
    "Accumulation",
    "Effective batch",
    "In-batch negatives a query",
    "Learning rate",
    "Warm-up",
    "Schedule",
    "LoRA rank",
    "LoRA alpha",
    "LoRA dropout",
    "LoRA reaches",
    "Projection",
    "Loss",
    "Precision",
    "Attention",
    "Gradient clipping",
    "Gradient checkpointing",
    "Evaluation while training",
    "Workers that load pages",
    "Visual tokens a page",
    "Hardware",
    "Training time",
    "Software",
    # What it used.
    "GPU memory, peak",
    "GPU utilisation, mean",
    "Time of a step, median",
    "CPU memory, peak",
    # What it scores.
    "Mean NDCG@5",
]
"""Rows of the training report's tables, as they are labelled."""

Advice = Literal[
    "hyperparameters",
    "more-epochs",
    "larger-batch",
    "load-with-wrapper",
    "smaller-device-batch",
    "gradient-checkpointing",
    "shorter-sequences",
    "lower-learning-rate",
    "longer-warmup",
    "clip-gradients",
    "target-modules",
    "enable-peft",
    "bf16",
    "flash-attention",
    "evaluate-while-training",
    "dataloader-workers",
    "step-time",
    "whole-checklist",
]
"""Entries of the guide's troubleshooting, by the names that the report's table gives them;
`whole-checklist` is for symptoms: where nothing explains one, the whole list is gone through."""

_VOCABULARIES: Final[dict[str, Any]] = {
    "floor": Floor,
    "live": Moment,
    "role": Role,
    "setting": Setting,
    "advice": Advice,
    "satisfies": Advice,
}


def refuse_unknown_words(rule_id: str, **fields: str | Collection[str] | None) -> None:
    """Refuse a word that its field does not know: nothing would ever look for it.

    Args:
        rule_id: named in the message.
        fields: what a rule was declared with, by the name of the field.

    Raises:
        ValueError: a field knows no such word; the message has close ones.
    """
    for field, value in fields.items():
        known: tuple[str, ...] = get_args(_VOCABULARIES[field])
        words = (value,) if isinstance(value, str) else value or ()
        if unknown := sorted(set(words) - set(known)):
            close = get_close_matches(unknown[0], known, n=2) or known
            raise ValueError(
                f"{rule_id}: {field} has no {unknown[0]!r}; did you mean {' or '.join(close)}?"
            )
