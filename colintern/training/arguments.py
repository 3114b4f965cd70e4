"""A recipe as the Trainer's arguments, and what of them cannot work here."""

from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from colintern.recipes.recipe import Recipe
from colintern.training.preflight import PreflightError, check_loggers


def training_arguments(recipe: Recipe, output_dir: Path) -> TrainingArguments:
    """Return the recipe as Trainer's arguments.

    Raises:
        PreflightError: they contradict each other, or this machine cannot do what they ask for.
    """
    values: dict[str, Any] = {
        "learning_rate": recipe.learning_rate,
        "num_train_epochs": recipe.num_train_epochs,
        "per_device_train_batch_size": recipe.per_device_train_batch_size,
        "per_device_eval_batch_size": max(recipe.per_device_train_batch_size, 2),
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "warmup_steps": recipe.warmup_steps,
        "lr_scheduler_type": recipe.lr_scheduler_type,
        "max_grad_norm": recipe.max_grad_norm,
        "weight_decay": recipe.weight_decay,
        "bf16": torch.cuda.is_available(),
        "eval_strategy": "no" if recipe.eval_steps is None else "steps",
        "eval_steps": recipe.eval_steps,
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": recipe.save_total_limit,
        "logging_steps": recipe.logging_steps,
        # A NaN must end the run, not be logged as the mean of the steps before it.
        "logging_nan_inf_filter": False,
        "ddp_find_unused_parameters": False,
        "dataloader_drop_last": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "remove_unused_columns": False,
        "label_names": [],
        "report_to": [],
        "seed": recipe.seed,
    }
    try:
        arguments = TrainingArguments(str(output_dir), **{**values, **recipe.arguments})
    except (ValueError, ImportError) as error:
        raise PreflightError(f"the training arguments do not fit together: {error}") from error
    check_loggers(arguments)
    return arguments
