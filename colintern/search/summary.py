"""A study as rows for a person, in the terminal and in the page."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from optuna.trial import FrozenTrial, TrialState

from colintern.artifacts.printable import printable
from colintern.search.places import DIED, GIVEN_UP, Place, best_of
from colintern.search.sampler import OUT_OF_MEMORY
from colintern.search.worker import FAILURE

_NOTE_CHARACTERS: Final = 90


class TrialRow(Struct, frozen=True, kw_only=True):
    """One place of a study, in words."""

    number: int
    """Of the trial that counts, as its folder has it."""
    state: str
    value: float | None
    """NDCG@5; of a pruned trial the last one that was measured."""
    params: dict[str, str]
    minutes: float | None
    note: str
    is_best: bool


def trial_rows(places: Sequence[Place]) -> list[TrialRow]:
    """Return a row for every place."""
    best = best_of(places)
    return [_row(place, is_best=best is not None and best is place.trial) for place in places]


def parameter_names(rows: Sequence[TrialRow]) -> list[str]:
    """Return the names of all parameters, in the order in which they came."""
    return list(dict.fromkeys(name for row in rows for name in row.params))


def table_text(rows: Sequence[TrialRow]) -> str:
    """Return the study as a table; the best trial has an asterisk."""
    names = parameter_names(rows)
    lines = [["trial", "state", "NDCG@5", *map(_short, names), "min", ""]]
    lines += [
        [
            f"{row.number}{'*' if row.is_best else ''}",
            row.state,
            "" if row.value is None else f"{row.value:.3f}",
            *(row.params.get(name, "") for name in names),
            "" if row.minutes is None else f"{row.minutes:.1f}",
            row.note,
        ]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_aligned(line, widths) for line in lines)


def counts_text(places: Sequence[Place]) -> str:
    """Return how many trials are in which state."""
    rows = trial_rows(places)
    states = dict.fromkeys(row.state for row in rows)
    parts = [f"{sum(row.state == state for row in rows)} {state}" for state in states]
    return ", ".join(parts) or "no trials"


def value_text(value: object) -> str:
    """Return a parameter's value for a person."""
    return f"{value:.3g}" if isinstance(value, float) else printable(value, limit=40)


def _row(place: Place, *, is_best: bool) -> TrialRow:
    trial = place.trial
    return TrialRow(
        number=trial.number,
        state=_state(place),
        value=_value(trial),
        params={
            printable(name, limit=40): value_text(value) for name, value in trial.params.items()
        },
        minutes=None if trial.duration is None else trial.duration.total_seconds() / 60,
        note=_note(place),
        is_best=is_best,
    )


def _state(place: Place) -> str:
    if place.is_owed:
        return "waiting"
    return "completed" if place.trial.state == TrialState.COMPLETE else _lower(place.trial)


def _lower(trial: FrozenTrial) -> str:
    name = trial.state.name.lower()
    return "failed" if name == "fail" else name


def _value(trial: FrozenTrial) -> float | None:
    if trial.state == TrialState.FAIL:
        return None
    return trial.value if trial.value is not None else None


def _note(place: Place) -> str:
    trial = place.trial
    parts = []
    if trial.user_attrs.get(GIVEN_UP) == DIED:
        parts.append("its worker died, and the one before" if not place.is_owed else "worker died")
    reason = trial.user_attrs.get(FAILURE)
    if reason is not None:
        parts.append(printable(reason, limit=_NOTE_CHARACTERS))
    elif OUT_OF_MEMORY in trial.user_attrs:
        parts.append("out of memory")
    if len(place.trials) > 1:
        numbers = ", ".join(str(each.number) for each in place.trials[:-1])
        parts.append(f"in place of {numbers}")
    return "; ".join(parts)


def _short(name: str) -> str:
    """Return a name that leaves room for others."""
    return {"per_device_train_batch_size": "batch", "learning_rate": "rate"}.get(
        name, name.removeprefix("lora.")
    )


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
    return "  ".join(cells).rstrip()
