"""What a run's folder shows while it trains, also one that does not exist yet."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import read_json_object
from colintern.artifacts.logs.resource_log import ResourceLog, read_resource_log
from colintern.artifacts.logs.trainer_state import TrainerState, as_trainer_state
from colintern.artifacts.run.layout import (
    LIVE_LOG,
    LIVE_RECORD,
    RESOURCE_LOG,
    RUN_MANIFEST,
    TRAINER_STATE,
    RunLayout,
    read_run_layout,
)
from colintern.artifacts.run.manifest import RunManifest, read_run_manifest
from colintern.artifacts.running.log import Row, read_live_log, rows_of
from colintern.artifacts.running.record import LiveRecord, is_running, read_live_record

_MOST_FAULTS: Final = 5

T = TypeVar("T")


class RunningRun(Struct, frozen=True, kw_only=True):
    """One look at a run; None and empty where nothing was written."""

    path: Path
    exists: bool = True
    """Whether there is such a folder."""
    manifest: RunManifest | None = None
    record: LiveRecord | None = None
    """What the live audit wrote."""
    state: TrainerState | None = None
    """The Trainer's state at the newest checkpoint, or at the end."""
    rows: tuple[Row, ...] = ()
    """Log rows, the newest last: of the live log, else of the state."""
    resources: ResourceLog | None = None
    checkpoint: int | None = None
    """Step of the newest checkpoint."""
    is_alive: bool | None = None
    """Whether the process that trains it runs; None where that cannot be told from here."""
    written: float | None = None
    """When one of these files was last written, in seconds since 1970."""
    faults: tuple[str, ...] = ()
    """Files that cannot be read, each with its reason; safe to show."""


def read_running_run(path: Path) -> RunningRun:
    """Look at the run in `path`; files that cannot be read are told, not raised."""
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises without permission
        return RunningRun(path=path, exists=False)
    faults: list[str] = []
    layout = _attempt(faults, lambda: read_run_layout(path))
    if layout is None:
        return RunningRun(path=path, faults=tuple(faults))

    def read(name: str, reader: Callable[[Path, Enclosure | None], T]) -> T | None:
        found = layout.folder.get(name)
        return None if found is None else _attempt(faults, lambda: reader(found, layout.enclosure))

    state_path, document = _state(layout, faults)
    state, rows = None, read(LIVE_LOG, read_live_log) or ()
    if state_path is not None:
        state = _attempt(faults, lambda: as_trainer_state(state_path, document))
    if not rows and state is not None:
        rows = _attempt(faults, lambda: rows_of(state.path, document["log_history"])) or ()
    record = read(LIVE_RECORD, read_live_record)
    # Before the files that tell of an end: a process ends behind them.
    is_alive = None if record is None else is_running(record.process)
    return RunningRun(
        path=path,
        manifest=read(RUN_MANIFEST, read_run_manifest),
        record=record,
        is_alive=is_alive,
        state=state,
        rows=rows,
        resources=read(RESOURCE_LOG, read_resource_log),
        checkpoint=layout.checkpoints[-1].step if layout.checkpoints else None,
        written=_written(layout, state_path),
        faults=tuple(faults[:_MOST_FAULTS]),
    )


def _state(layout: RunLayout, faults: list[str]) -> tuple[Path | None, Mapping[str, Any]]:
    path = layout.find(TRAINER_STATE)
    if path is None:
        return None, {}
    limit = limits.TRAINER_STATE_BYTES
    document = _attempt(faults, lambda: read_json_object(path, layout.enclosure, limit=limit))
    return (None, {}) if document is None else (path, document)


def _written(layout: RunLayout, state: Path | None) -> float | None:
    names = (LIVE_LOG, LIVE_RECORD, RESOURCE_LOG, RUN_MANIFEST)
    paths = [layout.folder.get(name) for name in names] + [state]
    times = []
    for path in paths:
        if path is not None:
            try:
                times.append(path.lstat().st_mtime)
            except OSError:  # removed meanwhile
                continue
    return max(times, default=None)


def _attempt(faults: list[str], read: Callable[[], T]) -> T | None:
    try:
        return read()
    except ArtifactError as error:
        faults.append(str(error))
        return None
