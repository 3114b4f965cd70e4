"""What the runs of `colintern compare` have in their configurations that is not alike."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from colintern.artifacts.adapter_config import read_adapter_config
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.evaluation_record import EVALUATION_RECORD, read_evaluation_record
from colintern.artifacts.files import Enclosure
from colintern.artifacts.printable import printable
from colintern.artifacts.run_layout import (
    ADAPTER_CONFIG,
    RUN_MANIFEST,
    TRAINING_ARGS,
    RunLayout,
    read_run_layout,
)
from colintern.artifacts.run_manifest import RunManifest, read_run_manifest
from colintern.artifacts.training_args import read_training_args
from colintern.diagnostics.comparison import Evaluated
from colintern.diagnostics.config_sources import recorded_config

_ADAPTER: Final = (
    "base_model_name_or_path",
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "exclude_modules",
    "modules_to_save",
    "use_rslora",
    "use_dora",
    "init_lora_weights",
)
_EVALUATION: Final = (
    "query_prefix",
    "query_suffix",
    "padding_side",
    "max_num_visual_tokens",
    "attention",
    "dtype",
)
_VERSIONS: Final = ("mteb", "colpali-engine", "transformers")
_MOST_DATASETS: Final = 20


class SettingRow(msgspec.Struct, frozen=True):
    """One setting that is not recorded alike."""

    name: str
    values: tuple[str, ...]
    """One a run; empty where a run does not record it."""


def differing_settings(models: Sequence[Evaluated], paths: Sequence[Path]) -> list[SettingRow]:
    """Return the settings that are recorded differently; what is absent or broken is left out."""
    columns = [
        {name: _shown(value) for name, value in _settings(model, path)}
        for model, path in zip(models, paths, strict=True)
    ]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = (SettingRow(name, tuple(column.get(name, "") for column in columns)) for name in names)
    return [row for row in rows if len(set(row.values)) > 1]


def _settings(model: Evaluated, path: Path) -> Iterator[tuple[str, Any]]:
    with suppress(ArtifactError):
        yield from _of_run(read_run_layout(path))
    with suppress(ArtifactError):
        yield from _of_evaluation(model.results.folder, model.results.root)


def _of_run(layout: RunLayout) -> Iterator[tuple[str, Any]]:
    manifest = arguments = None
    with suppress(ArtifactError):
        if (file := layout.find(RUN_MANIFEST)) is not None:
            manifest = read_run_manifest(file, layout.enclosure)
    with suppress(ArtifactError):
        if (file := layout.find(TRAINING_ARGS)) is not None:
            arguments = read_training_args(file, layout.enclosure).values
    if manifest is not None:
        yield from _of_manifest(manifest)
    config = recorded_config(manifest, arguments, None, None)
    for name, recorded in msgspec.structs.asdict(config).items():
        if recorded is not None:
            yield name, recorded.value
    with suppress(ArtifactError):
        if (file := layout.find(ADAPTER_CONFIG)) is not None:
            adapter = read_adapter_config(file, layout.enclosure)
            yield from ((f"LoRA {name}", _given(getattr(adapter, name))) for name in _ADAPTER)


def _of_manifest(manifest: RunManifest) -> Iterator[tuple[str, Any]]:
    yield "recipe", manifest.recipe
    yield "seed", (manifest.arguments or {}).get("seed")
    if manifest.loss is not None:
        yield "loss", manifest.loss.class_name
        yield "loss temperature", manifest.loss.temperature
        yield "loss normalize_scores", manifest.loss.normalize_scores
    for number, dataset in enumerate((manifest.datasets or ())[:_MOST_DATASETS], start=1):
        yield f"data {number}", f"{dataset.name}, {dataset.split}, {dataset.rows} rows"


def _of_evaluation(folder: Path, root: Path) -> Iterator[tuple[str, Any]]:
    record = read_evaluation_record(folder / EVALUATION_RECORD, Enclosure.around(root))
    yield from ((f"evaluation {name}", getattr(record, name)) for name in _EVALUATION)
    versions = record.versions or {}
    yield from ((f"evaluation with {name}", versions.get(name)) for name in _VERSIONS)


def _given(value: Any) -> Any:
    return "none" if value is None or value == [] else value


def _shown(value: Any) -> str:
    if value is None:
        return ""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return printable(text, limit=120)
