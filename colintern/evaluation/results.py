"""The folder of one model's results, in the guide's layout: `MODEL/TASK.json`.

Beside the tasks lie `model_meta.json`, `colintern_eval.json`, what was ranked for each query and
what answers it in `predictions/`, and the score of every query in `per_query/`. All are written
whole or not at all.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from mteb.cache import ResultCache
from mteb.models.model_meta import ModelMeta
from mteb.results import TaskResult

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.printable import printable
from colintern.artifacts.results.evaluation_record import EVALUATION_RECORD, read_evaluation_record
from colintern.artifacts.results.model_meta import MODEL_META
from colintern.artifacts.results.task_result import written_result
from colintern.artifacts.writing import write_json
from colintern.diagnostics.processor.resolution import visual_tokens
from colintern.evaluation.checkpoint import Checkpoint, processor_in
from colintern.evaluation.query_files import discard_queries
from colintern.evaluation.retriever import Retriever
from colintern.model.versions import installed_versions


def evaluation_record(retriever: Retriever) -> dict[str, Any]:
    """Describe how the results are made: `colintern_eval.json`, not yet ended."""
    processor, base = retriever.processor, retriever.checkpoint.evaluated_base
    return {
        "weights_sha256": retriever.checkpoint.weights_sha256,
        "settings_sha256": retriever.checkpoint.settings_sha256,
        "base": msgspec.to_builtins(base),
        "query_prefix": retriever.query_prefix,
        "query_suffix": retriever.query_suffix,
        "padding_side": processor.tokenizer.padding_side,
        "max_num_visual_tokens": getattr(processor, "max_num_visual_tokens", None),
        "most_visual_tokens": _most_visual_tokens(retriever.checkpoint),
        "attention": retriever.attention,
        "dtype": str(retriever.dtype).removeprefix("torch."),
        "device": _device_name(retriever),
        "versions": installed_versions() | {"mteb": _mteb_version()},
        "started": now(),
        "ended": None,
    }


def _most_visual_tokens(checkpoint: Checkpoint) -> int | None:
    try:
        found = visual_tokens(processor_in(checkpoint))
    except ArtifactError:
        return None
    return found.most if found else None


def _device_name(retriever: Retriever) -> str:
    import torch  # noqa: PLC0415 - a name only

    device = retriever.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _mteb_version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - a name only

    return version("mteb")


def now() -> str:
    """Return the time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat()


PER_QUERY: Final = "per_query"
PER_QUERY_SCHEMA: Final = "colintern.per_query/1"
_OUTDATED: Final = ".outdated"
"""Hidden, so that no reader takes the results of other weights for these."""
_OF_THE_CHECKPOINT: Final = ("weights_sha256", "settings_sha256")
_IDENTITY: Final = (
    *_OF_THE_CHECKPOINT,
    "query_prefix",
    "query_suffix",
    "padding_side",
    "max_num_visual_tokens",
    "dtype",
)
"""Fields of the record that must not change between two tasks of one folder."""


class ResultsError(OSError):
    """A folder that results cannot be written into; the message says what to do."""


