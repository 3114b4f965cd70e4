"""Whether a worker is still at its trial: a heartbeat in the study, and its process if it is here.

Optuna's own heartbeat is for databases only, and compares clocks of different machines. Here a
worker that looks after others notes when it last saw a heartbeat change, by its own clock.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

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

logger = logging.getLogger(__name__)


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
