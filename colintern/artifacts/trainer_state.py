"""`trainer_state.json`: what the Trainer logged, as columns.

A log has up to hundreds of thousands of rows and every measurement looks at whole columns, so the
rows become numpy arrays once and are never objects.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from colintern.artifacts import limits
from colintern.artifacts.early_stopping import EarlyStopping, read_early_stopping
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json_document import convert, read_json_object
from colintern.artifacts.wrong_value import wrong_value

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NO_STEP: Final = -1
"""Stands in `LogTable.step` for a row without one: printed logs and `Trainer.predict` have such."""

MAX_MAGNITUDE: Final = 1e100
"""Finite numbers are clipped here, so that sums and squares of an absurd log stay finite."""

_SUMMARY_KEYS: Final = frozenset(
    {"train_loss", "train_runtime", "train_samples_per_second", "train_steps_per_second"}
    | {"step", "epoch"}
)
"""Numbers of the closing row that are ours to judge."""

_MAX_STEP: Final = 2**53
"""Whole numbers up to here are exact as floats; JSON may write a step as `1.0`."""

_NUMBERS: Final = frozenset({float, int, type(None)})
"""Exact types: `true` is no number although Python counts it as one."""

_REINFORCEMENT_KEYS: Final = ("reward", "completion_length", "completions/mean_length")
"""Rows of trl's GRPO, RLOO and PPO trainers. DPO logs `rewards/chosen`, but not these."""


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


@dataclass(frozen=True, eq=False)
class TrainerState:
    """The Trainer's state at one moment of a run."""

    path: Path
    """The file."""
    training: LogTable
    """Rows with a training `loss`, in the order of the file."""
    evaluations: LogTable
    """Rows with an `eval_loss`."""
    num_rows: int
    """All rows of `log_history`."""
    global_step: int | None
    """Optimiser steps done."""
    max_steps: int | None
    """Optimiser steps planned."""
    num_train_epochs: float | None
    """Epochs planned, rounded up by the Trainer."""
    epoch: float | None
    """Epochs done."""
    logging_steps: float | None
    """Steps a training row; below 1 it is a share of `max_steps`."""
    save_steps: float | None
    """Steps between checkpoints; below 1 it is a share of `max_steps`."""
    eval_steps: float | None
    """Steps between evaluations."""
    train_batch_size: int | None
    """Per device; absent before transformers 4.38."""
    best_metric: float | None
    """The best value of `metric_for_best_model`."""
    best_model_checkpoint: str | None
    """The author's path of the checkpoint that was best; never exists here."""
    early_stopping: EarlyStopping | None
    """State of the callback, where it ran."""
    summary: Mapping[str, float]
    """Numbers of the closing row: train_runtime, train_samples_per_second, train_loss ..."""
    summary_rows: tuple[int, ...]
    """Indices of rows with `train_runtime`: one, at the end, unless the run was resumed."""
    is_reinforcement: bool
    """GRPO or the like: its loss may be zero or negative."""
    has_training_loss_summary: bool
    """Whether a closing row has `train_loss`: the Trainer writes it when training has ended."""


class _Header(msgspec.Struct, kw_only=True):
    """The keys beside the log. Older versions lack most of them."""

    log_history: list[Any]
    global_step: int | float | None = None
    max_steps: int | float | None = None
    num_train_epochs: float | None = None
    epoch: float | None = None
    logging_steps: float | None = None
    save_steps: float | None = None
    eval_steps: float | None = None
    train_batch_size: int | float | None = None
    best_metric: float | None = None
    best_model_checkpoint: str | None = None
    stateful_callbacks: dict[str, Any] | None = None


def read_trainer_state(path: Path, enclosure: Enclosure | None) -> TrainerState:
    """Read a `trainer_state.json` of any transformers version.

    Raises:
        ArtifactError: unreadable, too many rows, or a key with a value of the wrong type; the
            message has the key's path, as `log_history[3].loss`.
    """
    document = read_json_object(path, enclosure, limit=limits.TRAINER_STATE_BYTES)
    return as_trainer_state(path, document)


def as_trainer_state(path: Path, document: Mapping[str, Any]) -> TrainerState:
    """Turn a parsed document, or the state of a run in memory, into the record.

    Raises:
        ArtifactError: too many rows, or a key with a value of the wrong type.
    """
    header = convert(path, document, _Header)
    rows = header.log_history
    if not set(map(type, rows)) <= {dict}:
        index = next(number for number, row in enumerate(rows) if type(row) is not dict)
        raise wrong_value(path, f"log_history[{index}]", "an object", rows[index])
    keys = frozenset(chain.from_iterable(rows))
    summary_rows = tuple(index for index, row in enumerate(rows) if "train_runtime" in row)
    return TrainerState(
        path=path,
        training=_table(path, rows, "loss"),
        evaluations=_table(path, rows, "eval_loss"),
        num_rows=len(rows),
        global_step=_count(path, "global_step", header.global_step),
        max_steps=_count(path, "max_steps", header.max_steps),
        num_train_epochs=header.num_train_epochs,
        epoch=header.epoch,
        logging_steps=header.logging_steps,
        save_steps=header.save_steps,
        eval_steps=header.eval_steps,
        train_batch_size=_count(path, "train_batch_size", header.train_batch_size),
        best_metric=header.best_metric,
        best_model_checkpoint=header.best_model_checkpoint,
        early_stopping=read_early_stopping(path, header.stateful_callbacks or {}),
        summary=_summary(path, rows),
        summary_rows=summary_rows,
        is_reinforcement=not keys.isdisjoint(_REINFORCEMENT_KEYS),
        has_training_loss_summary="train_loss" in keys,
    )


def _table(path: Path, rows: list[dict[str, Any]], key: str) -> LogTable:
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
        epoch=_floats(path, "epoch", index, [row.get("epoch") for row in chosen]),
        loss=_floats(path, key, index, [value for value in values if value is not None]),
        learning_rate=_floats(
            path, "learning_rate", index, [row.get("learning_rate") for row in chosen]
        ),
        grad_norm=_floats(path, "grad_norm", index, grad_norm),
        has_grad_norm=np.array([value is not None for value in grad_norm], dtype=np.bool_),
    )


def _floats(path: Path, key: str, index: list[int], values: list[Any]) -> Floats:
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
    steps = _floats(path, "step", index, [row.get("step") for row in rows])
    known = ~np.isnan(steps)
    bad = known & ~((steps >= 0) & (steps <= _MAX_STEP) & (steps == np.floor(steps)))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise wrong_value(
            path, f"log_history[{index[first]}].step", "a whole number", rows[first]["step"]
        )
    return np.where(known, steps, NO_STEP).astype(np.int64)


def _count(path: Path, key: str, value: float | None) -> int | None:
    if value is None:
        return None
    # Compared before anything else: an integer of a thousand digits is no float.
    if not (abs(value) <= _MAX_STEP and value == math.floor(value)):
        raise wrong_value(path, key, "a whole number", value)
    return int(value)


def _summary(path: Path, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the numbers of the last closing row; other values in it are not ours to judge."""
    for index in range(len(rows) - 1, -1, -1):
        row = rows[index]
        if "train_runtime" in row or "train_loss" in row:
            keys = [key for key in row if key in _SUMMARY_KEYS]
            return {key: float(_floats(path, key, [index], [row[key]])[0]) for key in keys}
    return {}
