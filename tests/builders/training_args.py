"""training_args.bin as torch.save writes it, made without torch and transformers."""

import zipfile

from builders.pickling import Call, Instance, Name, enum, pickled

CLASS = Name("transformers.training_args", "TrainingArguments")


def healthy_values(run):
    steps = enum("transformers.trainer_utils", "IntervalStrategy", "steps")
    device = Call(Name("torch", "device"), ("cuda", 0))
    return {
        "output_dir": f"/home/trainer/{run.name}",
        "per_device_train_batch_size": 16,
        "per_device_eval_batch_size": 16,
        "gradient_accumulation_steps": 4,
        "auto_find_batch_size": False,
        "num_train_epochs": 5,
        "max_steps": -1,
        "learning_rate": 7e-5,
        "lr_scheduler_type": enum("transformers.trainer_utils", "SchedulerType", "cosine"),
        "warmup_steps": 100,
        "weight_decay": 0.01,
        "optim": enum("transformers.training_args", "OptimizerNames", "adamw_torch_fused"),
        "max_grad_norm": 1.0,
        "bf16": True,
        "fp16": False,
        "tf32": None,
        "gradient_checkpointing": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "logging_strategy": steps,
        "logging_steps": 10,
        "logging_nan_inf_filter": True,
        "eval_strategy": steps,
        "eval_steps": 100,
        "save_strategy": enum("transformers.trainer_utils", "SaveStrategy", "steps"),
        "save_steps": 100,
        "save_total_limit": None,
        "load_best_model_at_end": False,
        "metric_for_best_model": None,
        "dataloader_num_workers": 4,
        "dataloader_drop_last": True,
        "remove_unused_columns": False,
        "report_to": [],
        "seed": 42,
        "local_rank": 0,
        "accelerator_config": Instance(
            Name("transformers.trainer_pt_utils", "AcceleratorConfig"),
            {"split_batches": False, "even_batches": True},
        ),
        "distributed_state": Instance(
            Name("accelerate.state", "PartialState"),
            {
                "_cpu": False,
                "backend": None,
                "device": device,
                "distributed_type": enum("accelerate.utils.dataclasses", "DistributedType", "NO"),
                "num_processes": 1,
                "process_index": 0,
            },
        ),
        "_n_gpu": 1,
        "__cached__setup_devices": device,
    }


def write_archive(path, content, *, folder="training_args"):
    """Wrap a pickle as torch.save does."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{folder}/data.pkl", content)
        archive.writestr(f"{folder}/byteorder", "little")
        archive.writestr(f"{folder}/version", "3\n")


def write_training_args(run, **changes):
    """Write the healthy run's arguments with `changes`; a value of `...` leaves the key out."""
    values = healthy_values(run) | changes
    state = {key: value for key, value in values.items() if value is not ...}
    write_archive(run / "training_args.bin", pickled(Instance(CLASS, state)))
