"""Batch, steps and epochs of a run, by everybody who asked for them, counted or logged them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from colintern.artifacts.run.layout import MODEL_CARD, RUN_MANIFEST
from colintern.artifacts.run.manifest import DatasetRecord
from colintern.facts.batch_size import BatchSize, samples_per_step
from colintern.facts.fact import Fact, Witness, fact_of, within_margins
from colintern.facts.run_config import Recorded, RunConfig

_HELD_OUT: Final = ("test", "val", "dev", "eval")
_EPOCH_MARGIN: Final = 0.005
"""Half a unit of the second decimal, to which older logs round the epoch."""
_DROPPED: Final = 0.25
"""Share of the rows that a sampler may leave out of an epoch: no page twice in a batch, whole
batches of one source only. More steps than the rows fill, nothing explains."""

_ASKED: Final = {
    "per-device batch": "per_device_train_batch_size",
    "accumulation": "gradient_accumulation_steps",
    "processes": "world_size",
    "epochs": "num_train_epochs",
    "max_steps": "max_steps",
}


def asked_facts(stated: Mapping[str, RunConfig]) -> Iterable[Fact[Any] | None]:
    """Compare what was asked for; what the log says of it is set against the arguments elsewhere.

    Args:
        stated: what each file says, by its name, the run's own records first.
    """
    has_steps = any(config.max_steps is not None for config in stated.values())
    for name, field in _ASKED.items():
        # With `max_steps` the Trainer ignores the epochs, and cards then name either.
        if field != "num_train_epochs" or not has_steps:
            yield fact_of(name, _said(stated, field))


def _said(stated: Mapping[str, RunConfig], field: str) -> Iterable[Witness[Any] | None]:
    for config in stated.values():
        recorded: Recorded[Any] | None = getattr(config, field)
        yield None if recorded is None else _witness(recorded)


def _witness(recorded: Recorded[Any]) -> Witness[Any]:
    return Witness(value=recorded.value, source=recorded.source, key=recorded.key)


def effective_batch_fact(
    config: RunConfig, batch: BatchSize, stated: Mapping[str, RunConfig]
) -> Fact[float] | None:
    """Compare queries an optimiser step: measured, multiplied from its parts, counted and told.

    What a run counted beyond its parts was set aside, and another rule names it.
    """
    asked, told = stated.get(RUN_MANIFEST), stated.get(MODEL_CARD)
    counted = asked.effective_batch_size if asked else None
    total = told.total_train_batch_size if told else None
    set_aside = {each.recorded.key for each in batch.overstated}
    witnesses = (
        _product(config, batch),
        _witness(counted) if counted and counted.key not in set_aside else None,
        _witness(total) if total else None,
        _measured(config),
    )
    return fact_of("effective batch", witnesses, _batches_agree)


def _product(config: RunConfig, batch: BatchSize) -> Witness[float] | None:
    parts = (batch.per_device, batch.accumulation, config.world_size)
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    sources = " and ".join(dict.fromkeys(part.source for part in known))
    keys = " x ".join(part.key for part in known)
    product = math.prod(part.value for part in known)
    return Witness(value=product, source=sources, key=keys)


def _measured(config: RunConfig) -> Witness[float] | None:
    found = samples_per_step(config)
    if found is None:
        return None
    source, _, key = found.source.partition(": ")
    middle = (found.low + found.high) / 2
    # An optimiser step may drop what accumulation leaves over, beside a part of a batch.
    return Witness(
        value=middle, source=source, key=key, margin=found.high - found.low, shown=f"{middle:.1f}"
    )


def _batches_agree(first: Witness[float], other: Witness[float]) -> bool:
    if other.margin:
        return _fits(stated=first.value, seen=other.value, margin=other.margin)
    if first.margin:
        return _fits(stated=other.value, seen=first.value, margin=first.margin)
    return within_margins(first, other)


def _fits(*, stated: float, seen: float, margin: float) -> bool:
    """Whether rows an optimiser step fit a batch: rows left out make them more, never fewer."""
    return stated - margin <= seen <= stated / (1 - _DROPPED) + margin


def epoch_steps_fact(
    config: RunConfig, batch: BatchSize, datasets: Iterable[DatasetRecord]
) -> Fact[float] | None:
    """Compare the optimiser steps of an epoch: logged, and by rows and batch.

    The rows fill between rows / batch rounded down at every turn and rounded up; the log rounds
    the epoch.
    """
    trained = [each for each in datasets if not (each.split or "").startswith(_HELD_OUT)]
    rows = sum(each.rows or 0 for each in trained)
    logged, effective = config.steps_per_epoch, batch.effective
    if not logged or not effective or not trained or not all(each.rows for each in trained):
        return None
    by_rows = rows / effective
    total = config.total_steps or config.global_step
    first = Witness(
        value=logged,
        source=total.source if total else "",
        key="steps / epochs",
        margin=_epoch_error(config, logged),
        shown=f"{logged:.1f}",
    )
    second = Witness(
        value=by_rows,
        source=RUN_MANIFEST,
        key=f"{rows:,} rows / batch {effective:,}",
        margin=2.0,
        shown=f"{by_rows:.1f}",
    )
    return fact_of("steps an epoch", (first, second), _steps_agree)


def _epoch_error(config: RunConfig, logged: float) -> float:
    is_planned = config.max_steps is None and config.num_train_epochs is not None
    if is_planned or config.epoch is None or config.epoch.value <= 0:
        return 0.0
    return logged * min(1.0, _EPOCH_MARGIN / config.epoch.value)


def _steps_agree(logged: Witness[float], by_rows: Witness[float]) -> bool:
    slack = logged.margin + by_rows.margin
    return by_rows.value * (1 - _DROPPED) - slack <= logged.value <= by_rows.value + slack
