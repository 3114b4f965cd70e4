"""Every file below a folder, without following links, and the links that lead out of it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, reason_of
from colintern.artifacts.run.layout import KNOWN_NAMES

_SKIPPED: Final = frozenset({".git", "__pycache__"})
_OPENED: Final = re.compile(
    r"checkpoint-\d+|\d+_\w+|adapters?|results|predictions|custom_generate"
    r"|additional_chat_templates|.*\.(safetensors|bin|pt|pth|ckpt|pkl|pickle|npy|npz|gguf|onnx"
    r"|msgpack|h5|json|jsonl|py|model|txt|jinja2?)",
    re.IGNORECASE | re.DOTALL,
)
"""Names that some loader of models, or this audit, opens: folders of checkpoints, adapters, modules
and results, and files of weights, settings, vocabularies and code."""
DEEPEST: Final = 8
"""Nested folders; results of an evaluation lie four deep."""


class FolderWalk(Struct, frozen=True):
    """What lies below a folder, by name only."""

    files: tuple[Path, ...]
    """Files, links to files inside, pipes, and folders under the name of a file; sorted."""
    escaping: tuple[ArtifactError, ...]
    """Links that lead outside the enclosure."""
    faults: tuple[ArtifactError, ...]
    """Folders that cannot be listed."""
    is_complete: bool
    """False when there are more than `limits.WALK_ENTRIES` names or deeper folders."""


def walk_folder(root: Path, enclosure: Enclosure) -> FolderWalk:
    """List everything below `root`, in the order of the names."""
    files: list[Path] = []
    escaping: list[ArtifactError] = []
    faults: list[ArtifactError] = []
    num_entries, is_complete = 0, True
    pending = [(root, 0)]
    while pending:
        folder, depth = pending.pop()
        for entry in _entries(folder, faults):
            num_entries += 1
            if num_entries > limits.WALK_ENTRIES:
                return FolderWalk(tuple(sorted(files)), tuple(escaping), tuple(faults), False)
            path = folder / entry.name
            if entry.is_symlink() and not enclosure.holds(path):
                escaping.append(_escape(path))
            elif not entry.is_dir(follow_symlinks=False) or entry.name in KNOWN_NAMES:
                files.append(path)
            elif depth + 1 < DEEPEST:
                pending.append((path, depth + 1))
            else:
                is_complete = False
    return FolderWalk(tuple(sorted(files)), tuple(escaping), tuple(faults), is_complete)


def is_opened(path: Path) -> bool:
    """Whether a loader opens what has this name: a log or a link to the data nothing does.

    >>> is_opened(Path("model.safetensors")), is_opened(Path("wandb/run-1/logs/debug.log"))
    (True, False)
    """
    return path.name in KNOWN_NAMES or _OPENED.fullmatch(path.name) is not None


def _entries(folder: Path, faults: list[ArtifactError]) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if entry.name not in _SKIPPED)
    except OSError as error:
        faults.append(ArtifactError(folder, expected="a readable folder", found=reason_of(error)))


def _escape(path: Path) -> ArtifactError:
    return ArtifactError(
        path,
        expected="a link inside the audited folder",
        found=f"a link to {_target(path)}",
        remedy="Replace the link by a copy of the file.",
        escapes=True,
    )


def _target(path: Path) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - Path drops what is odd about a link
    except OSError:
        return "a place that cannot be read"
