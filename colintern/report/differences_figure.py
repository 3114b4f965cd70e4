"""Differences between two models with their intervals: a task a line, zero in the middle."""

from typing import Final

from colintern.artifacts.printable import printable
from colintern.diagnostics.results.comparison import Comparison, mean_name
from colintern.diagnostics.results.paired_bootstrap import Interval
from colintern.figures.canvas import WIDTH, Canvas, Figure, line_path
from colintern.figures.results import short_name
from colintern.figures.scale import Scale, shown

MOST_TASKS: Final = 60
"""Tasks shown; all ViDoRe benchmarks together have 35."""

_LEFT, _RIGHT = 148.0, WIDTH - 20.0
_ROW: Final = 22.0
_TOP: Final = 6.0
_ROOM: Final = 1.08
"""Beyond the farthest end of an interval."""
_SMALLEST: Final = 0.01
"""Of an axis: below it every difference would look large."""
_FEWEST: Final = 2
"""Lines of a figure: one says no more than its row of the table."""
_STYLES: Final = {
    "better": ("fig-gain", "fig-gain-dot"),
    "worse": ("fig-loss", "fig-loss-dot"),
    "no difference": ("fig-chance", "fig-chance-dot"),
}


def differences_figure(comparison: Comparison) -> Figure | None:
    """Draw NDCG@5 of the second model less that of the first; None for fewer than two tasks."""
    lines = [(short_name(task.task), task.interval) for task in comparison.tasks if task.interval]
    lines = lines[:MOST_TASKS]
    if len(lines) < _FEWEST:
        return None
    if comparison.mean is not None:
        lines.append(("mean", comparison.mean))
    reach = max(max(abs(each.low), abs(each.high)) for _, each in lines)
    axis = _axis(max(reach, _SMALLEST))
    bottom = _TOP + _ROW * len(lines)
    canvas = Canvas(bottom + 22, "Differences in NDCG@5, a task a line")
    for tick in axis.ticks():
        place = axis.place(tick)
        canvas.path(line_path(place, _TOP, place, bottom), "fig-axis" if not tick else "fig-grid")
        canvas.text(place, bottom + 15, f"{'+' * (tick > 0)}{shown(tick)}", anchor="middle")
    for index, (label, interval) in enumerate(lines):
        _draw(canvas, axis, label, interval, _TOP + _ROW * (index + 0.5))
    return Figure("Differences", _caption(comparison), canvas.markup())


def _axis(reach: float) -> Scale:
    return Scale(-reach * _ROOM, reach * _ROOM, _LEFT, _RIGHT)


def _draw(canvas: Canvas, axis: Scale, label: str, interval: Interval, middle: float) -> None:
    css = "fig-text fig-head" if label == "mean" else "fig-text"
    canvas.text(_LEFT - 8, middle + 4, label, css, "end")
    line, dot = _STYLES[interval.verdict]
    low, high = axis.place(interval.low), axis.place(interval.high)
    ends = line_path(low, middle - 4, low, middle + 4) + line_path(
        high, middle - 4, high, middle + 4
    )
    canvas.path(line_path(low, middle, high, middle) + ends, line)
    canvas.circle(axis.place(interval.difference), middle, 4.0, dot)


def _caption(comparison: Comparison) -> str:
    second, first = (printable(name, limit=60) for name in (comparison.second, comparison.first))
    counts = [
        f"{sum(task.verdict == verdict for task in comparison.tasks)} {told}"
        for verdict, told in (("better", "better"), ("worse", "worse"), ("no difference", "alike"))
    ]
    tasks = mean_name(len(comparison.tasks)).removeprefix("mean of ")
    return f"{second} less {first}: of {tasks}, {', '.join(counts)}."
