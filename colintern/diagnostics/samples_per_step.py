"""Samples an optimiser step as measured while the run trained, and the processes that follow."""

from typing import Final

from msgspec import Struct

from colintern.diagnostics.run_config import Recorded, RunConfig

_RATE_ROUNDING: Final = 0.0005
"""Half a unit of the third decimal, to which Trainer rounds both rates of its summary row."""

_NEAREST: Final = 0.1
"""Share of one process that the measured ratio may be off a whole number of processes: a dropped
remainder takes up to a step an epoch. Beyond that the row counts something else than samples."""


class SamplesPerStep(Struct, frozen=True):
    """Samples an optimiser step, as the Trainer's summary row of the log has them."""

    low: float
    """Least that the rounding admits."""
    high: float
    """Largest."""
    source: str
    """File and keys."""


def samples_per_step(config: RunConfig) -> SamplesPerStep | None:
    """Return samples a step of the summary row, with what the rounding of its rates admits."""
    samples, steps = config.train_samples_per_second, config.train_steps_per_second
    if samples is None or steps is None or samples.value <= _RATE_ROUNDING:
        return None
    slowest, fastest = steps.value - _RATE_ROUNDING, steps.value + _RATE_ROUNDING
    if exact := _exact_rate(config, slowest, fastest):
        slowest = fastest = exact
    if slowest <= 0:
        return None
    # The last step of an epoch may hold less than a whole batch, or a remainder may be dropped.
    per_epoch = config.steps_per_epoch
    partial = 1 / per_epoch if per_epoch and per_epoch > 1 else 0.0
    return SamplesPerStep(
        (samples.value - _RATE_ROUNDING) / fastest * (1 - partial),
        (samples.value + _RATE_ROUNDING) / slowest * (1 + partial),
        f"{samples.source}: {samples.key} / {steps.key}",
    )


def _exact_rate(config: RunConfig, slowest: float, fastest: float) -> float | None:
    """Steps a second from the counted steps and the runtime, when they agree with the row."""
    if config.train_runtime is None or config.train_runtime.value <= 0:
        return None
    counts = [count.value for count in (config.total_steps, config.global_step) if count]
    rates = (count / config.train_runtime.value for count in counts)
    return next((rate for rate in rates if slowest <= rate <= fastest), None)


def counted_processes(
    device: Recorded[int] | None,
    accumulation: Recorded[int] | None,
    measured: SamplesPerStep | None,
) -> Recorded[int] | None:
    """Count processes from the samples measured; None where no whole number explains them."""
    if device is None or accumulation is None or measured is None:
        return None
    of_one = device.value * accumulation.value
    low, high = measured.low / of_one, measured.high / of_one
    nearest = round((low + high) / 2)
    if nearest < 1 or high - low >= 1:
        return None
    is_whole = low - _NEAREST <= nearest <= high + _NEAREST
    return Recorded(nearest, *measured.source.split(": ", 1)) if is_whole else None
