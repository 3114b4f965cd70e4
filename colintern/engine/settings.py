"""The team's policy: `[tool.colintern]` of the nearest pyproject.toml, and `--guide FILE`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec

from colintern.artifacts.printable import printable
from colintern.engine.floor import FLOOR_PARTS
from colintern.engine.policy import Waiver
from colintern.guide import GUIDE, Guide

_KEYS: Final = frozenset(
    {"fail-on", "strict-evidence", "min-evidence", "pass-floor", "audit-baseline", "guide", "waive"}
)
_WAIVER_KEYS: Final = frozenset({"reason", "until"})
_MAX_BYTES: Final = 1 << 20


class SettingsError(Exception):
    """A mistake in the user's own settings; the message says where and what is allowed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a project has written down."""

    path: Path | None = None
    """The file it came from, or None when there is none."""
    fail_on: str | None = None
    strict_evidence: bool | None = None
    min_evidence: tuple[str, ...] = ()
    """Rule ids and families that must have been judged."""
    pass_floor: tuple[str, ...] = FLOOR_PARTS
    """What must have been judged for a pass; empty for a pass that rests on anything."""
    audit_baseline: Path | None = None
    """A recorded audit; a relative path starts at the folder of `path`."""
    guide: Guide = GUIDE
    waivers: Mapping[str, Waiver] = field(default_factory=dict)


def read_settings(start: Path, guide_file: Path | None = None) -> Settings:
    """Read the nearest pyproject.toml from `start` upward, then `guide_file` over its thresholds.

    Raises:
        SettingsError: a file that is no TOML, an unknown key (with close names), a wrong type, a
            waiver without a reason.
    """
    path = next(
        (
            folder / "pyproject.toml"
            for folder in (start, *start.parents)
            if (folder / "pyproject.toml").is_file()
        ),
        None,
    )
    table = _table(_read_toml(path), path) if path else {}
    overrides = dict(_mapping(table.get("guide", {}), f"{path}: tool.colintern.guide"))
    if guide_file is not None:
        overrides |= _read_toml(guide_file)
    return Settings(
        path=path if table else None,
        fail_on=_choice(table.get("fail-on"), path),
        strict_evidence=_boolean(table.get("strict-evidence"), path),
        min_evidence=_names(table.get("min-evidence", []), path),
        pass_floor=_floor(table.get("pass-floor", list(FLOOR_PARTS)), path),
        audit_baseline=_beside(table.get("audit-baseline"), path),
        guide=_guide(overrides, guide_file or path),
        waivers=_waivers(_mapping(table.get("waive", {}), f"{path}: tool.colintern.waive"), path),
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()[:_MAX_BYTES]
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path}: expected TOML, found {printable(error)}") from error


def _table(document: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    table = _mapping(
        _mapping(document.get("tool", {}), f"{path}: tool").get("colintern", {}),
        f"{path}: tool.colintern",
    )
    for key in table:
        _known(key, _KEYS, f"{path}: tool.colintern")
    return table


def _mapping(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{place}: expected a table, found {printable(value)}")
    return value


def _known(key: str, allowed: frozenset[str], place: str) -> None:
    if key in allowed:
        return
    close = get_close_matches(key, allowed, n=2)
    hint = (
        f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(sorted(allowed))}."
    )
    raise SettingsError(f"{place}: unknown key {printable(key)!r}; {hint}")


def _choice(value: Any, path: Path | None) -> str | None:
    if value is None or value in ("error", "warning"):
        return str(value) if value else None
    raise SettingsError(
        f"{path}: tool.colintern.fail-on: expected error or warning, found {value!r}"
    )


def _boolean(value: Any, path: Path | None) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise SettingsError(
        f"{path}: tool.colintern.strict-evidence: expected true or false, found {value!r}"
    )


def _names(value: Any, path: Path | None) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise SettingsError(
        f"{path}: tool.colintern.min-evidence: expected a list of rule ids or families like "
        f'["LOG", "TEAM001"], found {printable(value)}'
    )


def _floor(value: Any, path: Path | None) -> tuple[str, ...]:
    if isinstance(value, list) and all(part in FLOOR_PARTS for part in value):
        return tuple(dict.fromkeys(value))
    raise SettingsError(
        f"{path}: tool.colintern.pass-floor: expected a list of "
        f"{' and '.join(map(repr, FLOOR_PARTS))}, or [] for none, found {printable(value)}"
    )


def _beside(value: Any, path: Path | None) -> Path | None:
    if value is None or path is None:
        return None
    if isinstance(value, str) and value:
        return path.parent / value
    raise SettingsError(
        f"{path}: tool.colintern.audit-baseline: expected the path of a file that --audit-json "
        f"wrote, found {printable(value)}"
    )


def _guide(overrides: Mapping[str, Any], path: Path | None) -> Guide:
    for key in overrides:
        _known(key, frozenset(Guide.__struct_fields__), f"{path}: guide")
    values = {name: getattr(GUIDE, name) for name in Guide.__struct_fields__}
    try:
        return msgspec.convert(values | dict(overrides), Guide)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: guide: {error}") from error


def _waivers(table: Mapping[str, Any], path: Path | None) -> dict[str, Waiver]:
    return {
        rule: _waiver(rule, value, f"{path}: tool.colintern.waive.{rule}")
        for rule, value in table.items()
    }


def _waiver(rule: str, value: Any, place: str) -> Waiver:
    entry = {"reason": value} if isinstance(value, str) else _mapping(value, place)
    for key in entry:
        _known(key, _WAIVER_KEYS, place)
    reason = entry.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise SettingsError(
            f'{place}: a waiver needs a reason: {rule} = {{reason = "...", until = 2027-01-31}}'
        )
    until = entry.get("until")
    if until is not None and (not isinstance(until, date) or isinstance(until, datetime)):
        raise SettingsError(f"{place}.until: expected a date like 2027-01-31, found {until!r}")
    return Waiver(reason.strip(), until)
