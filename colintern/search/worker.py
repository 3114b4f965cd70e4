"""A worker: does trials of a study until so many are finished, whoever else is at it.

Workers know of each other through the study alone. They may start and die at any moment, on any
machine: a trial whose worker has died is put up again, once.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Final, Literal, Self

import optuna
from msgspec import Struct
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from colintern.search.places import (
    DIED,
    GIVEN_UP,
    INTERRUPTED,
    RETRY_OF,
    SURPLUS,
    Place,
    place_of,
    places_of,
)

HEARTBEAT: Final = "heartbeat"
"""Attribute of a trial: a count that grows while its worker lives."""
WORKER: Final = "worker"
"""Attribute of a trial: the process that has it."""

INTERVAL_SECONDS: Final = 15.0
GRACE_SECONDS: Final = 90.0
"""A heartbeat that has not changed for so long has stopped: six were due."""

_UNKNOWN: Final = "unknown"
_START_FIELD: Final = 22 - 3
"""`starttime` of proc(5), counted from the state."""


def this_worker() -> str:
    """Return a name of this process that no other process has: machine, namespace, id and start."""
    return f"{_machine()}/{os.getpid()}/{_start_of(os.getpid())}"


def is_dead(worker: object) -> bool:
    """Whether `worker` is a process of this machine that has ended; False when nobody can tell."""
    parts = worker.rsplit("/", 2) if isinstance(worker, str) else []
    if len(parts) != len(("machine", "process", "start")) or not parts[1].isdecimal():
        return False
    machine, process, started = parts
    if machine != _machine() or _UNKNOWN in parts:
        return False
    return _start_of(int(process)) != started


class Heartbeat:
    """Writes a heartbeat of one trial while the block runs."""

    def __init__(self, storage: BaseStorage, trial_id: int, *, interval: float) -> None:
        """Beat every `interval` seconds."""
        self.lost = threading.Event()
        """Set when the trial was given to another worker."""
        self._storage = storage
        self._trial_id = trial_id
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._storage.set_trial_user_attr(self._trial_id, WORKER, this_worker())
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        beat = 0
        while not self._stop.wait(self._interval):
            beat += 1
            try:
                self._storage.set_trial_user_attr(self._trial_id, HEARTBEAT, beat)
            except UpdateFinishedTrialError:
                self.lost.set()
                return
            except Exception as error:  # noqa: BLE001 - a database that is away may come back
                logger.warning("the heartbeat could not be written: %s", error)


class Watch:
    """Notes how long the heartbeats of other workers' trials have not changed."""

    def __init__(
        self, *, grace: float, clock: Callable[[], float] = time.monotonic, worker: str = ""
    ) -> None:
        """Give a worker up after `grace` seconds without a sign of it."""
        self._grace = grace
        self._clock = clock
        self._worker = worker
        self._seen: dict[int, tuple[Any, float]] = {}

    def has_died(self, trial: FrozenTrial) -> bool:
        """Whether the worker of a running `trial` has died."""
        worker = trial.user_attrs.get(WORKER)
        if worker is not None and worker == self._worker:
            return False
        sign = (worker, trial.user_attrs.get(HEARTBEAT))
        now = self._clock()
        before = self._seen.get(trial.number)
        if before is None or before[0] != sign:
            self._seen[trial.number] = (sign, now)
            return is_dead(worker)
        return now - before[1] > self._grace or is_dead(worker)


def _machine() -> str:
    """Name the space in which process ids mean the same; a container has its own."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return _UNKNOWN


def _start_of(process: int) -> str:
    """Return when a process began, in ticks since the machine started; `gone` when it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "gone"
    # Field 3 of proc(5) is the state; a zombie has ended, and only waits to be noticed.
    return "gone" if fields[0] in {"Z", "X"} else fields[_START_FIELD]


FAILURE: Final = "failure"
"""Attribute of a trial: why it failed or was pruned, for a person."""

_STATES: Final = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
_RESUMED: Final = ("interrupted", "broken")
_POLL_SECONDS: Final = 2.0
_FAILURES_IN_A_ROW: Final = 3
"""After so many the fault is not in the hyperparameters."""

logger = logging.getLogger(__name__)


class SearchError(RuntimeError):
    """A search that cannot go on."""


class Outcome(Struct, frozen=True):
    """What became of a trial."""

    state: Literal["complete", "pruned", "failed", "interrupted", "broken", "lost"]
    """`interrupted`: a person stopped the worker. `broken`: this worker can do no trial, and others
    may do this one. `lost`: another worker has it now."""
    value: float | None = None
    reason: str = ""
    by_params: bool = False
    """Whether it failed because of its hyperparameters, as a search has to expect."""


Objective = Callable[[optuna.Trial, Event], Outcome]
"""Does one trial; the event tells that the trial was given to another worker."""


