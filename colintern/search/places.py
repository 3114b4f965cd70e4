"""Which trials of a study count: a study has so many places, and each trial takes one.

A worker may die in the middle of a trial. That trial is recorded as failed, and another one is put
in its place, once. So the trials of a study are more than its places, and what `--trials N` counts
is places. Every worker finds the same answer from the same trials, whatever the storage: the order
of the trials' numbers, which is the one thing that storages hand out without a gap or a double.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from optuna.trial import FrozenTrial, TrialState

RETRY_OF: Final = "retry_of"
"""Attribute of a trial: the number of the trial in whose place it is."""
GIVEN_UP: Final = "given_up"
"""Attribute of a trial without a result: `DIED`, or `INTERRUPTED`."""
SURPLUS: Final = "surplus"
"""Attribute of a trial that two workers began at once, and one took back."""
DIED: Final = "died"
INTERRUPTED: Final = "interrupted"

MOST_DEATHS: Final = 2
"""Of a place: whatever killed the second worker too may be the trial."""


class Place(Struct, frozen=True):
    """One of the trials that a user asked for."""

    number: int
    trials: tuple[FrozenTrial, ...]
    """The first trial of the place, and those that stood in for it."""
    is_owed: bool
    """Whether its last trial has no result and another one must stand in for it."""

    @property
    def trial(self) -> FrozenTrial:
        """The trial that counts."""
        return self.trials[-1]

    @property
    def is_finished(self) -> bool:
        """Whether it has come to an end: completed, pruned or failed."""
        return self.trial.state.is_finished() and not self.is_owed

    @property
    def is_waiting(self) -> bool:
        """Whether its trial is ready for a worker."""
        return self.trial.state == TrialState.WAITING

    @property
    def is_running(self) -> bool:
        """Whether a worker has its trial."""
        return self.trial.state == TrialState.RUNNING


def places_of(trials: Iterable[FrozenTrial]) -> tuple[Place, ...]:
    """Return the places of a study, in the order of their first trials' numbers."""
    ordered = sorted(trials, key=lambda trial: trial.number)
    known = [trial for trial in ordered if not trial.user_attrs.get(SURPLUS)]
    stand_ins: dict[int, FrozenTrial] = {}
    for trial in known:
        replaced = trial.user_attrs.get(RETRY_OF)
        if isinstance(replaced, int):
            # The first one counts, where two workers put a trial in the same place.
            stand_ins.setdefault(replaced, trial)
    first = (trial for trial in known if not isinstance(trial.user_attrs.get(RETRY_OF), int))
    return tuple(_place(number, trial, stand_ins) for number, trial in enumerate(first))


def place_of(places: Sequence[Place], number: int) -> Place | None:
    """Return the place that the trial `number` has now; None when it has none."""
    return next((place for place in places if place.trial.number == number), None)


def _place(number: int, first: FrozenTrial, stand_ins: Mapping[int, FrozenTrial]) -> Place:
    trials = [first]
    while _without_result(trials[-1]) and trials[-1].number in stand_ins:
        trials.append(stand_ins[trials[-1].number])
    died = sum(trial.user_attrs.get(GIVEN_UP) == DIED for trial in trials)
    is_owed = _without_result(trials[-1]) and died < MOST_DEATHS
    return Place(number, tuple(trials), is_owed)


def _without_result(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and trial.user_attrs.get(GIVEN_UP) is not None


def best_of(places: Iterable[Place]) -> FrozenTrial | None:
    """Return the completed trial with the highest value, the first of equals."""
    done = [place.trial for place in places if place.trial.state == TrialState.COMPLETE]
    valued = [trial for trial in done if trial.value is not None]
    return max(valued, key=_by_value, default=None)


def _by_value(trial: FrozenTrial) -> Any:
    return trial.value, -trial.number
