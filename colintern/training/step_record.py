"""Loss and gradient norm of each of the first steps, before there are log rows enough to judge."""

from typing import Final

MOST_STEPS: Final = 1_000
"""Steps that are kept; by then any usual logging interval has made a log of its own."""


class StepRecord:
    """What a trainer computes anyway, a row a step under the names of the Trainer's log."""

    def __init__(self) -> None:
        """Begin with no step."""
        self.rows: list[dict[str, float]] = []
        self._loss = 0.0

    def add_loss(self, loss: float) -> None:
        """Add the loss of a micro-step, already divided by the accumulation steps."""
        self._loss += loss

    def close(self, step: int, *, grad_norm: float, learning_rate: float, epoch: float) -> None:
        """End the step."""
        if len(self.rows) < MOST_STEPS:
            row = {"grad_norm": grad_norm, "learning_rate": learning_rate, "epoch": epoch}
            self.rows.append({"step": float(step), "loss": self._loss, **row})
        self._loss = 0.0