class ResultsFolder:
    """One model's results on disk."""

    def __init__(self, path: Path) -> None:
        """Describe the folder; nothing is made or read yet."""
        self.path = path

    def is_of(self, checkpoint: Checkpoint) -> bool:
        """Whether what is here was made with these weights and these settings of theirs."""
        recorded = self._recorded()
        return recorded is not None and all(
            _agree(recorded, key, getattr(checkpoint, key)) for key in _OF_THE_CHECKPOINT
        )

    def make(self) -> None:
        """Make the folder, where nothing can be written into it before a model is loaded.

        Raises:
            ResultsError: it cannot be made, or not be written into.
        """
        with self._writing():
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass

    def start(self, record: dict[str, Any]) -> Path | None:
        """Begin an evaluation; results of other weights or settings are moved away first.

        Returns:
            Where they were moved to, or None when there were none.
        """
        recorded = self._recorded()
        moved = None
        self.make()
        if any(self.path.glob("*.json")) and not _same(recorded, record):
            moved = self._move_away(recorded)
        with self._writing():
            (self.path / PER_QUERY).mkdir(exist_ok=True)
        kept = recorded if recorded and moved is None else {}
        begun = {"started": kept.get("started") or record["started"]}
        results = {"results": kept.get("results") or {}}
        with self._writing():
            write_json(self.path / EVALUATION_RECORD, record | begun | results)
        return moved

    def finish(self) -> None:
        """Note when the last task ended."""
        recorded = self._recorded() or {}
        with self._writing():
            write_json(self.path / EVALUATION_RECORD, recorded | {"ended": now()})

    def task_result(self, name: str) -> TaskResult | None:
        """Return the result of a task, or None when there is none that can be read."""
        try:
            return TaskResult.from_disk(self.path / f"{name}.json")
        except Exception:  # noqa: BLE001 - MTEB looks into any JSON as if it were a result
            return None

    def write_per_query(self, name: str, revision: str, scores: dict[str, Any]) -> None:
        """Write the metrics of every query: split to subset to query to metric to value."""
        content = {
            "schema": PER_QUERY_SCHEMA,
            "task": name,
            "dataset_revision": revision,
            "scores": scores,
        }
        write_json(self.path / PER_QUERY / f"{name}_predictions.json", content)

    def read_per_query(self, name: str, revision: str) -> dict[str, Any]:
        """Return the scores of the queries of a task that was begun earlier on the same data."""
        try:
            content = json.loads((self.path / PER_QUERY / f"{name}_predictions.json").read_text())
        except (OSError, ValueError):
            return {}
        same = isinstance(content, dict) and content.get("dataset_revision") == revision
        scores = content.get("scores") if same else None
        known = isinstance(scores, dict) and all(isinstance(one, dict) for one in scores.values())
        return scores if known and scores else {}

    def discard_task(self, name: str) -> None:
        """Remove the result of a task, if there is one."""
        (self.path / f"{name}.json").unlink(missing_ok=True)
        discard_queries(self.path, name)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ResultsError(
                f"{printable(self.path)}: results cannot be written ({error.strerror or error}); "
                "--results-dir DIR names another folder"
            ) from error

    def _recorded(self) -> dict[str, Any] | None:
        path = self.path / EVALUATION_RECORD
        try:
            read_evaluation_record(path, Enclosure.around(self.path))
            recorded: dict[str, Any] = json.loads(path.read_text())
        except (ArtifactError, OSError, ValueError):
            return None
        return recorded

    def _move_away(self, recorded: dict[str, Any] | None) -> Path:
        sha256 = str((recorded or {}).get("weights_sha256") or "unknown")[:12]
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
        target = self.path / _OUTDATED / f"{stamp}-{sha256}"
        with self._writing():
            target.mkdir(parents=True)
            for entry in list(self.path.iterdir()):
                if not entry.name.startswith("."):
                    entry.rename(target / entry.name)
        return target


class FlatCache(ResultCache):
    """MTEB's cache of results in the guide's layout, written atomically."""

    def __init__(self, folder: Path) -> None:
        """Keep one model's results in `folder`."""
        super().__init__(folder)
        self._folder = folder

    def get_task_result_path(self, task_name: str, *_: Any, **__: Any) -> Path:
        """Return the file of a task."""
        return self._folder / f"{task_name}.json"

    @property
    def has_remote(self) -> bool:
        """No published results are mixed in."""
        return False

    def save_to_cache(
        self, task_result: TaskResult, model_name: str | ModelMeta, *_: Any, **__: Any
    ) -> None:
        """Write a task, and the model's description beside it."""
        path = self.get_task_result_path(task_result.task_name)
        partial = path.with_name(path.name + ".partial")
        task_result.to_disk(partial)
        partial.replace(path)
        _note_result(path)
        if isinstance(model_name, ModelMeta):
            described = json.loads(json.dumps(model_name.to_dict(), default=str))
            write_json(path.with_name(MODEL_META), described)


def _note_result(path: Path) -> None:
    """Add a result that was just written to the record beside it."""
    record = path.with_name(EVALUATION_RECORD)
    if record.is_file():
        recorded = json.loads(record.read_text())
        known = recorded.get("results") or {}
        write_json(record, recorded | {"results": known | written_result(path)})


def _same(recorded: dict[str, Any] | None, record: dict[str, Any]) -> bool:
    return recorded is not None and all(_agree(recorded, key, record[key]) for key in _IDENTITY)


def _agree(recorded: dict[str, Any], key: str, value: Any) -> bool:
    """A record of an earlier version has no hash of the settings: that is no disagreement."""
    return (key == "settings_sha256" and key not in recorded) or recorded.get(key) == value
