"""JSON of a stranger into a typed record, with an error that names the key."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, read_bytes
from colintern.artifacts.json.wrong_values import field_fault
from colintern.artifacts.printable import printable

T = TypeVar("T")

_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_QUICK_DEPTH: Final = 12
"""Rounds; the deepest artefact seen has 9 levels."""
_EXPECTED_DEPTH: Final = f"JSON of at most {limits.JSON_DEPTH} nested levels"


def read_json_object(
    path: Path, enclosure: Enclosure | None, *, limit: int = limits.CONFIG_JSON_BYTES
) -> dict[str, Any]:
    """Read a file that holds one JSON object; bare `NaN` and `Infinity` are read as floats.

    Raises:
        ArtifactError: not UTF-8, not JSON, nested too deeply, or no object at the top.
    """
    document = parse_json(path, read_bytes(path, enclosure, limit=limit))
    if not isinstance(document, dict):
        raise ArtifactError(
            path,
            expected="a JSON object",
            found=f"a JSON {_json_type(document)}",
            remedy="Restore the file that the library wrote.",
        )
    return document


def parse_json(path: Path, content: bytes) -> Any:
    """Parse `content`, which was read from `path`.

    Raises:
        ArtifactError: not UTF-8, not JSON, or nested deeper than `limits.JSON_DEPTH`.
    """
    _check_size(path, content)
    try:
        document = msgspec.json.decode(content)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        document = _parsed_by_python(path, content)
    _check_depth(path, content, document)
    return document


def _parsed_by_python(path: Path, content: bytes) -> Any:
    """Parse what the strict parser, three times as fast, refuses: bare NaN, and what is wrong."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte 0x{content[error.start]:02x} at offset {error.start:,}"
        raise ArtifactError(path, expected="UTF-8 text", found=found) from error
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ArtifactError(path, expected=_EXPECTED_DEPTH, found="deeper nesting") from error
    except ValueError as error:
        # ValueError: also Python's own limit on the digits of an integer.
        detail = (getattr(error, "msg", "") or str(error)).removesuffix(" at")
        place = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        found = f"{printable(detail, limit=120)}{place}" if content.strip() else "an empty file"
        raise ArtifactError(
            path, expected="valid JSON", found=found, remedy="Restore or remove the file."
        ) from error


def convert(path: Path, document: Mapping[str, Any], record: type[T], *, within: str = "") -> T:
    """Turn a parsed object into `record`, ignoring keys that the record does not have.

    Args:
        path: the file.
        document: the object.
        record: a type of msgspec.
        within: the key in the file that the object stands under; the file's own is empty.

    Raises:
        ArtifactError: a key is missing or has the wrong type; the message has the key's path.
    """
    try:
        return msgspec.convert(document, record, strict=True)
    except (msgspec.ValidationError, OverflowError, UnicodeError) as error:
        fault = field_fault(str(error), document, within=within)
        raise ArtifactError(
            path,
            expected=fault.expected,
            found=fault.found,
            remedy="Restore the file that the library wrote.",
        ) from error


def _check_size(path: Path, content: bytes) -> None:
    """Bound the parser's memory before it starts, by the characters that begin its objects.

    Brackets and commas inside strings count too: no artefact has enough of them to matter.
    """
    containers = content.count(b"[") + content.count(b"{")
    if containers > limits.JSON_CONTAINERS or content.count(b",") > limits.JSON_COMMAS:
        raise ArtifactError(
            path,
            expected=f"JSON of at most {limits.JSON_CONTAINERS:,} objects and arrays "
            f"and {limits.JSON_COMMAS:,} values",
            found="more",
            remedy="Check that this is the file its name says.",
        )


def _check_depth(path: Path, content: bytes, document: Any) -> None:
    """Level by level, so that the check itself cannot recurse."""
    if _is_shallow(content):
        return
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(limits.JSON_DEPTH):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise ArtifactError(path, expected=_EXPECTED_DEPTH, found="deeper nesting")


def _is_shallow(content: bytes) -> bool:
    """Whether a few rounds of taking away empty pairs of brackets leave none.

    Quick for a long log, whose rows go in the first round; a bracket inside a string only means
    that the slower way decides.
    """
    brackets = content.translate(None, _NOT_BRACKETS)
    for _ in range(_QUICK_DEPTH):
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return not brackets


def _json_type(value: object) -> str:
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
