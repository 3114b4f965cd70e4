"""What `colintern compare` reads: the results of each run, and how they differ from the first's."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.predictions import TaskQueries, read_task_queries
from colintern.artifacts.printable import printable
from colintern.artifacts.results_folder import TaskResults
from colintern.artifacts.results_search import find_results, find_results_in
from colintern.artifacts.run_layout import read_run_layout
from colintern.diagnostics.comparison import (
    Comparison,
    Evaluated,
    ScoreTable,
    compare,
    score_table,
)
from colintern.diagnostics.result_table import METRICS
from colintern.report.differing_settings import SettingRow, differing_settings
from pytest_colintern.subjects import find_subjects

METRIC_NAMES: Final = {
    "ndcg_at_5": "NDCG@5",
    "ndcg_at_10": "NDCG@10",
    "recall_at_100": "Recall@100",
}
"""The guide's primary metrics; the first is the one that is judged."""


class Compared(Struct, frozen=True):
    """Several runs beside the first of them."""

    names: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    """Of each further run with the first."""
    tables: tuple[ScoreTable, ...]
    """One a metric."""
    settings: tuple[SettingRow, ...]
    """What is configured differently."""

    @property
    def comparable(self) -> bool:
        """Whether each run has a task that may be compared with the first."""
        return all(comparison.tasks for comparison in self.comparisons)


def compared_runs(arguments: Sequence[str]) -> Compared:
    """Compare each further run with the first.

    Args:
        arguments: runs as `colintern audit` takes them, or folders with results.

    Raises:
        ArtifactError: a file is malformed, or a run has no results.
        SubjectError: an argument leads nowhere.
    """
    located = [_located(argument) for argument in arguments]
    names = _names([name for name, _ in located], arguments)
    paths = [path for _, path in located]
    models = [read_evaluated(path, name) for path, name in zip(paths, names, strict=True)]
    comparisons = tuple(compare(models[0], model) for model in models[1:])
    return Compared(
        tuple(names),
        comparisons,
        tuple(score_table(models, comparisons, metric) for metric in METRICS),
        tuple(differing_settings(models, paths)),
    )


def read_evaluated(path: Path, name: str) -> Evaluated:
    """Read the results of a run, or those in a folder of results.

    Rankings that cannot be read are no reason to give up: the figures can be compared without.

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
    return _with_queries(name, results)


def _with_queries(name: str, results: TaskResults) -> Evaluated:
    queries: dict[str, TaskQueries] = {}
    unreadable = {}
    for task in results.tasks:
        try:
            found = read_task_queries(results, task)
        except ArtifactError as error:
            unreadable[task] = printable(error, limit=400)
            continue
        if found is not None:
            queries[task] = found
    return Evaluated(name, results, queries, unreadable)


def _located(argument: str) -> tuple[str, Path]:
    path = Path(argument).expanduser()
    is_demo = argument == "demo" or argument.startswith("demo:")
    if path.is_dir() and not is_demo:
        return path.resolve().name, path
    (subject,) = find_subjects([argument], Path.cwd())
    return subject.name, subject.path


def _names(short: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Name runs by their folders, else by what was typed; one named twice is told apart."""
    names = list(short if len(set(short)) == len(short) else arguments)
    seen: Counter[str] = Counter()
    for index, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            names[index] = f"{name} ({seen[name]})"
    return names
