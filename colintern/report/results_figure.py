"""Scores against their yardsticks: the guide's bands and targets, and published models."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.diagnostics.published_scores import PublishedScores, published_scores
from colintern.diagnostics.result_table import BenchmarkRow, ResultTable, TaskRow, band_of
from colintern.guide import Guide
from colintern.report.canvas import CHARACTER_WIDTH, WIDTH, Canvas, line_path
from colintern.report.figure import Figure, NothingToDraw
from colintern.report.scale import Scale, shown

MOST_TASKS: Final = 60
"""Tasks shown; all ViDoRe benchmarks together have 35."""

_LEFT, _RIGHT = 128.0, WIDTH - 44.0
_ROW: Final = 22.0
_HEAD: Final = 24.0
_TOP: Final = 26.0
_LABEL_CHARACTERS: Final = 20
_AXIS: Final = Scale(0.0, 1.0, _LEFT, _RIGHT)


class _Line(Struct, frozen=True):
    label: str
    score: float
    target: tuple[float, float] | None = None
    published: PublishedScores | None = None
    is_mean: bool = False


class _Block(Struct, frozen=True):
    title: str
    banded: bool
    lines: tuple[_Line, ...]


def results_figure(result_table: ResultTable, guide: Guide) -> Figure:
    """Draw NDCG@5 of every task and complete benchmark."""
    blocks = list(_blocks(result_table, guide))
    if not blocks:
        raise NothingToDraw("no task has an NDCG@5 between 0 and 1")
    num_lines = sum(len(block.lines) for block in blocks)
    canvas = Canvas(_TOP + _HEAD * len(blocks) + _ROW * num_lines + 24, "NDCG@5 of every task")
    lines = [line for block in blocks for line in block.lines]
    _legend(canvas, lines)
    top = _TOP
    for block in blocks:
        _draw_block(canvas, block, top, guide)
        top += _HEAD + _ROW * len(block.lines)
    for tick in _AXIS.ticks():
        canvas.text(_AXIS.place(tick), top + 16, shown(tick), anchor="middle")
    return Figure("Results (NDCG@5)", _caption(result_table, lines, guide), canvas.markup())


def _blocks(table: ResultTable, guide: Guide) -> Iterator[_Block]:
    left = MOST_TASKS
    for row in table.benchmarks:
        lines = tuple(_task_lines(row.tasks, guide))[:left]
        left -= len(lines)
        if lines:
            yield _Block(row.benchmark.name, row.benchmark.banded, (*lines, *_mean_line(row)))
    others = tuple(_task_lines([task for task in table.tasks if task.benchmark is None], guide))
    if others[:left]:
        yield _Block("other tasks", banded=False, lines=others[:left])


def _task_lines(tasks: Sequence[TaskRow], guide: Guide) -> Iterator[_Line]:
    for task in tasks:
        score = task.ndcg_at_5
        if score is not None and 0 <= score <= 1:
            target = guide.task_targets.get(task.name)
            yield _Line(_short(task.name), score, target, published_scores().get(task.name))


def _mean_line(row: BenchmarkRow) -> Iterator[_Line]:
    mean = row.means["ndcg_at_5"] if row.means else math.nan
    if 0 <= mean <= 1:
        yield _Line("mean", mean, is_mean=True)


def _draw_block(canvas: Canvas, block: _Block, top: float, guide: Guide) -> None:
    first = top + _HEAD
    height = _ROW * len(block.lines)
    canvas.text(4, top + 16, block.title, "fig-text fig-head")
    if block.banded:
        _draw_bands(canvas, top, first, height, guide)
    for tick in _AXIS.ticks():
        place = _AXIS.place(tick)
        canvas.path(line_path(place, first, place, first + height), "fig-grid")
    for index, line in enumerate(block.lines):
        _draw_line(canvas, line, first + _ROW * index)


def _draw_bands(canvas: Canvas, top: float, first: float, height: float, guide: Guide) -> None:
    limits = (0.0, guide.ndcg_at_5_poor, guide.ndcg_at_5_weak, guide.ndcg_at_5_good)
    edges = [*limits, guide.ndcg_at_5_excellent, 1.0]
    for index, (low, high) in enumerate(pairwise(edges)):
        start, end = _AXIS.place(low), _AXIS.place(high)
        if end <= start:
            continue
        canvas.rectangle(start, first, end - start, height, f"fig-zone-{index + 1}")
        name = band_of(low, guide)
        if CHARACTER_WIDTH * len(name) < end - start:
            canvas.text((start + end) / 2, top + 17, name, "fig-text fig-unit", "middle")


def _draw_line(canvas: Canvas, line: _Line, top: float) -> None:
    middle = top + _ROW / 2
    label = "fig-text fig-head" if line.is_mean else "fig-text"
    canvas.text(_LEFT - 8, middle + 4, line.label, label, "end")
    if line.published is not None:
        low, high = line.published.lower_quartile, line.published.upper_quartile
        start, end = _AXIS.place(low), _AXIS.place(high)
        canvas.rectangle(start, middle - 5, max(end - start, 2.0), 10, "fig-published")
        best = _AXIS.place(line.published.best)
        canvas.path(line_path(best, middle - 5, best, middle + 5), "fig-best")
    if line.target is not None:
        canvas.path(_bracket(line.target, middle + 8), "fig-guide")
    canvas.circle(_AXIS.place(line.score), middle, 5.0 if line.is_mean else 4.0, "fig-dot")
    canvas.text(WIDTH - 4, middle + 4, f"{line.score:.3f}", label, "end")


def _bracket(target: tuple[float, float], y: float) -> str:
    start, end = (_AXIS.place(value) for value in target)
    ends = line_path(start, y - 3, start, y + 1) + line_path(end, y - 3, end, y + 1)
    return line_path(start, y, end, y) + ends


def _legend(canvas: Canvas, lines: Sequence[_Line]) -> None:
    x = 4.0
    canvas.circle(x + 5, 9, 4, "fig-dot")
    canvas.text(x + 14, 13, "this model")
    x += 14 + CHARACTER_WIDTH * 10 + 16
    if any(line.published for line in lines):
        canvas.rectangle(x, 4, 18, 10, "fig-published")
        canvas.path(line_path(x + 24, 4, x + 24, 14), "fig-best")
        canvas.text(x + 30, 13, "published models: middle half, best")
        x += 30 + CHARACTER_WIDTH * 35 + 14
    if any(line.target for line in lines):
        canvas.path(line_path(x, 9, x + 18, 9), "fig-guide")
        canvas.text(x + 23, 13, "guide")


def _caption(table: ResultTable, lines: Sequence[_Line], guide: Guide) -> str:
    parts = [
        f"{name} has a mean of {mean:.3f}: {band_of(mean, guide)}"
        for name, mean in table.banded_means.items()
        if math.isfinite(mean)
    ]
    judged = [line for line in lines if line.published is not None]
    if judged:
        above = sum(
            line.score >= line.published.lower_quartile for line in judged if line.published
        )
        parts.append(f"{above} of {len(judged)} tasks reach the lower quartile of published models")
    if not parts:
        parts.append(f"{len([line for line in lines if not line.is_mean])} tasks")
    return "; ".join(parts) + "."


def _short(name: str) -> str:
    short = name.removeprefix("Vidore").removesuffix(".v2").removesuffix("Retrieval")
    return printable(short or name, limit=_LABEL_CHARACTERS)
