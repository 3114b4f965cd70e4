"""The table at the end of an evaluation: the guide's metrics, bands and targets. Free of torch."""

from collections.abc import Iterator
from pathlib import Path

from colintern.artifacts.files import Enclosure
from colintern.artifacts.printable import printable
from colintern.artifacts.results.folder import read_results_folder
from colintern.diagnostics.results.result_table import (
    BenchmarkRow,
    ResultTable,
    TaskRow,
    band_of,
    result_table,
)
from colintern.guide import GUIDE, Guide

_TASK_WIDTH = 50


def summary_of(folder: Path, guide: Guide = GUIDE) -> str:
    """Tabulate the results in `folder`, as the audit reads them."""
    results = read_results_folder(folder, Enclosure.around(folder), recursive=False)
    if results is None or not results.tasks:
        return "no results"
    return "\n".join(_lines(result_table(results), guide))


def _lines(table: ResultTable, guide: Guide) -> Iterator[str]:
    yield f"{'':{_TASK_WIDTH}} {'NDCG@5':>8} {'NDCG@10':>8} {'Recall@100':>10}"
    for row in table.tasks:
        yield f"{_figures(row.name, row)}  {_target(row, guide)}".rstrip()
    for benchmark in table.benchmarks:
        yield from _benchmark_lines(benchmark, guide)


def _benchmark_lines(row: BenchmarkRow, guide: Guide) -> Iterator[str]:
    if row.means is None:
        yield f"{row}: no mean of a part"
        return
    means = row.means
    figures = " ".join(
        f"{_number(means.get(metric)):>{width}}"
        for metric, width in (("ndcg_at_5", 8), ("ndcg_at_10", 8), ("recall_at_100", 10))
    )
    banded = f"  {band_of(means['ndcg_at_5'], guide)}" if row.benchmark.banded else ""
    yield f"{f'mean of {row.benchmark.name}':{_TASK_WIDTH}} {figures}{banded}"


def _figures(name: str, row: TaskRow) -> str:
    shown = printable(name, limit=_TASK_WIDTH)
    return (
        f"{shown:{_TASK_WIDTH}} {_number(row.ndcg_at_5):>8} {_number(row.ndcg_at_10):>8} "
        f"{_number(row.recall_at_100):>10}"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _target(row: TaskRow, guide: Guide) -> str:
    if not row.complete:
        return f"partial: without {', '.join(row.missing_subsets) or 'its split'}"
    target = guide.task_targets.get(row.name)
    return f"guide's target {target[0]:.2f}-{target[1]:.2f}" if target else ""
