"""Which process trains a run, and whether it still does: as far as this machine can tell."""

import hashlib
import os
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

_PROCESSES: Final = Path("/proc")
_BOOT: Final = _PROCESSES / "sys/kernel/random/boot_id"
_NAMESPACE: Final = _PROCESSES / "self/ns/pid"
_STARTED: Final = 19
"""Place of the start time, in ticks since the machine started, behind the name in `stat`."""

ProcessId = Annotated[int, Meta(ge=1, le=2**31)]


class LiveProcess(Struct, frozen=True, kw_only=True):
    """A process, told from any other that ever has its number."""

    place: str
    """Hash of the machine's start and its space of process numbers: numbers of another say nothing
    here."""
    pid: ProcessId
    began: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    """Ticks from the machine's start to its own."""


def this_process() -> LiveProcess | None:
    """Describe this process; None where the system does not say."""
    return process_of(os.getpid())


def process_of(pid: int) -> LiveProcess | None:
    """Describe the process `pid`; None where there is none, or the system does not say."""
    place, began = _place(), _began(pid)
    if place is None or began is None:
        return None
    return LiveProcess(place=place, pid=pid, began=began)


def is_running(process: LiveProcess | None) -> bool | None:
    """Whether it runs; None where that cannot be told from here."""
    if process is None or process.place != _place():
        return None
    return _began(process.pid) == process.began


def _place() -> str | None:
    try:
        words = f"{_BOOT.read_text(encoding='ascii').strip()} {_NAMESPACE.readlink()}"
    except (OSError, ValueError):
        return None
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _began(pid: int) -> int | None:
    """Return when a process started; None where there is none, or one that only waits to go."""
    try:
        content = (_PROCESSES / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        # The name is in brackets and may hold anything, brackets too.
        fields = content.rpartition(")")[2].split()
        return None if fields[0] in {"Z", "X"} else int(fields[_STARTED])
    except (OSError, ValueError, IndexError):
        return None
