"""Subjects judged one after the other, or in several processes: reports in their order."""

import multiprocessing
import os
import platform
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from pathlib import Path
from threading import Thread
from typing import Final

from colintern.engine.audit import Audit, loaded_audit
from colintern.engine.request import AuditSetup, in_process
from colintern.engine.resolver import Provider
from colintern.engine.subject_report import SubjectReport

_AHEAD: Final = 4
"""Subjects a process that are handed out before the first of them is taken: a report that waits
for its turn is held in memory."""


class WorkersLostError(Exception):
    """A process was killed, so that subjects are left without a verdict."""

    def __init__(self, names: Sequence[str]) -> None:
        """Name them."""
        self.names = tuple(names)
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        super().__init__(
            f"a process that judged was killed; {len(names)} subjects were not judged: {shown}"
        )


_SHOWN: Final = 20
"""Subjects that the message names."""

_audit_here: list[Audit] = []
"""In a worker process, its own audit."""


def reports_in_turn(audit: Audit) -> Iterator[SubjectReport]:
    """Judge every subject in this process; the evidence of one is gone before the next."""
    for subject in audit.setup.subjects:
        yield audit.judged(subject)


def reports_of_workers(
    audit: Audit,
    checks: Sequence[Path],
    live_evidence: Mapping[str, Provider],
    num_processes: int,
) -> Iterator[SubjectReport]:
    """Judge the subjects in processes of their own.

    Args:
        audit: in this process.
        checks: a team's own check files, which every process loads.
        live_evidence: as the audit has it.
        num_processes: how many judge at once.

    Raises:
        WorkersLostError: a process was killed; every subject that could be judged was yielded.
    """
    subjects = audit.setup.subjects
    pool = ProcessPoolExecutor(
        max_workers=min(num_processes, len(subjects)),
        mp_context=_context(),
        initializer=_start,
        initargs=(in_process(audit.setup), checks, dict(live_evidence)),
    )
    lost: list[str] = []
    waiting: deque[tuple[str, Future[SubjectReport]]] = deque()
    try:
        for number, subject in enumerate(subjects):
            try:
                waiting.append((subject.name, pool.submit(_judged, number)))
            except BrokenProcessPool:
                lost.append(subject.name)
            if len(waiting) >= _AHEAD * num_processes:
                yield from _taken(waiting, lost)
        while waiting:
            yield from _taken(waiting, lost)
    finally:
        # However this ends: what was not begun is not begun any more.
        pool.shutdown(cancel_futures=True)
    if lost:
        raise WorkersLostError(lost)


def _taken(
    waiting: deque[tuple[str, Future[SubjectReport]]], lost: list[str]
) -> Iterator[SubjectReport]:
    name, future = waiting.popleft()
    try:
        yield future.result()
    except BrokenProcessPool:
        lost.append(name)


def _start(
    setup: AuditSetup, checks: Sequence[Path], live_evidence: Mapping[str, Provider]
) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        # The parent's own handling came along with the fork: it would keep a process from ending.
        signal.signal(number, signal.SIG_DFL)
    _end_with_the_parent()
    _audit_here[:] = [loaded_audit(setup, live_evidence, checks)]


def _end_with_the_parent() -> None:
    """A parent that was killed cannot stop its processes: they would wait for work for good."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _judged(number: int) -> SubjectReport:
    (audit,) = _audit_here
    return audit.judged(audit.setup.subjects[number])


def _context() -> BaseContext:
    """Fork where that is safe and quick; a new interpreter must not look into this folder."""
    if platform.system() == "Linux":
        return multiprocessing.get_context("fork")
    # A spawned interpreter runs `python -c`, which would import from the current folder first: the
    # audited one, maybe. With this it does not (Python 3.11).
    os.environ["PYTHONSAFEPATH"] = "1"
    return multiprocessing.get_context("spawn")
