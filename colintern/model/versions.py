"""Versions of what a run or an evaluation was made with. Free of torch."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_DISTRIBUTIONS: Final = (
    "colintern",
    "colpali-engine",
    "transformers",
    "peft",
    "torch",
    "accelerate",
    "tokenizers",
    "safetensors",
    "pillow",
    "numpy",
)


def installed_versions() -> dict[str, str | None]:
    """Return the installed version of every part that can change a result, by distribution."""
    return {name: _version(name) for name in _DISTRIBUTIONS}


def git_commit() -> str | None:
    """Return the commit of the code that runs, or None when it runs from no clone."""
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
