"""`colintern evaluate` and `vidore-eval`: from the command line to results, and a table of them."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

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
from colintern.evaluation.settings import Settings
from colintern.guide import GUIDE, Guide
from colintern.model.quiet_import import import_engine

FAILED: Final = 1
"""Exit code when a task failed; the results of the others are there."""


def prepare_environment() -> None:
    """Quieten the libraries, before they are imported."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    warnings.filterwarnings("ignore", message="Could not find a config file")
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
    warnings.filterwarnings("ignore", message="The task '.*' is superseded")


def run_evaluation(settings: Settings, *, streaming: bool = False) -> int:
    """Evaluate on every task that is not finished, and print the summary.

    Args:
        settings: what to evaluate on what.
        streaming: search by our own evaluator instead of MTEB's.

    Returns:
        The exit code.

    Raises:
        click.ClickException: a mistake of the user's, or a checkpoint that cannot be loaded.
    """
    import_engine()
    from colintern.evaluation.checkpoint import CheckpointError  # noqa: PLC0415 - slow imports
    from colintern.evaluation.processes import (  # noqa: PLC0415
        OtherProcessError,
        started_processes,
    )
    from colintern.evaluation.results import ResultsError  # noqa: PLC0415
    from colintern.evaluation.task_names import UnknownNameError  # noqa: PLC0415

    try:
        with started_processes() as processes:
            if processes.count > 1 and not streaming:
                raise click.UsageError(
                    "several processes share a corpus only in `colintern vidore-eval`"
                )
            return _evaluated(settings, processes, streaming=streaming)
    except UnknownNameError as error:
        raise click.UsageError(str(error)) from error
    except (CheckpointError, ResultsError, OtherProcessError) as error:
        raise click.ClickException(str(error)) from error


def _evaluated(settings: Settings, processes: Any, *, streaming: bool) -> int:
    from colintern.evaluation.checkpoint import find_checkpoint  # noqa: PLC0415 - slow imports
    from colintern.evaluation.results import ResultsFolder  # noqa: PLC0415
    from colintern.evaluation.session import EvaluationSession  # noqa: PLC0415
    from colintern.evaluation.task_names import (  # noqa: PLC0415
        DEFAULT_BENCHMARKS,
        chosen_tasks,
        closed_tasks,
    )

    names = settings.benchmarks or DEFAULT_BENCHMARKS
    checkpoint = find_checkpoint(settings.model, base=settings.base, family=settings.family)
    tasks = chosen_tasks(names, settings.data)
    folder = ResultsFolder(settings.results / checkpoint.name)
    session = EvaluationSession(settings, checkpoint, folder, processes)
    if processes.is_first and (closed := closed_tasks(names)):
        click.echo(f"not evaluated, because their data is closed: {', '.join(closed)}")
    failures = session.run(tasks, streaming=streaming)
    return _report(folder, failures, settings) if processes.is_first else 0


def _report(folder: Any, failures: Mapping[str, str], settings: Settings) -> int:
    click.echo(f"\n{summary_of(folder.path)}\n")
    for name, reason in failures.items():
        click.echo(f"FAILED {name}: {printable(reason, limit=2_000)}", err=True)
    click.echo(
        f"results in {printable(folder.path)}; "
        f"`colintern audit {printable(settings.model)} --results {printable(settings.results)}`"
    )
    return FAILED if failures else 0


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
