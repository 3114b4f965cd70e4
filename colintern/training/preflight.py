"""What is checked before the first step, because it would waste the run. Sources N14."""

import difflib
import math
import os
from pathlib import Path
from typing import Any, Final

from transformers import TrainingArguments
from transformers.integrations import (
    INTEGRATION_TO_CALLBACK,
    get_available_reporting_integrations,
)

from colintern.artifacts.model.base_model import resolve_base
from colintern.artifacts.run.layout import STAGING
from colintern.training.checkpoints import newest_whole_checkpoint
from colintern.training.distinct_pages import DistinctPages, page_keys

LEAST_BATCH: Final = 2
"""Queries: with one page a query, every loss is 0."""

_BASE_FILES: Final = {
    "configuration": ("config.json",),
    "weights": ("model.safetensors", "model.safetensors.index.json"),
    "processor": ("processor_config.json", "preprocessor_config.json"),
    "tokenizer": ("tokenizer_config.json",),
}

_LOGGER_PACKAGES: Final = {
    "clearml": "clearml",
    "codecarbon": "codecarbon",
    "comet_ml": "comet-ml",
    "dagshub": "dagshub",
    "dvclive": "dvclive",
    "mlflow": "mlflow",
    "neptune": "neptune",
    "swanlab": "swanlab",
    "tensorboard": "tensorboard",
    "trackio": "trackio",
    "wandb": "wandb",
}
"""What each logger of the Trainer is installed by."""

_OWN_TRACES: Final = ("trainer_state.json", "colintern_run.json", "adapter_model.safetensors")


class PreflightError(ValueError):
    """A run that would be wasted."""


class DoesNotFitError(PreflightError):
    """A step that needs more memory than the GPU has."""


def resume_point(folder: Path, *, resume: bool) -> Path | None:
    """Return the checkpoint to go on from; None to begin.

    Raises:
        PreflightError: the folder cannot be written, or holds something that must not be mixed with
            a new run.
    """
    found = folder
    while not found.exists():
        found = found.parent
    if not os.access(found, os.W_OK) or not found.is_dir():
        raise PreflightError(f"{folder} cannot be written; choose another --output-dir")
    if resume:
        return newest_whole_checkpoint(folder)
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names - {STAGING}:
        run = any(name in names for name in _OWN_TRACES) or any(
            name.startswith("checkpoint-") for name in names
        )
        remedy = "pass --resume to go on with its run, or choose" if run else "choose"
        raise PreflightError(
            f"{folder} must be empty, but it is not; {remedy} another --output-dir"
        )
    return None


def check_base(name: str) -> None:
    """Check that a base in a folder is whole; one on the Hub is not looked for here.

    Raises:
        PreflightError: a file of it is absent.
    """
    path = Path(resolve_base(name))
    if not path.is_dir():
        if name.startswith((".", "/", "~")):
            raise PreflightError(f"the base {name} must be a folder or a Hub id, but it is neither")
        return
    for what, names in _BASE_FILES.items():
        if not any((path / each).is_file() for each in names):
            raise PreflightError(
                f"the base {name} must have its {what}, but there is no {' or '.join(names)}; "
                "save the model and its processor into one folder"
            )


def check_loggers(arguments: TrainingArguments) -> None:
    """Check that every logger of `report_to` is known to the Trainer and installed.

    Raises:
        PreflightError: one is not.
    """
    installed = set(get_available_reporting_integrations())
    for name in arguments.report_to:
        if name not in INTEGRATION_TO_CALLBACK:
            close = difflib.get_close_matches(name, INTEGRATION_TO_CALLBACK, n=2)
            hint = f"did you mean {' or '.join(close)}?" if close else "as tensorboard or wandb"
            raise PreflightError(
                f"--report-to must name a logger of the Trainer, not {name}; {hint}"
            )
        if name not in installed and name in _LOGGER_PACKAGES:
            raise PreflightError(
                f"--report-to {name} needs its package, which is not installed; "
                f"pip install {_LOGGER_PACKAGES[name]}, or leave --report-to out"
            )


def check_batch(batch: int) -> None:
    """Check that a query has a page to be told from.

    Raises:
        PreflightError: a batch of one.
    """
    if batch < LEAST_BATCH:
        raise PreflightError(
            f"a batch must have at least {LEAST_BATCH} rows, but it has {batch}: a query has no "
            "page to be told from; set --per-device-train-batch-size 16 and --chunk-size 1"
        )


def check_plan(
    arguments: TrainingArguments,
    train_rows: Any,
    evaluation_rows: Any,
    *,
    chunk_size: int | None = None,
) -> int:
    """Check sizes that need the data but no model.

    Returns:
        The optimiser steps of the run.

    Raises:
        PreflightError: a batch of one, fewer rows than a batch, or a warm-up as long as the run.
    """
    batch = arguments.per_device_train_batch_size
    check_batch(batch)
    if chunk_size is not None and chunk_size < 1:
        raise PreflightError(f"--chunk-size must be at least 1, but it is {chunk_size}")
    window = batch * arguments.world_size
    rows = _rows(train_rows, window)
    if rows < window:
        raise PreflightError(
            f"a batch of {window} needs as many rows with distinct pages, but the data has {rows}; "
            "lower the batch size or add data"
        )
    _check_evaluation(arguments, evaluation_rows)
    steps = _steps(arguments, rows, window)
    warmup = arguments.get_warmup_steps(steps)
    if warmup >= steps:
        raise PreflightError(
            f"the warm-up must be shorter than the run, but it has {warmup:g} steps of {steps}; "
            "set --warmup-steps 0.1 for a tenth of the run"
        )
    return steps


def check_projection(missing_in_base: frozenset[str], saved: bool) -> None:  # noqa: FBT001 - one fact
    """Check that the projection that is trained upon will be in the checkpoint or the base.

    Raises:
        PreflightError: it is drawn anew at every load, and saved nowhere.
    """
    if missing_in_base and not saved:
        raise PreflightError(
            "the base has no projection and the LoRA targets do not name custom_text_proj, so it "
            "would be drawn anew at every load; add custom_text_proj to the targets, or write a "
            "base that has one with `colintern init-base`"
        )


def _check_evaluation(arguments: TrainingArguments, rows: Any) -> None:
    if str(getattr(arguments.eval_strategy, "value", arguments.eval_strategy)) == "no":
        return
    least = arguments.per_device_eval_batch_size * arguments.world_size
    if rows is None or len(rows) == 0:
        raise PreflightError(
            "evaluation is on, but there are no rows for it; set --eval-rows or --eval-strategy no"
        )
    if arguments.dataloader_drop_last and len(rows) < least:
        raise PreflightError(
            f"evaluation needs a batch of {least} rows, but has {len(rows)}; "
            "lower --per-device-eval-batch-size"
        )


def _rows(rows: Any, window: int) -> int:
    keys = page_keys(rows)
    if keys is None:
        return len(rows)
    try:
        return len(DistinctPages(keys, window, seed=0))
    except ValueError:
        return len(set(keys))


def _steps(arguments: TrainingArguments, rows: int, window: int) -> int:
    if arguments.max_steps > 0:
        return int(arguments.max_steps)
    an_epoch = max(1, math.ceil(rows // window / arguments.gradient_accumulation_steps))
    return math.ceil(an_epoch * arguments.num_train_epochs)
