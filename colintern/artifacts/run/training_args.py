"""training_args.bin: the arguments that a Trainer pickled, read without unpickling."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import convert
from colintern.artifacts.pickle.file import read_pickled_value
from colintern.artifacts.pickle.stand_ins import Global, Pairs, PickleFault, StandIn
from colintern.artifacts.pickle.values import Readable

_RENAMED: Final = {
    "_n_gpu": "n_gpu",
    "evaluation_strategy": "eval_strategy",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "activation_checkpointing": "gradient_checkpointing",
    "activation_checkpointing_kwargs": "gradient_checkpointing_kwargs",
}
"""Older, newer and private names. A per-GPU size wins where both are set, as for its Trainer."""
_SECRETS: Final = frozenset({"hub_token", "push_to_hub_token"})
"""Never kept: a report would publish them."""


class TrainingArguments(msgspec.Struct, frozen=True, kw_only=True):
    """What the Trainer was told, under its own names; what was not recorded is None."""

    class_name: str = ""
    """The pickled class, as `transformers.training_args.TrainingArguments`."""
    values: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """Every recorded argument, made readable, under the newer of its names."""

    output_dir: str | None = None
    """Folder of the run on the machine that trained."""
    run_name: str | None = None
    """Name for experiment trackers."""
    seed: int | None = None
    """Of everything random but the data order, when `data_seed` is set."""
    data_seed: int | None = None
    """Of the data order."""

    num_train_epochs: float | None = None
    """Passes over the data; `max_steps` above zero wins."""
    max_steps: int | None = None
    """Optimiser steps; -1 leaves it to `num_train_epochs`."""
    per_device_train_batch_size: int | None = None
    """Examples a device and forward pass."""
    per_device_eval_batch_size: int | None = None
    """The same in evaluation."""
    gradient_accumulation_steps: int | None = None
    """Forward passes an optimiser step."""
    auto_find_batch_size: bool | None = None
    """Whether the batch was halved until it fitted."""
    n_gpu: int | None = None
    """GPUs of this process under DataParallel; -1 when it was never determined."""
    local_rank: int | None = None
    """Rank of the process that saved the file; -1 outside distributed training."""

    learning_rate: float | None = None
    """Peak learning rate."""
    lr_scheduler_type: str | None = None
    """As `linear` or `cosine`."""
    lr_scheduler_kwargs: dict[str, Any] | str | None = None
    """More settings of the schedule."""
    warmup_ratio: float | None = None
    """Share of all steps; gone in transformers 5."""
    warmup_steps: float | None = None
    """Steps; below one a share of all steps (transformers 5). Above zero it wins over the ratio."""
    weight_decay: float | None = None
    """Of the optimiser."""
    optim: str | None = None
    """Optimiser, as `adamw_torch`."""
    max_grad_norm: float | None = None
    """Gradient norm beyond which gradients are scaled down; 0 is off."""
    label_smoothing_factor: float | None = None
    """0 is off."""

    bf16: bool | None = None
    """Mixed precision in bfloat16."""
    fp16: bool | None = None
    """Mixed precision in float16."""
    tf32: bool | None = None
    """TF32 matrix products; None leaves torch's default."""
    torch_compile: bool | None = None
    """Whether the model was compiled."""
    gradient_checkpointing: bool | None = None
    """Activations computed again in the backward pass."""
    gradient_checkpointing_kwargs: dict[str, Any] | str | None = None
    """Its options, as `{"use_reentrant": False}`."""
    use_cpu: bool | None = None
    """Trained on the CPU on purpose."""

    logging_strategy: str | None = None
    """`no`, `steps` or `epoch`."""
    logging_steps: float | None = None
    """Steps between two log rows; below one a share of all steps."""
    logging_first_step: bool | None = None
    """Whether step 1 is logged too."""
    logging_nan_inf_filter: bool | None = None
    """Whether NaN losses are hidden from the log: they show as 0.0."""
    eval_strategy: str | None = None
    """`no`, `steps`, `epoch` or `best`."""
    eval_steps: float | None = None
    """Steps between two evaluations; below one a share of all steps."""
    eval_delay: float | None = None
    """Steps or epochs before the first evaluation."""
    save_strategy: str | None = None
    """`no`, `steps`, `epoch` or `best`."""
    save_steps: float | None = None
    """Steps between two checkpoints; below one a share of all steps."""
    save_total_limit: int | None = None
    """Checkpoints kept; None keeps all."""
    save_only_model: bool | None = None
    """Whether optimiser and random states were left out: such a checkpoint cannot be resumed."""
    load_best_model_at_end: bool | None = None
    """Whether the best checkpoint, not the last, was saved in the end."""
    metric_for_best_model: str | None = None
    """As `eval_loss`."""
    greater_is_better: bool | None = None
    """Direction of that metric."""

    dataloader_num_workers: int | None = None
    """Processes that load data; 0 loads in the training process."""
    dataloader_drop_last: bool | None = None
    """Whether a last incomplete batch is dropped."""
    dataloader_pin_memory: bool | None = None
    """Whether batches are copied from pinned memory."""
    remove_unused_columns: bool | None = None
    """Whether columns that the model's forward does not name are dropped."""
    ddp_find_unused_parameters: bool | None = None
    """Of DistributedDataParallel."""
    resume_from_checkpoint: str | bool | None = None
    """The checkpoint that training went on from."""


def read_training_args(path: Path, enclosure: Enclosure | None) -> TrainingArguments:
    """Read the arguments that `Trainer.save_model` or a checkpoint pickled.

    Raises:
        ArtifactError: no pickle, a broken one, one of something else, or a value of a wrong type.
    """
    made = read_pickled_value(path, enclosure)
    state = made.state if isinstance(made, StandIn) else None
    if isinstance(state, tuple) and state:
        state = state[0]
    if not isinstance(made, StandIn) or not isinstance(state, Pairs) or not state.pairs:
        raise _unfit(path, "the pickled arguments of a Trainer", "another object")
    try:
        values = _renamed(Readable().mapping(state.pairs, limits.PICKLE_DEPTH))
    except PickleFault as fault:
        raise _unfit(path, fault.expected, fault.found) from None
    class_name = str(made.callee) if isinstance(made.callee, Global) else ""
    document = {**values, "class_name": class_name, "values": values}
    return convert(path, document, TrainingArguments)


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    for name in _SECRETS & values.keys():
        del values[name]
    for old, new in _RENAMED.items():
        value = values.pop(old, None)
        if value is not None and (old.startswith("per_gpu") or values.get(new) is None):
            values[new] = value
    return values


def _unfit(path: Path, expected: str, found: str) -> ArtifactError:
    remedy = "Restore the file that the training run wrote, or remove it."
    return ArtifactError(path, expected=expected, found=found, remedy=remedy)
