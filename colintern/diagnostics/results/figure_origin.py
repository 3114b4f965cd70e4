"""All that shows that figures are not of this model, this task and its queries."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.artifacts.results.folder import TaskResults
from colintern.diagnostics.results.copied_figures import copied_models, equal_tasks
from colintern.diagnostics.results.dataset_revisions import foreign_revisions
from colintern.diagnostics.results.model_identity import Identity
from colintern.diagnostics.results.published import published_models
from colintern.diagnostics.results.result_table import ResultTable
from colintern.diagnostics.results.whole_queries import num_judged, query_faults

_SHOWN: Final = 3


class OriginFault(Struct, frozen=True):
    """One thing that cannot be."""

    text: str
    is_grave: bool
    """Whether no honest evaluation has it; else the figures are of another set, or shortened."""
    path: Path | None = None


class FigureOrigin(Struct, frozen=True):
    """What was looked at, and what cannot be."""

    num_judged: int
    """Tasks whose number of queries is known."""
    faults: tuple[OriginFault, ...]
    """The gravest first."""

    @property
    def is_grave(self) -> bool:
        """Whether one of them is no other set of queries and no rounding."""
        return any(fault.is_grave for fault in self.faults)

    @property
    def place(self) -> Path | None:
        """The file of the first; None where it is of several files."""
        return self.faults[0].path if self.faults else None

    def __str__(self) -> str:
        shown = [fault.text for fault in self.faults[:_SHOWN]]
        more = len(self.faults) - _SHOWN
        return "; ".join([*shown, f"and {more} more"] if more > 0 else shown)


def figure_origin(results: TaskResults, table: ResultTable, identity: Identity) -> FigureOrigin:
    """Look for figures of other models, other tasks, other queries and no queries at all."""
    faults = sorted(_faults(results, table, identity), key=lambda fault: not fault.is_grave)
    return FigureOrigin(num_judged(results), tuple(faults))


def _faults(results: TaskResults, table: ResultTable, identity: Identity) -> Iterator[OriginFault]:
    copies = copied_models(table, published_models().models)
    # Revisions of one model have the same figures: one that the weights may be is enough.
    if copies and not any(identity.may_be(copy.model) for copy in copies):
        likeliest = max(copies, key=lambda copy: len(copy.tasks))
        yield OriginFault(str(likeliest), identity.contradicts(likeliest.model))
    for one, other in equal_tasks(results):
        text = f"{printable(one, limit=80)} and {printable(other, limit=80)} have the same figures"
        yield OriginFault(text, is_grave=True)
    for text in foreign_revisions(results):
        yield OriginFault(text, is_grave=True)
    for fault in query_faults(results):
        yield OriginFault(str(fault), fault.is_grave, fault.task.path)
