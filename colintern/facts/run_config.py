"""How a run was configured: each value with the file that it was read from."""

import math
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")

_EPOCH_ROUNDING: Final = 0.02
"""Share by which steps and epochs of a log disagree; older logs round the epoch to 2 decimals."""


class Recorded(Struct, Generic[T], frozen=True):
    """A value and the place that it was read from."""

    value: T
    source: str
    """Name of the file."""
    key: str
    """The key in it."""

    @property
    def where(self) -> str:
        """The place, for a person: `training_args.bin: num_train_epochs`."""
        return f"{self.source}: {self.key}"


class RunConfig(Struct, frozen=True, kw_only=True):
    """The configuration of a run under Trainer's names; what nobody recorded is None."""

    num_train_epochs: Recorded[float] | None = None
    """Epochs asked for, unless `max_steps` overrides them."""
    max_steps: Recorded[int] | None = None
    """Optimiser steps asked for; Trainer's -1 (not asked) is None."""
    logged_epochs: Recorded[int] | None = None
    """`num_train_epochs` of the log: the planned epochs, rounded up."""
    total_steps: Recorded[int] | None = None
    """Optimiser steps of the whole schedule; `max_steps` of the log."""
    global_step: Recorded[int] | None = None
    """Optimiser steps done."""
    epoch: Recorded[float] | None = None
    """Epochs done at `global_step`."""
    per_device_train_batch_size: Recorded[int] | None = None
    """Queries a forward pass on one device, as asked."""
    per_device_eval_batch_size: Recorded[int] | None = None
    """The same in evaluation: the chance level of the evaluation loss follows from it."""
    train_batch_size: Recorded[int] | None = None
    """Queries a forward pass of one process, all its GPUs together, as found to fit."""
    gradient_accumulation_steps: Recorded[int] | None = None
    """Forward passes an optimiser step."""
    world_size: Recorded[int] | None = None
    """Processes that trained together."""
    n_gpu: Recorded[int] | None = None
    """GPUs of one process: above one under DataParallel."""
    effective_batch_size: Recorded[int] | None = None
    """Queries an optimiser step over all processes, where the run counted them itself."""
    total_train_batch_size: Recorded[int] | None = None
    """The same in a model card, which is written last and edited by hand."""
    candidates: Recorded[int] | None = None
    """Pages that each query is compared with, where recorded."""
    contrastive_batch_size: Recorded[int] | None = None
    """Queries that one process compares at once, where recorded: more than one forward pass has
    when the batch is cached."""
    loss_class: Recorded[str] | None = None
    """Name of the loss, as `ColbertLoss`."""
    auto_find_batch_size: Recorded[bool] | None = None
    """Whether the batch was halved until it fitted."""
    train_samples_per_second: Recorded[float] | None = None
    """Of the summary row, rounded to 3 decimals."""
    train_steps_per_second: Recorded[float] | None = None
    """Of the summary row, rounded to 3 decimals."""
    train_runtime: Recorded[float] | None = None
    """Seconds, of the summary row."""
    learning_rate: Recorded[float] | None = None
    """Peak learning rate."""
    lr_scheduler_type: Recorded[str] | None = None
    """As `cosine`."""
    warmup_ratio: Recorded[float] | None = None
    """Share of the schedule; a fractional `warmup_steps` is one too."""
    warmup_steps: Recorded[int] | None = None
    """Steps; above zero they win over the ratio."""
    bf16: Recorded[bool] | None = None
    """Whether Trainer mixed in bfloat16."""
    fp16: Recorded[bool] | None = None
    """Whether Trainer mixed in float16."""
    eval_strategy: Recorded[str] | None = None
    """`no`, `steps`, `epoch` or `best`."""
    eval_steps: Recorded[float] | None = None
    """Steps between two evaluations, or below one a share of the schedule."""
    logging_steps: Recorded[float] | None = None
    """Steps between two log rows, or below one a share of the schedule."""
    save_steps: Recorded[float] | None = None
    """Steps between two checkpoints, or below one a share of the schedule."""
    load_best_model_at_end: Recorded[bool] | None = None
    """Whether the best checkpoint, not the last, was loaded in the end."""
    metric_for_best_model: Recorded[str] | None = None
    """What the best checkpoint was chosen by, as `loss` or `eval_ndcg@5`."""
    greater_is_better: Recorded[bool] | None = None
    """Direction of that metric."""
    num_evaluations: Recorded[int] | None = None
    """Evaluations in the log."""
    dataloader_num_workers: Recorded[int] | None = None
    """Processes that load data; 0 loads in the training process."""
    max_grad_norm: Recorded[float] | None = None
    """Gradient norm beyond which gradients are scaled down; 0 is off."""
    gradient_checkpointing: Recorded[bool] | None = None
    """Whether activations are computed again in the backward pass."""
    gradient_checkpointing_kwargs: Recorded[dict[str, Any]] | None = None
    """Its options; recorded without any as an empty dictionary."""
    transformers: Recorded[str] | None = None
    """Version of transformers; at least its generation."""
    device: Recorded[str] | None = None
    """`cuda`, `cpu`, ..."""
    gpu: Recorded[str] | None = None
    """Name of the GPU."""
    attention: Recorded[str] | None = None
    """`flash_attention_2`, `sdpa` or `eager`."""
    dtype: Recorded[str] | None = None
    """Type of the base weights in training."""

    @property
    def steps_per_epoch(self) -> float | None:
        """Optimiser steps an epoch, None when unknown."""
        steps, epochs = self.total_steps, self.num_train_epochs
        if self.max_steps is None and steps and epochs and epochs.value > 0:
            return steps.value / epochs.value
        if self.global_step and self.epoch and self.global_step.value and self.epoch.value > 0:
            return self.global_step.value / self.epoch.value
        return None

    @property
    def planned_steps(self) -> Recorded[int] | None:
        """Optimiser steps of the whole schedule."""
        return self.total_steps or self.max_steps

    @property
    def planned_epochs(self) -> Recorded[float] | None:
        """Epochs that the whole schedule takes, done or not.

        Trainer's log shows a count rounded up: 1 for a run that was asked for 0.05, and 5 for one
        that ends at 4.948 because a remainder of each epoch is dropped. The two are told apart by
        the steps: a dropped remainder is less than one step an epoch.
        """
        if self.max_steps is None and self.num_train_epochs is not None:
            return self.num_train_epochs
        steps, per_epoch = self.planned_steps, self.steps_per_epoch
        if steps is None or not per_epoch:
            return None
        planned = steps.value / per_epoch
        rounded_up = self.logged_epochs
        if rounded_up and self.max_steps is None:
            tolerance = max(_EPOCH_ROUNDING, 1 / per_epoch)
            if planned >= rounded_up.value * (1 - tolerance):
                return Recorded(float(rounded_up.value), rounded_up.source, rounded_up.key)
        return Recorded(planned, steps.source, steps.key)

    @property
    def planned_warmup_steps(self) -> Recorded[int] | None:
        """Warm-up in optimiser steps, whichever way it was asked for."""
        steps, ratio = self.warmup_steps, self.warmup_ratio
        if steps is not None and (steps.value > 0 or ratio is None or ratio.value == 0):
            return steps
        if ratio is None:
            return None
        if ratio.value == 0:
            return Recorded(0, ratio.source, ratio.key)
        if self.planned_steps is None:
            return None
        share = math.ceil(self.planned_steps.value * ratio.value)
        return Recorded(share, ratio.source, ratio.key)
