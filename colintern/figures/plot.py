"""Curves over the course of a run, with axes, levels and a legend."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts.logs.log_table import LogTable
from colintern.diagnostics.log.noise import Floats, bin_starts, binned
from colintern.figures.canvas import CHARACTER_WIDTH, WIDTH, Canvas, line_path
from colintern.figures.scale import Scale, shown

HEIGHT: Final = 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, WIDTH - 16.0, 30.0, HEIGHT - 38.0
_MOST_POINTS: Final = 220
"""Points of a curve: two a unit of width are all that can be seen."""
_SMOOTH_POINTS: Final = 40
_LEGEND_GAP: Final = 16.0
_SWATCH: Final = 18.0
_MARK: Final = 11.0
"""Width and height of a letter."""


class Course(Struct, frozen=True):
    """What the horizontal axis counts, and where each row of the log is on it."""

    values: Floats
    unit: str
    """`epoch`, `step` or `row`."""
    steps_per_epoch: float | None = None
    """Shown below the epochs, where the log has both."""


def course_of(rows: LogTable) -> Course:
    """Count epochs where every row has one, else steps, else rows."""
    if np.isfinite(rows.epoch).all() and rows.epoch[-1] > 0:
        steps = float(rows.step[-1] / rows.epoch[-1]) if rows.steps_known() else None
        return Course(rows.epoch, "epoch", steps)
    if rows.steps_known():
        return Course(rows.step.astype(np.float64), "step")
    return Course(rows.row.astype(np.float64), "row")


class Plot:
    """A canvas with a horizontal axis for the run and a vertical one for a quantity."""

    def __init__(self, label: str, course: Course, y_range: tuple[float, float]) -> None:
        """Draw the axes.

        Args:
            label: what a screen reader says.
            course: the horizontal axis.
            y_range: of the vertical axis; see `logarithmic` for another scale.
        """
        self.canvas = Canvas(HEIGHT, label)
        first, last = float(course.values.min()), float(course.values.max())
        start = min(first, 0.0) if course.unit == "epoch" else first
        self.x = Scale(start, last if last > start else start + 1.0, _LEFT, _RIGHT)
        self.y = vertical_scale(*y_range)
        self._legend_x = 4.0
        self._axes(course)

    def curve(self, xs: Floats, values: Floats, name: str) -> None:
        """Draw every row faintly (or their range, where there are many) and their course."""
        known = np.isfinite(values)
        xs, values = xs[known], values[known]
        if len(values) <= _MOST_POINTS:
            self.canvas.polyline(self._points(xs, values), "fig-raw")
        else:
            starts = bin_starts(len(values), _MOST_POINTS)
            low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
            self.area(xs[starts], low, high, "fig-range")
        self.canvas.polyline(
            self._points(binned(xs, _SMOOTH_POINTS), binned(values, _SMOOTH_POINTS)), "fig-curve"
        )
        self.legend(name, "fig-curve")

    def line(self, xs: Floats, values: Floats, css: str) -> None:
        """Draw a line through the points."""
        keep = np.linspace(0, len(xs) - 1, min(len(xs), _MOST_POINTS)).astype(np.int64)
        self.canvas.polyline(self._points(xs[keep], values[keep]), css)

    def dot(self, x: float, y: float, css: str) -> None:
        """Mark one value."""
        self.canvas.circle(self.x.place(x), self.y.place(y), 4, css)

    def marks(self, ends: Sequence[tuple[float, float, str]]) -> None:
        """Write a letter just behind the end of each line, none over another."""
        places = [(self.y.place(y), self.x.place(x), text) for x, y, text in ends if text]
        taken: list[tuple[float, float]] = []
        for y, x, text in sorted(places):
            left, top = min(x + 4, WIDTH - 9), y
            while any(abs(left - other) < _MARK and top < below for other, below in taken):
                top = min(below for other, below in taken if top < below)
            taken.append((left, top + _MARK))
            self.canvas.text(left, top + 4, text, "fig-text fig-head")

    def area(self, xs: Floats, low: Floats, high: Floats, css: str) -> None:
        """Fill between two lines."""
        there, back = self._points(xs, high), self._points(xs[::-1], low[::-1])
        self.canvas.polygon([*there, *back], css)

    def level(self, value: float, css: str) -> None:
        """Draw a horizontal line across the plot."""
        place = self.y.place(value)
        self.canvas.path(line_path(_LEFT, place, _RIGHT, place), css)

    def interval(self, low: float, high: float, css: str) -> None:
        """Fill between two horizontal lines."""
        top, bottom = self.y.place(high), self.y.place(low)
        self.canvas.rectangle(_LEFT, top, _RIGHT - _LEFT, max(bottom - top, 2.0), css)

    def crosses(self, xs: Floats) -> None:
        """Mark rows that are no number, at the upper edge."""
        places = self.x.places(xs[:_MOST_POINTS])
        marks = (
            line_path(x - 3, _TOP - 3, x + 3, _TOP + 3)
            + line_path(x - 3, _TOP + 3, x + 3, _TOP - 3)
            for x in places.tolist()
        )
        self.canvas.path("".join(marks), "fig-cross")

    def legend(self, name: str, css: str) -> None:
        """Add an entry to the legend above the plot."""
        x, y = self._legend_x, 12.0
        if css.startswith("fig-band"):
            self.canvas.rectangle(x, y - 8, _SWATCH, 10, css)
        else:
            self.canvas.path(line_path(x, y - 3, x + _SWATCH, y - 3), css)
        self.canvas.text(x + _SWATCH + 5, y, name, "fig-text fig-legend")
        self._legend_x += _SWATCH + 5 + CHARACTER_WIDTH * len(name) + _LEGEND_GAP

    def markup(self) -> str:
        """Return the image."""
        return self.canvas.markup()

    def _points(self, xs: Floats, values: Floats) -> list[tuple[float, float]]:
        return list(zip(self.x.places(xs).tolist(), self.y.places(values).tolist(), strict=True))

    def _axes(self, course: Course) -> None:
        for tick in self.y.ticks():
            place = self.y.place(tick)
            self.canvas.path(line_path(_LEFT, place, _RIGHT, place), "fig-grid")
            self.canvas.text(_LEFT - 6, place + 4, shown(tick), anchor="end")
        self.canvas.path(line_path(_LEFT, _BOTTOM, _RIGHT, _BOTTOM), "fig-axis")
        self._tick_row(course.unit, 1.0, _BOTTOM + 16)
        if course.steps_per_epoch:
            self._tick_row("step", course.steps_per_epoch, _BOTTOM + 31)

    def _tick_row(self, unit: str, factor: float, y: float) -> None:
        """Write what the horizontal axis counts, in units of which `factor` are one of its own."""
        small = "fig-text fig-unit"
        self.canvas.text(4, y, unit, small)
        for tick in self.x.ticks():
            text = shown(tick * factor if factor == 1 else round(tick * factor))
            css = "fig-text" if factor == 1 else small
            self.canvas.text(self.x.place(tick), y, text, css, "middle")


WIDE_RATIO: Final = 40.0
"""Largest over smallest value from which a vertical axis is logarithmic."""


def vertical_scale(low: float, high: float) -> Scale:
    """Start at zero, or be logarithmic where the values span orders of magnitude."""
    if low > 0 and high / low > WIDE_RATIO:
        return Scale(low / 1.3, high * 1.3, _BOTTOM, _TOP, log=True)
    top = high if high > 0 else 1.0
    return Scale(min(low, 0.0), top * 1.05, _BOTTOM, _TOP)


def typical_range(values: Floats, levels: Sequence[float] = ()) -> tuple[float, float]:
    """Return the range to show of finite values: one absurd row must not flatten all others."""
    ordered = np.sort(values)
    usual = float(ordered[int(0.98 * (len(ordered) - 1))])
    high = max([min(float(ordered[-1]), 3 * max(usual, 0.0) or float(ordered[-1])), *levels])
    return float(ordered[0]), high


def not_finite(values: Floats) -> NDArray[np.bool_]:
    """Tell which rows are no number."""
    return ~np.isfinite(values)
