"""Checkpoints that are whole or absent, and the newest of them that a run can go on from."""

import json
import logging
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from safetensors import SafetensorError, safe_open

from colintern.artifacts.run.layout import ADAPTER_CONFIG, STAGING

STATE: Final = "trainer_state.json"
_PREFIX: Final = "checkpoint-"
_WEIGHTS: Final = ("adapter_model.safetensors", "model.safetensors")
_STATEFUL: Final = ("optimizer.pt", "scheduler.pt")
_SENTINEL: Final = "checkpoint-is-incomplete.txt"
"""What transformers leaves in a checkpoint that it was writing when the machine was taken away."""

logger = logging.getLogger(__name__)


class ResumeError(ValueError):
    """There is nothing to go on from."""


@dataclass(slots=True)
class StagedCheckpoint:
    """A folder that appears at `run / name` when the block ends, whole, or not at all."""

    run: Path
    name: str
    accelerator: Any
    """Accelerate's, for waiting until every process has written its part."""
    folder: Path = field(init=False)
    path: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.run / STAGING
        self.path = self.folder / self.name

    def __enter__(self) -> Self:
        if self.accelerator.is_main_process:
            discard_staging(self.run)
            self.folder.mkdir(parents=True)
        self.accelerator.wait_for_everyone()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            # The error may be a full disk: what was written of this checkpoint gives it back.
            discard_staging(self.run)
            return
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            _move_aside(self.run / self.name, self.folder)
            self.path.replace(self.run / self.name)
            discard_staging(self.run)
        self.accelerator.wait_for_everyone()


@contextmanager
def disk_faults_as_such(what: str) -> Iterator[None]:
    """Turn what torch and safetensors raise about a full disk into the OSError that it is."""
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise OSError(f"{what} could not be written: {reason}") from error


def discard_staging(run: Path) -> None:
    """Remove what a save that was cut off has left."""
    shutil.rmtree(run / STAGING, ignore_errors=True)


def rotate(run: Path, limit: int | None, best: str | None) -> None:
    """Remove the oldest checkpoints beyond `limit`; the best and the newest always stay."""
    if not limit or limit < 1:
        return
    checkpoints = numbered_checkpoints(run)
    kept = {checkpoints[-1], Path(best)} if best and checkpoints else set(checkpoints[-1:])
    old = [path for path in checkpoints if path not in kept]
    surplus = max(0, len(checkpoints) - max(limit, len(kept & set(checkpoints))))
    staging = run / STAGING
    for path in old[:surplus]:
        staging.mkdir(exist_ok=True)
        _move_aside(path, staging)
    discard_staging(run)


def publish(files: Path, run: Path) -> None:
    """Move the files of a finished model into `run`, each at once, the adapter itself last.

    Until its configuration is there, the newest checkpoint is what the run holds.
    """
    last = (ADAPTER_CONFIG, *_WEIGHTS)
    ordered = sorted(files.iterdir(), key=lambda path: path.name in last)
    for path in ordered:
        path.replace(run / path.name)
    discard_staging(run)


def numbered_checkpoints(run: Path) -> list[Path]:
    """Return the `checkpoint-N` folders of `run`, oldest first."""
    if not run.is_dir():
        return []
    found = [
        path
        for path in run.iterdir()
        if path.is_dir() and path.name.startswith(_PREFIX) and _step(path) is not None
    ]
    return sorted(found, key=lambda path: _step(path) or 0)


def newest_whole_checkpoint(run: Path) -> Path | None:
    """Return the newest checkpoint that a run can go on from; incomplete ones are passed over."""
    for path in reversed(numbered_checkpoints(run)):
        fault = fault_of(path)
        if fault is None:
            return path
        logger.warning("%s is passed over: %s", path, fault)
    return None


def checkpoint_to_go_on_from(run: Path) -> Path:
    """Return the newest whole checkpoint.

    Raises:
        ResumeError: there is none.
    """
    found = newest_whole_checkpoint(run)
    if found is None:
        raise ResumeError(f"{run} has no checkpoint to go on from")
    return found


def fault_of(checkpoint: Path) -> str | None:
    """Say why a run cannot go on from `checkpoint`; None when it can."""
    if (checkpoint / _SENTINEL).exists():
        return "its save was cut off"
    try:
        state = json.loads((checkpoint / STATE).read_text())
    except (OSError, ValueError):
        return f"it has no readable {STATE}"
    if not isinstance(state, dict) or state.get("global_step") != _step(checkpoint):
        return f"{STATE} is of another step"
    weights = [checkpoint / name for name in _WEIGHTS if (checkpoint / name).exists()]
    if not weights or not _opens(weights[0]):
        return "it has no readable weights"
    absent = [name for name in _STATEFUL if not zipfile.is_zipfile(checkpoint / name)]
    return f"it has no readable {absent[0]}" if absent else None


def _opens(path: Path) -> bool:
    try:
        with safe_open(path, framework="numpy") as file:
            return bool(file.keys())
    except (OSError, SafetensorError):
        return False


def _step(path: Path) -> int | None:
    number = path.name.removeprefix(_PREFIX)
    return int(number) if number.isascii() and number.isdigit() else None


def _move_aside(path: Path, folder: Path) -> None:
    """Make `path` vanish at once: removing a folder takes time, in which it would be half there."""
    if path.exists():
        os.replace(path, folder / f"old-{path.name}")  # noqa: PTH105 - replaces folders too
