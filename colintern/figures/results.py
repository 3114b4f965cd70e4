"""Scores against their yardsticks: the guide's bands and targets, and published models."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.diagnostics.results.benchmarks import BENCHMARKS
from colintern.diagnostics.results.published import PublishedScores, published_scores
from colintern.diagnostics.results.result_table import BenchmarkRow, ResultTable, TaskRow, band_of
from colintern.figures.canvas import (
    CHARACTER_WIDTH,
    WIDTH,
    Canvas,
    Figure,
    NothingToDraw,
    line_path,
)
from colintern.figures.scale import Scale, shown
from colintern.guide import Guide

MOST_TASKS: Final = 60
"""Tasks shown; all ViDoRe benchmarks together have 35."""

_LEFT, _RIGHT = 128.0, WIDTH - 44.0
_ROW: Final = 22.0
_HEAD: Final = 24.0
_TOP: Final = 26.0
_LABEL_CHARACTERS: Final = 19
_AXIS: Final = Scale(0.0, 1.0, _LEFT, _RIGHT)


_VERSION: Final = re.compile(r"^Vidore(\d)(?=[A-Z])")
_SHORTER: Final = {
    "Retrieval": "",
    "SyntheticDocQA": "Synth. ",
    "GovernmentReports": "Government",
    "HealthcareIndustry": "Healthcare",
}

_LANE: Final = 13.0
"""Height of one run in a row of several."""


class _Line(Struct, frozen=True):
    label: str
    scores: tuple[tuple[str, float], ...]
    """Letter of the run (empty for one that is alone) and its score."""
    target: tuple[float, float] | None = None
    published: PublishedScores | None = None
    is_mean: bool = False

    @property
    def height(self) -> float:
        """Of its row."""
        return _ROW if len(self.scores) == 1 else _LANE * len(self.scores) + 8


class _Block(Struct, frozen=True):
    title: str
    banded: bool
    lines: tuple[_Line, ...]

    @property
    def height(self) -> float:
        """Of its rows."""
        return sum(line.height for line in self.lines)


def results_figure(result_table: ResultTable, guide: Guide) -> Figure:
    """Draw NDCG@5 of every task and complete benchmark."""
    return results_overlay({"": result_table}, guide)


def results_overlay(tables: Mapping[str, ResultTable], guide: Guide) -> Figure:
    """Draw NDCG@5 of several runs, by their letters, in the same rows.

    Raises:
        NothingToDraw: no task has an NDCG@5.
    """
    blocks = list(_blocks(tables, guide))
    if not blocks:
        raise NothingToDraw("no task has an NDCG@5 between 0 and 1")
    lines = [line for block in blocks for line in block.lines]
    height = sum(block.height for block in blocks)
    canvas = Canvas(_TOP + _HEAD * len(blocks) + height + 24, "NDCG@5 of every task")
    _legend(canvas, lines, list(tables))
    top = _TOP
    for block in blocks:
        _draw_block(canvas, block, top, guide)
        top += _HEAD + block.height
    for tick in _AXIS.ticks():
        canvas.text(_AXIS.place(tick), top + 16, shown(tick), anchor="middle")
    caption = " ".join(_caption(letter, table, guide) for letter, table in tables.items())
    return Figure("Results (NDCG@5)", caption, canvas.markup())


def _blocks(tables: Mapping[str, ResultTable], guide: Guide) -> Iterator[_Block]:
    left = MOST_TASKS
    for benchmark in BENCHMARKS:
        rows = {
            letter: row
            for letter, table in tables.items()
            for row in table.benchmarks
            if row.benchmark == benchmark
        }
        lines = _task_lines({letter: row.tasks for letter, row in rows.items()}, guide)[:left]
        left -= len(lines)
        if lines:
            yield _Block(benchmark.name, benchmark.banded, (*lines, *_mean_line(rows)))
    others = {
        letter: [task for task in table.tasks if task.benchmark is None]
        for letter, table in tables.items()
    }
    lines = _task_lines(others, guide)[:left]
    if lines:
        yield _Block("other tasks", banded=False, lines=lines)


def _task_lines(tasks: Mapping[str, Sequence[TaskRow]], guide: Guide) -> tuple[_Line, ...]:
    """Return a line a task, with the score of each run that has one."""
    scores: dict[str, list[tuple[str, float]]] = {}
    for letter, rows in tasks.items():
        for task in rows:
            score = task.ndcg_at_5
            if score is not None and 0 <= score <= 1:
                scores.setdefault(task.name, []).append((letter, score))
    return tuple(
        _Line(
            printable(_bare_name(name), limit=_LABEL_CHARACTERS),
            tuple(of_runs),
            guide.task_targets.get(name),
            published_scores().get(name),
        )
        for name, of_runs in scores.items()
    )


def _mean_line(rows: Mapping[str, BenchmarkRow]) -> Iterator[_Line]:
    means = {
        letter: row.means["ndcg_at_5"] if row.means else math.nan for letter, row in rows.items()
    }
    scores = tuple((letter, mean) for letter, mean in means.items() if 0 <= mean <= 1)
    if scores:
        yield _Line("mean", scores, is_mean=True)


def _draw_block(canvas: Canvas, block: _Block, top: float, guide: Guide) -> None:
    first = top + _HEAD
    canvas.text(4, top + 16, block.title, "fig-text fig-head")
    if block.banded:
        _draw_bands(canvas, top, first, block.height, guide)
    for tick in _AXIS.ticks():
        place = _AXIS.place(tick)
        canvas.path(line_path(place, first, place, first + block.height), "fig-grid")
    for line in block.lines:
        _draw_line(canvas, line, first)
        first += line.height


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
        elif index == 0:
            # The lowest band is narrow, and has room on its left.
            canvas.text(end, top + 17, name, "fig-text fig-unit", "end")


def _draw_line(canvas: Canvas, line: _Line, top: float) -> None:
    middle = top + line.height / 2
    label = "fig-text fig-head" if line.is_mean else "fig-text"
    canvas.text(_LEFT - 8, middle + 4, line.label, label, "end")
    if line.published is not None:
        half = line.height / 2 - 6
        low, high = line.published.lower_quartile, line.published.upper_quartile
        start, end = _AXIS.place(low), _AXIS.place(high)
        canvas.rectangle(start, middle - half, max(end - start, 2.0), 2 * half, "fig-published")
        best = _AXIS.place(line.published.best)
        canvas.path(line_path(best, middle - half, best, middle + half), "fig-best")
    if line.target is not None:
        canvas.path(_bracket(line.target, top + line.height - 3), "fig-guide")
    lane = (line.height - 8) / len(line.scores) if len(line.scores) > 1 else line.height
    place = middle - lane * (len(line.scores) - 1) / 2
    for letter, score in line.scores:
        css = f"fig-dot fig-dot-{letter}" if letter else "fig-dot"
        canvas.circle(_AXIS.place(score), place, 5.0 if line.is_mean else 4.0, css)
        canvas.text(WIDTH - 4, place + 4, f"{letter} {score:.3f}".strip(), label, "end")
        place += lane


def _bracket(target: tuple[float, float], y: float) -> str:
    start, end = (_AXIS.place(value) for value in target)
    ends = line_path(start, y - 3, start, y + 1) + line_path(end, y - 3, end, y + 1)
    return line_path(start, y, end, y) + ends


def _legend(canvas: Canvas, lines: Sequence[_Line], letters: Sequence[str]) -> None:
    x = 4.0
    for letter in letters:
        name = letter or "this model"
        canvas.circle(x + 5, 9, 4, f"fig-dot fig-dot-{letter}" if letter else "fig-dot")
        canvas.text(x + 14, 13, name)
        x += 14 + CHARACTER_WIDTH * len(name) + 16
    if any(line.published for line in lines):
        canvas.rectangle(x, 4, 18, 10, "fig-published")
        canvas.path(line_path(x + 24, 4, x + 24, 14), "fig-best")
        canvas.text(x + 30, 13, "published models: middle half, best")
        x += 30 + CHARACTER_WIDTH * 35 + 14
    if any(line.target for line in lines):
        canvas.path(line_path(x, 9, x + 18, 9), "fig-guide")
        canvas.text(x + 23, 13, "target")


def _caption(letter: str, table: ResultTable, guide: Guide) -> str:
    parts = [
        f"{name} has a mean of {mean:.3f}: {band_of(mean, guide)}"
        for name, mean in table.banded_means.items()
        if math.isfinite(mean)
    ]
    scores = {task.name: task.ndcg_at_5 for task in table.tasks if task.ndcg_at_5 is not None}
    judged = {name: published_scores()[name] for name in scores if name in published_scores()}
    if judged:
        above = sum(scores[name] >= published.lower_quartile for name, published in judged.items())
        parts.append(f"{above} of {len(judged)} tasks reach the lower quartile of published models")
    if not parts:
        parts.append(f"{len(scores)} task{'' if len(scores) == 1 else 's'}")
    return f"{f'{letter}: ' if letter else ''}{'; '.join(parts)}."


def short_name(name: str) -> str:
    """Return what tells a task from the others of all benchmarks."""
    version = _VERSION.match(name)
    prefix = f"v{version[1]} " if version else ""
    return printable(prefix + _bare_name(name), limit=_LABEL_CHARACTERS)


def _bare_name(name: str) -> str:
    """Return what tells a task from the others of its benchmark."""
    bare = _VERSION.sub("", name).removeprefix("Vidore").removesuffix(".v2")
    for long, short in _SHORTER.items():
        bare = bare.replace(long, short)
    return bare or name
