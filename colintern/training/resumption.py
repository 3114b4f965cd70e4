"""What a run that goes on must have kept, and what of it may change.

The checkpoint brings the optimiser, the place in the schedule and the place in the data. With
another value of what decides these, the run would be neither the old one nor a new one, while its
manifest would tell of one. So whatever decides a step must be as it was: model, LoRA, loss, data,
batch, rate, schedule, seed, precision, number of processes.

The rest may change: what is written and when (saving, logging, evaluation), how the work is done
(workers, gradient checkpointing, the chunk of a cached batch), whether bad rows are skipped, and
where base and data lie. The length may change only under a schedule that does not depend on it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import to_builtins

from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import ADAPTER_CONFIG, RUN_MANIFEST
from colintern.artifacts.run.manifest import RunManifest
from colintern.model.lora import peft_config
from colintern.recipes.targets import LoraSettings
from colintern.training.preflight import PreflightError

Place = tuple[str | int, ...]
"""Of a value in a document: keys and numbers, from the outside in."""

_ARGUMENTS: Final = (
    *("per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate"),
    *("weight_decay", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio"),
    *("optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm"),
    *("seed", "data_seed", "dataloader_drop_last", "bf16", "fp16", "neftune_noise_alpha"),
)
"""Fields of TrainingArguments that decide a step."""

_IN_MANIFEST: Final[dict[str, Place]] = {
    **{name: ("arguments", name) for name in _ARGUMENTS},
    "number of processes": ("world_size",),
    "loss": ("loss", "class"),
    "temperature": ("loss", "temperature"),
    "normalize_scores": ("loss", "normalize_scores"),
    "max_num_visual_tokens": ("processor", "max_num_visual_tokens"),
    "query_prefix": ("processor", "query_prefix"),
    "query_suffix": ("processor", "query_suffix"),
    "rows of the data": ("datasets", 0, "rows"),
    "split of the data": ("datasets", 0, "split"),
}
_IN_ADAPTER: Final = {
    "lora.rank": "r",
    "lora.alpha": "lora_alpha",
    "lora.dropout": "lora_dropout",
    "modules that are trained whole": "modules_to_save",
}
_BY_CONTENT: Final[dict[str, tuple[Place, Place]]] = {
    "base": (("base", "id"), ("base", "layers_sha256")),
    "dataset": (("datasets", 0, "name"), ("datasets", 0, "rows_sha256")),
    "lora.target_modules": (("lora", "target_modules"), ("lora", "matched")),
}
"""What may be named, or lie, elsewhere: the name, and what tells more where both runs have it."""

_WITHOUT_LENGTH: Final = ("constant", "constant_with_warmup")
"""Schedules whose rate at a step does not depend on how many are to come."""

_SHOWN: Final = 120
"""Characters of a value in the message."""

_UNKNOWN: Final = object()
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})
"""What a setting is that was never made; another version of a library may write another of them."""


def check_resumed(checkpoint: Path, manifest: RunManifest, lora: LoraSettings) -> None:
    """Check that a run goes on with what decided its steps so far.

    Args:
        checkpoint: what it goes on from.
        manifest: of the run as it would go on.
        lora: of the run as it would go on.

    Raises:
        PreflightError: a setting is another; the message has its name and both values.
    """
    # A kill may come between a checkpoint and the copy of the manifest in it.
    began = _document(checkpoint / RUN_MANIFEST) or _document(checkpoint.parent / RUN_MANIFEST)
    adapter = _document(checkpoint / ADAPTER_CONFIG)
    now: dict[str, Any] = json.loads(json.dumps(to_builtins(manifest), default=str))
    others = list(_differences(began, adapter, now, _as_saved(peft_config(lora).to_dict())))
    if not others:
        return
    name, before, after = others[0]
    more = ", ".join(each for each, *_ in others[1:])
    raise PreflightError(
        f"a run must go on with the {name} it began with, but that was "
        f"{printable(before, limit=_SHOWN)} and is {printable(after, limit=_SHOWN)}"
        f"{f' (other too: {more})' if more else ''}; "
        "give --resume with the options that the run began with, or choose another --output-dir "
        "for a new run"
    )


def _differences(
    began: Mapping[str, Any],
    adapter: Mapping[str, Any],
    now: Mapping[str, Any],
    adapter_now: Mapping[str, Any],
) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, value before and value now of what is another; unknown is no difference."""
    for name, key in _IN_ADAPTER.items():
        if key in adapter and _other(_as_saved(adapter)[key], adapter_now[key]):
            yield name, adapter[key], adapter_now[key]
    for name, place in {**_IN_MANIFEST, **_length(now)}.items():
        if _differ(began, now, place):
            yield name, _at(began, place), _at(now, place)
    for name, (place, content) in _BY_CONTENT.items():
        known = all(isinstance(_at(each, content), str | list) for each in (began, now))
        if _differ(began, now, content) if known else _differ(began, now, place, _last):
            yield name, *_named(began, now, place, content)


def _differ(
    began: Mapping[str, Any],
    now: Mapping[str, Any],
    place: Place,
    form: Callable[[Any], Any] = lambda value: value,
) -> bool:
    before, after = _at(began, place), _at(now, place)
    return before is not _UNKNOWN and after is not _UNKNOWN and _other(form(before), form(after))


def _other(before: Any, after: Any) -> bool:
    return bool(before != after) and not (before in _NOTHING and after in _NOTHING)


def _last(name: Any) -> Any:
    """Keep of a name what a folder keeps when it is moved."""
    return name.rstrip("/").rpartition("/")[2] if isinstance(name, str) else name


def _named(
    began: Mapping[str, Any],
    now: Mapping[str, Any],
    place: Place,
    content: Place,
) -> tuple[str, str]:
    """Name both, with the hashes where the names are the same."""
    names = [str(_at(each, place)) for each in (began, now)]
    if names[0] == names[1]:
        names = [f"{_at(each, place)} (sha256 {_at(each, content)!s:.12})" for each in (began, now)]
    return names[0], names[1]


def _length(now: Mapping[str, Any]) -> dict[str, Place]:
    """Return what says how long the run is, where the schedule depends on it."""
    arguments = now.get("arguments") or {}
    warmup = arguments.get("warmup_steps") or 0
    shared = 0 < warmup < 1  # transformers: a share of the run
    if arguments.get("lr_scheduler_type") in _WITHOUT_LENGTH and not shared:
        return {}
    steps = {"max_steps": ("arguments", "max_steps")}
    epochs = {"num_train_epochs": ("arguments", "num_train_epochs")}
    return {**steps, **(epochs if (arguments.get("max_steps") or 0) <= 0 else {})}


def _at(document: Any, place: Place) -> Any:
    for key in place:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return _UNKNOWN
    return document


def _as_saved(adapter: Mapping[str, Any]) -> dict[str, Any]:
    """Return PEFT's settings in one form: it keeps lists as sets, and saves them in any order."""
    return {
        key: sorted(map(str, value)) if isinstance(value, set | list | tuple) else value
        for key, value in adapter.items()
    }


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
