"""Metrics of evaluations beside the loss: whatever the run's own evaluator logged."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.log_table import MAX_MAGNITUDE, MAX_STEP, NO_STEP, Floats, Integers

PREFIX: Final = "eval_"
"""What the Trainer puts before the name of a metric."""

MOST_METRICS: Final = 500
"""Metrics that are kept; an evaluator of thirteen data sets logs about 200."""

_NO_METRICS: Final = frozenset(
    {
        "eval_loss",
        "eval_runtime",
        "eval_samples_per_second",
        "eval_steps_per_second",
        "eval_model_preparation_time",
        "eval_num_tokens",
        "eval_samples",
    }
)
"""Keys of an evaluation row that measure no quality; the loss has a table of its own."""


class MetricSeries(Struct, frozen=True):
    """The finite values of one metric, in the order of the file."""

    name: str
    """With the prefix, as logged."""
    row: Integers
    """Index of each row in `log_history`."""
    step: Integers
    """Optimiser step, or `NO_STEP`."""
    value: Floats

    def __len__(self) -> int:
        """Return the number of evaluations."""
        return len(self.value)


def metric_series(rows: Sequence[Mapping[str, Any]]) -> dict[str, MetricSeries]:
    """Collect the metrics of the rows that are no training rows; what is no number is left out."""
    found: dict[str, list[tuple[int, int, float]]] = {}
    for index, row in enumerate(rows):
        if "loss" in row:
            continue
        for key, value in row.items():
            if not key.startswith(PREFIX) or key in _NO_METRICS or not _is_number(value):
                continue
            if key in found or len(found) < MOST_METRICS:
                found.setdefault(key, []).append((index, _step(row.get("step")), float(value)))
    return {name: _series(name, values) for name, values in found.items()}


def _is_number(value: Any) -> bool:
    return type(value) in {int, float} and abs(value) <= MAX_MAGNITUDE  # NaN is not below


def _step(value: Any) -> int:
    known = type(value) in {int, float} and 0 <= value <= MAX_STEP and value == int(value)
    return int(value) if known else NO_STEP


def _series(name: str, values: list[tuple[int, int, float]]) -> MetricSeries:
    row, step, value = zip(*values, strict=True)
    return MetricSeries(
        name,
        np.array(row, dtype=np.int64),
        np.array(step, dtype=np.int64),
        np.array(value, dtype=np.float64),
    )
