"""Floating-point operations of a step, as transformers counts them."""

from collections.abc import Callable, Mapping
from typing import Any


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
