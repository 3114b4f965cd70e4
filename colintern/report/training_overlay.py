"""The courses of several trainings in the same figures."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from colintern.artifacts.logs.log_table import LogTable
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.contrastive_loss import ContrastiveLoss
from colintern.diagnostics.log.epoch_losses import healthy_losses
from colintern.diagnostics.log.noise import Floats
from colintern.engine.part import LeftOut
from colintern.figures.canvas import Figure, NothingToDraw
from colintern.guide import Guide
from colintern.report.overlay import Level, Series, overlay
from colintern.report.reported_run import ReportedRun

Logs = Mapping[str, TrainerState]
"""By the letter of the run."""

_COLUMNS: Final = {"Learning rate": "learning_rate", "Gradient norm": "grad_norm"}


def training_overlay(runs: Sequence[ReportedRun], guide: Guide) -> list[Figure | LeftOut]:
    """Draw loss, evaluation loss, learning rate and gradient norm of the runs that have them."""
    found = {run.letter: run.part("Training", _training_log) for run in runs}
    logs = {letter: log for letter, log in found.items() if isinstance(log, TrainerState)}
    absent = [log for log in found.values() if isinstance(log, LeftOut)]
    if not logs:
        return list(absent)
    unit = _common_unit(logs)
    known = {run.letter: run.evidence_of(_contrastive) for run in runs if run.letter in logs}
    evaluations = [_series(letter, log.evaluations, unit, "loss") for letter, log in logs.items()]
    made = [_loss(logs, known, unit, guide), _drawn("Evaluation loss", unit, evaluations)]
    for title, column in _COLUMNS.items():
        series = [_series(letter, log.training, unit, column) for letter, log in logs.items()]
        made.append(_drawn(title, unit, series, from_zero=title != "Gradient norm"))
    return [*made, *absent]


def _training_log(training_log: TrainerState) -> TrainerState:
    return training_log


def _contrastive(contrastive: ContrastiveLoss) -> ContrastiveLoss:
    return contrastive


def _loss(
    logs: Logs, known: Mapping[str, ContrastiveLoss | None], unit: str, guide: Guide
) -> Figure | LeftOut:
    """Draw the losses as logged, or in shares of chance where the batches differ."""
    series = [_series(letter, log.training, unit, "loss") for letter, log in logs.items()]
    contrastive = [each for each in known.values() if each is not None]
    if len(contrastive) < len(logs):
        unknown = ", ".join(letter for letter, each in known.items() if each is None)
        caption = f"What the loss of {unknown} is compared with is not known: no chance level."
        return _drawn("Loss", unit, series, caption=caption)
    candidates = {each.candidates for each in contrastive}
    healthy = healthy_losses(guide, max(candidates))
    chance = max(each.chance for each in contrastive)
    if len(candidates) == 1:
        title, caption = "Loss", ""
        levels = [Level(f"chance ln({max(candidates):,})", None, np.array([chance]))]
    else:
        title = "Loss as a share of chance"
        series = [_share(each, known[each.letter]) for each in series]
        levels = [Level("chance", None, np.array([1.0]))]
        healthy = healthy / chance
        batches = ", ".join(f"{k} {each.candidates:,}" for k, each in known.items() if each)
        caption = f"The runs compare each query with different numbers of pages: {batches}."
    if unit == "epoch" and any(each.cold_start for each in contrastive):
        epochs = np.arange(len(healthy), dtype=np.float64)
        levels.append(Level("guide: healthy", epochs, healthy, "fig-guide"))
    return _drawn(title, unit, series, levels=levels, caption=caption)


def _share(series: Series, contrastive: ContrastiveLoss | None) -> Series:
    chance = contrastive.chance if contrastive else 1.0
    return Series(series.letter, series.xs, series.ys / chance)


def _drawn(
    title: str,
    unit: str,
    series: Sequence[Series],
    *,
    levels: Sequence[Level] = (),
    caption: str = "",
    from_zero: bool = True,
) -> Figure | LeftOut:
    try:
        return overlay(title, unit, series, levels=levels, caption=caption, from_zero=from_zero)
    except NothingToDraw as absence:
        return LeftOut(title, str(absence))


def _common_unit(logs: Logs) -> str:
    """Count epochs where every row of every run has one, else steps, else rows."""
    tables = [log.training for log in logs.values() if len(log.training)]
    if all(np.isfinite(rows.epoch).all() for rows in tables):
        return "epoch"
    return "step" if all(rows.steps_known() for rows in tables) else "row"


def _series(letter: str, rows: LogTable, unit: str, column: str) -> Series:
    counted = {"epoch": rows.epoch, "step": rows.step, "row": rows.row}[unit]
    # A row without a step is marked by a negative one.
    xs: Floats = np.where(counted < 0, np.nan, counted.astype(np.float64))
    return Series(letter, xs, getattr(rows, column))
