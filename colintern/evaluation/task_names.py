"""From what the user typed after `--benchmarks` to tasks, each once, in that order."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import mteb
from mteb.abstasks.retrieval import AbsTaskRetrieval

from colintern.artifacts.printable import printable
from colintern.diagnostics.results.benchmarks import BENCHMARKS, PAGES, TASKS
from colintern.evaluation.local_data import use_local_copy
from colintern.evaluation.pages import ColInternPagesRetrieval

DEFAULT_BENCHMARKS: Final = ("ViDoRe(v1)", "ViDoRe(v2)")
"""The guide's."""
_BY_NAME: Final = {benchmark.name: benchmark for benchmark in BENCHMARKS}
_CLOSENESS: Final = 0.5
"""Share of matching letters from which a name is suggested."""


class UnknownNameError(ValueError):
    """Neither a benchmark nor a task."""


def chosen_tasks(names: Iterable[str], data: Path | None = None) -> list[AbsTaskRetrieval]:
    """Make the tasks that `names` mean: benchmarks and tasks alike.

    Args:
        names: of benchmarks or tasks, in any letter case.
        data: the folder of local copies of the data.

    Raises:
        UnknownNameError: one is neither; the message has close names.
    """
    wanted = dict.fromkeys(task for name in names for task in task_names(name))
    return [_task(name, data) for name in wanted]


def task_names(name: str) -> Sequence[str]:
    """Return the tasks of a benchmark, or the one task of that name.

    Closed tasks, whose data only MTEB's maintainers have, are left out of a benchmark.

    Raises:
        UnknownNameError: it is neither.
    """
    known = {**{key: key for key in _BY_NAME}, **{key: key for key in TASKS}}
    by_letters = {key.casefold(): key for key in known}
    found = by_letters.get(name.strip().casefold())
    if found in _BY_NAME:
        return [task.name for task in _BY_NAME[found].tasks if task.public]
    if found is not None:
        return [found]
    if name in _page_retrieval_tasks():
        return [name]
    raise UnknownNameError(_unknown(name, [*known, *_page_retrieval_tasks()]))


def closed_tasks(names: Iterable[str]) -> list[str]:
    """Return the closed tasks of the benchmarks among `names`."""
    given = {name.strip().casefold() for name in names}
    return [
        task.name
        for benchmark in BENCHMARKS
        if benchmark.name.casefold() in given
        for task in benchmark.tasks
        if not task.public
    ]


def _unknown(name: str, known: Sequence[str]) -> str:
    by_letters = {each.casefold(): each for each in known}
    close = get_close_matches(name.casefold(), by_letters, n=3, cutoff=_CLOSENESS)
    suggestion = f"; did you mean {', '.join(by_letters[each] for each in close)}?" if close else ""
    return (
        f"no benchmark or task is called {printable(name)}{suggestion} "
        f"Benchmarks: {', '.join(_BY_NAME)}"
    )


def _page_retrieval_tasks() -> frozenset[str]:
    """Name MTEB's tasks whose corpus is images that are asked for by text."""
    tasks = mteb.get_tasks(task_types=["DocumentUnderstanding"], exclude_superseded=False)
    return frozenset(task.metadata.name for task in tasks if task.metadata.category == "t2i")


def _task(name: str, data: Path | None) -> AbsTaskRetrieval:
    if name in PAGES.task_names:
        return ColInternPagesRetrieval()
    task: Any = mteb.get_task(name)
    return use_local_copy(task, data) if data is not None else task
