"""`colintern_live.json`: what the audit of a run that trains has found so far."""

import hashlib
import os
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, to_builtins

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import convert, read_json_object
from colintern.artifacts.printable import printable
from colintern.artifacts.writing import write_json

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


SCHEMA: Final = "colintern.live/1"

Step = Annotated[int, Meta(ge=0, le=2**53)]
StopOn = Literal["error", "warning", "never"]
Status = Literal["training", "ended", "stopped"]


class LiveFinding(Struct, frozen=True, kw_only=True):
    """A rule that failed while the run trained."""

    rule: str
    """Id, as `TEAM001`."""
    name: str
    """As `loss-at-chance`."""
    severity: Literal["error", "warning"]
    """The worst so far."""
    step: Step
    """Optimiser steps done when it was found."""
    last_step: Step
    """Optimiser steps done when it was last found."""
    holds: bool
    """Whether it was found when the rule was last judged."""
    observed: str
    """What was found, when it was found first or became worse."""
    expected: str
    """What a healthy run shows."""
    fix: str
    """What mends it."""
    explained_by: tuple[str, ...] = ()
    """Other findings that it follows from, by id."""

    @property
    def text(self) -> str:
        """The finding on one line, without its fix; safe to show."""
        parts = (self.rule, self.name, self.observed, self.expected)
        rule, name, observed, expected = (printable(part) for part in parts)
        follows = f" (follows from {', '.join(map(printable, self.explained_by))})"
        return (
            f"{self.severity} {rule} {name} at step {self.step:,}: {observed}; expected {expected}"
            + (follows if self.explained_by else "")
        )


class LiveRecord(Struct, frozen=True, kw_only=True):
    """The whole file."""

    schema: str = SCHEMA
    colintern: str = ""
    """Version that wrote it."""
    status: Status
    """`stopped`: the audit itself ended the run."""
    stop_on: StopOn
    """Which findings end the run."""
    stopped_by: str | None = None
    """The rule that ended it."""
    step: Step = 0
    """Optimiser steps done when the file was written."""
    max_steps: Step | None = None
    """Optimiser steps planned."""
    started: str | None = None
    """ISO 8601, UTC."""
    updated: str | None = None
    """ISO 8601, UTC."""
    process: LiveProcess | None = None
    """The one that trains, as far as it can be told from others; None when it has ended."""
    judged: tuple[str, ...] = ()
    """Rules that there was evidence for: all others said nothing."""
    findings: Annotated[tuple[LiveFinding, ...], Meta(max_length=limits.LIVE_FINDINGS)] = ()
    """In the order in which they were found."""


def read_live_record(path: Path, enclosure: Enclosure | None) -> LiveRecord:
    """Read `colintern_live.json`; keys that this version does not know are ignored.

    Raises:
        ArtifactError: not readable, of another schema, or a field of the wrong type.
    """
    document = read_json_object(path, enclosure)
    if document.get("schema") != SCHEMA:
        raise ArtifactError(
            path,
            expected=f'"schema": "{SCHEMA}"',
            found=printable(document.get("schema"), limit=60),
            remedy="Remove the file: the audit needs it only to say what ended a run.",
        )
    return convert(path, document, LiveRecord)


def write_live_record(path: Path, record: LiveRecord) -> None:
    """Write the record, atomically."""
    write_json(path, to_builtins(record))
