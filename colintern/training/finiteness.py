"""Stops a run whose loss or gradient is no number: every step after it would be wasted."""

import math
from typing import Any


class NotFiniteError(RuntimeError):
    """The loss or the gradient is NaN or infinite."""


def refuse_not_finite(trainer: Any, name: str, value: Any) -> float:
    """Return a finite `value` as a number; otherwise log it, save the log, and stop.

    Args:
        trainer: its log gets a last row, so that the audit finds what happened.
        name: `loss` or `grad_norm`.
        value: a scalar.

    Raises:
        NotFiniteError: it is NaN or infinite.
    """
    number = float(value)
    if math.isfinite(number):
        return number
    step = trainer.state.global_step + 1
    trainer.log({"loss": math.nan if name == "loss" else 0.0, "grad_norm": number})
    trainer.save_state()
    raise NotFiniteError(
        f"{name} must be a finite number, but it is {number} at step {step}; the last checkpoint "
        "is from before it. In a new folder, lower the learning rate (the guide: 2e-5), add "
        "warm-up steps, or use bf16 instead of fp16; `colintern docs sources N04` says more"
    )
