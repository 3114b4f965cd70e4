"""Where the results of a run are, and where another model's are, which are never taken."""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePath
from typing import Final

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.evaluation_record import EVALUATION_RECORD
from colintern.artifacts.results.folder import (
    BENCHMARK_FOLDER,
    TaskResults,
    read_results_folder,
)
from colintern.artifacts.results.model_meta import MODEL_META, read_model_meta
from colintern.artifacts.run.layout import RunLayout

RESULTS: Final = "results"
GUIDE_RESULTS: Final = Path(RESULTS, "mteb_evaluation")
"""The guide's file structure: `results/mteb_evaluation/MODEL_NAME/TASK.json`."""

_REVISION: Final = re.compile(r"[0-9a-f]{7,64}|checkpoint-\d{1,12}|no_revision_available|main")
_NO_MODEL_NAME: Final = "no_model_name__available"
"""MTEB's folder for a model that has no name: no other model's."""


class ResultsSearch(Struct, frozen=True):
    """What a search found, and what it must not take."""

    results: TaskResults | None
    places: tuple[Path, ...]
    """Where it looked, in order."""
    other_names: tuple[str, ...] = ()
    """Folders of other models that were seen in those places."""


def find_results(layout: RunLayout, subject: str, invocation_dir: Path) -> ResultsSearch:
    """Look in `RUN/results`, then in the nearest `results/mteb_evaluation/RUN_NAME`.

    Args:
        layout: the run.
        subject: its name in the audit.
        invocation_dir: the folder in which the audit was started.
    """
    own = layout.path / RESULTS
    places = [own]
    if _is_folder(own) and (found := _of_run(own, layout, subject)):
        return ResultsSearch(found, tuple(places))
    others = set(_folders(own))
    for ancestor in dict.fromkeys([*_ancestors(layout.path), invocation_dir]):
        shared = ancestor / GUIDE_RESULTS
        places.append(shared)
        if (found := _of_subject(shared, layout, subject)) is not None:
            return ResultsSearch(found, tuple(places))
        others.update(_folders(shared))
    return ResultsSearch(None, tuple(places), tuple(sorted(others)))


def find_results_in(
    folder: Path, layout: RunLayout, subject: str, *, num_subjects: int
) -> ResultsSearch:
    """Look in a folder that the user named: its JSON files, else its folder for the subject.

    A folder whose only folders are revisions, as MTEB writes one a model, or named after benchmarks
    counts as the subject's.
    With several subjects only folders named like them do.
    """
    if num_subjects == 1:
        enclosure = Enclosure.around(folder)
        if found := read_results_folder(folder, enclosure, recursive=False):
            return ResultsSearch(found, (folder,))
        if _holds_revisions(folder, enclosure) and (
            found := read_results_folder(folder, enclosure)
        ):
            return ResultsSearch(found, (folder,))
    found = _of_subject(folder, layout, subject)
    others = () if found else tuple(sorted(_folders(folder)))
    return ResultsSearch(found, (folder,), others)


def _of_run(folder: Path, layout: RunLayout, subject: str) -> TaskResults | None:
    """Read the run's own results below its `results`, where other models' may lie beside them.

    Own are flat files, those in a folder named after a benchmark, a revision without a model, a
    model named like the run (MTEB writes `ORG__NAME`), and what `colintern_eval.json` lies beside.
    """
    names = {_NO_MODEL_NAME, layout.path.name, *_names(layout, subject)}

    @cache
    def is_own(place: PurePath) -> bool:
        parts = place.parts
        if parts and _is_revision(folder / place, layout.enclosure):
            parts = parts[:-1]
        if not parts or parts[-1] in names or parts[-1].rpartition("__")[2] in names:
            return True
        model = folder.joinpath(*parts)
        return any(os.path.isfile(at / EVALUATION_RECORD) for at in {folder / place, model})  # noqa: PTH113

    return read_results_folder(folder, layout.enclosure, is_own=is_own)


def _of_subject(folder: Path, layout: RunLayout, subject: str) -> TaskResults | None:
    for name in _names(layout, subject):
        own = folder / name
        if _is_folder(own) and (found := read_results_folder(own, Enclosure.around(own))):
            return found
    return None


def _names(layout: RunLayout, subject: str) -> Iterator[str]:
    """Yield the folder names that mean this subject alone.

    `checkpoint-N` by itself is no such name: every run has one.
    """
    path = layout.path
    if layout.is_checkpoint:
        run = path.parent.name
        yield from (
            f"{run}/{path.name}",
            *(f"{run}{joint}{path.name}" for joint in ("__", "-", "_")),
        )
    if path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--"):
        yield path.parent.parent.name.removeprefix("models--").replace("--", "__")
    name = subject.strip("/")
    if name and ".." not in Path(name).parts and not (layout.is_checkpoint and name == path.name):
        yield name
    if not layout.is_checkpoint and path.name:
        yield path.name
        yield f"{path.parent.name}__{path.name}"


def _ancestors(path: Path) -> Iterator[Path]:
    yield from list(path.parents)[: limits.JSON_DEPTH]


def _is_folder(path: Path) -> bool:
    """False also where the path cannot be asked."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where permission lacks


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            bounded = zip(entries, range(limits.FOLDER_ENTRIES), strict=False)
            return [entry.name for entry, _ in bounded if _is_model_folder(entry)]
    except OSError:
        return []


def _is_model_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:
        return False


def _holds_revisions(folder: Path, enclosure: Enclosure) -> bool:
    names = _folders(folder)
    return bool(names) and all(
        BENCHMARK_FOLDER.fullmatch(name) or _is_revision(folder / name, enclosure) for name in names
    )


def _is_revision(folder: Path, enclosure: Enclosure) -> bool:
    """MTEB records the revision beside the results, and names the folder after it."""
    if _REVISION.fullmatch(folder.name):
        return True
    path = folder / MODEL_META
    try:
        return path.is_file() and read_model_meta(path, enclosure).revision == folder.name
    except (ArtifactError, OSError):
        return False
