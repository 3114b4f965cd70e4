"""The effective batch size of a run and the pages each query is compared with."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from colintern.artifacts.run.layout import RUN_MANIFEST, TRAINER_STATE, TRAINING_ARGS
from colintern.facts.loss_classes import has_batch_pages_only
from colintern.facts.run_config import Recorded, RunConfig

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


def shares_batches(arguments: Mapping[str, Any]) -> bool:
    """Whether a step has other rows than per-device batch x accumulation x processes.

    `split_batches` shares one batch among the processes; sentence-transformers' round robin ends an
    epoch with its smallest dataset.
    """
    settings = arguments.get("accelerator_config")
    is_split = isinstance(settings, Mapping) and settings.get("split_batches") is True
    sampler = str(arguments.get("multi_dataset_batch_sampler") or "").lower()
    return is_split or "round" in sampler


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


class Overstated(Struct, frozen=True):
    """A recorded number of queries or pages that the run's own settings cannot give."""

    recorded: Recorded[int]
    possible: int
    """The largest that they can give."""
    reason: str
    """Why, after the number: `64 by ...`."""

    def __str__(self) -> str:
        name, file = self.recorded.key, self.recorded.source
        return f"{name} {self.recorded.value:,} in {file}, {self.possible:,} {self.reason}"


class BatchSize(Struct, frozen=True, kw_only=True):
    """Queries at once, as far as the run recorded it."""

    per_device: Recorded[int] | None = None
    """Queries a forward pass of one process; under DataParallel all its GPUs together."""
    accumulation: Recorded[int] | None = None
    """Forward passes an optimiser step."""
    world_size: Recorded[int] | None = None
    """Processes that trained together."""
    effective_low: float | None = None
    """Least number of queries an optimiser step that the evidence admits."""
    effective_high: float | None = None
    """Largest number that the evidence admits; infinite when only a lower bound is known."""
    candidates: int | None = None
    """Pages that each query is compared with when pages of all processes are gathered."""
    recorded_candidates: int | None = None
    """The same where the run recorded it: cached batches compare more than one forward pass."""
    least_candidates: int | None = None
    """The same for one process alone: known also when the world size is not."""
    source: str = ""
    """Files and keys that the effective batch was read from."""
    candidates_source: str = ""
    """Files and keys that the candidates were read from."""
    overstated: tuple[Overstated, ...] = ()
    """Recorded numbers that were set aside, because their own parts do not add up to them."""

    @property
    def gathers_always(self) -> bool:
        """Whether the run recorded that queries are compared with the pages of all processes."""
        if self.per_device is None or self.world_size is None or self.recorded_candidates is None:
            return False
        return self.recorded_candidates >= self.per_device.value * self.world_size.value

    def reaches(self, least: int) -> bool | None:
        """Whether an optimiser step has `least` queries; None inside the error of the evidence."""
        if self.effective_low is None or self.effective_high is None:
            return None
        if math.ceil(self.effective_low) >= least:
            return True
        return None if self.effective_high >= least else False

    @property
    def effective(self) -> int | None:
        """Queries an optimiser step, where the evidence admits one whole number only."""
        if self.effective_low is None or self.effective_high is None:
            return None
        least, most = math.ceil(self.effective_low), self.effective_high
        return least if most < least + 1 else None

    @property
    def error(self) -> float:
        """Largest distance of the true effective batch from the middle of what is admitted."""
        if self.effective_low is None or self.effective_high is None:
            return math.inf
        return (self.effective_high - self.effective_low) / 2

    def __str__(self) -> str:
        if self.effective_low is None or self.effective_high is None:
            return "unknown"
        if self.effective is not None:
            return f"{self.effective:,}"
        if math.isinf(self.effective_high):
            return f"at least {math.ceil(self.effective_low):,}"
        return f"{self.effective_low:,.1f} to {self.effective_high:,.1f}"


def batch_size(config: RunConfig) -> BatchSize:
    """Work the batch out from what the run recorded.

    The order: the number that the run counted; per-device batch x accumulation x processes, with
    the processes counted from the measured samples a step where they were not recorded; the total
    of a model card; samples a step alone, with its rounding error; per-device batch x accumulation
    as a lower bound. A counted number is set aside where it is more than its own parts give, and so
    are pages beyond the queries of a step.
    """
    device = _of_one_process(config)
    accumulation = config.gradient_accumulation_steps
    measured = samples_per_step(config)
    world = config.world_size or counted_processes(device, accumulation, measured)
    total = _overstated_total(config, device, accumulation, world, measured)
    counted = None if total else config.effective_batch_size
    low, high, source = _effective(config, counted, device, accumulation, world, measured)
    pages = _overstated_pages(config, low, high)
    candidates = None if pages else config.candidates
    return BatchSize(
        per_device=device,
        accumulation=accumulation,
        world_size=world,
        effective_low=low,
        effective_high=high,
        candidates=_candidates(candidates, device, world),
        recorded_candidates=candidates.value if candidates else None,
        least_candidates=device.value if device else None,
        source=source,
        candidates_source=candidates.where if candidates else _files(device, world),
        overstated=tuple(one for one in (total, pages) if one is not None),
    )


