"""`colintern audit`: the audit of `pytest checks/` from anywhere, under no project's settings."""

import os
import sys
from collections.abc import Iterable, Mapping
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from colintern.engine.catalogue import checks_folder

_PLUGIN: Final = "pytest_colintern.plugin"
"""By name: pytest imports it itself, so that it can rewrite its assertions."""
_EMPTY_INI: Final = Path(__file__).with_name("audit.ini")
_VALUES: Final = (
    "results",
    "baseline",
    "merged",
    "base",
    "family",
    "guide",
    "live_pages",
    "audit_baseline",
    "fail_on",
    "audit_json",
    "audit_markdown",
    "audit_sarif",
    "html",
    "junitxml",
)
_LISTS: Final = ("select", "skip_rules", "min_evidence")
_SWITCHES: Final = ("strict_evidence", "live")


def run_audit(options: Mapping[str, object]) -> int:
    """Run pytest on the shipped checks with the options of the command line; return its exit code.

    The user's addopts, ini file, conftest and other plugins cannot change a verdict: pytest gets an
    empty ini of our own, no conftest, and only the plugins that the options need.
    """
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    if options.get("workers") is not None and find_spec("xdist") is None:
        print("-n needs pytest-xdist: pip install pytest-xdist", file=sys.stderr)  # noqa: T201
        return int(pytest.ExitCode.USAGE_ERROR)
    arguments = [
        *("-c", str(_EMPTY_INI), "--rootdir", str(checks_folder()), "--noconftest"),
        *("-p", "no:cacheprovider", "-p", _PLUGIN),
        *("-v" if options.get("verbose") else "-q",),
        *_flags(options),
        *(str(Path(path).resolve()) for path in _texts(options.get("checks"))),
        str(checks_folder()),
    ]
    return int(pytest.main(arguments))


def _flags(options: Mapping[str, object]) -> Iterable[str]:
    for path in _texts(options.get("paths")):
        yield from (f"--checkpoint={match}" for match in _matches(path))
    for name in _VALUES:
        if (value := options.get(name)) is not None:
            yield f"{_flag(name)}={value}"
    for name in _LISTS:
        yield from (f"{_flag(name)}={value}" for value in _texts(options.get(name)))
    yield from (_flag(name) for name in _SWITCHES if options.get(name))
    if options.get("html") is not None:
        yield from ("-p", "pytest_metadata.plugin", "-p", "pytest_html.plugin")
        yield "--self-contained-html"
    if (workers := options.get("workers")) is not None:
        yield from ("-p", "xdist.plugin", "-n", str(workers))


def _matches(path: str) -> list[str]:
    """Return the folders that a quoted pattern like `runs/*` names; a plain path as it is."""
    is_pattern = any(mark in path for mark in "*?[") and not Path(path).exists()
    if not is_pattern:
        return [path]
    folders = [match for match in sorted(glob(path)) if Path(match).is_dir()]  # noqa: PTH207 - as the shell, from any root
    return folders or [path]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _texts(value: object) -> list[str]:
    return [str(part) for part in value] if isinstance(value, tuple | list) else []
