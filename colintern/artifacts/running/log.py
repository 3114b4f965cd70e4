"""`colintern_log.jsonl`: the Trainer's log rows as they come, for who watches between checkpoints.

The Trainer writes its log with a checkpoint only, and a run may train for an hour before the first.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular, read_up_to

NUMBERS: Final = ("time", "step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm")
"""Keys that are kept; `time` is in seconds since 1970."""

Row = dict[str, float]


def append_row(path: Path, logged: Mapping[str, Any], *, step: int, time: float) -> None:
    """Add a row of losses, if it is one; nothing beyond `limits.LIVE_LOG_BYTES`.

    Raises:
        OSError: the file cannot be written.
    """
    if logged.keys().isdisjoint(("loss", "eval_loss")):
        return
    values = {**logged, "step": step, "time": round(time, 3)}
    row = {key: number for key in NUMBERS if (number := _number(values.get(key))) is not None}
    with path.open("ab") as file:
        if file.tell() < limits.LIVE_LOG_BYTES:
            file.write(json.dumps(row).encode() + b"\n")


def end_with_a_whole_line(path: Path) -> None:
    """Cut a line off that a killed run did not finish: behind it no row could be read."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def read_live_log(path: Path, enclosure: Enclosure | None) -> tuple[Row, ...]:
    """Read the newest rows, within `limits.LIVE_LOG_TAIL_BYTES`.

    Lines that are no row are left out, also the last one while it is being written. Of a step that
    was trained twice, after an interruption, the later rows count.

    Raises:
        ArtifactError: it is no regular file, unreadable, outside, or too large.
    """
    with open_regular(path, enclosure, limit=limits.RESOURCE_LOG_BYTES) as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, size - limits.LIVE_LOG_TAIL_BYTES))
        content = read_up_to(path, stream, limits.LIVE_LOG_TAIL_BYTES)
    lines = content.split(b"\n")[:-1]
    rows = [row for line in lines if (row := _row(line)) is not None]
    return _without_repeats(rows)


def rows_of(path: Path, history: list[Any]) -> tuple[Row, ...]:
    """Return the same of a `log_history`, which has no times.

    Raises:
        ArtifactError: it has too many rows.
    """
    if len(history) > limits.LOG_ROWS:
        raise ArtifactError(path, expected=f"at most {limits.LOG_ROWS:,} rows", found="more")
    rows = [row for logged in history if (row := _numbers(logged)) is not None]
    return _without_repeats(rows)


def _row(line: bytes) -> Row | None:
    try:
        return _numbers(json.loads(line))
    except (ValueError, RecursionError):
        return None


def _numbers(document: Any) -> Row | None:
    """Keep the numbers; None for what is no row of a step."""
    if not isinstance(document, dict):
        return None
    row = {key: number for key in NUMBERS if (number := _number(document.get(key))) is not None}
    step = row.get("step", math.nan)
    return row if 0 <= step <= 2**53 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _without_repeats(rows: list[Row]) -> tuple[Row, ...]:
    """Drop what a run that was interrupted logged beyond the checkpoint it went on from."""
    kept: list[Row] = []
    for row in rows:
        while kept and (
            kept[-1]["step"] > row["step"]
            or (kept[-1]["step"] == row["step"] and "loss" in kept[-1] and "loss" in row)
        ):
            kept.pop()
        kept.append(row)
    return tuple(kept)
