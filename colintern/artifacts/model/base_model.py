"""The base that an adapter belongs to: where its files are, and what they hold."""

import os
import re
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.files import Enclosure
from colintern.artifacts.hub_cache import find_snapshot, is_hub_id
from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    MODEL_CONFIG,
    MODEL_INDEX,
    MODEL_WEIGHTS,
)

TINY_BASE: Final = "colintern/tiny-base"
"""The base's name in an adapter: the same on every machine, unlike a path."""


def bundled_base(name: str) -> Path | None:
    """Return the folder of the base that `name` means, or None when it is not bundled."""
    folder = Path(__file__).resolve().parents[2] / "assets" / "tiny-base"
    return folder if name == TINY_BASE and folder.is_dir() else None


def resolve_base(name: str) -> str:
    """Return what to load for a base's name: the bundled folder, else the name itself."""
    folder = bundled_base(name)
    return name if folder is None else str(folder)


_NAME_CHARACTERS: Final = 120


class BaseReference(Struct, frozen=True):
    """What is recorded of the base, and the folder that it leads to on this machine."""

    recorded: str | None
    """Hub id or path in the adapter's configuration."""
    is_hub_id: bool
    folder: Path | None
    """Its folder here, or None."""
    by_option: bool
    """The user named the folder."""

    @property
    def is_adapter(self) -> bool:
        """Whether the folder holds an adapter, so that this one would be stacked on it."""
        names = (ADAPTER_CONFIG, ADAPTER_WEIGHTS)
        # Path.exists raises where the folder may not be entered.
        return self.folder is not None and any(os.path.exists(self.folder / name) for name in names)  # noqa: PTH110

    def __str__(self) -> str:
        name = printable(self.recorded or "the base", limit=_NAME_CHARACTERS)
        absent = "is not on this machine" if self.recorded else "is not named"
        here = "holds an adapter" if self.is_adapter else "is here"
        return f"{name} {absent if self.folder is None else here}"


class BaseModel(Struct, frozen=True):
    """The base's folder on this machine; trusted no more than the checkpoint."""

    folder: Path
    enclosure: Enclosure

    @property
    def config(self) -> Path | None:
        """Its config.json."""
        return self._existing(MODEL_CONFIG)

    @property
    def weights(self) -> Path | None:
        """Its safetensors file, or the index of its shards."""
        return self._existing(MODEL_WEIGHTS) or self._existing(MODEL_INDEX)

    def _existing(self, name: str) -> Path | None:
        path = self.folder / name
        return path if os.path.lexists(path) else None


def find_base(
    recorded: str | None, revision: str | None, option: Path | None, starts: tuple[Path, ...]
) -> BaseReference:
    """Find the base: the user's folder, a path, the bundled base, else the Hub cache.

    Args:
        recorded: what the adapter names.
        revision: its revision, when it is pinned.
        option: the folder that the user gave.
        starts: where a relative path may start.
    """
    if recorded is None or not recorded.strip():
        return BaseReference(None, is_hub_id=False, folder=option, by_option=option is not None)
    found = (_local_folder(recorded, start) for start in starts)
    local = next((folder for folder in found if folder is not None), bundled_base(recorded))
    hub_id = local is None and (is_hub_id(recorded) or bool(_BARE_ID.fullmatch(recorded)))
    folder = option or local
    if folder is None and is_hub_id(recorded):
        folder = find_snapshot(recorded, revision)
        if folder is None and not _COMMIT.fullmatch(revision or ""):
            folder = find_snapshot(recorded)
    return BaseReference(recorded, is_hub_id=hub_id, folder=folder, by_option=option is not None)


_MODEL_FILES: Final = (MODEL_CONFIG, MODEL_WEIGHTS, MODEL_INDEX, ADAPTER_CONFIG)
"""One of them makes a folder a model: `../..` exists on every machine."""


_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")
"""A revision that pins the base: another one would be another base. Others may be placeholders."""

_BARE_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}")
"""As `gpt2`: the oldest models of the Hub have no owner (sources M08: 24 of 189 name one)."""


def _local_folder(recorded: str, start: Path) -> Path | None:
    try:
        path = start / Path(recorded).expanduser()
        return path if any((path / name).is_file() for name in _MODEL_FILES) else None
    except (OSError, ValueError, RuntimeError):
        # A name with a null byte, one that is too long, or a home that does not exist.
        return None
