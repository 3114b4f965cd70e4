"""What `colintern compare` reads and prints."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.predictions import read_task_queries
from colintern.artifacts.printable import printable
from colintern.artifacts.results_search import find_results, find_results_in
from colintern.artifacts.run_layout import RUN_MANIFEST, TRAINING_ARGS, read_run_layout
from colintern.artifacts.run_manifest import read_run_manifest
from colintern.artifacts.training_args import read_training_args
from colintern.diagnostics.comparison import (
    Comparison,
    Evaluated,
    ScoreTable,
    compare,
    interval_text,
    score_table,
)
from colintern.diagnostics.config_sources import recorded_config
from colintern.diagnostics.run_config import RunConfig
from pytest_colintern.atomic_file import write_text_atomically

Rows = list[list[str]]
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Shown(msgspec.Struct, frozen=True):
    """A comparison in every form."""

    text: str
    markdown: str
    csv: str
    comparable: bool
    """Whether each run has a task that may be compared with the first."""


def compared_runs(runs: Sequence[Path]) -> Shown:
    """Compare each further run with the first.

    Raises:
        ArtifactError: a file is malformed, or a run has no results.
    """
    short = [path.resolve().name for path in runs]
    names = short if len(set(short)) == len(runs) else [str(path) for path in runs]
    models = [read_evaluated(path, name) for path, name in zip(runs, names, strict=True)]
    comparisons = [compare(models[0], model) for model in models[1:]]
    scores = score_rows(score_table(models, comparisons))
    settings = config_rows(names, [read_config(path) for path in runs])
    tables = [scores, settings] if settings else [scores]
    lines = [line for comparison in comparisons for line in verdict_lines(comparison)]
    return Shown(
        "\n\n".join([*map(aligned, tables), "\n".join(lines)]),
        markdown(tables, lines),
        comma_separated(scores),
        all(comparison.tasks for comparison in comparisons),
    )


def read_evaluated(path: Path, name: str) -> Evaluated:
    """Read the results of a run, or those in a folder of results.

    Raises:
        ArtifactError: a file is malformed, or there are no results.
    """
    layout = read_run_layout(path)
    results = find_results(layout, layout.path.name, Path.cwd()).results
    if results is None or not results.tasks:
        results = find_results_in(path, layout, layout.path.name, num_subjects=1).results
    if results is None or not results.tasks:
        raise ArtifactError(
            path,
            expected="a run with results, or a folder of TASK.json files",
            found="no task result",
            remedy="Evaluate it, or name the folder of its results.",
        )
    read = {task: read_task_queries(results, task) for task in results.tasks}
    return Evaluated(name, results, {task: found for task, found in read.items() if found})


def read_config(path: Path) -> RunConfig:
    """Read how a run was configured; what is absent or broken is left out."""
    manifest = arguments = None
    with suppress(ArtifactError):
        layout = read_run_layout(path)
        if (file := layout.find(RUN_MANIFEST)) is not None:
            manifest = read_run_manifest(file, layout.enclosure)
        if (file := layout.find(TRAINING_ARGS)) is not None:
            arguments = read_training_args(file, layout.enclosure).values
    return recorded_config(manifest, arguments, None, None)


def score_rows(table: ScoreTable) -> Rows:
    """Return a header, a row a task, and the mean over the common tasks."""
    rows = [["NDCG@5", *(printable(name, limit=60) for name in table.names)]]
    rows += [
        [printable(task, limit=80), *map(_number, scores)] for task, scores in table.rows.items()
    ]
    mean = f"mean of {len(table.common)} common tasks"
    return [*rows, [mean, *map(_number, table.means)]] if table.common else rows


def config_rows(names: Sequence[str], configs: Sequence[RunConfig]) -> Rows:
    """Return the settings that are recorded differently."""
    columns = [msgspec.structs.asdict(config) for config in configs]
    rows = [
        [field, *cells]
        for field in RunConfig.__struct_fields__
        for cells in [[_setting(column[field]) for column in columns]]
        if len(set(cells)) > 1
    ]
    return [["settings", *(printable(name, limit=60) for name in names)], *rows] if rows else []


def verdict_lines(comparison: Comparison) -> Iterator[str]:
    """Say of each task how the second model differs from the first, and how sure that is."""
    second, first = (printable(name, limit=60) for name in (comparison.second, comparison.first))
    yield f"{second} against {first}:"
    for task in comparison.tasks:
        told = _told(task.interval.verdict, interval_text(task.interval)) if task.interval else None
        won = "" if task.wins is None else f", {task.wins} queries won, {task.losses} lost"
        basis = f", by {task.basis}" if task.basis else ""
        shown = told or "not judged: the number of its queries is not known"
        yield f"  {printable(task.task, limit=80)}: {shown}{basis}{won}"
    if comparison.mean is not None:
        text = _told(comparison.mean.verdict, interval_text(comparison.mean))
        yield f"  mean of {len(comparison.tasks)} tasks: {text}"
    for name, why in comparison.refused.items():
        yield f"  {printable(name, limit=80)}: not compared: {', '.join(why)}"
    if not comparison.tasks and not comparison.refused:
        yield "  no task in common"


def aligned(rows: Rows) -> str:
    """Lay a table out for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def markdown(tables: Sequence[Rows], lines: Sequence[str]) -> str:
    """Write tables and verdicts as Markdown; no cell can end its own."""
    parts = []
    for rows in tables:
        shown = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
        parts.append("\n".join([shown[0], "|---" * len(rows[0]) + "|", *shown[1:]]))
    parts.append("\n".join(f"- {_cell(line.strip())}" for line in lines))
    return "\n\n".join(parts) + "\n"


def comma_separated(rows: Rows) -> str:
    """Write a table as CSV in which no cell is a spreadsheet's formula."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell for cell in row] for row in rows
    )
    return text.getvalue()


def write(file: Path, text: str) -> None:
    """Write an output whole, or say why it cannot be written."""
    try:
        write_text_atomically(file, text)
    except OSError as error:
        raise click.UsageError(f"{printable(file)}: cannot be written: {error.strerror}") from error


def _told(verdict: str, interval: str) -> str:
    return f"{verdict} ({interval})"


def _number(score: float | None) -> str:
    return "" if score is None else f"{score:.4f}"


def _setting(recorded: object) -> str:
    value = getattr(recorded, "value", None)
    return "" if value is None else printable(value, limit=60)


def _cell(text: str) -> str:
    escaped = "".join(f"\\{each}" if each in "\\|`*_[]<>" else each for each in text)
    return escaped.replace("&", "&amp;")
