"""Where LoRA is, and how much it changed each module: a cell a layer and kind of module."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.adapter.update import LoraUpdates, ModuleUpdate
from colintern.figures.canvas import (
    CHARACTER_WIDTH,
    WIDTH,
    Canvas,
    Figure,
    NothingToDraw,
    line_path,
    rectangle_path,
)
from colintern.figures.scale import shown

MOST_LAYERS: Final = 160
MOST_KINDS: Final = 24
"""Rows and columns shown; the largest open language models have 126 layers and 7 kinds."""

_SHADES: Final = 5
_LEFT, _TOP = 118.0, 34.0
_ROW: Final = 21.0
_WIDEST_CELL: Final = 30.0
_GAP: Final = 1.0
_LABEL_CHARACTERS: Final = 18

Row = tuple[str, str]
"""Tower and kind of module."""


class _Cell(Struct, frozen=True):
    norm: float | None
    """Of the update; None without LoRA, or where it was not measured."""
    css: str


def update_map(coverage: AdapterCoverage, updates: LoraUpdates | None) -> Figure:
    """Draw a cell for every linear module of the language model, and for every other with LoRA."""
    cells = _cells(coverage, {update.name: update for update in updates.modules} if updates else {})
    rows = list(cells)[:MOST_KINDS]
    if not rows:
        raise NothingToDraw("the adapter has no LoRA, and the modules of its base are not known")
    num_layers = min(1 + max(layer for row in rows for layer in cells[row]), MOST_LAYERS)
    canvas = Canvas(_TOP + _ROW * len(rows) + 56, "Update of each module by layer and kind")
    width = min((WIDTH - _LEFT) / num_layers, _WIDEST_CELL)
    _legend(canvas, any(cell.norm is None for row in rows for cell in cells[row].values()))
    for index, row in enumerate(rows):
        top = _TOP + _ROW * index
        canvas.text(_LEFT - 8, top + 14, _label(row), anchor="end")
        _draw_row(canvas, cells[row], top, width)
    _layer_axis(canvas, num_layers, width, _TOP + _ROW * len(rows))
    return Figure("Updates by layer and module", _caption(coverage, updates), canvas.markup())


def _cells(
    coverage: AdapterCoverage, updates: Mapping[str, ModuleUpdate]
) -> dict[Row, dict[int, _Cell]]:
    """Return the cells by row; modules outside the layers are in the column 0."""
    cells: dict[Row, dict[int, _Cell]] = {}
    for module in coverage.outline.language if coverage.outline else ():
        row = cells.setdefault((module.place.tower, module.place.kind), {})
        row[module.place.layer or 0] = _Cell(None, _ABSENT)
    shades = _Shades(update.norm for update in updates.values())
    for name, lora in sorted(coverage.tensors.modules.items()):
        place = lora.place
        row = cells.setdefault((place.tower, place.kind), {})
        update = updates.get(name)
        row[place.layer or 0] = _Cell(
            update.norm if update else math.nan, shades.css(update.norm) if update else _UNKNOWN
        )
    projection = coverage.projection_name or coverage.projection
    if projection is not None and not any(tower == "projection" for tower, _ in cells):
        css = _IN_FULL if coverage.projection_saved else _ABSENT
        cells["projection", projection] = {0: _Cell(math.nan if css == _IN_FULL else None, css)}
    return cells


_ABSENT, _UNKNOWN, _ZERO, _BAD, _IN_FULL = (
    "fig-absent",
    "fig-unknown",
    "fig-zero",
    "fig-bad",
    "fig-full",
)


class _Shades:
    """Five shades between the smallest and the largest norm, equal steps of its logarithm."""

    def __init__(self, norms: Iterable[float]) -> None:
        logs = [math.log(norm) for norm in norms if norm > 0 and math.isfinite(norm)]
        self._low, self._high = (min(logs), max(logs)) if logs else (0.0, 0.0)

    def css(self, norm: float) -> str:
        if not math.isfinite(norm):
            return _BAD
        if norm <= 0:
            return _ZERO
        span = self._high - self._low
        share = (math.log(norm) - self._low) / span if span > 0 else 0.5
        return f"fig-heat-{min(int(share * _SHADES), _SHADES - 1) + 1}"


def _draw_row(canvas: Canvas, cells: Mapping[int, _Cell], top: float, width: float) -> None:
    by_css: dict[str, list[float]] = {}
    for layer, cell in cells.items():
        if layer < MOST_LAYERS:
            by_css.setdefault(cell.css, []).append(_LEFT + layer * width)
    height, inner = _ROW - _GAP, max(width - _GAP, 1.0)
    for css, places in by_css.items():
        canvas.path("".join(rectangle_path(x, top, inner, height) for x in places), css)
        if css in _MARKED:
            canvas.path("".join(_mark(css, x, top, inner, height) for x in places), "fig-cell-mark")


_MARKED: Final = frozenset({_ABSENT, _ZERO, _BAD})
"""States that are told by a mark, not by colour alone."""


def _mark(css: str, x: float, y: float, width: float, height: float) -> str:
    up = line_path(x + 2, y + height - 2, x + width - 2, y + 2)
    if css == _ABSENT:
        return up
    if css == _BAD:
        return up + line_path(x + 2, y + 2, x + width - 2, y + height - 2)
    middle = y + height / 2
    return line_path(x + width * 0.3, middle, x + width * 0.7, middle)


def _legend(canvas: Canvas, has_absent: bool) -> None:  # noqa: FBT001 - private, one caller
    x = _LEFT
    canvas.text(x, 16, "small update")
    x += CHARACTER_WIDTH * 12 + 8
    for shade in range(1, _SHADES + 1):
        canvas.rectangle(x, 6, 14, 12, f"fig-heat-{shade}")
        x += 15
    canvas.text(x + 6, 16, "large")
    x += CHARACTER_WIDTH * 5 + 24
    if has_absent:
        canvas.rectangle(x, 6, 14, 12, _ABSENT)
        canvas.path(_mark(_ABSENT, x, 6, 14, 12), "fig-cell-mark")
        canvas.text(x + 20, 16, "no LoRA")


def _layer_axis(canvas: Canvas, num_layers: int, width: float, top: float) -> None:
    every = max(1, math.ceil(num_layers / 10))
    for layer in range(0, num_layers, every):
        place = _LEFT + (layer + 0.5) * width
        canvas.text(place, top + 14, str(layer), anchor="middle")
    canvas.text(_LEFT, top + 30, "layer", "fig-text fig-unit")


def _label(row: Row) -> str:
    tower, kind = row
    short = kind.rpartition(".")[2] or kind
    name = printable(short, limit=_LABEL_CHARACTERS)
    return name if tower in ("language", "projection") else f"{tower[:3]}: {name}"


def _caption(coverage: AdapterCoverage, updates: LoraUpdates | None) -> str:
    number = len(coverage.tensors.modules)
    text = f"LoRA is on {number:,} module{'' if number == 1 else 's'}"
    if coverage.outline is not None:
        expected = coverage.language_expected
        reached = expected - len(coverage.language_missing)
        text += f"; of the {expected:,} linear modules of the language model it reached {reached:,}"
    norms = [update.norm for update in updates.moved] if updates else []
    finite = [norm for norm in norms if math.isfinite(norm)]
    if finite:
        low, high = shown(_two(min(finite))), shown(_two(max(finite)))
        text += f". Norm of the updates: {low if low == high else f'{low} to {high}'}"
    if coverage.projection_saved:
        text += ". The projection is saved in full"
    return f"{text}."


def _two(value: float) -> float:
    return float(f"{value:.2g}")
