"""The reports of an audit's subjects in the order they came: few in memory, the rest on disk."""

import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Final, overload

import msgspec

from colintern.engine.outcome import OutcomeCounts
from colintern.engine.subject_report import SubjectReport, SubjectSummary

MOST_IN_MEMORY: Final = 16
"""Reports that are kept as they are; a report takes some 200 KB, and a few are most audits."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(SubjectReport).decode


class ReportStore(Sequence[SubjectReport]):
    """Looks like a tuple of reports; memory does not grow with their number.

    What ranks and counts the subjects is kept beside them, so that a summary reads no report.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._kept: list[SubjectReport] = []
        self._spill: IO[bytes] | None = None
        self._places: list[tuple[int, int]] = []
        self.summaries: list[SubjectSummary] = []
        """In the order of the subjects."""
        self.counts = OutcomeCounts()
        """Over all subjects."""

    def append(self, report: SubjectReport) -> None:
        """Take in the next subject's report."""
        self.summaries.append(SubjectSummary.of(report))
        self.counts = self.counts.plus(report.counts)
        if len(self._kept) < MOST_IN_MEMORY:
            self._kept.append(report)
            return
        if self._spill is None:
            # Unnamed where the system can: gone with the process, however it ends.
            self._spill = tempfile.TemporaryFile(prefix="colintern-audit-")  # noqa: SIM115 - next
            weakref.finalize(self, self._spill.close)
        content = _encode(report)
        self._places.append((self._spill.seek(0, 2), len(content)))
        self._spill.write(content)

    def __len__(self) -> int:
        return len(self.summaries)

    @overload
    def __getitem__(self, index: int) -> SubjectReport: ...
    @overload
    def __getitem__(self, index: slice) -> list[SubjectReport]: ...
    def __getitem__(self, index: int | slice) -> SubjectReport | list[SubjectReport]:
        """Return one report, or some of them in a list."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        if place < len(self._kept):
            return self._kept[place]
        assert self._spill is not None, "what is not kept was spilled"  # noqa: S101 - for the type checker
        start, length = self._places[place - len(self._kept)]
        self._spill.seek(start)
        return _decode(self._spill.read(length))

    def worst_first(self) -> "RankedReports":
        """Return the same reports: failed ones first, unsafe ones before, by what gates."""
        order = sorted(range(len(self)), key=lambda place: self.summaries[place].badness)
        return RankedReports(self, order)


class RankedReports(Sequence[SubjectReport]):
    """The reports of a store in another order."""

    def __init__(self, store: ReportStore, order: Sequence[int]) -> None:
        """Show the reports of `store` at the places `order`."""
        self._store = store
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[SubjectReport]:
        return (self._store[place] for place in self._order)

    @overload
    def __getitem__(self, index: int) -> SubjectReport: ...
    @overload
    def __getitem__(self, index: slice) -> "RankedReports": ...
    def __getitem__(self, index: int | slice) -> "SubjectReport | RankedReports":
        """Return one report, or some of them as a view."""
        if isinstance(index, slice):
            return RankedReports(self._store, self._order[index])
        return self._store[self._order[index]]
