"""From what the user typed after `--checkpoint` to subjects with unique names."""

import os
import re
import shlex
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.hub_cache import find_snapshot, is_hub_id
from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    KNOWN_NAMES,
    MODEL_INDEX,
    MODEL_WEIGHTS,
    RUN_MANIFEST,
    TRAINER_STATE,
    TRAINING_ARGS,
)
from colintern.guide import Guide


class Subject(Struct, frozen=True):
    """One `--checkpoint`."""

    path: Path
    """Absolute."""
    name: str
    """Unique among the subjects of the audit, safe to print and to stand in a node id."""


class AuditOptions(Struct, frozen=True):
    """Where else to look, from the command line. Paths are absolute."""

    results: Path | None = None
    """`--results`: a folder of task results."""
    baseline: Path | None = None
    """`--baseline`: results to compare with."""
    merged: Path | None = None
    """`--merged`: a merged model to verify against base + adapter."""
    base: Path | None = None
    """`--base`: the base model's folder."""
    family: str | None = None
    """`--family`: the retriever family's name."""
    guide: Guide | None = None
    """Thresholds with the user's overrides, or None for the guide as written."""
    live: bool = False
    """`--live`: the model may be loaded and run."""
    live_pages: Path | None = None
    """`--live-pages`: the user's own pages for the rules that run the model."""
    progress: Callable[[str], None] | None = None
    """Tells the user what a long measurement is doing; None where nobody reads it."""
    num_subjects: int = 1
    """Subjects in this audit: with several, `--results` has a folder for each."""
    invocation_dir: Path = Path()
    """Where the command was run: results may lie below it."""


DEMO_FOLDER: Final = Path(__file__).parents[1] / "assets" / "demo"
DEFAULT_DEMO: Final = "healthy"

_CHECKPOINT: Final = re.compile(r"checkpoint-\d{1,12}")
_TRACES: Final = frozenset(
    {
        ADAPTER_CONFIG,
        ADAPTER_WEIGHTS,
        MODEL_INDEX,
        MODEL_WEIGHTS,
        RUN_MANIFEST,
        TRAINER_STATE,
        TRAINING_ARGS,
    }
)
"""A folder that holds one of these is a run, a checkpoint or a model."""
_OF_A_RUN: Final = (KNOWN_NAMES | {"results"}) - {"README.md"}
"""A folder that holds one of these is meant itself, whatever else is in it."""
_MOST_LOOKED_INTO: Final = 1_000
"""Entries of a folder that are looked at to tell a run from a folder of runs."""
_SUGGESTED: Final = 3
"""Runs that the message names."""


class SubjectError(Exception):
    """A `--checkpoint` that leads nowhere; the message says what was looked for."""


def find_subjects(arguments: Sequence[str], invocation_dir: Path) -> list[Subject]:
    """Find what each argument means; the same folder given twice is one subject.

    Raises:
        SubjectError: an argument names no folder, no demo run and no cached model.
    """
    found = dict.fromkeys(_located(argument, invocation_dir) for argument in arguments)
    paths = [path for path, _ in found]
    return [
        Subject(path, printable(label or _unique_name(path, paths), limit=200))
        for path, label in found
    ]


def _located(argument: str, invocation_dir: Path) -> tuple[Path, str | None]:
    """Return the folder, and the name of a subject that its folder's name would not tell."""
    if argument == "demo" or argument.startswith("demo:"):
        return _demo(argument), argument if argument != "demo" else f"demo:{DEFAULT_DEMO}"
    path = Path(os.path.abspath(invocation_dir / Path(argument).expanduser()))  # noqa: PTH100 - keeps links
    if path.is_dir():
        _refuse_several_runs(argument, path)
        return path, None
    if path.exists():
        raise SubjectError(
            f"--checkpoint {printable(argument)}: is a file; give the folder that holds it "
            f"({printable(path.parent)})"
        )
    shown = f"--checkpoint {printable(argument)}: no folder {printable(path)}"
    if is_hub_id(argument):
        snapshot = find_snapshot(argument)
        if snapshot is not None:
            return snapshot, argument
        raise SubjectError(
            f"{shown}, and no model of that id in the local Hub cache; "
            f"download it first: hf download {printable(argument)}"
        )
    raise SubjectError(
        f"{shown}; give a run directory, a checkpoint-N, an adapter or merged model folder, "
        f"a cached Hub id (ORG/NAME), or demo"
    )


def _refuse_several_runs(argument: str, path: Path) -> None:
    """Refuse a folder that is no run itself, but only holds some: which of them is meant?"""
    held: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in islice(entries, _MOST_LOOKED_INTO):
                if entry.name in _OF_A_RUN or _CHECKPOINT.fullmatch(entry.name):
                    return
                if not entry.name.startswith(".") and entry.is_dir() and _holds_a_run(entry.path):
                    held.append(entry.name)
    except OSError:
        return  # The audit says what is wrong with a folder that cannot be read.
    if len(held) > 1:
        given = printable(argument)
        paths = [f"{argument.rstrip('/')}/{name}" for name in sorted(held)[:_SUGGESTED]]
        shown = " ".join(f"--checkpoint {shlex.quote(printable(path))}" for path in paths)
        rest = f" (and {len(held) - _SUGGESTED} more)" if len(held) > _SUGGESTED else ""
        raise SubjectError(
            f"--checkpoint {given}: holds {len(held)} runs, and neither weights nor a log of its "
            f"own; name what to audit: {shown}{rest}"
        )


def _holds_a_run(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return any(
            entry.name in _TRACES or _CHECKPOINT.fullmatch(entry.name)
            for entry in islice(entries, _MOST_LOOKED_INTO)
        )


def _demo(argument: str) -> Path:
    name = argument.partition(":")[2] or DEFAULT_DEMO
    names = sorted(path.name for path in DEMO_FOLDER.glob("*/")) if DEMO_FOLDER.is_dir() else []
    if name in names:
        return DEMO_FOLDER / name
    hint = f"; there is {', '.join(f'demo:{known}' for known in names)}" if names else ""
    raise SubjectError(f"--checkpoint {printable(argument)}: no such bundled run{hint}")


def _unique_name(path: Path, paths: Sequence[Path]) -> str:
    """Name `path` by as many of its last parts as tell it from the others."""
    others = [other for other in paths if other != path]
    for count in range(1, len(path.parts) + 1):
        name = path.parts[-count:]
        if not any(other.parts[-count:] == name for other in others):
            return "/".join(name)
    return str(path)
