"""What `colintern compare` reads: the results of each run, and how they differ from the first's."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.model.adapter_config import read_adapter_config
from colintern.artifacts.printable import printable
from colintern.artifacts.results.evaluation_record import EVALUATION_RECORD, read_evaluation_record
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.predictions import TaskQueries, read_task_queries
from colintern.artifacts.results.search import find_results, find_results_in
from colintern.artifacts.run.layout import (
    ADAPTER_CONFIG,
    RUN_MANIFEST,
    TRAINING_ARGS,
    RunLayout,
    read_run_layout,
)
from colintern.artifacts.run.manifest import RunManifest, read_run_manifest
from colintern.artifacts.run.training_args import read_training_args
from colintern.diagnostics.results.comparison import (
    Comparison,
    Evaluated,
    ScoreTable,
    compare,
    score_table,
)
from colintern.diagnostics.results.result_table import METRICS
from colintern.engine.subjects import find_subjects
from colintern.facts.config_sources import recorded_config

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


METRIC_NAMES: Final = {
    "ndcg_at_5": "NDCG@5",
    "ndcg_at_10": "NDCG@10",
    "recall_at_100": "Recall@100",
}
"""The guide's primary metrics; the first is the one that is judged."""


class Compared(Struct, frozen=True):
    """Several runs beside the first of them."""

    names: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    """Of each further run with the first."""
    tables: tuple[ScoreTable, ...]
    """One a metric."""
    settings: tuple[SettingRow, ...]
    """What is configured differently."""

    @property
    def comparable(self) -> bool:
        """Whether each run has a task that may be compared with the first."""
        return all(comparison.tasks for comparison in self.comparisons)


def compared_runs(arguments: Sequence[str]) -> Compared:
    """Compare each further run with the first.

    Args:
        arguments: runs as `colintern audit` takes them, or folders with results.

    Raises:
        ArtifactError: a file is malformed, or a run has no results.
        SubjectError: an argument leads nowhere.
    """
    located = [_located(argument) for argument in arguments]
    names = _names([name for name, _ in located], arguments)
    paths = [path for _, path in located]
    models = [read_evaluated(path, name) for path, name in zip(paths, names, strict=True)]
    comparisons = tuple(compare(models[0], model) for model in models[1:])
    return Compared(
        tuple(names),
        comparisons,
        tuple(score_table(models, comparisons, metric) for metric in METRICS),
        tuple(differing_settings(models, paths)),
    )


def read_evaluated(path: Path, name: str) -> Evaluated:
    """Read the results of a run, or those in a folder of results.

    Rankings that cannot be read are no reason to give up: the figures can be compared without.

    Raises:
        ArtifactError: a file is malformed, or there are no results.
    """
    layout = read_run_layout(path)
    results = find_results(layout, layout.path.name, Path.cwd()).results
    if results is None or not results.tasks:
        results = find_results_in(path, layout, layout.path.name, num_subjects=1).results
    if results is None or not results.tasks:
        raise ArtifactError(
            path,
            expected="a run with results, or a folder of TASK.json files",
            found="no task result",
            remedy="Evaluate it, or name the folder of its results.",
        )
    return _with_queries(name, results)


def _with_queries(name: str, results: TaskResults) -> Evaluated:
    queries: dict[str, TaskQueries] = {}
    unreadable = {}
    for task in results.tasks:
        try:
            found = read_task_queries(results, task)
        except ArtifactError as error:
            unreadable[task] = printable(error, limit=400)
            continue
        if found is not None:
            queries[task] = found
    return Evaluated(name, results, queries, unreadable)


def _located(argument: str) -> tuple[str, Path]:
    path = Path(argument).expanduser()
    is_demo = argument == "demo" or argument.startswith("demo:")
    if path.is_dir() and not is_demo:
        return path.resolve().name, path
    (subject,) = find_subjects([argument], Path.cwd())
    return subject.name, subject.path


def _names(short: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Name runs by their folders, else by what was typed; one named twice is told apart."""
    names = list(short if len(set(short)) == len(short) else arguments)
    seen: Counter[str] = Counter()
    for index, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[index] = f"{name} ({seen[name]})"
    return names
