"""Figures of a study: history, courses, importance of the parameters, and slices of each."""

import math
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct
from optuna.exceptions import OptunaError
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from colintern.artifacts.printable import printable
from colintern.artifacts.writing import write_text_atomically
from colintern.figures.canvas import WIDTH, Canvas, Figure, NothingToDraw, line_path
from colintern.figures.page_shell import html_page, templates
from colintern.figures.scale import Scale, shown, value_scale
from colintern.search.places import Place, best_of
from colintern.search.space import Space
from colintern.search.summary import counts_text, parameter_names, trial_rows, value_text

MOST_TRIALS: Final = 2000
"""Dots of a figure."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, WIDTH - 12.0, 22.0, 200.0
_HEIGHT: Final = 240.0
_RADIUS: Final = 3.5
_LOG_RATIO: Final = 4.0
"""Largest over smallest value from which an axis of values is logarithmic."""
_MOST_STEPS: Final = 7
"""Up to so many values have equal distances, as choices have: 8, 16, 32."""
_LEAST_COMPLETED: Final = 4
"""Below so many, importance is noise."""


class _Point(Struct, frozen=True):
    x: float
    y: float
    css: str


def study_figures(study: Study, places: Sequence[Place]) -> list[Figure]:
    """Draw everything that the trials of a study can show."""
    places = places[-MOST_TRIALS:]
    figures: list[Figure] = []
    for draw in (history_figure, course_figure):
        _add(figures, lambda draw=draw: draw(places))
    _add(figures, lambda: importance_figure(study))
    for name in _names(places):
        _add(figures, lambda name=name: slice_figure(name, places))
    return figures


def history_figure(places: Sequence[Place]) -> Figure:
    """Draw the value of each trial in the order of the study, and the best so far."""
    ended = [place.trial for place in places if place.trial.value is not None]
    if not ended:
        raise NothingToDraw("no trial has ended with a value")
    frame = _Frame("NDCG@5 of each trial", _whole(0, max(trial.number for trial in ended), ended))
    best, steps = -math.inf, []
    for trial in sorted(ended, key=lambda each: each.number):
        if trial.state == TrialState.COMPLETE and _value(trial) > best:
            best = _value(trial)
            steps.append((trial.number, best))
    frame.stairs(steps, max(trial.number for trial in ended))
    frame.dots(_Point(trial.number, _value(trial), _css(trial)) for trial in ended)
    frame.label("trial")
    winner = best_of(places)
    caption = (
        "No trial has completed."
        if winner is None
        else (f"The best is trial {winner.number} with {_value(winner):.3f}.")
    )
    return Figure(
        "History",
        f"{caption} Filled: completed; hollow: pruned, at its last measurement; line: best so far.",
        frame.markup(),
    )


def course_figure(places: Sequence[Place]) -> Figure:
    """Draw NDCG@5 in the course of each trial."""
    trials = [place.trial for place in places if len(place.trial.intermediate_values) > 1]
    if not trials:
        raise NothingToDraw("no trial was measured twice")
    values = [value for each in trials for value in each.intermediate_values.values()]
    steps = [step for each in trials for step in each.intermediate_values]
    frame = _Frame("NDCG@5 in the course of each trial", _axis(min(steps), max(steps), values))
    winner = best_of(places)
    for trial in trials:
        css = "fig-curve" if winner is not None and trial is winner else "fig-raw"
        frame.line(sorted(trial.intermediate_values.items()), css)
    frame.label("measurement")
    return Figure(
        "Courses",
        f"NDCG@5 of {len(trials)} trials at equal shares of their runs; the best one is bold.",
        frame.markup(),
    )


def importance_figure(study: Study) -> Figure:
    """Draw how much of the differences between trials each parameter accounts for."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < _LEAST_COMPLETED:
        raise NothingToDraw(f"fewer than {_LEAST_COMPLETED} trials have completed")
    shares = _importances(study)
    canvas = Canvas(_TOP + 26.0 * len(shares) + 10, "Importance of each parameter")
    axis = Scale(0.0, 1.0, 150.0, WIDTH - 50.0)
    for index, (name, share) in enumerate(shares.items()):
        top = _TOP + 26.0 * index
        canvas.text(142, top + 12, printable(name, limit=24), anchor="end")
        canvas.rectangle(150, top, max(axis.place(share) - 150, 1.0), 16, "fig-heat-4")
        canvas.text(axis.place(share) + 6, top + 12, f"{share:.0%}")
    first = next(iter(shares))
    return Figure(
        "Importance",
        f"By PED-ANOVA over {len(done)} completed trials; most for {printable(first)}. With few "
        "trials it is a hint, no measurement.",
        canvas.markup(),
    )


