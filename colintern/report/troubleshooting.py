"""The guide's troubleshooting as data: what a finding calls for, by the names that rules use.

Which rules call for an entry, and which show that it is done, stands with the rules. The guide's
numbers are those for its own 1B model on one GPU; where a rule's own fix knows better (another
family, a list of globs that PEFT does not read), the fix comes first and the guide's words stand
next to it.
"""

from collections.abc import Collection
from typing import Final

from msgspec import Struct

from colintern.engine.rule_fields import Advice


class Entry(Struct, frozen=True, kw_only=True):
    """One thing that the guide says to do."""

    name: Advice
    """As rules name it in `advice` and `satisfies`."""
    section: str
    """The guide's section."""
    text: str
    code: tuple[str, ...] = ()
    """Settings or commands, as the guide writes them; `{run!r}` stands for the run's path."""
    is_checked: bool = False
    """Whether it is on the list for a poor model; else only a fault calls for it."""
    of_its_model: bool = False
    """Whether `code` holds for the guide's own model alone: another has other rates and lengths."""


_POOR: Final = "Poor performance (NDCG@5 < 0.30)"
_LOADING: Final = "PEFT weights not loading"
_MEMORY: Final = "Out of memory errors"
_STALL: Final = "Training stalls or NaN loss"
_CHECKLIST: Final = "Performance debugging checklist"
_SETTINGS: Final = "Poor settings"
_USAGE: Final = "Resource usage guidelines"

WHOLE_CHECKLIST: Final[Advice] = "whole-checklist"
"""No entry of its own: all that are checked."""

TROUBLESHOOTING: Final = (
    Entry(
        name="hyperparameters",
        section=_POOR,
        text="Verify the hyperparameters.",
        code=("colintern plan",),
        is_checked=True,
    ),
    Entry(
        name="more-epochs",
        section=_POOR,
        text="Increase the training epochs.",
        code=("num_train_epochs=5",),
        is_checked=True,
    ),
    Entry(
        name="larger-batch",
        section=_POOR,
        text="Fix the batch size.",
        code=("per_device_train_batch_size=16", "gradient_accumulation_steps=4"),
        is_checked=True,
    ),
    Entry(
        name="load-with-wrapper",
        section=_LOADING,
        text="Load it with the wrapper, which merges the adapter, and check whether the "
        "projection's weights look trained.",
        code=(
            "from colintern.evaluation.wrapper import ColIntern3_5Wrapper",
            "weight = ColIntern3_5Wrapper({run!r}).mdl.custom_text_proj.weight",
            "print(weight.min(), weight.max())",
        ),
    ),
    Entry(
        name="smaller-device-batch",
        section=_MEMORY,
        text="Reduce the batch and keep the effective one.",
        code=("per_device_train_batch_size=8", "gradient_accumulation_steps=8"),
    ),
    Entry(
        name="gradient-checkpointing",
        section=_MEMORY,
        text="Compute activations again instead of keeping them.",
        code=("gradient_checkpointing=True",),
    ),
    Entry(
        name="shorter-sequences",
        section=_MEMORY,
        text="Reduce the sequence length.",
        code=("max_num_visual_tokens=1024",),
    ),
    Entry(
        name="lower-learning-rate",
        section=_STALL,
        text="Reduce the learning rate if training is unstable.",
        code=("learning_rate=2e-5",),
        of_its_model=True,
    ),
    Entry(
        name="longer-warmup",
        section=_STALL,
        text="Increase the warm-up.",
        code=("warmup_steps=200",),
        of_its_model=True,
    ),
    Entry(
        name="clip-gradients",
        section=_STALL,
        text="Clip the gradients.",
        code=("max_grad_norm=1.0",),
    ),
    Entry(
        name="target-modules",
        section=_CHECKLIST,
        text="Target modules include custom_text_proj, beside every linear layer of the language "
        "model. The guide writes them as a list of globs, which PEFT does not read.",
        is_checked=True,
    ),
    Entry(
        name="enable-peft",
        section=_CHECKLIST,
        text="PEFT is enabled.",
        code=("colintern train --peft ...",),
        is_checked=True,
    ),
    Entry(
        name="bf16",
        section=_CHECKLIST,
        text="BF16 training is enabled.",
        code=("bf16=True",),
        is_checked=True,
    ),
    Entry(
        name="flash-attention",
        section=_CHECKLIST,
        text="Flash attention is enabled.",
        code=('attn_implementation="flash_attention_2"',),
        is_checked=True,
    ),
    Entry(
        name="evaluate-while-training",
        section=_SETTINGS,
        text="Evaluate while training; the guide's poor run had it off.",
        code=('eval_strategy="steps"',),
    ),
    Entry(
        name="dataloader-workers",
        section=_SETTINGS,
        text="Load pages in processes of their own; the guide's poor run had none.",
        code=("dataloader_num_workers=4",),
    ),
    Entry(
        name="step-time",
        section=_USAGE,
        text="More than 10 seconds a step is a warning sign; 2 to 4 are normal.",
    ),
)
"""In the guide's order."""


def entries_named(names: Collection[str]) -> tuple[Entry, ...]:
    """Return what a rule's `advice` names, in the guide's order."""
    return tuple(entry for entry in TROUBLESHOOTING if entry.name in names)


def checklist() -> tuple[Entry, ...]:
    """Return the guide's list for a model that scores poorly for no known reason."""
    return tuple(entry for entry in TROUBLESHOOTING if entry.is_checked)
