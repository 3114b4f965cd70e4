"""Results that are no longer what the evaluation wrote: edited, or another evaluation's."""

from collections.abc import Iterable

from msgspec import Struct

from colintern.artifacts.evaluation_record import EvaluationRecord
from colintern.artifacts.printable import listed
from colintern.artifacts.result_hash import result_sha256
from colintern.artifacts.results_folder import TaskResults


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
