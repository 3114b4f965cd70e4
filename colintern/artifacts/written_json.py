"""Writing a JSON artefact: strict, and whole."""

import json
from pathlib import Path

from colintern.artifacts.written_text import write_text_atomically


def write_json(path: Path, content: object, *, indent: int | None = 2) -> None:
    """Write strict JSON (no NaN) to `path`, atomically; on one line when `indent` is None."""
    write_text_atomically(path, json.dumps(content, indent=indent, allow_nan=False) + "\n")
