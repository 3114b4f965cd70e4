"""The audit of one run while it trains: when to judge, what to tell, what to write. No Trainer."""

import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from numbers import Real
from typing import Any, Final

import colintern
from colintern.artifacts import limits
from colintern.artifacts.logs.resource_log import ResourceLog, ResourceRow
from colintern.artifacts.logs.trainer_state import as_trainer_state
from colintern.artifacts.run.layout import LIVE_LOG, LIVE_RECORD, RESOURCE_LOG, TRAINER_STATE
from colintern.artifacts.running.log import append_row, end_with_a_whole_line
from colintern.artifacts.running.record import (
    LiveFinding,
    LiveRecord,
    Status,
    StopOn,
    this_process,
    write_live_record,
)
from colintern.diagnostics.log.loss_trajectory import WHOLE_ROWS
from colintern.engine.policy import Policy
from colintern.engine.rule_fields import Moment
from colintern.engine.running.findings import LiveFindings
from colintern.engine.running.judge import (
    LiveSubject,
    asked_about,
    asked_at,
    judge_live,
    live_rules,
)

logger = logging.getLogger(__name__)

MAX_TIME_SHARE: Final = 0.005
"""Share of the run's time that judging may take: half of the per cent that the audit may cost."""

_FREE_SECONDS: Final = 0.1
"""Judging time of a run that has no length yet."""

_BEAT_SECONDS: Final = 30.0
"""The record is touched so often: an evaluation or a slow step is no silence."""

_ROWS_GROWTH: Final = 20
"""A log is judged again when it has grown by one row in so many: a look at the whole log then
costs no more than a fixed number of looks at each row."""


