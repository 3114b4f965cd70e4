"""What the models score, against the guide's bands and targets and published models."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from colintern.artifacts.printable import listed, printable
from colintern.diagnostics.results.benchmarks import BENCHMARKS
from colintern.diagnostics.results.published import (
    PublishedModel,
    PublishedScores,
    published_model,
    published_scores,
)
from colintern.diagnostics.results.result_table import BenchmarkRow, ResultTable, TaskRow, band_of
from colintern.engine.outcome import Outcome
from colintern.engine.part import LeftOut
from colintern.figures.canvas import Figure
from colintern.figures.results import MOST_TASKS, results_overlay
from colintern.guide import Guide
from colintern.report.document import Absences, Block, Cell, Figures, Paragraph, Section, Table
from colintern.report.reported_run import ReportedRun, head, mark_of

YARDSTICK: Final = "vidore/colSmol-500M"
"""The guide: "With proper hyperparameters, you should match ColSmol-500M performance"."""
_METRICS: Final = {
    "NDCG@5": "ndcg_at_5",
    "NDCG@10": "ndcg_at_10",
    "Recall@100": "recall_at_100",
}
_FINDINGS: Final = (Outcome.FAILED, Outcome.WARNED, Outcome.NOTED)


def results_section(runs: Sequence[ReportedRun], guide: Guide) -> Section:
    """Show the results of one run or of several."""
    found = {run.letter: run.part("Results", _table) for run in runs}
    tables = {key: table for key, table in found.items() if isinstance(table, ResultTable)}
    absences = [table for table in found.values() if isinstance(table, LeftOut)]
    blocks: list[Block] = []
    if tables:
        drawn = runs[0].part("Results", partial(_figure, tables))
        if isinstance(drawn, Figure):
            blocks.append(Figures((drawn,)))
        else:
            absences.append(drawn)
        shown = [run for run in runs if run.letter in tables]
        blocks.append(_ndcg_table(shown, tables, guide))
        blocks.append(_metrics_table(shown, tables))
        blocks += [Paragraph(text) for text in _notes(shown, tables)]
    if absences:
        blocks.append(Absences(tuple(absences)))
    return Section("results", "Results", tuple(blocks), "NDCG@5, from 0 to 1" if tables else "")


def _table(result_table: ResultTable) -> ResultTable:
    return result_table


def _figure(tables: Mapping[str, ResultTable], guide: Guide) -> Figure:
    return results_overlay(tables, guide)


def _ndcg_table(
    runs: Sequence[ReportedRun], tables: Mapping[str, ResultTable], guide: Guide
) -> Table:
    names = _task_names(tables)
    yardstick = published_model(YARDSTICK)
    published = published_scores()
    shows_target = any(name in guide.task_targets for name in names)
    shows_published = any(name in published for name in names)
    columns = ["The guide's target"] if shows_target else []
    columns += ["Published, middle half", "Best published"] if shows_published else []
    columns += [YARDSTICK.partition("/")[2]] if shows_published and yardstick else []
    rows = [
        (
            Cell(printable(name, limit=80)),
            *(_score_cell(tables[run.letter], name, guide) for run in runs),
            *([_target_cell(guide, name)] if shows_target else []),
            *(_published_cells(published.get(name), yardstick, name) if shows_published else []),
        )
        for name in names
    ]
    width = len(columns)
    rows += [
        (Cell(f"mean of {name}"), *cells, *(Cell("") for _ in range(width)))
        for name, cells in _mean_rows(runs, tables, guide).items()
    ]
    bands = (
        f"Bands of a mean: excellent from {guide.ndcg_at_5_excellent:.2f}, good from "
        f"{guide.ndcg_at_5_good:.2f}, weak from {guide.ndcg_at_5_weak:.2f}, poor from "
        f"{guide.ndcg_at_5_poor:.2f}, else broken. The mean of a part of a benchmark is not shown: "
        f"it compares with nothing."
    )
    note = f"{_published_note(names)}{bands}"
    return Table("NDCG@5", head(runs, "Task", *columns), tuple(rows), note, numeric=True)


def _published_note(names: Sequence[str]) -> str:
    counts = [published_scores()[name].models for name in names if name in published_scores()]
    if not counts:
        return ""
    low, high = min(counts), max(counts)
    number = f"{low}" if low == high else f"{low} to {high}"
    return f"Published: of {number} late-interaction models. "


def _task_names(tables: Mapping[str, ResultTable]) -> list[str]:
    """Return the tasks by benchmark, in the order in which the benchmarks appeared."""
    tasks = {task.name: task for table in tables.values() for task in table.tasks}
    order = {benchmark.name: place for place, benchmark in enumerate(BENCHMARKS)}
    return sorted(tasks, key=lambda name: order.get(tasks[name].benchmark or "", len(order)))[
        :MOST_TASKS
    ]


def _row_of(table: ResultTable, name: str) -> TaskRow | None:
    return next((task for task in table.tasks if task.name == name), None)


def _score_cell(table: ResultTable, name: str, guide: Guide) -> Cell:
    row = _row_of(table, name)
    if row is None or row.ndcg_at_5 is None:
        return Cell("")
    notes = []
    target = guide.task_targets.get(name)
    if target is not None and row.ndcg_at_5 < target[0]:
        notes.append("under the target")
    if row.missing_subsets:
        notes.append(f"without {listed(row.missing_subsets, most=2)}")
    if row.missing_split is not None:
        notes.append(f"without the split {row.missing_split}")
    return Cell(_number(row.ndcg_at_5), note=", ".join(notes))


def _target_cell(guide: Guide, name: str) -> Cell:
    target = guide.task_targets.get(name)
    return Cell(f"{target[0]:.2f} to {target[1]:.2f}" if target else "")


def _published_cells(
    published: PublishedScores | None, yardstick: PublishedModel | None, name: str
) -> list[Cell]:
    cells = [Cell(""), Cell("")]
    if published is not None:
        middle = f"{published.lower_quartile:.3f} to {published.upper_quartile:.3f}"
        cells = [Cell(middle), Cell(_number(published.best))]
    if yardstick is not None:
        task = yardstick.tasks.get(name)
        cells.append(Cell(_number(task.ndcg_at_5) if task else ""))
    return cells


def _mean_rows(
    runs: Sequence[ReportedRun], tables: Mapping[str, ResultTable], guide: Guide
) -> dict[str, list[Cell]]:
    names = dict.fromkeys(
        row.benchmark.name for table in tables.values() for row in table.benchmarks if row.means
    )
    return {
        name: [_mean_cell(run, _benchmark(tables[run.letter], name), guide) for run in runs]
        for name in names
    }


def _benchmark(table: ResultTable, name: str) -> BenchmarkRow | None:
    return next((row for row in table.benchmarks if row.benchmark.name == name), None)


def _mean_cell(run: ReportedRun, row: BenchmarkRow | None, guide: Guide) -> Cell:
    if row is None or row.means is None:
        return Cell("")
    mean = row.means["ndcg_at_5"]
    if not row.benchmark.banded or not 0 <= mean <= 1:
        return Cell(_number(mean))
    result = run.gravest("Mean NDCG@5")
    judged = result is not None and result.outcome in (*_FINDINGS, Outcome.PASSED)
    return Cell(
        _number(mean), mark_of(result.outcome) if result and judged else None, band_of(mean, guide)
    )


def _metrics_table(runs: Sequence[ReportedRun], tables: Mapping[str, ResultTable]) -> Table:
    """Show the guide's three primary metrics of each task; a column a run and metric."""
    columns = [
        (f"{run.letter} {title}".strip(), tables[run.letter], metric)
        for run in runs
        for title, metric in _METRICS.items()
    ]
    rows = tuple(
        (
            Cell(printable(name, limit=80)),
            *(_metric_cell(table, name, metric) for _, table, metric in columns),
        )
        for name in _task_names(tables)
    )
    return Table(
        "The guide's primary metrics",
        ("Task", *(title for title, _, _ in columns)),
        rows,
        numeric=True,
    )


def _metric_cell(table: ResultTable, name: str, metric: str) -> Cell:
    row = _row_of(table, name)
    return Cell(_number(getattr(row, metric)) if row else "")


def _notes(runs: Sequence[ReportedRun], tables: Mapping[str, ResultTable]) -> list[str]:
    """Say what of a benchmark is missing, and which rules on results found something."""
    notes = []
    for run in runs:
        prefix = f"{run.letter}: " if run.letter else ""
        notes += [f"{prefix}{row}." for row in tables[run.letter].benchmarks if row.means is None]
    return notes


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