class Worker:
    """Does trials of one study."""

    def __init__(
        self,
        study: Study,
        storage: BaseStorage,
        objective: Objective,
        *,
        interval: float = INTERVAL_SECONDS,
        grace: float = GRACE_SECONDS,
        poll: float = _POLL_SECONDS,
        after_trial: Callable[[], None] = lambda: None,
    ) -> None:
        """Work on `study`, which is kept in `storage`.

        Args:
            study: to work on.
            storage: as it was opened.
            objective: does a trial.
            interval: seconds between two heartbeats.
            grace: seconds without a heartbeat after which a worker is taken for dead.
            poll: seconds between two looks at the study while there is nothing to do.
            after_trial: called whenever a trial of this worker has ended.
        """
        self._study = study
        self._storage = storage
        self._objective = objective
        self._interval = interval
        self._poll = poll
        self._after_trial = after_trial
        self._watch = Watch(grace=grace, worker=this_worker())
        self._failures = 0

    def run(self, num_trials: int) -> bool:
        """Work until `num_trials` of the study are finished.

        Returns:
            True; False when a person stopped this worker.

        Raises:
            SearchError: this worker can do no trial, or trial after trial fails.
        """
        told = None
        while True:
            places = self.look_after()
            finished = sum(place.is_finished for place in places)
            if finished >= num_trials:
                return True
            waiting = any(place.is_waiting for place in places[:num_trials])
            if len(places) < num_trials or waiting:
                if not self._next_trial(num_trials):
                    return False
            else:
                if told != finished:
                    logger.info("waiting for %d trials of other workers", num_trials - finished)
                told = finished
                time.sleep(self._poll)

    def look_after(self) -> tuple[Place, ...]:
        """Give up trials whose workers have died, and put others in their places."""
        for place in self._places():
            if place.is_running and self._watch.has_died(place.trial):
                logger.warning("trial %d: its worker has died", place.trial.number)
                self._give_up(place.trial, DIED)
        for place in self._places():
            if place.is_owed:
                self._put_up_again(place.trial)
        return self._places()

    def _places(self) -> tuple[Place, ...]:
        return places_of(self._study.get_trials(deepcopy=False))

    def _next_trial(self, num_trials: int) -> bool:
        trial = self._study.ask()
        with Heartbeat(self._storage, trial._trial_id, interval=self._interval) as heart:  # noqa: SLF001 - storages know trials by it
            place = place_of(self._places(), trial.number)
            if place is None or place.number >= num_trials:
                self._take_back(trial)
                return True
            outcome = _checked(self._outcome(trial, heart.lost))
        self._record(trial, outcome)
        self._after_trial()
        if outcome.state == "broken":
            raise SearchError(outcome.reason)
        self._count_failures(outcome)
        return outcome.state != "interrupted"

    def _outcome(self, trial: optuna.Trial, lost: Event) -> Outcome:
        try:
            return self._objective(trial, lost)
        except KeyboardInterrupt:
            return Outcome("interrupted")
        except UpdateFinishedTrialError:
            return Outcome("lost")

    def _record(self, trial: optuna.Trial, outcome: Outcome) -> None:
        try:
            if outcome.reason:
                trial.set_user_attr(FAILURE, outcome.reason)
            if outcome.state in _RESUMED:
                trial.set_user_attr(GIVEN_UP, INTERRUPTED)
            state = _STATES.get(outcome.state, TrialState.FAIL)
            self._study.tell(trial, outcome.value, state=state)
        except (UpdateFinishedTrialError, ValueError):
            # This worker was taken for dead, and another one does the trial.
            logger.warning("trial %d is another worker's now: not counted here", trial.number)
            return
        if outcome.state in _RESUMED:
            self.look_after()

    def _take_back(self, trial: optuna.Trial) -> None:
        trial.set_user_attr(SURPLUS, True)
        self._study.tell(trial, state=TrialState.FAIL)

    def _give_up(self, trial: FrozenTrial, reason: str) -> None:
        try:
            self._storage.set_trial_user_attr(trial._trial_id, GIVEN_UP, reason)  # noqa: SLF001 - as above
            self._study.tell(trial.number, state=TrialState.FAIL)
        except (UpdateFinishedTrialError, ValueError):
            logger.debug("trial %d has ended meanwhile", trial.number)

    def _put_up_again(self, trial: FrozenTrial) -> None:
        gone = {GIVEN_UP, HEARTBEAT, WORKER, FAILURE}
        kept = {key: value for key, value in trial.user_attrs.items() if key not in gone}
        attributes: dict[str, Any] = {**kept, RETRY_OF: trial.number}
        resumed = trial.user_attrs.get(GIVEN_UP) == INTERRUPTED
        self._study.add_trial(
            create_trial(
                state=TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs=attributes if resumed else {RETRY_OF: trial.number},
                intermediate_values=trial.intermediate_values if resumed else None,
            )
        )

    def _count_failures(self, outcome: Outcome) -> None:
        failed = outcome.state == "failed" and not outcome.by_params
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= _FAILURES_IN_A_ROW:
            raise SearchError(
                f"{self._failures} trials in a row failed, the last one because "
                f"{outcome.reason or 'of no known reason'}"
            )


def _checked(outcome: Outcome) -> Outcome:
    """Return `outcome`; a trial cannot complete without a value."""
    if outcome.state != "complete":
        return outcome
    if outcome.value is None or not math.isfinite(outcome.value):
        return Outcome("failed", reason=f"its value must be a number, but it is {outcome.value}")
    return outcome
