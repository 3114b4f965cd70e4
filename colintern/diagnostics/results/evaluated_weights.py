"""Whose results these are: hashes and dates of the evaluation beside those of the weights."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import listed, printable
from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.task_result import result_sha256

CLOCK_TOLERANCE_SECONDS: Final = 3600.0
"""Between the clocks of two machines."""


class EvaluatedWeights(Struct, frozen=True):
    """Which weights were evaluated, beside those that are judged."""

    recorded_sha256: str | None
    """Of the weights that were evaluated; `colintern_eval.json`."""
    actual_sha256: str | None
    """Of the weights in the folder; computed only when there is one to compare it with."""
    evaluated: float | None
    """When the oldest judged result was made, in seconds since 1970 UTC."""
    trained: float | None
    """When training ended, or at least began, in seconds since 1970 UTC; the run manifest."""
    saved_sha256: str | None = None
    """Of the weights that training saved last; the run manifest."""

    @property
    def hashes_differ(self) -> bool:
        """Whether both hashes are known and differ."""
        known = self.recorded_sha256 is not None and self.actual_sha256 is not None
        return known and self.recorded_sha256 != self.actual_sha256

    @property
    def same(self) -> bool | None:
        """Whether the results are of these weights; None when neither hashes nor dates tell.

        A hash decides; dates decide only without one, because weights may be copied or converted
        after they were evaluated.
        """
        if self.recorded_sha256 is not None and self.actual_sha256 is not None:
            return not self.hashes_differ
        if self.evaluated is None or self.trained is None:
            return None
        return self.evaluated >= self.trained - CLOCK_TOLERANCE_SECONDS

    @property
    def changed_since(self) -> bool:
        """Whether what was evaluated is what training saved, so that the file here was changed."""
        return self.hashes_differ and self.saved_sha256 == self.recorded_sha256

    @property
    def of_other_training(self) -> bool:
        """Whether what was evaluated is known not to be what training saved."""
        known = self.hashes_differ and self.saved_sha256 is not None
        return known and self.saved_sha256 != self.recorded_sha256

    @property
    def fix(self) -> str | None:
        """What to do where the file was changed; None for the rule's own."""
        if not self.changed_since:
            return None
        return "restore the weights that training saved, or evaluate these as a model of their own."

    def __str__(self) -> str:
        if self.recorded_sha256 is not None and self.actual_sha256 is not None:
            actual = self.actual_sha256[:12]
            if not self.hashes_differ:
                return f"sha256 {actual} evaluated and here"
            was = "saved by training and evaluated" if self.changed_since else "evaluated"
            return f"sha256 {printable(self.recorded_sha256, limit=12)} {was}, {actual} here"
        return f"oldest result of {_date(self.evaluated)}, training until {_date(self.trained)}"


def _date(seconds: float | None) -> str:
    if seconds is None:
        return "an unknown date"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


class ChangedResults(Struct, frozen=True):
    """Tasks by what became of their results since they were written."""

    num_known: int
    """Tasks whose hash was recorded."""
    edited: tuple[str, ...]
    """Of the recorded evaluation, by its date, with other figures."""
    replaced: tuple[str, ...]
    """Of another evaluation than the recorded one."""

    @property
    def edited_text(self) -> str:
        """Name the edited ones; empty when there are none."""
        return f"figures changed since the evaluation: {listed(self.edited)}" if self.edited else ""

    @property
    def replaced_text(self) -> str:
        """Name the replaced ones; empty when there are none."""
        return f"of another evaluation: {listed(self.replaced)}" if self.replaced else ""


def changed_results(
    results: TaskResults, records: Iterable[EvaluationRecord]
) -> ChangedResults | None:
    """Compare every result with the hash of it in a record; None when none has one."""
    edited: list[str] = []
    replaced: list[str] = []
    num_known = 0
    recorded = [record.results for record in records if record.results]
    for name, result in results.tasks.items():
        known = [each[name] for each in recorded if name in each]
        if not known:
            continue
        num_known += 1
        if any(each.sha256 == result_sha256(result) for each in known):
            continue
        same_date = any(each.date is not None and each.date == result.date for each in known)
        (edited if same_date else replaced).append(name)
    return ChangedResults(num_known, tuple(edited), tuple(replaced)) if num_known else None
