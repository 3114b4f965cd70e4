"""What `colintern compare` prints: on a terminal, as Markdown and as CSV."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from colintern.artifacts.printable import printable
from colintern.artifacts.writing import write_text_atomically
from colintern.diagnostics.results.comparison import (
    Comparison,
    ScoreTable,
    TaskDifference,
    interval_text,
    mean_name,
    reasons_of_pairing,
)
from colintern.engine.reports.markdown_report import escaped
from colintern.report.compared_runs import METRIC_NAMES, Compared

Rows = list[list[str]]
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_COLUMNS: Final = (
    *("run", "task", "metric", "score", "difference", "low", "high", "verdict", "basis"),
    *("queries", "won", "lost", "note"),
)
_NAME: Final = 60
_TASK: Final = 80
_CELL: Final = 40
"""Characters of a setting on a terminal; the other outputs show all."""


def text_of(compared: Compared) -> str:
    """Show the comparison on a terminal."""
    tables = [score_rows(table) for table in compared.tables if _has_scores(table)]
    if compared.settings:
        tables.append([[_cut(cell) for cell in row] for row in setting_rows(compared)])
    lines = [line for comparison in compared.comparisons for line in verdict_lines(comparison)]
    return "\n\n".join([*map(aligned, tables), "\n".join(lines)])


def markdown_of(compared: Compared) -> str:
    """Write the comparison for a pull request; every text of a file is escaped."""
    parts = []
    for comparison in compared.comparisons:
        title, *lines = (escaped(line.strip()) for line in verdict_lines(comparison))
        parts.append("\n".join([f"**{title}**", "", *(f"- {line}" for line in lines)]))
    parts += [_markdown_table(score_rows(table)) for table in compared.tables if _has_scores(table)]
    if compared.settings:
        parts.append(_markdown_table(setting_rows(compared)))
    return "\n\n".join(parts) + "\n"


def csv_of(compared: Compared) -> str:
    """Write one row a run, task and metric; no cell is a spreadsheet's formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in _csv_rows(compared):
        writer.writerow({key: _no_formula(value) for key, value in row.items()})
    return text.getvalue()


def score_rows(table: ScoreTable) -> Rows:
    """Return a header, a row a task, and the mean over the common tasks."""
    rows = [[METRIC_NAMES[table.metric], *(printable(name, limit=_NAME) for name in table.names)]]
    rows += [
        [printable(task, limit=_TASK), *map(_number, scores)] for task, scores in table.rows.items()
    ]
    mean = [mean_name(len(table.common), common=True), *map(_number, table.means)]
    return [*rows, mean] if table.common and len(table.rows) > 1 else rows


def setting_rows(compared: Compared) -> Rows:
    """Return a header, and the settings that are recorded differently."""
    names = [printable(name, limit=_NAME) for name in compared.names]
    return [["settings", *names], *([row.name, *row.values] for row in compared.settings)]


def verdict_lines(comparison: Comparison) -> Iterator[str]:
    """Say of each task how the second model differs from the first, and how sure that is."""
    second, first = (printable(name, limit=_NAME) for name in (comparison.second, comparison.first))
    yield f"{second} against {first}, NDCG@5 with 95 % intervals:"
    for task in comparison.tasks:
        yield f"  {printable(task.task, limit=_TASK)}: {_told(task)}"
    if comparison.mean is not None:
        mean = comparison.mean
        name = mean_name(len(comparison.tasks))
        yield f"  {name}: {mean.verdict} ({interval_text(mean)})"
    for name, why in comparison.refused.items():
        yield f"  {printable(name, limit=_TASK)}: not compared: {', '.join(why)}"
    if not comparison.tasks and not comparison.refused:
        yield "  no task in common"
    for reason, tasks in reasons_of_pairing(comparison).items():
        yield f"  not query by query ({reason}): {tasks}"


def aligned(rows: Rows) -> str:
    """Lay a table out for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def write(file: Path, text: str) -> None:
    """Write an output whole, or say why it cannot be written."""
    try:
        write_text_atomically(file, text)
    except OSError as error:
        raise click.UsageError(f"{printable(file)}: cannot be written: {error.strerror}") from error


def _told(task: TaskDifference) -> str:
    if task.interval is None:
        return "not judged: the number of its queries is not known"
    told = f"{task.verdict} ({interval_text(task.interval)}), by {task.basis}"
    won = f", {task.wins} queries won, {task.losses} lost" if task.pairs else ""
    return told + won


def _has_scores(table: ScoreTable) -> bool:
    return any(score is not None for scores in table.rows.values() for score in scores)


def _markdown_table(rows: Rows) -> str:
    shown = [f"| {' | '.join(map(escaped, row))} |" for row in rows]
    return "\n".join([shown[0], "|---" * len(rows[0]) + "|", *shown[1:]])


def _csv_rows(compared: Compared) -> Iterator[dict[str, Any]]:
    judged = {comparison.second: comparison for comparison in compared.comparisons}
    for table in compared.tables:
        for column, name in enumerate(table.names):
            about = _about(judged.get(name), table)
            scores = {task: row[column] for task, row in table.rows.items()}
            if table.common:
                scores[mean_name(len(table.common), common=True)] = table.means[column]
            for task, score in scores.items():
                shown = "" if score is None else f"{score:.5f}"
                row = {"run": name, "task": task, "metric": METRIC_NAMES[table.metric]}
                yield {**row, "score": shown, **about.get(task, {})}


def _about(comparison: Comparison | None, table: ScoreTable) -> dict[str, dict[str, Any]]:
    """Return what is known of each task beside the first run; NDCG@5 alone is judged."""
    if comparison is None or METRIC_NAMES[table.metric] != "NDCG@5":
        return {}
    refused = {
        task: {"note": f"not compared: {', '.join(why)}"}
        for task, why in comparison.refused.items()
    }
    tasks = {task.task: _difference(task) for task in comparison.tasks}
    return refused | tasks


def _difference(task: TaskDifference) -> dict[str, Any]:
    interval = task.interval
    if interval is None:
        return {"verdict": task.verdict, "note": task.unpaired}
    return {
        "difference": f"{interval.difference:.5f}",
        "low": f"{interval.low:.5f}",
        "high": f"{interval.high:.5f}",
        "verdict": task.verdict,
        "basis": task.basis,
        "queries": interval.num_queries or "",
        "won": "" if task.wins is None else task.wins,
        "lost": "" if task.losses is None else task.losses,
        "note": task.unpaired,
    }


def _no_formula(value: Any) -> str:
    """Negative numbers stay numbers; any other text that a spreadsheet would compute does not."""
    text = printable(value, limit=500)
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text
    return text


def _cut(text: str) -> str:
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def _number(score: float | None) -> str:
    return "" if score is None else f"{score:.4f}"
