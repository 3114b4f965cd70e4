"""The course of the training: loss, evaluation loss, learning rate and gradient norm."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.contrastive_loss import ContrastiveLoss
from colintern.diagnostics.log.epoch_losses import EpochLoss, epoch_losses, healthy_losses
from colintern.diagnostics.log.noise import Floats
from colintern.engine.part import LeftOut
from colintern.figures.canvas import Figure, NothingToDraw
from colintern.figures.training import (
    evaluation_figure,
    gradient_figure,
    loss_figure,
    rate_figure,
)
from colintern.guide import Guide
from colintern.report.document import Absences, Block, Cell, Figures, Section, Table
from colintern.report.reported_run import ReportedRun
from colintern.report.training_overlay import training_overlay

MOST_EPOCHS: Final = 12
"""Rows of the table of epochs."""

_ALONE: Final[Mapping[str, Callable[..., Figure]]] = {
    "Loss": loss_figure,
    "Evaluation loss": evaluation_figure,
    "Learning rate": rate_figure,
    "Gradient norm": gradient_figure,
}


def training_section(runs: Sequence[ReportedRun], guide: Guide) -> Section:
    """Show the course of one run against the guide, or of several in one figure."""
    made = _alone(runs[0]) if len(runs) == 1 else training_overlay(runs, guide)
    figures = tuple(each for each in made if isinstance(each, Figure))
    absences = [each for each in made if isinstance(each, LeftOut)]
    blocks: list[Block] = [Figures(figures)] if figures else []
    for run in runs:
        table = run.part("Loss after each epoch", epoch_table)
        if isinstance(table, Table):
            title = f"{table.title}, {run.heading}" if run.letter else table.title
            blocks.append(replace(table, title=title))
        elif table.reason not in {absence.reason for absence in absences}:
            absences.append(table)
    if absences:
        blocks.append(Absences(tuple(absences)))
    return Section("training", "Training", tuple(blocks))


def _alone(run: ReportedRun) -> list[Figure | LeftOut]:
    return [run.part(title, draw) for title, draw in _ALONE.items()]


def epoch_table(
    training_log: TrainerState, contrastive: ContrastiveLoss | None, guide: Guide
) -> Table:
    """Set the loss after each epoch beside the evaluation loss and the guide's healthy run."""
    rows = epoch_losses(training_log, most=MOST_EPOCHS)
    if len(rows) < 2:  # noqa: PLR2004 - a start and an end
        raise NothingToDraw("the log has no rows with a loss and an epoch")
    healthy: Floats | None = None
    if contrastive is not None and contrastive.cold_start:
        healthy = healthy_losses(guide, contrastive.candidates)
    chance = contrastive.chance if contrastive is not None else None
    columns = ["Epoch", "Step", "Loss"]
    columns += ["Of chance"] if chance else []
    columns += ["Guide, healthy"] if healthy is not None else []
    columns += ["Evaluation loss"]
    note = ""
    if contrastive is not None:
        note = f"Chance is ln({contrastive.candidates:,}) = {contrastive.chance:.3g}"
        note += (
            f"; the guide's losses are those of batch {guide.final_loss_batch_size}, scaled to it."
            if healthy is not None
            else ". The run did not start near chance, so the guide's course does not apply."
        )
    return Table(
        "Loss after each epoch",
        tuple(columns),
        tuple(_epoch_row(row, chance, healthy) for row in rows),
        note,
        numeric=True,
    )


def _epoch_row(row: EpochLoss, chance: float | None, healthy: Floats | None) -> tuple[Cell, ...]:
    cells = [Cell(f"{row.epoch:.3g}" if row.epoch else "start")]
    cells.append(Cell("" if row.step is None else f"{row.step:,}"))
    cells.append(Cell(_number(row.training)))
    if chance:
        cells.append(Cell("" if row.training is None else f"{row.training / chance:.0%}"))
    if healthy is not None:
        whole = row.epoch == int(row.epoch) and row.epoch < len(healthy)
        cells.append(Cell(_number(float(healthy[int(row.epoch)])) if whole else ""))
    cells.append(Cell(_number(row.evaluation)))
    return tuple(cells)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
