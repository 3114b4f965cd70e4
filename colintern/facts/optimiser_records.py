"""Rate, schedule and optimiser of a run, by everybody who asked for them and by the log."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from colintern.artifacts.run.layout import RUN_MANIFEST, TRAINING_ARGS
from colintern.facts.fact import Fact, Witness, fact_of, within_margins
from colintern.facts.run_config import Recorded, RunConfig

_SHOWN_RATE: Final = 1e-6
"""Share by which a rate written as text may differ from the number."""
_ABOVE: Final = 0.05
"""Share that a logged rate may lie above the one that was asked for."""
_BELOW: Final = 0.2
"""Share that a peak may lie below it, as for a schedule that never reached it (sources F08)."""

_SCALARS: Final = {
    "optimiser": "optim",
    "weight decay": "weight_decay",
    "adam_beta1": "adam_beta1",
    "adam_beta2": "adam_beta2",
    "seed": "seed",
}


def optimiser_facts(
    stated: Mapping[str, RunConfig],
    config: RunConfig,
    logged: Witness[float] | None,
    arguments: Mapping[str, Mapping[str, Any]],
) -> Iterable[Fact[Any] | None]:
    """Compare rate, schedule, warm-up, clipping and optimiser.

    Args:
        stated: what each file says, by its name.
        config: what all of them say together.
        logged: the peak that the rows of the log show.
        arguments: every argument as it was recorded, by the file.
    """
    rates = [_asked(each.learning_rate, _SHOWN_RATE) for each in stated.values()]
    is_asked = any(rate is not None for rate in rates)
    yield fact_of("peak learning rate", [*rates, logged if is_asked else None], _rates_agree)
    yield fact_of("schedule", [_asked(each.lr_scheduler_type) for each in stated.values()])
    yield fact_of("warm-up", list(_warmups(stated, config)), within_margins)
    yield fact_of("gradient clipping", [_asked(each.max_grad_norm) for each in stated.values()])
    for name, key in _SCALARS.items():
        yield fact_of(name, [_scalar(values, key, file) for file, values in arguments.items()])


def _asked(recorded: Recorded[Any] | None, precision: float = 0.0) -> Witness[Any] | None:
    if recorded is None:
        return None
    margin = precision * recorded.value if precision else 0.0
    return Witness(value=recorded.value, source=recorded.source, key=recorded.key, margin=margin)


def _scalar(values: Mapping[str, Any], key: str, file: str) -> Witness[Any] | None:
    value = values.get(key)
    if isinstance(value, str):
        return Witness(value=value.rpartition(".")[2].lower()[:100], source=file, key=key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Witness(value=value, source=file, key=key)
    return None


def _rates_agree(first: Witness[float], other: Witness[float]) -> bool:
    """Whether two rates may be one; a logged peak may be missed by the rows, or not be reached."""
    if other.source in {RUN_MANIFEST, TRAINING_ARGS} or other.key == first.key:
        return within_margins(first, other)
    least, most = other.value, other.value + other.margin
    return least <= first.value * (1 + _ABOVE) and most >= first.value * (1 - _BELOW)


def _warmups(stated: Mapping[str, RunConfig], config: RunConfig) -> Iterable[Witness[float] | None]:
    """In steps, so that 60 of 600 steps and a ratio of 0.1 are the same."""
    for each in stated.values():
        found = replace(each, total_steps=config.planned_steps).planned_warmup_steps
        yield (
            None
            if found is None
            else Witness(
                value=found.value,
                source=found.source,
                key=found.key,
                margin=0.5,
                shown=f"{found.value} steps",
            )
        )
