"""A run that trains, as lines of text: where it is, how its losses fall, what the audit says."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from colintern.artifacts.logs.resource_log import ResourceRow
from colintern.artifacts.printable import printable
from colintern.artifacts.running.log import Row
from colintern.artifacts.running.record import LiveFinding
from colintern.artifacts.running.run import RunningRun
from colintern.diagnostics.log.training_progress import is_quiet, pace_of, seconds_left
from colintern.figures.sparkline import sparkline

_BAR: Final = 24
"""Characters of the bar of progress."""
_LABEL: Final = 10
_MOST_FINDINGS: Final = 12
"""Findings on one screen, the newest; the file has all."""
_MINUTE: Final = 60
_LAST_WORDS: Final = 10.0
"""Seconds in which a run that ends writes how."""
_GIBIBYTE: Final = 2**30


class Style(Struct, frozen=True):
    """What the terminal can show."""

    width: int = 80
    blocks: bool = True
    """Whether it has the characters of a sparkline; else ASCII stands in."""


def status_of(run: RunningRun, now: float) -> tuple[str, bool]:
    """Say how a run stands, and whether it has ended."""
    if not run.exists:
        return "waiting: there is no such folder yet; Ctrl-C leaves", False
    end = _end_of(run)
    if end is not None:
        return end, True
    if run.written is None:
        return "waiting: nothing was written yet", False
    return _pulse(run, now - run.written), False


def _pulse(run: RunningRun, silence: float) -> str:
    """Say whether a run that has not told its end still trains."""
    if run.is_alive is False and silence > _LAST_WORDS:
        return "its process has gone without a word: killed; the same command with --resume goes on"
    pace, quiet = pace_of(run.rows), f"nothing was written for {_duration(silence)}"
    if not is_quiet(pace, silence):
        return "training"
    if run.is_alive:
        return f"training: its process runs, but {quiet}"
    slow = ", unless its steps are that slow" if pace is None else ""
    return f"{quiet}: it may have been killed{slow}"


def _end_of(run: RunningRun) -> str | None:
    record, manifest, state = run.record, run.manifest, run.state
    if record is not None and record.status == "stopped":
        return f"stopped by the audit: {printable(record.stopped_by or '?', limit=20)}"
    if manifest is not None:
        return manifest.status if manifest.status in {"completed", "interrupted"} else None
    if record is not None:
        return "ended" if record.status == "ended" else None
    if state is None or not state.max_steps or state.max_steps < 0:
        return None
    done = state.has_training_loss_summary or (state.global_step or 0) >= state.max_steps
    return "ended" if done else None


def screen(run: RunningRun, findings: Sequence[LiveFinding], style: Style, now: float) -> list[str]:
    """Return the whole state as lines, none wider than the terminal."""
    status, ended = status_of(run, now)
    lines = [_title(run), status]
    if run.exists:
        lines += [*_progress(run, style, now, ended=ended), *_series(run.rows, style)]
        lines += [*_machine(run), *_verdicts(run, findings)]
        lines += [f"cannot be read: {fault}" for fault in run.faults]
    cut = "…" if style.blocks else "~"
    return [_cut(line, style.width, cut) for line in lines]


def news(run: RunningRun, now: float) -> str:
    """Return the state as one line, for a pipe or a terminal that cannot be redrawn."""
    status, ended = status_of(run, now)
    losses = [text for key in ("loss", "eval_loss") if (text := _newest(run.rows, key))]
    where = "" if ended else _left(run, now)
    parts = (f"{_title(run)}: {status}", _step(run), *losses, where)
    return ", ".join(part for part in parts if part)


def _title(run: RunningRun) -> str:
    manifest = run.manifest
    name = printable(run.path)
    if manifest is None or not manifest.recipe:
        return name
    return f"{name} ({printable(manifest.recipe, limit=40)})"


def _steps(run: RunningRun) -> tuple[int, int | None]:
    """Return the steps done and planned."""
    record, state = run.record, run.state
    done = [int(run.rows[-1]["step"])] if run.rows else []
    done += [record.step] if record is not None else []
    done += [state.global_step or 0] if state is not None else []
    planned = (record.max_steps if record is not None else None) or (
        state.max_steps if state is not None else None
    )
    return max(done, default=0), planned


def _step(run: RunningRun) -> str:
    done, planned = _steps(run)
    if not planned or planned < 0:
        return f"step {done:,}" if done else ""
    return f"step {done:,} of {planned:,}"


def _progress(run: RunningRun, style: Style, now: float, *, ended: bool) -> Iterator[str]:
    done, planned = _steps(run)
    text = _step(run)
    if not text:
        return
    if planned and planned > 0:
        share = min(1.0, done / planned)
        filled = int(share * _BAR)
        full, empty = ("█", "░") if style.blocks else ("#", "-")
        text += f"  {full * filled}{empty * (_BAR - filled)} {share:.0%}"
    epoch = next((row["epoch"] for row in reversed(run.rows) if "epoch" in row), None)
    more = [f"epoch {epoch:.2f}"] if epoch is not None and math.isfinite(epoch) else []
    pace = pace_of(run.rows)
    more += [f"{pace.seconds_a_step:.3g} s a step"] if pace is not None else []
    left = "" if ended else _left(run, now)
    more += [left] if left else []
    more += [f"checkpoint-{run.checkpoint}"] if run.checkpoint is not None else []
    yield "  ".join([text, ", ".join(more)])


def _left(run: RunningRun, now: float) -> str:
    done, planned = _steps(run)
    pace = pace_of(run.rows)
    if pace is None or not planned or planned <= done:
        return ""
    since = now - run.rows[-1].get("time", now)
    return f"{_duration(seconds_left(pace, done, planned, since_last_row=since))} left"


def _series(rows: Sequence[Row], style: Style) -> Iterator[str]:
    for key, label in (("loss", "loss"), ("eval_loss", "eval_loss")):
        values = [row[key] for row in rows if key in row]
        if values:
            ends = f"{values[0]:.3g} -> {values[-1]:.3g}"
            width = max(1, min(60, style.width - _LABEL - 22))
            line = sparkline(values, width, blocks=style.blocks)
            yield f"{label:<{_LABEL}}{ends:<20} {line}"
    newest = [text for key in ("learning_rate", "grad_norm") if (text := _newest(rows, key))]
    if newest:
        yield ", ".join(newest)


def _newest(rows: Sequence[Row], key: str) -> str:
    value = next((row[key] for row in reversed(rows) if key in row), None)
    return "" if value is None else f"{key} {value:.3g}"


def _machine(run: RunningRun) -> Iterator[str]:
    if run.resources is None or not run.resources.rows:
        return
    row = run.resources.rows[-1]
    parts = [text for kind in ("gpu", "cpu") if (text := _memory(row, kind))]
    if row.gpu_utilisation is not None:
        parts.insert(1, f"GPU in use {row.gpu_utilisation:.0%}")
    if parts:
        yield ", ".join(parts)


def _memory(row: ResourceRow, kind: str) -> str:
    used, total = getattr(row, f"{kind}_memory_used"), getattr(row, f"{kind}_memory_total")
    if used is None or not total:
        return ""
    name = "GPU memory" if kind == "gpu" else "memory"
    shown = f"{used / _GIBIBYTE:.1f} of {total / _GIBIBYTE:.1f} GiB ({used / total:.0%})"
    return f"{name} {shown}"


def _verdicts(run: RunningRun, findings: Sequence[LiveFinding]) -> Iterator[str]:
    if run.record is not None:
        judged = f"{len(run.record.judged)} rules judged as it trains"
    elif run.state is not None:
        judged = f"no live audit; judged at step {run.state.global_step or 0:,}, when it was saved"
    else:
        return
    errors = sum(each.severity == "error" for each in findings)
    counts = (_count(errors, "error"), _count(len(findings) - errors, "warning"))
    yield f"verdicts: {', '.join(counts)}; {judged}"
    for each in findings[-_MOST_FINDINGS:]:
        yield f"  {each.text}" + ("" if each.holds else " (no longer)")
        if each.holds and not each.explained_by:
            yield f"    fix: {printable(each.fix)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    minutes = int(seconds // _MINUTE)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _cut(line: str, width: int, mark: str) -> str:
    return line if len(line) <= width else line[: max(0, width - 1)] + mark
