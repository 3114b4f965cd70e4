"""The tiny base that ships with the package, and the name by which checkpoints refer to it."""

from pathlib import Path
from typing import Final

TINY_BASE: Final = "colintern/tiny-base"
"""The base's name in an adapter: the same on every machine, unlike a path."""


def bundled_base(name: str) -> Path | None:
    """Return the folder of the base that `name` means, or None when it is not bundled."""
    folder = Path(__file__).resolve().parent.parent / "assets" / "tiny-base"
    return folder if name == TINY_BASE and folder.is_dir() else None


def resolve_base(name: str) -> str:
    """Return what to load for a base's name: the bundled folder, else the name itself."""
    folder = bundled_base(name)
    return name if folder is None else str(folder)
