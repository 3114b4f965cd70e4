"""From what the user typed after `--checkpoint` to subjects with unique names."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from colintern.artifacts.hub_cache import find_snapshot, is_hub_id
from colintern.artifacts.printable import printable
from pytest_colintern.subject import Subject

DEMO_FOLDER: Final = Path(__file__).parent.parent / "colintern" / "assets" / "demo"
DEFAULT_DEMO: Final = "healthy"


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
