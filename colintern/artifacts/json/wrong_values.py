"""What the parser says of a wrong value in a stranger's JSON, in words that name key and value."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

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


_TYPE: Final = re.compile(r"Expected `([^`]+)`(.*?)(?:, got `(\w+)`)?")
_PLACE: Final = re.compile(r"(.*?)(?: - at `(\$[^`]*)`)?", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `([^`]+)`")
_INVALID: Final = re.compile(r"Invalid enum value .*", re.DOTALL)
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]|(\[\.\.\.\])")

_WORDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
"""The parser's names of JSON types."""

_MOST_KEYS: Final = 1_000
"""Keys of one object that are looked at for the one that was meant."""


class FieldFault(NamedTuple):
    """A wrong value as a person reads it."""

    expected: str
    found: str


def field_fault(message: str, document: object, *, within: str = "") -> FieldFault:
    """Tell what is wrong, and under which key.

    Args:
        message: of the parser's error.
        document: what it was given.
        within: where in the file the document stands, as `scores.test[0]`.
    """
    told, path = _split(message)
    type_ = _TYPE.fullmatch(told)
    place, value = _located(document, path, type_[3] if type_ else None)
    key = ".".join(filter(None, (within, place)))
    at = f"`{printable(key, limit=200)}`" if key else "the whole file"
    if missing := _MISSING.fullmatch(told):
        whole = f"{key}.{missing[1]}" if key else missing[1]
        return FieldFault(f"the key `{printable(whole, limit=200)}`", "it is missing")
    if type_:
        return FieldFault(f"{_in_words(type_[1])}{type_[2]} at {at}", f"{at} is {_shown(value)}")
    if _INVALID.fullmatch(told):
        return FieldFault(f"a value of its list at {at}", f"{at} is {_shown(value)}")
    return FieldFault(f"what the library writes at {at}", printable(told, limit=200))


def _split(message: str) -> tuple[str, str]:
    match = _PLACE.fullmatch(message)
    return (match[1], match[2] or "$") if match else (message, "$")


def _in_words(types: str) -> str:
    return " or ".join(_WORDS.get(type_, type_) for type_ in types.split(" | "))


def _located(document: object, path: str, got: str | None) -> tuple[str, object]:
    """Follow `path`; where the parser names no key of an object, find the one whose value fits."""
    steps = [match.groups() for match in _STEP.finditer(path)]
    found = next(_followed(document, steps, got), None)
    return found or (path.removeprefix("$").removeprefix("."), ...)


def _followed(
    value: Any, steps: list[tuple[Any, ...]], got: str | None, place: str = ""
) -> Iterator[tuple[str, object]]:
    if not steps:
        if got is None or _type_of(value) == got:
            yield place, value
        return
    (name, index, _), *others = steps
    if name and isinstance(value, dict) and name in value:
        yield from _followed(value[name], others, got, f"{place}.{name}" if place else name)
    elif index and isinstance(value, list | tuple) and int(index) < len(value):
        yield from _followed(value[int(index)], others, got, f"{place}[{index}]")
    elif not name and not index and isinstance(value, dict) and got is not None:
        for key, each in islice(value.items(), _MOST_KEYS):
            yield from _followed(each, others, got, f"{place}.{key}" if place else str(key))


def _type_of(value: object) -> str:
    names = {dict: "object", list: "array", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    if value is ...:
        return "another value"
    if isinstance(value, str):
        return f'the text "{printable(value, limit=60)}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return printable(value, limit=60)
    return _WORDS.get(_type_of(value), "another value")
