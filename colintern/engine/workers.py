"""Subjects judged one after the other, or in several processes: reports in their order."""

import multiprocessing
import os
import platform
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Final

from colintern.engine.audit import Audit, loaded_audit
from colintern.engine.request import AuditSetup, in_process
from colintern.engine.resolver import Provider
from colintern.engine.subject_report import SubjectReport

_AHEAD: Final = 4
"""Subjects a process that are handed out before the first of them is taken: a report that waits
for its turn is held in memory."""

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
        BrokenProcessPool: a process was killed.
    """
    num_subjects = len(audit.setup.subjects)
    with ProcessPoolExecutor(
        max_workers=min(num_processes, num_subjects),
        mp_context=_context(),
        initializer=_start,
        initargs=(in_process(audit.setup), checks, dict(live_evidence)),
    ) as pool:
        waiting: deque[Future[SubjectReport]] = deque()
        for number in range(num_subjects):
            waiting.append(pool.submit(_judged, number))
            if len(waiting) >= _AHEAD * num_processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _start(
    setup: AuditSetup, checks: Sequence[Path], live_evidence: Mapping[str, Provider]
) -> None:
    _audit_here[:] = [loaded_audit(setup, live_evidence, checks)]


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
