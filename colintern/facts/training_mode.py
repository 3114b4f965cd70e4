"""Precision, attention, checkpointing and warm-up of a run, as its configuration implies them."""

import re
from typing import Final, Literal

from msgspec import Struct

from colintern.facts.run_config import Recorded, RunConfig
from colintern.facts.versions import release

_AMPERE_OR_NEWER: Final = re.compile(
    r"\b(?:A(?:2|10G?|16|30|40|100|800)|L(?:2|4|20|40S?)|H(?:20|100|200|800)|GH200"
    r"|B(?:100|200|300)|GB(?:10|200|300)|RTX (?:30|40|50)\d0|RTX A\d{4}|RTX \d{4} Ada"
    r"|RTX PRO \d{4})\b",
    re.IGNORECASE,
)
_TURING_OR_OLDER: Final = re.compile(
    r"\b(?:T4G?|V100S?|P(?:4|40|100)|K(?:20|40|80)|M(?:40|60)|GTX|TITAN|RTX 20\d0|"
    r"Quadro|T(?:400|600|1000|2000)|[KMP]\d{3,4})\b",
    re.IGNORECASE,
)
"""Compute capability below 8.0, where the name would else look newer."""


def has_bfloat16_and_flash(gpu: str | None) -> bool | None:
    """Whether the GPU multiplies bfloat16 natively and runs flash attention 2; None when unknown.

    Both need compute capability 8.0, NVIDIA's Ampere generation of 2020.
    """
    if gpu is None:
        return None
    name = gpu[:200]
    if _TURING_OR_OLDER.search(name):
        return False
    return True if _AMPERE_OR_NEWER.search(name) else None


_FLOAT_NAMES: Final = {
    "bfloat16": "bf16",
    "bf16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "fp16": "fp16",
    "float32": "fp32",
    "float": "fp32",
    "fp32": "fp32",
}
_NOT_REENTRANT_SINCE: Final = (5,)
"""transformers 5 checkpoints without re-entry when no option is given; 4 with it."""


class Warmup(Struct, frozen=True):
    """The planned warm-up against the epoch and the run."""

    steps: Recorded[int]
    """Optimiser steps."""
    of_epoch: float | None
    """Share of one epoch; None when the length of an epoch is unknown."""
    of_run: float | None
    """Share of the whole schedule; None when its length is unknown."""

    def is_shorter(self, steps: int, epoch_ratio: float) -> bool | None:
        """Whether it has neither so many steps nor such a share of an epoch; None if unknown."""
        if self.steps.value == 0 or self.steps.value >= steps:
            return self.steps.value == 0
        return None if self.of_epoch is None else self.of_epoch < epoch_ratio

    def is_longer(self, run_ratio: float) -> bool:
        """Whether it is known to take that share of the run."""
        return self.of_run is not None and self.of_run >= run_ratio

    def __str__(self) -> str:
        shares = [
            f"{share:.1%} of {whole}"
            for share, whole in ((self.of_epoch, "an epoch"), (self.of_run, "the run"))
            if share is not None and self.steps.value
        ]
        steps = f"{self.steps.value:,} step{'' if self.steps.value == 1 else 's'}"
        return f"{steps} ({', '.join(shares)})" if shares else steps


def planned_warmup(config: RunConfig) -> Warmup | None:
    """Return the warm-up that was asked for, None when it is not recorded."""
    steps = config.planned_warmup_steps
    if steps is None:
        return None
    epoch, run = config.steps_per_epoch, config.planned_steps
    return Warmup(
        steps,
        steps.value / epoch if epoch else None,
        steps.value / run.value if run else None,
    )


def training_precision(config: RunConfig) -> Recorded[str] | None:
    """`bf16`, `fp16` or `fp32`.

    Without mixed precision the type of the base weights decides; when that is not recorded either,
    the precision cannot be told.
    """
    for flag, name in ((config.bf16, "bf16"), (config.fp16, "fp16")):
        if flag is not None and flag.value:
            return Recorded(name, flag.source, flag.key)
    if config.dtype is None:
        return None
    known = _short_name(config.dtype.value)
    return Recorded(known, config.dtype.source, config.dtype.key) if known else None


PrecisionFault = Literal["overflow", "slow", "evaluation"]


def precision_fault(
    config: RunConfig, trained: str, evaluated: str | None
) -> PrecisionFault | None:
    """Tell what is wrong with the precision of training, else of evaluation, or None.

    Args:
        config: of the run.
        trained: `bf16`, `fp16` or `fp32`.
        evaluated: type of the weights in evaluation, where recorded.
    """
    if trained == "fp16":
        return "overflow"
    if evaluated is not None and _short_name(evaluated) == "fp16":
        return "evaluation"
    return "slow" if trained == "fp32" and gpu_is_modern(config) else None


def precision_text(trained: str, evaluated: str | None) -> str:
    """Say in which precision a run trained and was evaluated."""
    name = _short_name(evaluated) if evaluated else None
    return f"trained in {trained}, evaluated in {name}" if name else f"trained in {trained}"


def _short_name(dtype: str) -> str | None:
    return _FLOAT_NAMES.get(dtype.removeprefix("torch.").lower())


def gpu_is_modern(config: RunConfig) -> bool | None:
    """Whether the recorded device has bfloat16 and flash attention; None when it is not known."""
    if config.device is not None and not config.device.value.startswith("cuda"):
        return False
    return has_bfloat16_and_flash(config.gpu.value if config.gpu else None)


def ran_on_gpu(config: RunConfig) -> bool | None:
    """Whether the run used a GPU; None when it is not recorded."""
    if config.device is not None:
        return config.device.value.startswith("cuda")
    return config.n_gpu.value > 0 if config.n_gpu is not None else None


def reentrant_checkpointing(config: RunConfig) -> bool | None:
    """Whether activations are checkpointed by re-entering autograd; None when it cannot be told."""
    checkpointing = config.gradient_checkpointing
    if checkpointing is None:
        return None
    if not checkpointing.value:
        return False
    options = config.gradient_checkpointing_kwargs
    if options is not None and isinstance(chosen := options.value.get("use_reentrant"), bool):
        return chosen
    version = release(config.transformers.value if config.transformers else None)
    # Versions before 4.35 have no such option and always re-enter; a missing one says nothing.
    return None if options is None or version is None else version < _NOT_REENTRANT_SINCE
