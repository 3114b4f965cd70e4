"""Rows of a log as columns: what every measurement looks at, and no row is an object."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.json.wrong_values import wrong_value

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NO_STEP: Final = -1
"""Stands in `LogTable.step` for a row without one: printed logs and `Trainer.predict` have such."""

MAX_MAGNITUDE: Final = 1e100
"""Finite numbers are clipped here, so that sums and squares of an absurd log stay finite."""

MAX_STEP: Final = 2**53
"""Whole numbers up to here are exact as floats; JSON may write a step as `1.0`."""

_NUMBERS: Final = frozenset({float, int, type(None)})
"""Exact types: `true` is no number although Python counts it as one."""


@dataclass(frozen=True, eq=False)
class LogTable:
    """Rows of one kind as columns of equal length. NaN marks what a row lacks, or holds as NaN."""

    row: Integers
    """Index of each row in `log_history`."""
    step: Integers
    """Optimiser step, or `NO_STEP`."""
    epoch: Floats
    """Fraction of epochs done."""
    loss: Floats
    """`loss` of training rows, `eval_loss` of evaluation rows. NaN and infinity are as logged."""
    learning_rate: Floats
    """Per optimiser step; absent in evaluation rows."""
    grad_norm: Floats
    """Before clipping; logged by transformers 4.38 and later."""
    has_grad_norm: NDArray[np.bool_]
    """Whether the row has a `grad_norm`: its value may be NaN."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.step)

    def steps_known(self) -> bool:
        """Whether every row has a step."""
        return bool(len(self)) and bool(np.all(self.step != NO_STEP))


def log_table(path: Path, rows: list[dict[str, Any]], key: str) -> LogTable:
    """Make the columns of the rows that have `key`, a loss.

    Raises:
        ArtifactError: too many rows, or a value of the wrong type.
    """
    values = [row.get(key) for row in rows]
    index = [number for number, value in enumerate(values) if value is not None]
    if len(index) > limits.LOG_ROWS:
        raise ArtifactError(
            path,
            expected=f"at most {limits.LOG_ROWS:,} rows with `{key}` in log_history",
            found=f"{len(index):,}",
            remedy="Log less often; the audit reads no longer log.",
        )
    chosen = [rows[number] for number in index]
    grad_norm = [row.get("grad_norm") for row in chosen]
    return LogTable(
        row=np.array(index, dtype=np.int64),
        step=_steps(path, index, chosen),
        epoch=floats(path, "epoch", index, [row.get("epoch") for row in chosen]),
        loss=floats(path, key, index, [value for value in values if value is not None]),
        learning_rate=floats(
            path, "learning_rate", index, [row.get("learning_rate") for row in chosen]
        ),
        grad_norm=floats(path, "grad_norm", index, grad_norm),
        has_grad_norm=np.array([value is not None for value in grad_norm], dtype=np.bool_),
    )


def floats(path: Path, key: str, index: list[int], values: list[Any]) -> Floats:
    """Make a column; the types are looked at once for the whole column, which is cheap."""
    types = set(map(type, values))
    if not types <= _NUMBERS:
        bad = next(n for n, value in enumerate(values) if type(value) not in _NUMBERS)
        raise wrong_value(path, f"log_history[{index[bad]}].{key}", "a number", values[bad])
    if type(None) in types:
        values = [math.nan if value is None else value for value in values]
    try:
        column = np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise ArtifactError(
            path, expected=f"numbers in log_history[].{key}", found="an integer beyond 10^308"
        ) from error
    finite = np.isfinite(column)
    return np.where(finite, np.clip(column, -MAX_MAGNITUDE, MAX_MAGNITUDE), column)


def _steps(path: Path, index: list[int], rows: list[dict[str, Any]]) -> Integers:
    steps = floats(path, "step", index, [row.get("step") for row in rows])
    known = ~np.isnan(steps)
    bad = known & ~((steps >= 0) & (steps <= MAX_STEP) & (steps == np.floor(steps)))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise wrong_value(
            path, f"log_history[{index[first]}].step", "a whole number", rows[first]["step"]
        )
    return np.where(known, steps, NO_STEP).astype(np.int64)
