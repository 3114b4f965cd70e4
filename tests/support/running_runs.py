"""Runs that still train: their manifest, their log and what is known of them."""

from pathlib import Path

from colintern.artifacts.logs.trainer_state import as_trainer_state
from colintern.artifacts.run.manifest import SCHEMA, LossRecord, RunManifest
from colintern.engine.running.judge import LiveSubject

ARGUMENTS = {
    "learning_rate": 2e-3,
    "num_train_epochs": 5,
    "per_device_train_batch_size": 64,
    "gradient_accumulation_steps": 1,
    "warmup_steps": 100,
    "eval_strategy": "steps",
    "max_grad_norm": 1.0,
    "world_size": 1,
}


STEPS = 500


def manifest(temperature=0.05, **arguments):
    values = {**ARGUMENTS, **arguments}
    return RunManifest(
        schema=SCHEMA,
        family="ColIntern-tiny",
        arguments=values,
        candidates=values["per_device_train_batch_size"],
        world_size=1,
        loss=LossRecord(class_name="ColbertLoss", temperature=temperature, normalize_scores=True),
    )


def subject(described=None, **more):
    return LiveSubject(path=Path("/run"), manifest=described, **more)


def rows_of(series, *, peak=2e-3, loss=lambda _, value: value, norm=lambda _, value: value):
    return [
        {
            "step": step,
            "epoch": step / 100,
            "loss": loss(step, value),
            "grad_norm": norm(step, size),
            "learning_rate": peak * step / 100,
        }
        for step, (value, size) in enumerate(series, 1)
    ]


def log_of(rows, *, max_steps=STEPS, step=None):
    document = {
        "log_history": rows,
        "global_step": step if step is not None else rows[-1]["step"] if rows else 0,
        "max_steps": max_steps,
        "epoch": rows[-1].get("epoch") if rows else 0,
    }
    return as_trainer_state(Path("/run/trainer_state.json"), document)
