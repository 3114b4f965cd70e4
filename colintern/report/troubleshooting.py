"""The guide's troubleshooting as data: each advice with the rules whose findings call for it.

The guide's numbers are those for its own 1B model on one GPU; where a rule's own fix knows better
(another family, a list of globs that PEFT does not read), the fix comes first and the guide's words
stand beside it.
"""

from typing import Final

from msgspec import Struct


class Advice(Struct, frozen=True):
    """One thing that the guide tells to do."""

    section: str
    """The guide's section."""
    text: str
    rules: frozenset[str]
    """Rules whose findings call for it."""
    code: tuple[str, ...] = ()
    """Settings or commands, as the guide writes them; `{run!r}` stands for the run's path."""
    done_when: tuple[str, ...] = ()
    """Rules that have passed where it is done already; empty for what only a fault calls for."""
    of_its_model: bool = False
    """Whether `code` holds for the guide's own model alone: another has other rates and lengths."""


_POOR: Final = "Poor performance (NDCG@5 < 0.30)"
_LOADING: Final = "PEFT weights not loading"
_MEMORY: Final = "Out of memory errors"
_STALL: Final = "Training stalls or NaN loss"
_CHECKLIST: Final = "Performance debugging checklist"
_USAGE: Final = "Resource usage guidelines"

ADVICE: Final = (
    Advice(
        _POOR,
        "Verify the hyperparameters.",
        frozenset({"CFG003", "CFG005", "ADP006", "ADP007", "ADP008"}),
        ("colintern plan",),
        done_when=("CFG003", "ADP006"),
    ),
    Advice(
        _POOR,
        "Increase the training epochs.",
        frozenset({"CFG001"}),
        ("num_train_epochs=5",),
        done_when=("CFG001",),
    ),
    Advice(
        _POOR,
        "Fix the batch size.",
        frozenset({"CFG002", "CFG004", "LOG005"}),
        ("per_device_train_batch_size=16", "gradient_accumulation_steps=4"),
        done_when=("CFG002", "CFG004"),
    ),
    Advice(
        _LOADING,
        "Load it with the wrapper, which merges the adapter, and look whether the projection's "
        "weights look trained.",
        frozenset(
            {"ADP001", "ADP002", "ADP009", "ADP010", "ADP011", "ADP012", "ADP015", "ADP017"}
            | {"ADP020", "PRJ001", "PRJ002", "RES005"}
        ),
        (
            "from colintern.evaluation.wrapper import ColIntern3_5Wrapper",
            "weight = ColIntern3_5Wrapper({run!r}).mdl.custom_text_proj.weight",
            "print(weight.min(), weight.max())",
        ),
    ),
    Advice(
        _MEMORY,
        "Reduce the batch and keep the effective one.",
        frozenset({"HWU001"}),
        ("per_device_train_batch_size=8", "gradient_accumulation_steps=8"),
    ),
    Advice(
        _MEMORY,
        "Compute activations again instead of keeping them.",
        frozenset({"HWU001"}),
        ("gradient_checkpointing=True",),
    ),
    Advice(
        _MEMORY,
        "Reduce the sequence length.",
        frozenset({"HWU001", "CFG011"}),
        ("max_num_visual_tokens=1024",),
    ),
    Advice(
        _STALL,
        "Reduce the learning rate if training is unstable.",
        frozenset({"LOG001", "LOG006", "LOG010"}),
        ("learning_rate=2e-5",),
        of_its_model=True,
    ),
    Advice(
        _STALL,
        "Increase the warm-up.",
        frozenset({"LOG001", "LOG006", "LOG010"}),
        ("warmup_steps=200",),
        of_its_model=True,
    ),
    Advice(
        _STALL,
        "Clip the gradients.",
        frozenset({"LOG001", "LOG006", "LOG010", "CFG010"}),
        ("max_grad_norm=1.0",),
    ),
    Advice(
        _CHECKLIST,
        "Target modules include custom_text_proj, beside every linear layer of the language "
        "model. The guide writes them as a list of globs, which PEFT does not read.",
        frozenset({"ADP002", "ADP003", "ADP004"}),
        done_when=("ADP002", "ADP003", "ADP004"),
    ),
    Advice(
        _CHECKLIST,
        "PEFT is enabled.",
        frozenset({"ADP001"}),
        ("colintern train --peft ...",),
        done_when=("ADP001",),
    ),
    Advice(
        _CHECKLIST,
        "BF16 training is enabled.",
        frozenset({"CFG006"}),
        ("bf16=True",),
        done_when=("CFG006",),
    ),
    Advice(
        _CHECKLIST,
        "Flash attention is enabled.",
        frozenset({"CFG007"}),
        ('attn_implementation="flash_attention_2"',),
        done_when=("CFG007",),
    ),
    Advice(
        "Poor settings",
        "Evaluate while training; the guide's poor run had it off.",
        frozenset({"CFG008"}),
        ('eval_strategy="steps"',),
    ),
    Advice(
        "Poor settings",
        "Load pages in processes of their own; the guide's poor run had none.",
        frozenset({"CFG009", "HWU002"}),
        ("dataloader_num_workers=4",),
    ),
    Advice(
        _USAGE,
        "More than 10 seconds a step is a warning sign; 2 to 4 are normal.",
        frozenset({"HWU003"}),
    ),
)

UNEXPLAINED: Final = frozenset({"RES001", "RES002", "LOG002", "LOG003", "LOG004"})
"""Symptoms: where nothing explains one of them, the guide's whole list for them is gone through."""


def advice_for(rule: str) -> tuple[Advice, ...]:
    """Return what the guide says about a finding of `rule`, in the guide's order."""
    return tuple(advice for advice in ADVICE if rule in advice.rules)


def checklist() -> tuple[Advice, ...]:
    """Return the guide's list for a model that scores poorly for no known reason."""
    return tuple(advice for advice in ADVICE if advice.done_when)
