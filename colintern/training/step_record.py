"""Loss and gradient norm of each of the first steps, before there are log rows enough to judge."""

from collections.abc import Callable, Mapping
from typing import Any, Final


class StepOperations:
    """Counts a model's parameters once; transformers counts all of them anew at every step."""

    def __init__(self, model: Any, count: Callable[[Any], int]) -> None:
        """Count by `count`, which is the Trainer's own: in proportion to the main input."""
        self._name: str = getattr(model, "main_input_name", "input_ids")
        self._count = count
        self._of_a_value: int | None = None

    def of(self, inputs: Mapping[str, Any]) -> int:
        """Return the operations of a forward and a backward pass."""
        values = inputs[self._name].numel() if self._name in inputs else 0
        if not values:
            return self._count(inputs)
        if self._of_a_value is None:
            self._of_a_value = self._count(inputs) // values
        return self._of_a_value * values


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
