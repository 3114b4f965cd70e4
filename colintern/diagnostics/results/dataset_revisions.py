"""Revisions of the data that results name: whether they exist, are the task's, and fit together.

MTEB pins one commit of each data set and moved all of ViDoRe v1 twice. Results of two such times
are not of the same pages and queries. Which revisions belong together is read from the published
results, in which no model mixes them (sources M12).
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.artifacts.results.folder import TaskResults
from colintern.diagnostics.results.published import published_models
from colintern.diagnostics.results.result_table import ResultTable

REVISION_START: Final = 12
"""Characters of a commit that are bundled."""
MIN_DIGITS: Final = 6
"""Different digits of a commit: of 16, a random one has fewer once in 10^14."""

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def is_commit(revision: str) -> bool:
    """Whether it can be a commit: 40 hexadecimal digits that nobody typed."""
    return bool(_COMMIT.fullmatch(revision)) and len(set(revision)) >= MIN_DIGITS


class DatasetRevisions(Struct, frozen=True):
    """What is wrong with the revisions of the data."""

    faults: tuple[str, ...]
    """No commit, or two times in one benchmark."""
    unknown: tuple[str, ...]
    """Commits that no published result has: newer than the table, or made up."""


def dataset_revisions(results: TaskResults, table: ResultTable) -> DatasetRevisions | None:
    """Compare the recorded revisions with the published ones; None where none is recorded."""
    recorded = tuple(_recorded(results))
    if not recorded:
        return None
    impossible = tuple(
        f"{printable(name, limit=80)}: dataset revision {printable(revision, limit=50)} "
        "is no commit"
        for name, revision in recorded
        if not is_commit(revision)
    )
    unknown = tuple(
        f"{printable(name, limit=80)}: no published result has its dataset revision {start}"
        for name, revision in recorded
        if is_commit(revision) and not _tasks_with(start := revision[:REVISION_START])
    )
    return DatasetRevisions((*impossible, *_mixed_benchmarks(results, table)), unknown)


def foreign_revisions(results: TaskResults) -> tuple[str, ...]:
    """Name the tasks whose revision of the data is that of another task."""
    return tuple(
        f"{printable(name, limit=80)} has the dataset revision of {owners[0]}"
        for name, revision in _recorded(results)
        if (owners := _tasks_with(revision)) and name not in owners
    )


def _mixed_benchmarks(results: TaskResults, table: ResultTable) -> Iterator[str]:
    """Name the benchmarks whose tasks have revisions that no published model has together."""
    for row in table.benchmarks:
        yield from _mixed(results, row.benchmark.name, [task.name for task in row.tasks])


def _mixed(results: TaskResults, benchmark: str, names: Sequence[str]) -> Iterator[str]:
    known = _known()
    starts = {
        name: start
        for name in names
        if (start := (results.tasks[name].dataset_revision or "")[:REVISION_START])
        in known.get(name, ())
    }
    for one, other in combinations(sorted(starts), 2):
        if (one, starts[one], other, starts[other]) not in _together():
            yield (
                f"{benchmark}: dataset revisions of two times, {starts[one]} of {one} "
                f"and {starts[other]} of {other}"
            )
            return


def known_revisions(task: str) -> frozenset[str]:
    """Return the first characters of every revision of the data that published results name."""
    return _known().get(task, frozenset())


def _recorded(results: TaskResults) -> Iterator[tuple[str, str]]:
    """Yield the tasks whose data are published, with the revision that their file names."""
    known = _known()
    for name, result in results.tasks.items():
        if name in known and result.dataset_revision:
            yield name, result.dataset_revision


def _tasks_with(revision: str) -> tuple[str, ...]:
    start = revision[:REVISION_START]
    return tuple(name for name, starts in _known().items() if start in starts)


@cache
def _known() -> Mapping[str, frozenset[str]]:
    """Task to the revisions that published results name."""
    found = defaultdict(set)
    for model in published_models().models:
        for name, task in model.tasks.items():
            if task.dataset_revision:
                found[name].add(task.dataset_revision)
    return {name: frozenset(starts) for name, starts in found.items()}


@cache
def _together() -> frozenset[tuple[str, str, str, str]]:
    """Pairs of a task and its revision that one published model has, tasks in order."""
    pairs = set()
    for model in published_models().models:
        for one, other in combinations(sorted(model.tasks), 2):
            first, second = model.tasks[one].dataset_revision, model.tasks[other].dataset_revision
            if first and second:
                pairs.add((one, first, other, second))
    return frozenset(pairs)
