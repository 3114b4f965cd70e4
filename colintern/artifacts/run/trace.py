"""Traces of the run that a checkpoint belongs to, read from the ends of its files.

A run of many checkpoints holds its log as often; only the first rows and the keys behind them tell
one run from another, so no more is read of each.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular
from colintern.artifacts.json.document import read_json_object
from colintern.artifacts.run.layout import ADAPTER_CONFIG, TRAINER_STATE, Folder

_END_BYTES: Final = 16 * 1024
"""Bytes of either end of a log: some forty rows, and all keys behind the rows."""

_MOST_ROWS: Final = 5
"""First training rows that are kept."""

_HISTORY: Final = re.compile(r'"log_history"\s*:\s*\[')
_NUMBER: Final = re.compile(r'"(max_steps|save_steps)"\s*:\s*(\d{1,15}(?:\.\d{1,6})?)\s*[,}]')


class RunTrace(Struct, frozen=True):
    """What a folder shows of the run that wrote it; any part may be unknown."""

    folder: Folder
    step: int | None
    """N of `checkpoint-N`; None for the root."""
    first_rows: tuple[tuple[int, float], ...]
    """Step and loss of the first training rows."""
    max_steps: int | None
    save_steps: float | None
    base: str | None
    """`base_model_name_or_path` of the adapter."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known."""
        return not self.first_rows and self.max_steps is None and self.base is None


def read_run_trace(folder: Folder, step: int | None, enclosure: Enclosure) -> RunTrace:
    """Read what `folder` shows; what cannot be read is unknown here, and told elsewhere."""
    log = folder.get(TRAINER_STATE)
    head, tail = _ends(log, enclosure) if log is not None else ("", "")
    numbers = {key: float(value) for key, value in _NUMBER.findall(tail)}
    max_steps = numbers.get("max_steps")
    return RunTrace(
        folder,
        step,
        first_rows=_first_rows(head),
        max_steps=int(max_steps) if max_steps else None,
        save_steps=numbers.get("save_steps") or None,
        base=_base(folder.get(ADAPTER_CONFIG), enclosure),
    )


def _ends(path: Path, enclosure: Enclosure) -> tuple[str, str]:
    try:
        with open_regular(path, enclosure, limit=limits.TRAINER_STATE_BYTES) as file:
            head = file.read(_END_BYTES)
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _END_BYTES))
            tail = file.read(_END_BYTES)
    except (ArtifactError, OSError):
        return "", ""
    return head.decode("utf-8", "replace"), tail.decode("utf-8", "replace")


def _first_rows(head: str) -> tuple[tuple[int, float], ...]:
    found: list[tuple[int, float]] = []
    history = _HISTORY.search(head)
    place = history.end() if history else len(head)
    decoder = json.JSONDecoder()
    while len(found) < _MOST_ROWS:
        start = head.find("{", place)
        if start < 0 or head[place:start].strip(" \t\r\n,"):
            break
        try:
            row, place = decoder.raw_decode(head, start)
        except (ValueError, RecursionError):
            break
        step, loss = row.get("step"), row.get("loss")
        if type(step) is int and type(loss) in {int, float}:
            found.append((step, float(loss)))
    return tuple(found)


def _base(path: Path | None, enclosure: Enclosure) -> str | None:
    if path is None:
        return None
    try:
        document: dict[str, Any] = read_json_object(path, enclosure, limit=limits.CONFIG_JSON_BYTES)
    except ArtifactError:
        return None
    base = document.get("base_model_name_or_path")
    return base if isinstance(base, str) and base else None