def slice_figure(name: str, places: Sequence[Place]) -> Figure:
    """Draw NDCG@5 over the values of one parameter."""
    trials = [place.trial for place in places]
    known = [each for each in trials if each.value is not None and name in each.params]
    if len({each.params[name] for each in known}) < 2:  # noqa: PLR2004 - one value shows nothing
        raise NothingToDraw(f"{printable(name)} has had fewer than two values")
    values = [each.params[name] for each in known]
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
    numeric = numbers and len(set(values)) > _MOST_STEPS
    ends = _numeric_axis(values) if numeric else None
    ordered = sorted(set(values)) if numbers else sorted(set(values), key=str)
    words = list(dict.fromkeys(value_text(each) for each in ordered))
    places_of = [
        float(each) if numeric else float(words.index(value_text(each))) for each in values
    ]
    axes = _Axes(
        ends or Scale(-0.5, len(words) - 0.5, _LEFT, _RIGHT), _vertical([_value(t) for t in known])
    )
    frame = _Frame(f"NDCG@5 over {printable(name)}", axes, words=() if numeric else words)
    frame.dots(
        _Point(x, _value(trial), _css(trial)) for x, trial in zip(places_of, known, strict=True)
    )
    frame.label(printable(name, limit=40))
    winner = best_of(places)
    best = (
        f" The best trial has {value_text(winner.params[name])}."
        if (winner is not None and name in winner.params)
        else ""
    )
    return Figure(printable(name), f"NDCG@5 of {len(known)} trials.{best}", frame.markup())


class _Axes(Struct, frozen=True):
    x: Scale
    y: Scale


class _Frame:
    """Axes, and what is drawn between them."""

    def __init__(self, label: str, axes: _Axes, *, words: Sequence[str] = ()) -> None:
        self._canvas = Canvas(_HEIGHT, label)
        self._axes = axes
        for tick in axes.y.ticks():
            place = axes.y.place(tick)
            self._canvas.path(line_path(_LEFT, place, _RIGHT, place), "fig-grid")
            self._canvas.text(_LEFT - 6, place + 4, shown(tick), anchor="end")
        ticks = dict(enumerate(words)) if words else {tick: shown(tick) for tick in axes.x.ticks()}
        for tick, text in ticks.items():
            self._canvas.text(axes.x.place(tick), _BOTTOM + 16, text, anchor="middle")
        self._canvas.path(line_path(_LEFT, _BOTTOM, _RIGHT, _BOTTOM), "fig-axis")

    def dots(self, points: Any) -> None:
        for point in points:
            x, y = self._axes.x.place(point.x), self._axes.y.place(point.y)
            self._canvas.circle(x, y, _RADIUS, point.css)

    def line(self, points: Sequence[tuple[float, float]], css: str) -> None:
        places = [(self._axes.x.place(x), self._axes.y.place(y)) for x, y in points]
        self._canvas.polyline(places, css)

    def stairs(self, steps: Sequence[tuple[float, float]], last: float) -> None:
        points: list[tuple[float, float]] = []
        for x, y in steps:
            if points:
                points.append((x, points[-1][1]))
            points.append((x, y))
        if points:
            self.line([*points, (last, points[-1][1])], "fig-second")

    def label(self, text: str) -> None:
        self._canvas.text(_RIGHT, _BOTTOM + 32, text, "fig-text fig-unit", "end")

    def markup(self) -> str:
        return self._canvas.markup()


