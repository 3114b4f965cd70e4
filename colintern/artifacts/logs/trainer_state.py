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

from colintern.artifacts import limits
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import convert, read_json_object
from colintern.artifacts.json.wrong_values import wrong_value
from colintern.artifacts.logs.log_table import MAX_STEP, LogTable, floats, log_table
from colintern.artifacts.logs.metrics import MetricSeries, metric_series


class EarlyStopping(msgspec.Struct, frozen=True, kw_only=True):
    """State of transformers' `EarlyStoppingCallback`."""

    patience: int
    """Evaluations without improvement after which training stops."""
    counter: int
    """Evaluations without improvement so far."""

    @property
    def used_up(self) -> bool:
        """Whether the callback has stopped the run."""
        return self.counter >= self.patience > 0


class _Callback(msgspec.Struct, kw_only=True):
    args: dict[str, Any] = {}
    attributes: dict[str, Any] = {}


_EARLY_STOPPING: Final = "EarlyStoppingCallback"
_PATIENCE: Final = "early_stopping_patience"


def read_early_stopping(path: Path, callbacks: Mapping[str, Any]) -> EarlyStopping | None:
    """Read the state of the callback, or of one that is made of it and has a name of its own.

    Several instances are a list, of which the first counts.
    """
    own = [name for name, saved in callbacks.items() if _has_patience(_first(saved))]
    saved = _first(callbacks.get(_EARLY_STOPPING, callbacks[own[0]] if own else None))
    if not isinstance(saved, dict):
        return None
    callback = convert(path, saved, _Callback)
    patience = callback.args.get(_PATIENCE)
    counter = callback.attributes.get("early_stopping_patience_counter")
    if not (isinstance(patience, int) and isinstance(counter, int)):
        return None
    return EarlyStopping(patience=patience, counter=counter)


def _first(saved: Any) -> Any:
    return saved[0] if isinstance(saved, list) and saved else saved


def _has_patience(saved: Any) -> bool:
    arguments = saved.get("args") if isinstance(saved, dict) else None
    return isinstance(arguments, dict) and _PATIENCE in arguments


_SUMMARY_KEYS: Final = frozenset(
    {"train_loss", "train_runtime", "train_samples_per_second", "train_steps_per_second"}
    | {"step", "epoch"}
)
"""Numbers of the closing row that are ours to judge."""


_REINFORCEMENT_KEYS: Final = ("reward", "completion_length", "completions/mean_length")
"""Rows of trl's GRPO, RLOO and PPO trainers. DPO logs `rewards/chosen`, but not these."""


@dataclass(frozen=True, eq=False)
class TrainerState:
    """The Trainer's state at one moment of a run."""

    path: Path
    """The file."""
    training: LogTable
    """Rows with a training `loss`, in the order of the file."""
    evaluations: LogTable
    """Rows with an `eval_loss`."""
    metrics: Mapping[str, MetricSeries]
    """What else evaluations measured, by its name in the log, as `eval_ndcg@10`."""
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

    @property
    def num_evaluations(self) -> int:
        """How many evaluations the log holds, of whatever measure."""
        return max(len(self.evaluations), *(len(series) for series in self.metrics.values()), 0)


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
        training=log_table(path, rows, "loss"),
        evaluations=log_table(path, rows, "eval_loss"),
        metrics=metric_series(rows),
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


def _count(path: Path, key: str, value: float | None) -> int | None:
    if value is None:
        return None
    # Compared before anything else: an integer of a thousand digits is no float.
    if not (abs(value) <= MAX_STEP and value == math.floor(value)):
        raise wrong_value(path, key, "a whole number", value)
    return int(value)


def _summary(path: Path, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the numbers of the last closing row; other values in it are not ours to judge."""
    for index in range(len(rows) - 1, -1, -1):
        row = rows[index]
        if "train_runtime" in row or "train_loss" in row:
            keys = [key for key in row if key in _SUMMARY_KEYS]
            return {key: float(floats(path, key, [index], [row[key]])[0]) for key in keys}
    return {}
