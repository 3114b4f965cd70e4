"""A folder of evaluation results into the one set of results that belongs together."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.model_meta import MODEL_META, ModelMeta, read_model_meta
from colintern.artifacts.printable import listed, printable
from colintern.artifacts.results_files import ResultsFiles, is_no_result, is_other_file
from colintern.artifacts.task_result import TaskResult, read_task_results

EXPERIMENTS: Final = "experiments"
"""MTEB's folder for runs of the same weights with other settings: `REVISION/experiments/NAME/`."""

BENCHMARK_FOLDER: Final = re.compile(
    r"(mteb[-_])?vidore([-_]?(benchmark))?([-_]?v?[123])?|pages|mteb", re.IGNORECASE
)
"""A folder that people name after the benchmark in it, as `results/vidore_v1`: no model's name."""


_NAME_CHARACTERS: Final = 100


@dataclass(frozen=True)
class TaskResults:
    """The results of one model at one revision, one a task, and what was left out and why."""

    root: Path
    """Where the search began."""
    folder: Path
    """The folder that holds the judged results: `root` or below."""
    tasks: Mapping[str, TaskResult]
    """By task name, sorted."""
    model_meta: ModelMeta | None
    """`model_meta.json` in the same folder."""
    experiments: Mapping[str, tuple[TaskResult, ...]] = field(default_factory=dict)
    """Ablations by the name of their folder: other settings, never part of an average."""
    other_folders: tuple[str, ...] = ()
    """Folders with results of other revisions, relative to where the search began: left out,
    because an average over two revisions describes neither."""
    repeated: tuple[str, ...] = ()
    """Files that hold an older result of a task, left out."""
    ignored: tuple[str, ...] = ()
    """JSON files that hold no result."""
    errors: tuple[ArtifactError, ...] = ()
    """Malformed files: SEC003 reports them, the other tasks are judged."""

    @property
    def model(self) -> str:
        """Whose results they are: the model's name in MTEB, else their folder."""
        if self.model_meta is not None and self.model_meta.name:
            return printable(self.model_meta.name, limit=_NAME_CHARACTERS)
        return printable("/".join(self.folder.parts[-2:]), limit=_NAME_CHARACTERS)

    @property
    def left_out(self) -> str:
        """Name what lies here and is not judged; empty when nothing does."""
        unknown = [name for name in self.ignored if not is_other_file(PurePath(name).name)]
        kinds = {
            "older results of a task": self.repeated,
            "folders with other results": self.other_folders,
            "files without a result": unknown,
        }
        parts = (f"{kind}: {listed(names)}" for kind, names in kinds.items() if names)
        return "; ".join(parts)


@dataclass(slots=True)
class _Group:
    """The files of one folder."""

    results: list[TaskResult] = field(default_factory=list)
    meta: ModelMeta | None = None

    @property
    def rank(self) -> tuple[float, int]:
        """The newest first, by dates inside the files; then the one with the most tasks."""
        newest = max((result.date or -math.inf for result in self.results), default=-math.inf)
        return newest, len(self.results)


@dataclass(slots=True)
class _Found:
    groups: dict[PurePath, _Group] = field(default_factory=lambda: defaultdict(_Group))
    experiments: dict[str, list[TaskResult]] = field(default_factory=lambda: defaultdict(list))
    ignored: list[str] = field(default_factory=list)
    errors: list[ArtifactError] = field(default_factory=list)


def read_results_folder(
    root: Path,
    enclosure: Enclosure,
    *,
    recursive: bool = True,
    is_own: Callable[[PurePath], bool] | None = None,
) -> TaskResults | None:
    """Read the results below `root`.

    Of several folders with results the newest is taken, by the dates inside its files, and the rest
    is named. The result is None when no JSON file below `root` holds a result or is malformed.

    Args:
        root: the folder where the search begins.
        enclosure: what every file must lie in.
        recursive: whether to look into its folders.
        is_own: tells whether a folder, relative to `root`, is the model's own; others are not read.
    """
    found = _Found()
    files = ResultsFiles(root, enclosure, ignored=found.ignored, errors=found.errors)
    for path in files.json_files(recursive=recursive):
        relative = path.relative_to(root)
        if is_own is None or is_own(_place(relative)[0]):
            _read(path, relative, enclosure, found)
    groups = {place: group for place, group in found.groups.items() if group.results}
    if not groups and not found.errors:
        return None
    chosen = max(groups, key=lambda place: (groups[place].rank, str(place)), default=PurePath())
    return _assembled(root, chosen, groups, found)


def _assembled(
    root: Path, chosen: PurePath, groups: Mapping[PurePath, _Group], found: _Found
) -> TaskResults:
    group = groups.get(chosen, _Group())
    by_age = sorted(group.results, key=lambda result: (result.date or -math.inf, str(result.path)))
    tasks = {result.task_name: result for result in by_age}
    folders = {result.path.parent for result in group.results}
    return TaskResults(
        root=root,
        folder=next(iter(folders)) if len(folders) == 1 else root / chosen,
        tasks=dict(sorted(tasks.items())),
        model_meta=group.meta,
        experiments={name: tuple(results) for name, results in sorted(found.experiments.items())},
        other_folders=tuple(sorted(str(place) for place in groups if place != chosen)),
        repeated=tuple(
            str(result.path.relative_to(root))
            for result in by_age
            if tasks[result.task_name] is not result
        ),
        ignored=tuple(found.ignored),
        errors=tuple(found.errors),
    )


def _read(path: Path, relative: Path, enclosure: Enclosure, found: _Found) -> None:
    if is_no_result(path):
        found.ignored.append(str(relative))
        return
    place, experiment = _place(relative)
    try:
        if path.name == MODEL_META:
            if experiment is None:
                found.groups[place].meta = read_model_meta(path, enclosure)
            return
        results = read_task_results(path, enclosure)
    except ArtifactError as error:
        found.errors.append(error)
        return
    if not results:
        found.ignored.append(str(relative))
    elif experiment is not None:
        found.experiments[experiment].extend(results)
    else:
        found.groups[place].results.extend(results)


def _place(relative: Path) -> tuple[PurePath, str | None]:
    """Split off `experiments/NAME` and a benchmark's folder: the place, and the experiment."""
    folders = relative.parts[:-1]
    if EXPERIMENTS not in folders:
        is_benchmark = bool(folders) and BENCHMARK_FOLDER.fullmatch(folders[-1]) is not None
        return PurePath(*folders[: -1 if is_benchmark else None]), None
    at = folders.index(EXPERIMENTS)
    return PurePath(*folders[:at]), "/".join(folders[at + 1 :]) or EXPERIMENTS