class LiveAudit:
    """Judges what it is told of a run. A fault of its own never reaches the run."""

    def __init__(
        self,
        subject: LiveSubject,
        *,
        stop_on: StopOn,
        policy: Policy,
        tell: Callable[[LiveFinding], None],
        steps: Sequence[dict[str, float]] = (),
    ) -> None:
        """Prepare to audit.

        Args:
            subject: what is known of the run.
            stop_on: findings that ask for its end.
            policy: waivers.
            tell: gets each finding once, and again when it becomes worse.
            steps: the first steps, a row each, where the Trainer keeps them; it may grow.
        """
        self.subject = subject
        self.stopped_by: str | None = None
        """The rule that asks for the end of the run."""
        self._steps = steps
        self._stop_on, self._policy, self._tell = stop_on, policy, tell
        self._findings = LiveFindings(live_rules(subject.checks))
        self._rows: list[dict[str, float]] = []
        self._resources: list[ResourceRow] = []
        self._header: dict[str, Any] = {}
        self._judged_rows, self._spent, self._began = 0, 0.0, time.monotonic()
        self._started, self._beaten = _now(), time.monotonic()

    @property
    def findings(self) -> tuple[LiveFinding, ...]:
        """What was found so far."""
        return self._findings.found

    def begin(self, header: Mapping[str, Any], history: list[dict[str, Any]]) -> None:
        """Judge what is known before the first step.

        Args:
            header: the keys of the Trainer's state beside its log.
            history: log rows of before an interruption.
        """
        self._header = dict(header)
        self._rows = [_numbers(row) for row in history]
        self.subject.path.mkdir(parents=True, exist_ok=True)
        end_with_a_whole_line(self.subject.path / LIVE_LOG)
        self._judge(self._asked_at("start"))
        self.write("training")
        # The first look imports and compiles; only what comes after is a cost of steps.
        self._spent, self._began = 0.0, time.monotonic()

    def logged(
        self, header: Mapping[str, Any], row: Mapping[str, Any], resources: list[ResourceRow]
    ) -> None:
        """Take in a log row, and judge the run where that is due."""
        began = time.monotonic()
        self._header, self._resources = dict(header), resources
        numbers = _numbers(row)
        self._rows.append(numbers)
        append_row(
            self.subject.path / LIVE_LOG, numbers, step=header["global_step"], time=time.time()
        )
        if self._is_due(numbers):
            self._judge(self._asked_at("course"))
        self._spent += time.monotonic() - began

    def beat(self) -> None:
        """Show that the run goes on, where nothing else is written for a while."""
        now = time.monotonic()
        if now - self._beaten >= _BEAT_SECONDS:
            self._beaten = now
            # Not `touch`: it makes an empty file where a full disk, or a person, left none.
            with suppress(OSError):
                os.utime(self.subject.path / LIVE_RECORD)

    def judge_parts(self, subject: LiveSubject) -> None:
        """Judge again what the first steps have shown of the model."""
        self.subject = subject
        self._judge(asked_about("trained_parts", subject.checks))

    def end(self, status: Status) -> None:
        """Judge a last time, and note how the run ended."""
        self._judge(self._asked_at("course"))
        self.write(status)

    def write(self, status: Status) -> None:
        """Write the record, atomically."""
        steps = self._header.get("max_steps")
        record = LiveRecord(
            colintern=colintern.__version__,
            status=status,
            stop_on=self._stop_on,
            stopped_by=self.stopped_by,
            step=self._header.get("global_step") or 0,
            max_steps=steps if steps and steps > 0 else None,
            started=self._started,
            updated=_now(),
            process=this_process() if status == "training" else None,
            judged=self._findings.judged,
            findings=self._findings.found[: limits.LIVE_FINDINGS],
        )
        write_live_record(self.subject.path / LIVE_RECORD, record)

    def _is_due(self, row: Mapping[str, float]) -> bool:
        if not _is_finite(row):
            return True
        grown = len(self._rows) - self._judged_rows
        elapsed = time.monotonic() - self._began
        affordable = self._spent <= _FREE_SECONDS + MAX_TIME_SHARE * elapsed
        return affordable and grown >= max(1, len(self._rows) // _ROWS_GROWTH)

    def _asked_at(self, moment: Moment) -> tuple[str, ...]:
        return asked_at(moment, self.subject.checks)

    def _judge(self, rules: tuple[str, ...]) -> None:
        self._judged_rows = len(self._rows)
        folder = self.subject.path
        document = {**self._header, "log_history": self._telling_rows()}
        log = as_trainer_state(folder / TRAINER_STATE, document)
        resources = ResourceLog(folder / RESOURCE_LOG, tuple(self._resources))
        results = judge_live(rules, self.subject, log, resources, self._policy)
        step = self._header.get("global_step") or 0
        before = self._findings.found
        for finding in self._findings.note(results, step):
            self._tell(finding)
            self._ask_to_stop(finding)
        if [_essence(each) for each in before] != [_essence(each) for each in self._findings.found]:
            self.write("training")

    def _telling_rows(self) -> list[dict[str, float]]:
        """Return the log, or the steps one by one as long as the log has too few rows."""
        num_rows = sum("loss" in row for row in self._rows)
        steps = self._steps
        # Those of a run that went on from a checkpoint are not its first.
        if num_rows >= WHOLE_ROWS or len(steps) <= num_rows or steps[0]["step"] != 1:
            return self._rows
        # A step that ended the run by a NaN is in the log only.
        if not all(_is_finite(row) for row in self._rows):
            return self._rows
        return [*steps, *(row for row in self._rows if "loss" not in row)]

    def _ask_to_stop(self, finding: LiveFinding) -> None:
        stops = {"never": (), "error": ("error",), "warning": ("error", "warning")}
        if self.stopped_by is None and finding.severity in stops[self._stop_on]:
            self.stopped_by = finding.rule


def _is_finite(row: Mapping[str, float]) -> bool:
    return all(math.isfinite(value) for value in row.values())


def _essence(finding: LiveFinding) -> tuple[object, ...]:
    """What of a finding makes the file worth writing anew; its last step alone does not."""
    return finding.rule, finding.severity, finding.holds, finding.explained_by


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """Keep the numbers of a row, whatever number types its Trainer logs."""
    return {
        key: float(value)
        for key, value in row.items()
        if not isinstance(value, bool) and isinstance(value, Real)
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