def _add(figures: list[Figure], draw: Any) -> None:
    try:
        figures.append(draw())
    except NothingToDraw:
        return


def _names(places: Sequence[Place]) -> list[str]:
    return list(dict.fromkeys(name for place in places for name in place.trial.params))


def _value(trial: FrozenTrial) -> float:
    return float(trial.value) if trial.value is not None else math.nan


def _css(trial: FrozenTrial) -> str:
    return "fig-dot" if trial.state == TrialState.COMPLETE else "fig-hollow"


def _whole(first: int, last: int, trials: Sequence[FrozenTrial]) -> _Axes:
    values = [_value(trial) for trial in trials]
    return _Axes(Scale(first - 0.5, max(last, 1) + 0.5, _LEFT, _RIGHT), _vertical(values))


def _axis(first: int, last: int, values: Sequence[float]) -> _Axes:
    return _Axes(Scale(first - 0.2, max(last, first + 1) + 0.2, _LEFT, _RIGHT), _vertical(values))


def _vertical(values: Sequence[float]) -> Scale:
    finite = [value for value in values if math.isfinite(value)]
    return value_scale(0.0, max([*finite, 0.01]), _BOTTOM, _TOP)


def _numeric_axis(values: Sequence[float]) -> Scale:
    low, high = float(min(values)), float(max(values))
    if low > 0 and high / low >= _LOG_RATIO:
        return Scale(low / 1.2, high * 1.2, _LEFT, _RIGHT, log=True)
    margin = (high - low) * 0.06
    return Scale(low - margin, high + margin, _LEFT, _RIGHT)


def _importances(study: Study) -> Mapping[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            shares = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        except (OptunaError, RuntimeError, ValueError) as error:
            raise NothingToDraw(f"importance is not known: {error}") from error
    finite = {name: share for name, share in shares.items() if np.isfinite(share)}
    if not finite or max(finite.values()) <= 0:
        raise NothingToDraw("no parameter made a difference")
    return finite


PAGE: Final = "search.html"

_HTML: Final = Path(__file__).with_name("html")
_MOST_ROWS: Final = 1000
_STYLE: Final = """
.wide { overflow-x: auto; }
.wide th, .wide td { text-align: left; padding: 0.3rem 0.8rem 0.3rem 0; vertical-align: top; }
.wide td { font-variant-numeric: tabular-nums; }
.wide th, .wide td:not(:last-child) { white-space: nowrap; }
.wide th { font-weight: 500; }
.wide td:last-child { min-width: 12rem; }
.wide tbody tr { border-top: 1px solid var(--line); }
.wide .best { background: var(--soft); font-weight: 600; }
.details { grid-template-columns: max-content minmax(0, 1fr); }
@media (max-width: 700px) { .details { grid-template-columns: minmax(0, 1fr); } }
.figure .fig-hollow { stroke: var(--muted); stroke-width: 1.4; }
"""


def write_page(
    path: Path,
    places: Sequence[Place],
    figures: Sequence[Figure],
    *,
    name: str,
    recipe: str,
    storage: str,
    space: Space,
    run: str,
    command: str,
) -> None:
    """Write the page, whole or not at all; every text in it is escaped."""
    rows = trial_rows(places)
    block = (
        templates(_HTML)
        .get_template("search.jinja2")
        .render(
            written=datetime.now(UTC),
            name=printable(name),
            recipe=printable(recipe),
            storage=printable(storage),
            counts=counts_text(places),
            best=next((row for row in rows if row.is_best), None),
            run=printable(run),
            command=printable(command, limit=2000),
            rows=rows[-_MOST_ROWS:],
            left_out=max(0, len(rows) - _MOST_ROWS),
            names=parameter_names(rows),
            figures=figures,
            space=[(printable(each.name), each.description()) for each in space],
        )
    )
    title = f"{printable(name)} (ColIntern search)"
    write_text_atomically(path, html_page(title, [block], style=_STYLE))
