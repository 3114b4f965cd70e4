"""Writing a JSON artefact whole: a reader sees the old file or the new one, never a part."""

import json
import os
from pathlib import Path


def write_json(path: Path, content: object, *, indent: int | None = 2) -> None:
    """Write strict JSON (no NaN) to `path`, atomically; on one line when `indent` is None."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w") as stream:
            stream.write(json.dumps(content, indent=indent, allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
