"""Settings of an adapter that PEFT refuses before it looks at a tensor (PEFT 0.20)."""

import re
from typing import Final

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.printable import printable

_KINDS: Final = frozenset(
    {
        *("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "LORA"),
        "ADALORA",
        *("ADAMSS", "BOFT", "ADAPTION_PROMPT", "IA3", "BEFT", "LILY"),
        *("LOHA", "LOKR", "OFT", "POLY", "LN_TUNING", "VERA"),
        *("FROD", "PVERA", "FOURIERFT", "GLORA", "XLORA", "HRA"),
        *("VBLORA", "UNILORA", "CPT", "MISS", "RANDLORA", "ROAD"),
        *("TRAINABLE_TOKENS", "HIRA", "SHIRA", "C3A", "WAVEFT", "OSF"),
        *("DELORA", "GRALORA", "CARTRIDGE", "TINYLORA", "PSOFT", "PEANUT"),
        *("DEFT", "BONE"),
    }
)
"""`PeftType` of PEFT 0.20, and `BONE`, which releases before 0.19 knew."""
_TASKS: Final = frozenset(
    {
        *("SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS"),
        "FEATURE_EXTRACTION",
    }
)
_BIASES: Final = frozenset({"none", "all", "lora_only"})
_STARTS: Final = re.compile(
    r"(?i:gaussian|olora|mica)|eva|loftq|orthogonal|lora_ga|corda|pissa(?:_niter_\d{1,6})?"
)
_SHOWN_CHARACTERS: Final = 60


def refused_settings(config: AdapterConfig) -> tuple[str, ...]:
    """Say which settings make PEFT raise an error; empty where none does."""
    if config.peft_type not in _KINDS:
        return (f"`peft_type` {_shown(config.peft_type)} is no kind of adapter",)
    task = config.task_type
    unknown = [f"`task_type` {_shown(task)} is no task"] if task and task not in _TASKS else []
    if not config.is_lora:
        return tuple(unknown)
    if config.bias not in _BIASES:
        unknown.append(f"`bias` {_shown(config.bias)} is none of none, all and lora_only")
    if config.lora_bias and config.use_dora:
        unknown.append("`lora_bias` stands beside `use_dora`")
    return (*unknown, *_refused_starts(config), *_refused_targets(config))


def _refused_starts(config: AdapterConfig) -> list[str]:
    start = config.init_lora_weights
    if isinstance(start, str) and not _STARTS.fullmatch(start):
        return [f"`init_lora_weights` {_shown(start)} is no initialisation"]
    if start == "loftq" and not config.raw.get("loftq_config"):
        return ["`init_lora_weights` loftq has no `loftq_config`"]
    return []


def _refused_targets(config: AdapterConfig) -> list[str]:
    if config.target_modules is None and not config.target_parameters:
        return ["`target_modules` is not there"]
    if isinstance(config.target_modules, str):
        beside = {
            "layers_to_transform": config.layers_to_transform,
            "layers_pattern": config.layers_pattern,
        }
        return [
            f"`{key}` stands beside a `target_modules` that is an expression"
            for key, value in beside.items()
            if value is not None
        ]
    if config.layers_pattern and not config.layers_to_transform:
        return ["`layers_pattern` stands there without `layers_to_transform`"]
    return []


def _shown(value: str) -> str:
    return printable(value, limit=_SHOWN_CHARACTERS)
