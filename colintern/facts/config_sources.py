"""Merge what several files say about a run's configuration; usable values only."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.model.model_card import ModelCard
from colintern.artifacts.run.layout import MODEL_CARD, RUN_MANIFEST, TRAINER_STATE, TRAINING_ARGS
from colintern.artifacts.run.manifest import RunManifest
from colintern.facts.peak_rate import LOGGED_RATE, logged_peak
from colintern.facts.run_config import Recorded, RunConfig


class ConfigSource(Struct, frozen=True):
    """What one file says, under Trainer's names (see `_FIELDS`); any value may be anything."""

    name: str
    """Name of the file."""
    values: Mapping[str, Any]


def merged_config(sources: Sequence[ConfigSource]) -> RunConfig:
    """Merge what `sources` say; of two that say something usable, the earlier is taken.

    Epochs and `max_steps` override each other, and so do the two spellings of the warm-up: such a
    pair comes from the first source that has either.
    """
    found: dict[str, Recorded[Any]] = {}
    for source in sources:
        said = {
            name: recorded
            for name, spellings in _FIELDS.items()
            if (recorded := _first(source, spellings)) is not None
        }
        for pair in _PAIRS:
            if any(name in found for name in pair):
                said = {name: value for name, value in said.items() if name not in pair}
        found = {**said, **found}
    return RunConfig(**found)


def _first(source: ConfigSource, spellings: "tuple[_Spelling, ...]") -> Recorded[Any] | None:
    for key, convert in spellings:
        if key in source.values and (value := convert(source.values[key])) is not None:
            return Recorded(value, source.name, key)
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An integer of a thousand digits is no configuration, and no float either.
    is_sane = abs(value) < _LARGEST if isinstance(value, int) else math.isfinite(value)
    return float(value) if is_sane else None


