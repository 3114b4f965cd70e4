"""`run_settings.jsonl`: how MTEB 2.26 ran each task, beside its results."""

from pathlib import Path
from typing import Any, Final

import msgspec

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, read_bytes

RUN_SETTINGS: Final = "run_settings.jsonl"


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One line: a task, what was evaluated of it, and by what."""

    task: str
    """MTEB's name."""
    splits: tuple[str, ...] = ()
    """Data splits that were evaluated together."""
    subsets: tuple[str, ...] = ()
    """Language subsets of these splits."""
    version: dict[str, str | None] = {}
    """Installed version by distribution name; None where it is not installed."""
    encode_kwargs: dict[str, Any] = {}
    """Arguments of the model's `encode`, as `batch_size`."""


_LINE: Final = msgspec.json.Decoder(RunSettings)


def read_run_settings(path: Path, enclosure: Enclosure | None) -> tuple[RunSettings, ...]:
    """Read the settings; nothing where the file is absent or cannot be read.

    A line that is no record is left out, as MTEB itself does: the file only describes the results,
    and none of them is worse for it.
    """
    if not path.is_file():
        return ()
    try:
        content = read_bytes(path, enclosure, limit=limits.TASK_RESULT_BYTES)
    except ArtifactError:
        return ()
    lines = content.split(b"\n", limits.TASK_RESULT_ENTRIES)[: limits.TASK_RESULT_ENTRIES]
    return tuple(settings for line in lines if (settings := _settings(line)) is not None)


def _settings(line: bytes) -> RunSettings | None:
    try:
        return _LINE.decode(line)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
