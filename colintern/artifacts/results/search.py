"""Where the results of a run are, and where another model's are, which are never taken."""

import os
import re
from collections.abc import Iterable, Iterator
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
    EXPERIMENTS,
    TaskResults,
    read_results_folder,
)
from colintern.artifacts.results.model_meta import MODEL_META, read_model_meta
from colintern.artifacts.run.layout import RunLayout

RESULTS: Final = "results"
GUIDE_RESULTS: Final = Path(RESULTS, "mteb_evaluation")
"""The guide's file structure: `results/mteb_evaluation/MODEL_NAME/TASK.json`."""

_REVISION: Final = re.compile(r"[0-9a-f]{7,64}|checkpoint-\d{1,12}|no_revision_available|main")
_NO_MODEL_NAMES: Final = ("no_model_name__available", "no_model_name_available")
"""MTEB's folders for a model that has no name, from 2.x and 1.x: no other model's."""
_INSIDE_BENCHMARK: Final = frozenset({EXPERIMENTS, "predictions"})


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
    counts as the subject's. The folder may also be MTEB's cache, which holds `results`, or the root
    of the guide's structure. With several subjects only folders named like them do.
    """
    places = (folder, folder / RESULTS, folder / GUIDE_RESULTS)
    for place in places:
        if num_subjects == 1 and (found := _of_only_subject(place)):
            return ResultsSearch(found, places)
        if found := _of_subject(place, layout, subject):
            return ResultsSearch(found, places)
    if num_subjects == 1 and (found := _of_likely_subject(places, layout)):
        return ResultsSearch(found, places)
    others = {name for place in places for name in _folders(place)} - {RESULTS, GUIDE_RESULTS.name}
    return ResultsSearch(None, (folder,), tuple(sorted(others)))


def _of_only_subject(folder: Path) -> TaskResults | None:
    """Take the files of a folder that holds no model's folder: they can only be the subject's."""
    if not _is_folder(folder):
        return None
    enclosure = Enclosure.around(folder)
    if found := read_results_folder(folder, enclosure, recursive=False):
        return found
    return read_results_folder(folder, enclosure) if _holds_revisions(folder, enclosure) else None


def _of_run(folder: Path, layout: RunLayout, subject: str) -> TaskResults | None:
    """Read the run's own results below its `results`, where other models' may lie beside them.

    Own are flat files, those in a folder named after a benchmark, a revision without a model, a
    model named like the run (MTEB writes `ORG__NAME`), and what `colintern_eval.json` lies beside.
    """
    names = {*_NO_MODEL_NAMES, layout.path.name, *_names(layout, subject)}

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
    return _first_of(folder / name for name in _names(layout, subject))


def _of_likely_subject(places: Iterable[Path], layout: RunLayout) -> TaskResults | None:
    """Read the folder `OWNER__NAME` of a run called NAME, else that of a model without a name.

    Of several owners none is known, and a checkpoint is not its run.
    """
    for place in places:
        named = (
            []
            if layout.is_checkpoint
            else [name for name in _folders(place) if name.endswith(f"__{layout.path.name}")]
        )
        likely = [*(named if len(named) == 1 else ()), *_NO_MODEL_NAMES]
        if found := _first_of(place / name for name in likely):
            return found
    return None


def _first_of(folders: Iterable[Path]) -> TaskResults | None:
    for folder in folders:
        if _is_folder(folder) and (found := read_results_folder(folder, Enclosure.around(folder))):
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
        _is_benchmark(folder / name, enclosure) or _is_revision(folder / name, enclosure)
        for name in names
    )


def _is_benchmark(folder: Path, enclosure: Enclosure) -> bool:
    """Named after a benchmark and without a model's folder: `vidore` is also an owner of models."""
    return BENCHMARK_FOLDER.fullmatch(folder.name) is not None and all(
        name in _INSIDE_BENCHMARK
        or BENCHMARK_FOLDER.fullmatch(name)
        or _is_revision(folder / name, enclosure)
        for name in _folders(folder)
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