def _natural(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 0 and number.is_integer() else None


def _positive(value: Any) -> int | None:
    return _natural(value) or None


def _not_negative(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number >= 0 else None


def _share(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None


def _fraction(value: Any) -> float | None:
    """A `warmup_steps` below one, which transformers 5 reads as a ratio."""
    number = _number(value)
    return number if number is not None and 0 < number < 1 else None


def _whole_steps(value: Any) -> int | None:
    """A `warmup_steps` of zero or at least one, cut to an integer as Trainer does."""
    number = _number(value)
    return int(number) if number is not None and (number == 0 or number >= 1) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _strategy(value: Any) -> str | None:
    """A strategy's name; the oldest Trainer had a flag: evaluate every so many steps, or not."""
    if isinstance(value, bool):
        return "steps" if value else "no"
    text = _text(value)
    return text.rpartition(".")[2].lower() if text else None


def _options(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, Mapping) else None


def _no_options(value: Any) -> dict[str, Any] | None:
    return {} if value is None else None


def _clipping(value: Any) -> float | None:
    """Trainer clips nothing when its `max_grad_norm` is None."""
    return 0.0 if value is None else _not_negative(value)


_LARGEST: Final = 10**15

_PAIRS: Final = (("num_train_epochs", "max_steps"), ("warmup_ratio", "warmup_steps"))

_Spelling = tuple[str, Callable[[Any], Any]]

# The second names of epochs, steps, processes and warm-up are those of Trainer's model card.
_FIELDS: Final[dict[str, tuple[_Spelling, ...]]] = {
    "num_train_epochs": (("num_train_epochs", _not_negative), ("num_epochs", _not_negative)),
    "max_steps": (("max_steps", _positive), ("training_steps", _positive)),
    "logged_epochs": (("logged_epochs", _positive),),
    "total_steps": (("total_steps", _positive),),
    "global_step": (("global_step", _natural),),
    "epoch": (("epoch", _not_negative),),
    # The oldest name wins over the newer one when both are set.
    "per_device_train_batch_size": (
        ("per_gpu_train_batch_size", _positive),
        ("per_device_train_batch_size", _positive),
    ),
    "per_device_eval_batch_size": (
        ("per_gpu_eval_batch_size", _positive),
        ("per_device_eval_batch_size", _positive),
    ),
    "train_batch_size": (("train_batch_size", _positive),),
    "gradient_accumulation_steps": (("gradient_accumulation_steps", _positive),),
    "world_size": (("world_size", _positive), ("num_devices", _positive)),
    "n_gpu": (("n_gpu", _natural), ("_n_gpu", _natural)),
    "effective_batch_size": (("effective_batch_size", _positive),),
    "total_train_batch_size": (("total_train_batch_size", _positive),),
    "candidates": (("candidates", _positive),),
    "contrastive_batch_size": (("contrastive_batch_size", _positive),),
    "loss_class": (("loss_class", _text),),
    "auto_find_batch_size": (("auto_find_batch_size", _flag),),
    "train_samples_per_second": (("train_samples_per_second", _not_negative),),
    "train_steps_per_second": (("train_steps_per_second", _not_negative),),
    "train_runtime": (("train_runtime", _not_negative),),
    "learning_rate": (("learning_rate", _not_negative), (LOGGED_RATE, _not_negative)),
    "lr_scheduler_type": (("lr_scheduler_type", _strategy),),
    "warmup_ratio": (
        ("warmup_steps", _fraction),
        ("warmup_ratio", _share),
        ("lr_scheduler_warmup_ratio", _share),
    ),
    "warmup_steps": (
        ("warmup_steps", _whole_steps),
        ("lr_scheduler_warmup_steps", _whole_steps),
    ),
    "bf16": (("bf16", _flag),),
    "fp16": (("fp16", _flag),),
    "eval_strategy": (
        ("eval_strategy", _strategy),
        ("evaluation_strategy", _strategy),
        ("evaluate_during_training", _strategy),
    ),
    "eval_steps": (("eval_steps", _not_negative),),
    "logging_steps": (("logging_steps", _not_negative),),
    "save_steps": (("save_steps", _not_negative),),
    "load_best_model_at_end": (("load_best_model_at_end", _flag),),
    "metric_for_best_model": (("metric_for_best_model", _text),),
    "greater_is_better": (("greater_is_better", _flag),),
    "num_evaluations": (("num_evaluations", _natural),),
    "dataloader_num_workers": (("dataloader_num_workers", _natural),),
    "max_grad_norm": (("max_grad_norm", _clipping),),
    # transformers 5 renamed them and keeps the old names as aliases.
    "gradient_checkpointing": (
        ("activation_checkpointing", _flag),
        ("gradient_checkpointing", _flag),
    ),
    "gradient_checkpointing_kwargs": (
        ("activation_checkpointing_kwargs", _options),
        ("gradient_checkpointing_kwargs", _options),
        ("gradient_checkpointing_kwargs", _no_options),
    ),
    "transformers": (("transformers", _text),),
    "device": (("device", _text),),
    "gpu": (("gpu", _text),),
    "attention": (("attention", _text),),
    "dtype": (("dtype", _text),),
}


_CARD_DEFAULTS: Final = {
    "gradient_accumulation_steps": 1,
    "num_devices": 1,
    "lr_scheduler_warmup_ratio": 0.0,
    "lr_scheduler_warmup_steps": 0,
}
"""What Trainer leaves out of a card because it is the default."""

_CERTAIN_RATE: Final = 0.25
"""Share that a peak may lie above the largest row, well inside the factor of two that the guide's
interval allows on either side."""

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
    """Merge what was found: the manifest first, then the arguments, the log and the card.

    A rate that only the rows of the log show is a rate too, but everybody who states it goes first.
    """
    sources = (
        _of_manifest(manifest),
        _of_arguments(arguments),
        _of_log(log),
        _of_card(card),
        _of_log_rows(log),
    )
    return merged_config([source for source in sources if source is not None])


def stated_configs(
    manifest: RunManifest | None, arguments: Mapping[str, Any] | None, card: ModelCard | None
) -> dict[str, RunConfig]:
    """Return what each file that states arguments says by itself, by its name."""
    sources = (_of_manifest(manifest), _of_arguments(arguments), _of_card(card))
    return {source.name: merged_config([source]) for source in sources if source is not None}


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
        "num_evaluations": log.num_evaluations,
    }
    rates = ("train_samples_per_second", "train_steps_per_second", "train_runtime")
    values |= {key: log.summary[key] for key in rates if key in log.summary}
    return ConfigSource(TRAINER_STATE, values)


def _of_log_rows(log: TrainerState | None) -> ConfigSource | None:
    peak = logged_peak(log) if log is not None else None
    if peak is None or peak.margin > _CERTAIN_RATE * peak.value:
        return None
    return ConfigSource(TRAINER_STATE, {LOGGED_RATE: peak.value})


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