def _of_one_process(config: RunConfig) -> Recorded[int] | None:
    """The batch of one process; `train_batch_size` of the log has it with all its GPUs."""
    asked, logged, gpus = (
        config.per_device_train_batch_size,
        config.train_batch_size,
        config.n_gpu,
    )
    found_to_fit = config.auto_find_batch_size is not None and config.auto_find_batch_size.value
    if logged is not None and (asked is None or found_to_fit):
        return logged
    if asked is None:
        return None
    if gpus is not None and gpus.value > 1:
        return Recorded(asked.value * gpus.value, asked.source, f"{asked.key} x {gpus.key}")
    if gpus is None and logged is not None and logged.value != asked.value:
        return logged if logged.value % asked.value == 0 else asked
    return asked


def _effective(  # noqa: PLR0917 - one place for the order in which the sources are asked
    config: RunConfig,
    counted: Recorded[int] | None,
    device: Recorded[int] | None,
    accumulation: Recorded[int] | None,
    world: Recorded[int] | None,
    measured: SamplesPerStep | None,
) -> tuple[float | None, float | None, str]:
    if counted:
        return counted.value, counted.value, counted.where
    if device and accumulation and world:
        product = device.value * accumulation.value * world.value
        return product, product, _files(device, accumulation, world)
    if told := config.total_train_batch_size:
        return told.value, told.value, told.where
    if measured:
        return measured.low, measured.high, measured.source
    if device is None:
        return None, None, ""
    at_least = device.value * (accumulation.value if accumulation else 1)
    return at_least, math.inf, _files(device, accumulation)


def _overstated_total(
    config: RunConfig,
    device: Recorded[int] | None,
    accumulation: Recorded[int] | None,
    world: Recorded[int] | None,
    measured: SamplesPerStep | None,
) -> Overstated | None:
    """Return the counted total where it is more than per-device batch x accumulation x processes.

    The samples measured a step decide, where the log has them and the run was planned in epochs:
    Trainer takes those of a run planned in steps from these same parts. Else a cached batch,
    recorded as `contrastive_batch_size`, may explain more.
    """
    counted, cached = config.effective_batch_size, config.contrastive_batch_size
    if not (counted and device and accumulation and world):
        return None
    steps = accumulation.value * world.value
    if counted.value <= device.value * steps:
        return None
    if measured and config.max_steps is None:
        seen = counted_processes(device, accumulation, measured)
        is_possible = seen is None or seen.value != world.value
    else:
        is_possible = cached is not None and counted.value <= cached.value * steps
    if is_possible:
        return None
    parts = " x ".join(part.key for part in (device, accumulation, world))
    return Overstated(counted, device.value * steps, f"by {parts}")


def _overstated_pages(
    config: RunConfig, low: float | None, high: float | None
) -> Overstated | None:
    """Return the recorded candidates where a step has fewer queries and each brings one page."""
    pages, loss = config.candidates, config.loss_class
    is_exact = low is not None and low == high
    if pages is None or not is_exact or not (loss is None or has_batch_pages_only(loss.value)):
        return None
    possible = int(low or 0)
    reason = "queries in a step"
    return Overstated(pages, possible, reason) if pages.value > possible else None


def _candidates(
    recorded: Recorded[int] | None, device: Recorded[int] | None, world: Recorded[int] | None
) -> int | None:
    if recorded is not None:
        return recorded.value
    return device.value * world.value if device and world else None


def _files(*values: Recorded[int] | None) -> str:
    """Each place once: `training_args.bin: per_device_train_batch_size, ...`."""
    keys: dict[str, list[str]] = {}
    for value in values:
        if value is not None:
            keys.setdefault(value.source, []).append(value.key)
    return "; ".join(f"{source}: {', '.join(named)}" for source, named in keys.items())


_ARGUMENTS = frozenset({RUN_MANIFEST, TRAINING_ARGS})
"""Written by the run itself; a model card is edited by hand."""


def log_contradictions(config: RunConfig) -> tuple[str, ...]:
    """Name every argument that the log contradicts and every total that the arguments contradict.

    Each comes with both figures.
    """
    return (*_contradictions(config), *map(str, batch_size(config).overstated))


def _contradictions(config: RunConfig) -> Iterator[str]:
    epochs, logged = config.num_train_epochs, config.logged_epochs
    # With `max_steps` the Trainer ignores the epochs asked for and logs what the steps amount to.
    if config.max_steps is None and epochs and epochs.value > 0:
        # The Trainer logs epochs rounded up.
        agree = logged is not None and math.ceil(epochs.value) == logged.value
        yield from _pair(epochs, logged, agree=agree)
    steps, total = config.max_steps, config.total_steps
    agree = steps is not None and total is not None and steps.value == total.value
    yield from _pair(steps, total, agree=agree)
    asked, batch = config.per_device_train_batch_size, config.train_batch_size
    halved = config.auto_find_batch_size is not None and config.auto_find_batch_size.value
    # Under DataParallel the log has the batch of all GPUs of a process.
    is_multiple = asked is not None and batch is not None and batch.value % asked.value == 0
    yield from _pair(asked, batch, agree=halved or is_multiple)


def _pair(
    asked: Recorded[int] | Recorded[float] | None,
    logged: Recorded[int] | None,
    *,
    agree: bool,
) -> Iterator[str]:
    if asked is None or logged is None or agree:
        return
    if asked.source in _ARGUMENTS and logged.source == TRAINER_STATE:
        yield f"{asked.key} {asked.value:g} in {asked.source}, {logged.value:g} in {logged.source}"
