"""`colintern compare --html`: the comparison as one page that loads and runs nothing."""

from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.diagnostics.results.comparison import (
    Comparison,
    QueryPair,
    TaskDifference,
    interval_text,
    mean_name,
    reasons_of_pairing,
)
from colintern.figures.canvas import Figure
from colintern.figures.page_shell import html_page, templates
from colintern.report.compared_runs import METRIC_NAMES, Compared
from colintern.report.differences_figure import differences_figure

_HTML: Final = Path(__file__).with_name("html")

MOST_PAIRS: Final = 20
"""Queries of a task that are shown."""
MOST_TASKS: Final = 200
"""Tasks whose queries are shown, over all runs."""

_NAME: Final = 60
_MOST_NAMED: Final = 3
"""Runs that the title names."""
_MARKS: Final = {
    "better": ("better", "o-passed"),
    "worse": ("worse", "o-failed"),
    "no difference": ("same", "o-no_evidence"),
    "not judged": ("open", "o-no_evidence"),
}
"""Verdict to its icon and its colour, which are those of the audit's report."""


class _Shown(Struct, frozen=True):
    """A run beside the first."""

    first: str
    second: str
    comparison: Comparison
    mean: str
    unpaired: dict[str, str]
    figure: Figure | None


class _Queries(Struct, frozen=True):
    """The queries of one task."""

    first: str
    second: str
    task: str
    won: int
    lost: int
    equal: int
    clearest: tuple[QueryPair, ...]
    more: int


def comparison_page(compared: Compared) -> str:
    """Render the comparison; every text in it is escaped."""
    names = [_plain(name) for name in compared.names]
    others = names[1:] if len(names) <= _MOST_NAMED else [f"{len(names) - 1} runs"]
    title = f"{', '.join(others)} against {names[0]}"
    block = (
        templates(_HTML)
        .get_template("comparison.jinja2")
        .render(
            plain=printable,
            title=title,
            names=names,
            headlines=[headline(comparison) for comparison in compared.comparisons],
            comparisons=[_shown(comparison) for comparison in compared.comparisons],
            queries=list(_queries(compared))[:MOST_TASKS],
            tables=compared.tables,
            metrics=METRIC_NAMES,
            settings=compared.settings,
            marks=_MARKS,
            mean_name=mean_name,
            written=datetime.now().astimezone(),
            version=version("colintern"),
        )
    )
    style = _HTML.joinpath("comparison.css").read_text("utf-8")
    return html_page(f"{title} (ColIntern comparison)", [block], style=style)


def headline(comparison: Comparison) -> str:
    """Say in a sentence how the second run differs from the first."""
    second, first = _plain(comparison.second), _plain(comparison.first)
    judged = [task for task in comparison.tasks if task.interval is not None]
    if not judged:
        return f"{second} cannot be compared with {first}."
    worse, better = (
        [task.task for task in judged if task.verdict == verdict] for verdict in ("worse", "better")
    )
    told = [
        f"{verb} on {len(tasks)} of {mean_name(len(judged)).removeprefix('mean of ')}"
        for verb, tasks in (("worse", worse), ("better", better))
        if tasks
    ]
    if not told:
        return f"No difference beyond chance between {second} and {first}{_mean(comparison)}."
    return f"{second} is {' and '.join(told)}{_mean(comparison)}."


def _mean(comparison: Comparison) -> str:
    if comparison.mean is None:
        return ""
    return f"; the mean: {comparison.mean.verdict} ({interval_text(comparison.mean)})"


def _shown(comparison: Comparison) -> _Shown:
    return _Shown(
        first=_plain(comparison.first),
        second=_plain(comparison.second),
        comparison=comparison,
        mean=mean_name(len(comparison.tasks)),
        unpaired=reasons_of_pairing(comparison),
        figure=differences_figure(comparison),
    )


def _queries(compared: Compared) -> Iterator[_Queries]:
    for comparison in compared.comparisons:
        for task in comparison.tasks:
            if task.wins or task.losses:
                yield _of_task(comparison, task)


def _of_task(comparison: Comparison, task: TaskDifference) -> _Queries:
    differing = [pair for pair in task.pairs if pair.difference]
    clearest = sorted(differing, key=lambda pair: (-abs(pair.difference), pair.query))[:MOST_PAIRS]
    return _Queries(
        first=_plain(comparison.first),
        second=_plain(comparison.second),
        task=task.task,
        won=task.wins or 0,
        lost=task.losses or 0,
        equal=len(task.pairs) - len(differing),
        clearest=tuple(clearest),
        more=len(differing) - len(clearest),
    )


def _plain(name: str) -> str:
    return printable(name, limit=_NAME)
