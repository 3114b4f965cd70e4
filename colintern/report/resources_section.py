"""What the runs used, beside the guide's normal usage and its warning signs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.resource_log import ResourceLog
from colintern.diagnostics.log.noise import Floats
from colintern.diagnostics.resource_use import ResourceUse
from colintern.engine.part import LeftOut
from colintern.engine.rule_fields import Setting
from colintern.figures.canvas import Figure, NothingToDraw
from colintern.guide import Guide
from colintern.report.document import Absences, Block, Cell, Figures, Section, Table
from colintern.report.overlay import Level, Series, overlay
from colintern.report.recipe_values import shown_seconds
from colintern.report.reported_run import ReportedRun, head, short_head

_PERCENT: Final = 100.0
_NOT_MEASURED: Final = "not measured"


class Component(Struct, frozen=True):
    """A row of the guide's table of resource usage; a rule's `setting` is its name."""

    name: Setting
    value: Callable[[ResourceUse], str | None]
    normal: str
    """The guide's normal usage."""
    warning: str
    """The guide's warning sign; formatted with `guide`."""


COMPONENTS: Final = (
    Component(
        "GPU memory, peak",
        lambda use: str(use.gpu_memory) if use.gpu_memory else None,
        "80-90 %",
        "above {guide.max_gpu_memory_ratio:.0%}",
    ),
    Component(
        "GPU utilisation, mean",
        lambda use: None if use.gpu_utilisation is None else f"{use.gpu_utilisation:.0%}",
        "90-100 %",
        "below {guide.min_gpu_utilisation:.0%}",
    ),
    Component(
        "Time of a step, median",
        lambda use: None if use.step_seconds is None else f"{use.step_seconds:.3g} s",
        "2-4 s",
        "above {guide.max_step_seconds:g} s",
    ),
    Component(
        "CPU memory, peak",
        lambda use: str(use.cpu_memory) if use.cpu_memory else None,
        "below 80 %",
        "above {guide.max_cpu_memory_ratio:.0%}",
    ),
)

_SHARES: Final = {
    "GPU memory": ("gpu_memory_used", "gpu_memory_total"),
    "CPU memory": ("cpu_memory_used", "cpu_memory_total"),
}


def resources_section(runs: Sequence[ReportedRun], guide: Guide) -> Section:
    """Show memory, utilisation and step time of every run that recorded them."""
    found = {run.letter: run.part("Resources", _measured) for run in runs}
    absences = [each for each in found.values() if isinstance(each, LeftOut)]
    logged = [run for run in runs if not isinstance(found[run.letter], LeftOut)]
    blocks: list[Block] = []
    if logged:
        logs = {run.letter: each for run in logged if (each := run.evidence_of(_log)) is not None}
        figures = tuple(_figures(logs, guide))
        blocks += [Figures(figures)] if figures else []
        uses = [run.evidence_of(_measured) for run in logged]
        rows = tuple(_row(component, logged, uses, guide) for component in COMPONENTS)
        columns = head(logged, "", "The guide, normal", "Warning sign")
        rows = (*rows, _whole_time(logged))
        blocks.append(Table("", columns, rows, short_head=short_head(columns, logged)))
    if absences:
        blocks.append(Absences(tuple(absences)))
    return Section("resources", "Resources", tuple(blocks))


def _measured(resource_use: ResourceUse) -> ResourceUse:
    return resource_use


def _log(resource_log: ResourceLog) -> ResourceLog:
    return resource_log


def _row(
    component: Component,
    runs: Sequence[ReportedRun],
    uses: Sequence[ResourceUse | None],
    guide: Guide,
) -> tuple[Cell, ...]:
    texts = [component.value(use) if use is not None else None for use in uses]
    cells = [
        run.judged_cell(text or _NOT_MEASURED, component.name)
        for run, text in zip(runs, texts, strict=True)
    ]
    return (
        Cell(component.name),
        *cells,
        Cell(component.normal),
        Cell(component.warning.format(guide=guide)),
    )


def _whole_time(runs: Sequence[ReportedRun]) -> tuple[Cell, ...]:
    """Return the whole training time; the guide's is that of its own model on one GPU."""
    from_log = [run.evidence_of(_span) for run in runs]
    cells = [Cell(shown_seconds(span) if span else _NOT_MEASURED) for span in from_log]
    return (Cell("Time logged"), *cells, Cell("15 to 40 hours for 5 epochs of 1B"), Cell(""))


def _span(resource_log: ResourceLog) -> float | None:
    times = [row.time for row in resource_log.rows if row.time is not None]
    return times[-1] - times[0] if len(times) > 1 and times[-1] > times[0] else None


def _figures(logs: Mapping[str, ResourceLog], guide: Guide) -> Iterator[Figure]:
    """Draw what was measured; the table says what was not."""
    limits = (guide.max_gpu_memory_ratio, guide.max_cpu_memory_ratio)
    wanted: list[tuple[str, list[Series], float | None]] = [
        (f"{title} in use (%)", [_share(letter, log, *keys) for letter, log in logs.items()], limit)
        for (title, keys), limit in zip(_SHARES.items(), limits, strict=True)
    ]
    utilisation = [
        _column(letter, log, "gpu_utilisation", _PERCENT) for letter, log in logs.items()
    ]
    wanted.append(("GPU utilisation (%)", utilisation, guide.min_gpu_utilisation))
    seconds = [_column(letter, log, "step_seconds") for letter, log in logs.items()]
    wanted.append(("Seconds a step", seconds, None))
    for title, series, limit in wanted:
        yardstick = None if limit is None else np.array([limit * _PERCENT])
        levels = [Level("guide's limit", None, yardstick)] if yardstick is not None else []
        with suppress(NothingToDraw):
            yield overlay(title, "step", series, levels=levels, tells="largest")


def _column(letter: str, log: ResourceLog, key: str, factor: float = 1) -> Series:
    return Series(letter, _steps(log), _values(log, key) * factor)


def _share(letter: str, log: ResourceLog, used: str, total: str) -> Series:
    whole = _values(log, total)
    ratio = np.full(len(whole), np.nan)
    known = whole > 0
    ratio[known] = _values(log, used)[known] / whole[known]
    return Series(letter, _steps(log), ratio * _PERCENT)


def _steps(log: ResourceLog) -> Floats:
    return np.array([row.step for row in log.rows], dtype=np.float64)


def _values(log: ResourceLog, key: str) -> Floats:
    values = [getattr(row, key) for row in log.rows]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
