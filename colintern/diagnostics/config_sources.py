"""What each file says about a run's configuration, put under Trainer's names."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from colintern.artifacts.model_card import ModelCard
from colintern.artifacts.run_layout import MODEL_CARD, RUN_MANIFEST, TRAINER_STATE, TRAINING_ARGS
from colintern.artifacts.run_manifest import RunManifest
from colintern.artifacts.trainer_state import TrainerState
from colintern.diagnostics.config_merge import ConfigSource, merged_config
from colintern.diagnostics.run_config import RunConfig

_CARD_DEFAULTS: Final = {
    "gradient_accumulation_steps": 1,
    "num_devices": 1,
    "lr_scheduler_warmup_ratio": 0.0,
    "lr_scheduler_warmup_steps": 0,
}
"""What Trainer leaves out of a card because it is the default."""

_NOT_DISTRIBUTED: Final = -1
_PROCESS_NAMES: Final = {"world_size": "num_processes", "device": "device"}
"""What accelerate's state, pickled with the arguments, knows of the run's processes."""

_REENTRANT: Final = re.compile(r"['\"]use_reentrant['\"]: (True|False)")


def recorded_config(
    manifest: RunManifest | None,
    arguments: Mapping[str, Any] | None,
    log: TrainerState | None,
    card: ModelCard | None,
) -> RunConfig:
    """Merge what was found: the manifest first, then the arguments, the log and the card."""
    sources = (
        _of_manifest(manifest),
        _of_arguments(arguments),
        _of_log(log),
        _of_card(card),
    )
    return merged_config([source for source in sources if source is not None])


def _of_manifest(manifest: RunManifest | None) -> ConfigSource | None:
    if manifest is None:
        return None
    hardware = manifest.hardware
    values: dict[str, Any] = {
        **(manifest.arguments or {}),
        "world_size": manifest.world_size,
        "effective_batch_size": manifest.effective_batch_size,
        "candidates": manifest.candidates or manifest.contrastive_batch_size,
        "contrastive_batch_size": manifest.contrastive_batch_size,
        "loss_class": manifest.loss.class_name if manifest.loss else None,
        "transformers": (manifest.versions or {}).get("transformers"),
    }
    if hardware is not None:
        values |= {
            "device": hardware.device,
            "gpu": hardware.gpu,
            "attention": hardware.attention,
            "dtype": hardware.dtype,
        }
    return ConfigSource(RUN_MANIFEST, values)


def _of_arguments(arguments: Mapping[str, Any] | None) -> ConfigSource | None:
    if arguments is None:
        return None
    values = dict(arguments)
    state = values.get("distributed_state")
    if isinstance(state, Mapping):
        values |= {key: state.get(name) for key, name in _PROCESS_NAMES.items()}
    # Before accelerate kept the state, a rank of -1 was the only sign of a single process.
    elif values.get("local_rank") == _NOT_DISTRIBUTED:
        values["world_size"] = 1
    # Transformers 5 dropped it: a number there tells the generation.
    if isinstance(values.get("warmup_ratio"), float):
        values.setdefault("transformers", "4")
    return ConfigSource(TRAINING_ARGS, values)


def _of_log(log: TrainerState | None) -> ConfigSource | None:
    if log is None:
        return None
    values: dict[str, Any] = {
        "logged_epochs": log.num_train_epochs,
        "total_steps": log.max_steps,
        "global_step": log.global_step,
        "epoch": log.epoch,
        "train_batch_size": log.train_batch_size,
        "logging_steps": log.logging_steps,
        "save_steps": log.save_steps,
        "eval_steps": log.eval_steps,
        "num_evaluations": len(log.evaluations),
    }
    rates = ("train_samples_per_second", "train_steps_per_second", "train_runtime")
    values |= {key: log.summary[key] for key in rates if key in log.summary}
    return ConfigSource(TRAINER_STATE, values)


def _of_card(card: ModelCard | None) -> ConfigSource | None:
    if card is None:
        return None
    values = dict(_card_values(card.arguments))
    values["transformers"] = card.versions.get("transformers")
    if "train_batch_size" in card.hyperparameters:
        values = {**_CARD_DEFAULTS, **dict(_card_values(card.hyperparameters)), **values}
        # The line is written for float16 only; bfloat16 leaves no trace in a card.
        if "mixed_precision_training" in card.hyperparameters:
            values["fp16"] = True
    return ConfigSource(MODEL_CARD, values)


def _card_values(texts: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """The values that a card wrote with `str()`."""
    words: dict[str, Any] = {"True": True, "False": False, "None": None}
    for key, text in texts.items():
        if match := _REENTRANT.search(text):
            yield key, {"use_reentrant": match[1] == "True"}
        else:
            yield key, words[text] if text in words else _number_or_text(text)


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
