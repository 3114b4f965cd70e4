"""A full-size run of InternVL3.5-1B at the guide's settings: for faults and benchmarks."""

from pathlib import Path

from builders.full_size_lora import write_full_size_lora
from builders.processor import write_processor
from builders.results import write_results
from builders.training_args import write_training_args
from builders.training_log import write_training_log

OPTIMISER_STEPS = 9_235
"""118,195 pairs / 64, times five epochs."""
RECIPE = {
    "epochs": 5,
    "batch_size": 16,
    "peak": 5e-5,
    "warmup": 200,
    "eval_steps": 500,
    "save_steps": 500,
}


def write_full_size_run(
    run: Path, *, steps=OPTIMISER_STEPS, logging_steps=10, adapter=None, **log
) -> Path:
    """Write what a healthy run at the guide's recipe leaves: adapter, log, processor, results.

    `adapter` are changes of the LoRA, every other keyword one of the training log.
    """
    run.mkdir(parents=True)
    recipe = {**RECIPE, **log}
    write_full_size_lora(run, **(adapter or {}))
    write_training_log(run, steps=steps, logging_steps=logging_steps, **recipe)
    write_training_args(
        run,
        num_train_epochs=recipe["epochs"],
        per_device_train_batch_size=recipe["batch_size"],
        gradient_accumulation_steps=4,
        learning_rate=recipe["peak"],
        warmup_steps=recipe["warmup"],
    )
    write_processor(run)
    write_results(run)
    return run
