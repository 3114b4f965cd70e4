"""Where LoRA is, and how much it changed: a map of each run, and its figures by kind of module."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec.structs import replace

from colintern.artifacts.printable import printable
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.adapter.update import LoraUpdates
from colintern.diagnostics.log.noise import median
from colintern.engine.part import LeftOut
from colintern.figures.canvas import Figure, NothingToDraw
from colintern.figures.scale import shown
from colintern.figures.update_map import MOST_KINDS, update_map
from colintern.report.document import Absences, Block, Cell, Figures, Section, Table
from colintern.report.reported_run import ReportedRun

_MAP: Final = "Updates by layer and module"
_BY_KIND: Final = "Updates by kind of module"

_Kind = tuple[str, str]
"""Tower and kind of module."""


def adapter_section(runs: Sequence[ReportedRun]) -> Section:
    """Show coverage and update size of every run that has an adapter."""
    figures: list[Figure] = []
    tables: list[Table] = []
    absences: list[LeftOut] = []
    for run in runs:
        of_run = f", {run.heading}" if run.letter else ""
        for made in (run.part(_MAP, update_map), run.part(_BY_KIND, kind_table)):
            if isinstance(made, Figure):
                figures.append(replace(made, title=f"{made.title}{of_run}"))
            elif isinstance(made, Table):
                tables.append(replace(made, title=f"{made.title}{of_run}"))
            elif made.reason not in {absence.reason for absence in absences}:
                absences.append(made)
    blocks: list[Block] = [Figures(tuple(figures))] if figures else []
    blocks += tables
    if absences:
        blocks.append(Absences(tuple(absences)))
    return Section("adapter", "What LoRA reached and changed", tuple(blocks))


def kind_table(coverage: AdapterCoverage, updates: LoraUpdates | None) -> Table:
    """Count the modules of each kind that have LoRA, and show how large their updates are."""
    numbers = _numbers(coverage)
    if not numbers:
        raise NothingToDraw("the adapter has no LoRA, and the modules of its base are not known")
    norms: dict[_Kind, list[float]] = {}
    for update in updates.modules if updates else ():
        norms.setdefault((update.place.tower, update.place.kind), []).append(update.norm)
    rows = [
        (
            Cell(_label(kind)),
            Cell(f"{with_lora:,}"),
            Cell("" if expected is None else f"{expected:,}"),
            *_spread(norms.get(kind, [])),
        )
        for kind, (with_lora, expected) in list(numbers.items())[:MOST_KINDS]
    ]
    saved = " The projection's matrix is saved in full." if coverage.projection_saved else ""
    return Table(
        _BY_KIND,
        ("Module", "With LoRA", "In the model", "Smallest", "Median", "Largest"),
        tuple(rows),
        f"Sizes are Frobenius norms of the update.{saved}",
        numeric=True,
    )


def _numbers(coverage: AdapterCoverage) -> dict[_Kind, tuple[int, int | None]]:
    """Return by kind the modules with LoRA, and those of the base where it is known."""
    expected: dict[_Kind, int] = {}
    for module in coverage.outline.language if coverage.outline else ():
        kind = (module.place.tower, module.place.kind)
        expected[kind] = expected.get(kind, 0) + 1
    found: dict[_Kind, int] = {}
    for lora in coverage.tensors.modules.values():
        kind = (lora.place.tower, lora.place.kind)
        found[kind] = found.get(kind, 0) + 1
    kinds = [*expected, *sorted(found.keys() - expected.keys())]
    return {kind: (found.get(kind, 0), expected.get(kind)) for kind in kinds}


def _label(kind: _Kind) -> str:
    tower, name = kind
    shown_name = printable(name, limit=60)
    return shown_name if tower in ("language", "projection") else f"{tower}: {shown_name}"


def _spread(norms: Sequence[float]) -> tuple[Cell, Cell, Cell]:
    finite = np.array([norm for norm in norms if math.isfinite(norm)])
    if not len(finite):
        return Cell(""), Cell(""), Cell("")
    values = (float(finite.min()), median(finite), float(finite.max()))
    low, middle, high = (Cell(shown(float(f"{value:.3g}"))) for value in values)
    return low, middle, high
