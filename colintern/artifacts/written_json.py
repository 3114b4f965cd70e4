"""Writing a JSON artefact whole: a reader sees the old file or the new one, never a part."""

import json
import os
from pathlib import Path


def write_json(path: Path, content: object) -> None:
    """Write strict JSON (no NaN) to `path`, atomically."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w") as stream:
            stream.write(json.dumps(content, indent=2, allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
