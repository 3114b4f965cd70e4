"""Writing a file whole: a reader sees the old file or the new one, never a part."""

import json
import os
import re
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_ABANDONED_SECONDS: Final = 600
"""Age at which a half file is nobody's any more: writing a report takes less than a second."""


def write_text_atomically(path: Path, text: str) -> None:
    """Write `text` beside `path` and rename it over `path`, as `write_chunks_atomically` does.

    Raises:
        OSError: the folder cannot be written; `path` is then as it was.
    """
    write_chunks_atomically(path, (text,))


def write_chunks_atomically(path: Path, chunks: Iterable[str]) -> None:
    """Write `chunks` beside `path` as they come, and rename the whole over `path`.

    What a killed process has left half written beside it is removed, once it is old.

    Raises:
        OSError: the folder cannot be written; `path` is then as it was.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.writelines(chunks)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    temporary = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in entries if temporary.fullmatch(entry.name)]
        for name in names:
            half = path.parent / name
            if half.lstat().st_mtime < time.time() - _ABANDONED_SECONDS:
                half.unlink(missing_ok=True)
    except OSError:
        # Tidying up: whoever asked for the file has it, whatever becomes of the rest.
        return


def write_json(path: Path, content: object, *, indent: int | None = 2) -> None:
    """Write strict JSON (no NaN) to `path`, atomically; on one line when `indent` is None."""
    write_text_atomically(path, json.dumps(content, indent=indent, allow_nan=False) + "\n")
