"""The error for a value of the wrong kind in a file of the Trainer."""

from collections.abc import Iterable
from pathlib import Path

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.printable import printable


def wrong_value(path: Path, key: str, expected: str, value: object) -> ArtifactError:
    """Make the error that names the key, what belongs there, and what is there."""
    names: Iterable[tuple[type, str]] = (
        (dict, "an object"),
        (list, "an array"),
        (bool, "true or false"),
        (str, "the text "),
    )
    kind = next((name for type_, name in names if isinstance(value, type_)), None)
    shown = printable(value, limit=40)
    found = shown if kind is None else (f"{kind}{shown!r}" if isinstance(value, str) else kind)
    return ArtifactError(
        path,
        expected=f"{expected} at {key}",
        found=found,
        remedy="Restore the file that the Trainer wrote.",
    )
