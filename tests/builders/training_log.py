"""trainer_state.json of a healthy contrastive run, with a knob for every fault."""

import json
import math
import random

DROP = object()
"""As a change: leave the key out."""


def write_training_log(run, *, edit_rows=None, edit_state=None, **changes):
    """Write `run/trainer_state.json`; `edit_rows` and `edit_state` change it in place before."""
    state = training_log(edit_rows=edit_rows, **changes)
    for key, value in (edit_state or {}).items():
        if value is DROP:
            state.pop(key, None)
        else:
            state[key] = value
    path = run / "trainer_state.json"
    path.write_text(json.dumps(state, indent=2), encoding="utf-8")
    return path


def training_log(
    *,
    steps=600,
    max_steps=None,
    epochs=5,
    logging_steps=10,
    eval_steps=100,
    save_steps=100,
    batch_size=16,
    accumulation=4,
    start=2.4,
    end=0.75,
    noise=0.04,
    schedule="cosine",
    shape=5.0,
    peak=7e-5,
    warmup=100,
    seed=0,
    closing=True,
    loss=None,
    eval_loss=None,
    learning_rate=None,
    grad_norm=None,
    edit_rows=None,
):
    """Make the state; `loss`, `eval_loss`, `learning_rate`, `grad_norm` map (share of run, healthy
    value) to a value, and are None for a healthy one.
    """
    max_steps = steps if max_steps is None else max_steps
    chance = random.Random(seed)
    rows = []
    for step in range(1, steps + 1):
        share, epoch = step / max_steps, step / max_steps * epochs
        level = healthy_level(share, start, end, shape)
        if step % logging_steps == 0:
            values = {
                "epoch": round(epoch, 4),
                "grad_norm": max(0.2, chance.gauss(1.5, 0.2)),
                "learning_rate": scheduled(step, max_steps, warmup, peak, schedule),
                "loss": max(0.001, chance.gauss(level, noise)),
                "step": step,
            }
            changed = {
                "loss": loss,
                "learning_rate": learning_rate,
                "grad_norm": grad_norm,
            }
            for key, change in changed.items():
                if change is not None:
                    values[key] = change(share, values[key])
            values["loss"] = round(values["loss"], 4)
            rows.append(values)
        if eval_steps and step % eval_steps == 0:
            value = max(0.001, chance.gauss(level + 0.05, noise / 5))
            rows.append(
                {
                    "epoch": round(epoch, 4),
                    "eval_loss": value if eval_loss is None else eval_loss(share, value),
                    "eval_runtime": 12.5,
                    "eval_samples_per_second": 40.0,
                    "eval_steps_per_second": 2.5,
                    "step": step,
                }
            )
    if closing and steps == max_steps:
        losses = [row["loss"] for row in rows if "loss" in row]
        rows.append(
            {
                "epoch": float(epochs),
                "step": steps,
                "total_flos": 1.5e17,
                "train_loss": sum(losses) / len(losses) if losses else 0.0,
                "train_runtime": steps * 2.5,
                "train_samples_per_second": round(batch_size * accumulation / 2.5, 3),
                "train_steps_per_second": round(1 / 2.5, 3),
            }
        )
    if edit_rows is not None:
        edit_rows(rows)
    return {
        "best_global_step": None,
        "best_metric": None,
        "best_model_checkpoint": None,
        "epoch": steps / max_steps * epochs,
        "eval_steps": eval_steps or 500,
        "global_step": steps,
        "is_hyper_param_search": False,
        "is_local_process_zero": True,
        "is_world_process_zero": True,
        "log_history": rows,
        "logging_steps": logging_steps,
        "max_steps": max_steps,
        "num_input_tokens_seen": 0,
        "num_train_epochs": epochs,
        "save_steps": save_steps,
        "stateful_callbacks": {
            "TrainerControl": {
                "args": {
                    "should_epoch_stop": False,
                    "should_evaluate": False,
                    "should_log": False,
                    "should_save": True,
                    "should_training_stop": steps == max_steps,
                },
                "attributes": {},
            }
        },
        "total_flos": 1.5e17,
        "train_batch_size": batch_size,
        "trial_name": None,
        "trial_params": None,
    }


def healthy_level(share, start, end, shape=5.0):
    """Fall fast at first, then ever slower, as the guide's corridor does."""
    fallen = (1 - math.exp(-shape * share)) / (1 - math.exp(-shape)) if shape else share
    return start - (start - end) * fallen


def scheduled(step, max_steps, warmup, peak, schedule="linear"):
    """The learning rate of transformers' schedules with warm-up."""
    if step < warmup:
        return peak * step / warmup
    share = (step - warmup) / max(1, max_steps - warmup)
    if schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * share))
    return peak * (1 - share)
