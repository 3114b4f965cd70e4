"""Where the bundled tiny base is, and the name by which checkpoints refer to it. Free of torch."""

from pathlib import Path
from typing import Final

TINY_BASE: Final = "colintern/tiny-base"
"""The base's name in an adapter: the same on every machine, unlike a path."""


def resolve_base(name: str) -> str:
    """Return what to load for a base's name: the bundled folder for `TINY_BASE`, else the name."""
    return str(tiny_base_folder()) if name == TINY_BASE else name


def tiny_base_folder() -> Path:
    """Return the folder of the bundled tiny base."""
    return Path(__file__).resolve().parent.parent / "assets" / "tiny-base"
