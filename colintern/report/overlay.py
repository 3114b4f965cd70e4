"""Several runs in one figure: a line each, told apart by colour, dashes and a letter at its end."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from msgspec import Struct

from colintern.diagnostics.log.noise import Floats, binned
from colintern.figures.canvas import Figure, NothingToDraw
from colintern.figures.plot import WIDE_RATIO, Course, Plot, typical_range
from colintern.figures.scale import shown

LETTERS: Final = "ABCDEF"
"""Of the runs in one report; more lines than these cannot be told apart."""

_POINTS: Final = 60
_LEAST_POINTS: Final = 2


class Series(Struct, frozen=True):
    """A quantity over one run."""

    letter: str
    """Of the run; empty for one that is alone."""
    xs: Floats
    ys: Floats

    @property
    def css(self) -> str:
        """Of its line."""
        return f"fig-run-{self.letter or LETTERS[0]}"

    def told(self, what: Literal["end", "largest"], course: Floats) -> str:
        """Say where it ends, or how far it goes."""
        value = course[-1] if what == "end" else self.ys.max()
        text = f"{'ends at' if what == 'end' else 'at most'} {shown(float(f'{value:.3g}'))}"
        return f"{self.letter} {text}" if self.letter else text.capitalize()

    @property
    def known(self) -> "Series":
        """The rows that are numbers."""
        finite = np.isfinite(self.xs) & np.isfinite(self.ys)
        return Series(self.letter, self.xs[finite], self.ys[finite])


class Level(Struct, frozen=True):
    """A yardstick: a horizontal line, or a course of its own."""

    name: str
    xs: Floats | None
    """None for a horizontal line."""
    ys: Floats
    css: str = "fig-level"


def overlay(
    title: str,
    unit: str,
    series: Sequence[Series],
    *,
    levels: Sequence[Level] = (),
    caption: str = "",
    tells: Literal["end", "largest"] = "end",
    from_zero: bool = True,
) -> Figure:
    """Draw every series that has two points at least.

    Args:
        title: of the figure.
        unit: of the horizontal axis.
        series: the runs.
        levels: yardsticks.
        caption: more words, after those on each run.
        tells: what the words on each run say.
        from_zero: whether the axis starts at zero, unless the runs are orders of magnitude apart.

    Raises:
        NothingToDraw: none has.
    """
    drawable = [each for each in (one.known for one in series) if len(each.ys) >= _LEAST_POINTS]
    if not drawable:
        raise NothingToDraw("no run has two values of it")
    xs = np.concatenate([each.xs for each in drawable])
    low, high = _range(drawable, levels)
    if from_zero and not _far_apart(drawable):
        low = min(low, 0.0)
    plot = Plot(f"{title} over the run", Course(xs, unit), (low, high))
    for level in levels:
        _draw_level(plot, level, float(xs.max()))
    courses = {each.letter: _draw(plot, each) for each in drawable}
    plot.marks(
        [(float(each.xs[-1]), float(courses[each.letter][-1]), each.letter) for each in drawable]
    )
    for level in levels:
        plot.legend(level.name, level.css)
    told = [each.told(tells, courses[each.letter]) for each in drawable]
    text = f"{', '.join(told)}.{f' {caption}' if caption else ''}"
    return Figure(title, text, plot.markup())


def _draw(plot: Plot, series: Series) -> Floats:
    """Draw the course of one run; return it."""
    course = binned(np.clip(series.ys, plot.y.low, plot.y.high), _POINTS)
    # Bins would end the line before the run does.
    places = np.append(binned(series.xs, _POINTS), series.xs[-1])
    plot.line(places, np.append(course, course[-1]), series.css)
    if series.letter:
        plot.legend(series.letter, series.css)
    return course


def _range(series: Sequence[Series], levels: Sequence[Level]) -> tuple[float, float]:
    """Return the range that shows each run's usual values, whatever one absurd row says."""
    yardsticks = [float(value) for level in levels for value in level.ys]
    ranges = [typical_range(each.ys, yardsticks) for each in series]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _far_apart(series: Sequence[Series]) -> bool:
    """Whether one run would be a flat line beside another."""
    largest = [float(each.ys.max()) for each in series]
    return min(largest) > 0 and max(largest) / min(largest) > WIDE_RATIO


def _draw_level(plot: Plot, level: Level, end: float) -> None:
    if level.xs is None:
        plot.level(float(level.ys[0]), level.css)
        return
    inside = np.append(level.xs[level.xs < end], min(end, float(level.xs[-1])))
    plot.line(inside, np.interp(inside, level.xs, level.ys), level.css)
