"""The JSON files below a folder that may hold results, within the limits of a folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from colintern.artifacts import limits, run_layout
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.evaluation_record import EVALUATION_RECORD
from colintern.artifacts.files import Enclosure

_NO_RESULTS: Final = frozenset(
    {
        EVALUATION_RECORD,
        run_layout.ADAPTER_CONFIG,
        run_layout.MODEL_CONFIG,
        run_layout.MODEL_INDEX,
        run_layout.TRAINER_STATE,
        run_layout.RUN_MANIFEST,
        run_layout.PREPROCESSOR_CONFIG,
        run_layout.PROCESSOR_CONFIG,
        run_layout.TOKENIZER_CONFIG,
        run_layout.TOKENIZER,
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.json",
        "generation_config.json",
        "vocab.json",
    }
)
_QUERY_FILES: Final = ("_predictions.json", "_relevance.json")
"""Endings of the files that `colintern.artifacts.predictions` reads: no results, and large."""
_TASK_PREFIX: Final = "Vidore"


def is_other_file(name: str) -> bool:
    """Whether a name is that of a file that everybody knows to hold no result."""
    return name in _NO_RESULTS or name.endswith(_QUERY_FILES)


def is_no_result(path: Path) -> bool:
    """Told by name; and a file beyond the limit is no result unless it is named like one."""
    if is_other_file(path.name):
        return True
    return _size(path) > limits.TASK_RESULT_BYTES and _is_other_task(path)


@dataclass(frozen=True, slots=True)
class ResultsFiles:
    """A search below one folder; what it leaves out is added to the lists that it was given."""

    root: Path
    enclosure: Enclosure
    ignored: list[str]
    """Files beyond the limits that are no ViDoRe task, relative to `root`."""
    errors: list[ArtifactError]
    """A ViDoRe task beyond the limits, or a folder with too many entries."""

    def json_files(self, *, recursive: bool) -> Iterator[Path]:
        """Yield the JSON files below `root`, ViDoRe's first, within the limits of a folder."""
        num_bytes = 0
        for number, path in enumerate(sorted(self._walk(recursive=recursive), key=_is_other_task)):
            size = _size(path)
            # A file over its own limit is not read, nor are the queries' files.
            is_read = size <= limits.TASK_RESULT_BYTES and not path.name.endswith(_QUERY_FILES)
            num_bytes += size if is_read else 0
            if number < limits.TASK_RESULT_FILES and num_bytes <= limits.TASK_RESULT_TOTAL_BYTES:
                yield path
            elif _is_other_task(path):
                self.ignored.append(str(path.relative_to(self.root)))
            else:
                self.errors.append(_too_much(self.root))
                return

    def _walk(self, *, recursive: bool) -> Iterator[Path]:
        pending = [(self.root, 0)]
        num_entries = 0
        while pending:
            folder, depth = pending.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                continue
            num_entries += len(entries)
            if num_entries > limits.FOLDER_ENTRIES:
                self.errors.append(_too_much(self.root))
                return
            deeper = recursive and depth < limits.RESULT_FOLDER_DEPTH
            folders = []
            for entry in entries:
                path = folder / entry.name
                if entry.name.endswith(".json"):
                    yield path
                elif deeper and _is_inside(entry, self.enclosure):
                    folders.append((path, depth + 1))
            pending.extend(reversed(folders))


def _is_other_task(path: Path) -> bool:
    return not path.name.startswith(_TASK_PREFIX)


def _is_inside(entry: os.DirEntry[str], enclosure: Enclosure) -> bool:
    """A folder, hidden ones left out; a link only where it leads to a place inside."""
    if entry.name.startswith("."):
        return False
    try:
        if not entry.is_symlink():
            return entry.is_dir()
        return entry.is_dir() and enclosure.check(Path(entry.path)).is_dir()
    except (OSError, ArtifactError):
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _too_much(root: Path) -> ArtifactError:
    return ArtifactError(
        root,
        expected=(
            f"at most {limits.TASK_RESULT_FILES:,} JSON files and "
            f"{limits.TASK_RESULT_TOTAL_BYTES // limits.MEBIBYTE} MiB of results"
        ),
        found="more",
        remedy="Point --results at the folder of one model.",
    )
