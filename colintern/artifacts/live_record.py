"""`colintern_live.json`: what the audit of a run that trains has found so far."""

from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, to_builtins

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json_document import convert, read_json_object
from colintern.artifacts.live_process import LiveProcess
from colintern.artifacts.printable import printable
from colintern.artifacts.written_json import write_json

SCHEMA: Final = "colintern.live/1"

Step = Annotated[int, Meta(ge=0, le=2**53)]
StopOn = Literal["error", "warning", "never"]
Status = Literal["training", "ended", "stopped"]


class LiveFinding(Struct, frozen=True, kw_only=True):
    """A rule that failed while the run trained."""

    rule: str
    """Id, as `LOG002`."""
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
