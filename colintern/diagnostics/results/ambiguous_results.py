"""Results of which nothing says whether they are the judged model's."""

from typing import Final

from colintern.artifacts.printable import listed, printable
from colintern.artifacts.results.folder import TaskResults

_SHOWN: Final = 3


def ambiguities(results: TaskResults) -> list[str]:
    """Describe every doubt: files that differ, folders that differ, files of another task."""
    texts = [
        f"{printable(task, limit=80)}: {listed(files)} differ and no date orders them; the lowest "
        "is judged"
        for task, files in results.ambiguous.items()
    ]
    shown = texts[:_SHOWN]
    if len(texts) > _SHOWN:
        shown.append(f"{len(texts) - _SHOWN} more tasks")
    if results.ambiguous_folders:
        folders = listed(results.ambiguous_folders)
        shown.append(f"{folders} differ from the judged folder and no date orders them")
    return [*shown, *results.misnamed[:_SHOWN]]


def are_mostly_ambiguous(results: TaskResults) -> bool:
    """Whether most scores may be others, so that what follows from them may be no fault."""
    return bool(results.ambiguous_folders) or 2 * len(results.ambiguous) >= len(results.tasks)
