"""`colintern_resources.jsonl`: memory, utilisation and step time of a run, a row a logging step."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, read_bytes
from colintern.artifacts.printable import printable

Bytes = Annotated[int, Meta(ge=0, le=2**53)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]


class ResourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a run used between two rows. A field is None where nothing could measure it."""

    step: Annotated[int, Meta(ge=0, le=2**53)]
    """Optimiser steps done."""
    time: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    """Seconds since 1970."""
    gpu_memory_used: Bytes | None = None
    """Peak of all processes on the GPU of the first process, bytes; from NVML."""
    gpu_memory_total: Bytes | None = None
    """Bytes."""
    gpu_utilisation: Ratio | None = None
    """Mean share of the time in which a kernel ran; from NVML."""
    cpu_memory_used: Bytes | None = None
    """Peak of the machine, bytes: all that is not available to a new process."""
    cpu_memory_total: Bytes | None = None
    """Bytes."""
    step_seconds: Seconds | None = None
    """Mean duration of an optimiser step, without evaluation and saving."""


class ResourceLog(msgspec.Struct, frozen=True):
    """The rows of one file, in its order; a run that was resumed has some steps twice."""

    path: Path
    rows: tuple[ResourceRow, ...]


_ROW: Final = msgspec.json.Decoder(ResourceRow)
_EXPECTED: Final = "one JSON object a line, as `colintern train` writes them"


def read_resource_log(path: Path, enclosure: Enclosure | None) -> ResourceLog:
    """Read a resource log. A last line without its end is left out: the run was killed there.

    Raises:
        ArtifactError: a line is no row, or the file has more than `limits.RESOURCE_ROWS` rows.
    """
    content = read_bytes(path, enclosure, limit=limits.RESOURCE_LOG_BYTES)
    *lines, rest = content.split(b"\n", limits.RESOURCE_ROWS + 1)
    if len(lines) > limits.RESOURCE_ROWS:
        raise ArtifactError(path, expected=f"at most {limits.RESOURCE_ROWS:,} rows", found="more")
    if rest.strip() and not rest.lstrip().startswith(b"{"):
        lines.append(rest)  # no row that was cut off: its error is told
    return ResourceLog(
        path, tuple(_row(path, number, line) for number, line in enumerate(lines, 1))
    )


def _row(path: Path, number: int, line: bytes) -> ResourceRow:
    try:
        return _ROW.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ArtifactError(
            path,
            expected=_EXPECTED,
            found=f"line {number:,}: {printable(error, limit=160)}",
            remedy="Remove the file: the audit does without it.",
        ) from error
