"""The local Hugging Face cache, read without its library: `models--ORG--NAME/snapshots/REV`."""

import os
import re
from pathlib import Path
from typing import Final

_HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_REVISION: Final = re.compile(r"[\w.-]{1,64}")
_LOCAL_PREFIXES: Final = ("/", "./", "../", "~")
_REFERENCE_BYTES: Final = 128


def is_hub_id(text: str) -> bool:
    """Whether `text` has the form ORG/NAME and is not written as a path.

    Whether a folder of that name exists here is the caller's question: it comes first.
    """
    return not text.startswith(_LOCAL_PREFIXES) and _HUB_ID.fullmatch(text) is not None


def cache_folder() -> Path:
    """Return the folder of cached models: HF_HUB_CACHE, HF_HOME/hub, else the user's cache."""
    if explicit := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(explicit).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "huggingface" / "hub"


def find_snapshot(hub_id: str, revision: str | None = None) -> Path | None:
    """Return the cached snapshot folder of a model, or None when it is not in the cache.

    Args:
        hub_id: as ORG/NAME.
        revision: a commit, branch or tag; None for `main`, else the only snapshot there is.
    """
    model = cache_folder() / f"models--{hub_id.replace('/', '--')}"
    snapshots = model / "snapshots"
    wanted = revision or "main"
    if not _REVISION.fullmatch(wanted):
        return None
    commit = _reference(model / "refs" / wanted) or wanted
    present = _folders(snapshots)
    if commit in present:
        return snapshots / commit
    return snapshots / present[0] if revision is None and len(present) == 1 else None


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return []


def _reference(path: Path) -> str | None:
    try:
        with path.open("rb") as stream:
            return stream.read(_REFERENCE_BYTES).decode("ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
