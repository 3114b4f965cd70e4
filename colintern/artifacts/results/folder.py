"""A folder of evaluation results into the one set of results that belongs together."""

import math
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.printable import listed, printable
from colintern.artifacts.results.evaluation_record import EVALUATION_RECORD
from colintern.artifacts.results.model_meta import MODEL_META, ModelMeta, read_model_meta
from colintern.artifacts.results.run_settings import (
    RUN_SETTINGS,
    RunSettings,
    read_run_settings,
)
from colintern.artifacts.results.task_result import (
    TaskResult,
    mean_main_score,
    read_task_results,
    result_sha256,
)
from colintern.artifacts.run import layout as run_layout

_NO_RESULTS: Final = frozenset(
    {
        EVALUATION_RECORD,
        run_layout.ADAPTER_CONFIG,
        run_layout.MODEL_CONFIG,
        run_layout.MODEL_INDEX,
        run_layout.TRAINER_STATE,
        run_layout.RUN_MANIFEST,
        run_layout.PREPROCESSOR_CONFIG,
        run_layout.PROCESSOR_CONFIG,
        run_layout.TOKENIZER_CONFIG,
        run_layout.TOKENIZER,
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.json",
        "generation_config.json",
        "vocab.json",
    }
)
_QUERY_FILES: Final = ("_predictions.json", "_relevance.json")
"""Endings of the files that `results.predictions` reads: no results, and large."""
_TASK_PREFIX: Final = "Vidore"
_OTHER_RESULTS: Final = ("ColInternPages", MODEL_META)
"""Other files whose names say that they describe this model."""


def is_other_file(name: str) -> bool:
    """Whether a name is that of a file that everybody knows to hold no result."""
    return name in _NO_RESULTS or name.endswith(_QUERY_FILES)


def is_no_result(path: Path) -> bool:
    """Told by name; and a file beyond the limit is no result unless it is named like one."""
    if is_other_file(path.name):
        return True
    return _size(path) > limits.TASK_RESULT_BYTES and _is_other_task(path)


@dataclass(frozen=True, slots=True)
class ResultsFiles:
    """A search below one folder; what it leaves out is added to the lists that it was given."""

    root: Path
    enclosure: Enclosure
    ignored: list[str]
    """Files beyond the limits that are no ViDoRe task, relative to `root`."""
    errors: list[ArtifactError]
    """A ViDoRe task beyond the limits, or a folder with too many entries."""

    def json_files(self, *, recursive: bool) -> Iterator[Path]:
        """Yield the JSON files below `root`, ViDoRe's first, within the limits of a folder."""
        num_bytes = 0
        for number, path in enumerate(sorted(self._walk(recursive=recursive), key=_is_other_task)):
            size = _size(path)
            # A file over its own limit is not read, nor are the queries' files.
            is_read = size <= limits.TASK_RESULT_BYTES and not path.name.endswith(_QUERY_FILES)
            num_bytes += size if is_read else 0
            if number < limits.TASK_RESULT_FILES and num_bytes <= limits.TASK_RESULT_TOTAL_BYTES:
                yield path
            elif _is_other_task(path):
                self.ignored.append(str(path.relative_to(self.root)))
            else:
                self.errors.append(_too_much(self.root))
                return

    def _walk(self, *, recursive: bool) -> Iterator[Path]:
        pending = [(self.root, 0)]
        num_entries = 0
        while pending:
            folder, depth = pending.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                continue
            num_entries += len(entries)
            if num_entries > limits.FOLDER_ENTRIES:
                self.errors.append(_too_much(self.root))
                return
            deeper = recursive and depth < limits.RESULT_FOLDER_DEPTH
            folders = []
            for entry in entries:
                path = folder / entry.name
                if entry.name.endswith(".json"):
                    yield path
                elif deeper and _is_inside(entry, self.enclosure):
                    folders.append((path, depth + 1))
            pending.extend(reversed(folders))


def _is_other_task(path: Path) -> bool:
    return not path.name.startswith(_TASK_PREFIX)


def _is_inside(entry: os.DirEntry[str], enclosure: Enclosure) -> bool:
    """A folder, hidden ones left out; a link only where it leads to a place inside."""
    if entry.name.startswith("."):
        return False
    try:
        if not entry.is_symlink():
            return entry.is_dir()
        return entry.is_dir() and enclosure.check(Path(entry.path)).is_dir()
    except (OSError, ArtifactError):
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _too_much(root: Path) -> ArtifactError:
    return ArtifactError(
        root,
        expected=(
            f"at most {limits.TASK_RESULT_FILES:,} JSON files and "
            f"{limits.TASK_RESULT_TOTAL_BYTES // limits.MEBIBYTE} MiB of results"
        ),
        found="more",
        remedy="Point --results at the folder of one model.",
    )


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
    """Files that hold an older result of a task, or the same again, left out."""
    ambiguous: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Task to the files that hold different results of it, none of which is known to be older: the
    lowest is judged."""
    ambiguous_folders: tuple[str, ...] = ()
    """Folders whose results are not known to be older than the judged ones."""
    misnamed: tuple[str, ...] = ()
    """Files that hold another ViDoRe task than their name says."""
    settings: tuple[RunSettings, ...] = ()
    """Of `run_settings.jsonl` beside the results."""
    unread: tuple[str, ...] = ()
    """JSON files that cannot be read and have no ViDoRe task's name: nobody asked about them."""
    ignored: tuple[str, ...] = ()
    """JSON files that hold no result."""
    errors: tuple[ArtifactError, ...] = ()
    """Malformed files: a rule of its own reports them, the other tasks are judged."""

    @property
    def model(self) -> str:
        """Whose results they are: the model's name in MTEB, else their folder."""
        if self.model_meta is not None and self.model_meta.name:
            return printable(self.model_meta.name, limit=_NAME_CHARACTERS)
        return printable("/".join(self.folder.parts[-2:]), limit=_NAME_CHARACTERS)

    @property
    def lost_tasks(self) -> tuple[str, ...]:
        """Tasks that MTEB recorded as evaluated and whose file is not here."""
        broken = {error.path.stem for error in self.errors}
        return tuple(sorted({each.task for each in self.settings} - self.tasks.keys() - broken))

    @property
    def left_out(self) -> str:
        """Name what lies here and is not judged; empty when nothing does."""
        unknown = [name for name in self.ignored if not is_other_file(PurePath(name).name)]
        kinds = {
            "older results of a task": self.repeated,
            "folders with other results": self.other_folders,
            "files without a result": unknown,
            "files that cannot be read": self.unread,
        }
        parts = (f"{kind}: {listed(names)}" for kind, names in kinds.items() if names)
        return "; ".join(parts)


@dataclass(slots=True)
class _Group:
    """The files of one folder."""

    results: list[TaskResult] = field(default_factory=list)
    meta: ModelMeta | None = None

    @property
    def rank(self) -> tuple[float, int, float]:
        """The newest first, by dates inside the files; then the one with the most tasks."""
        return self.newest, len({result.task_name for result in self.results}), -self.level

    @property
    def newest(self) -> float:
        """Date of the newest result; without any date before all others."""
        return max((result.date or -math.inf for result in self.results), default=-math.inf)

    @property
    def level(self) -> float:
        """Mean score: of two folders that nothing else orders the lower one is judged."""
        scores = [mean_main_score(result) for result in self.results]
        return math.fsum(scores) / len(scores) if scores else 0.0


@dataclass(slots=True)
class _Found:
    groups: dict[PurePath, _Group] = field(default_factory=lambda: defaultdict(_Group))
    experiments: dict[str, list[TaskResult]] = field(default_factory=lambda: defaultdict(list))
    ignored: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
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
    return _assembled(root, chosen, groups, found, enclosure)


def _assembled(
    root: Path,
    chosen: PurePath,
    groups: Mapping[PurePath, _Group],
    found: _Found,
    enclosure: Enclosure,
) -> TaskResults:
    group = groups.get(chosen, _Group())
    rivals = _by_task(group.results)
    tasks = {name: _judged(results) for name, results in rivals.items()}
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
            for name, results in sorted(rivals.items())
            for result in results
            if result is not tasks[name] and result not in _candidates(results)
        ),
        ambiguous={
            name: tuple(sorted(str(result.path.relative_to(root)) for result in candidates))
            for name, results in sorted(rivals.items())
            if len(candidates := _candidates(results)) > 1
        },
        ambiguous_folders=tuple(
            sorted(
                str(place)
                for place, other in groups.items()
                if place != chosen and _is_rival(group, other)
            )
        ),
        misnamed=tuple(sorted(map(_misnamed_text, filter(_is_misnamed, group.results)))),
        settings=tuple(
            settings
            for folder in sorted(folders)
            for settings in read_run_settings(folder / RUN_SETTINGS, enclosure)
        ),
        unread=tuple(found.unread),
        ignored=tuple(found.ignored),
        errors=tuple(found.errors),
    )


def _by_task(results: Iterable[TaskResult]) -> dict[str, list[TaskResult]]:
    by_task: dict[str, list[TaskResult]] = defaultdict(list)
    for result in sorted(results, key=lambda result: str(result.path)):
        by_task[result.task_name].append(result)
    return by_task


def _candidates(results: Sequence[TaskResult]) -> list[TaskResult]:
    """Return the different results of one task that no date shows to be older than another."""
    newest = max((result.date for result in results if result.date is not None), default=None)
    different = {
        result_sha256(result): result
        for result in results
        if result.date is None or result.date == newest
    }
    return list(different.values())


def _judged(results: Sequence[TaskResult]) -> TaskResult:
    """Choose the newest result; of several that may be it the lowest, so that none is hidden."""
    return min(_candidates(results), key=mean_main_score)


def _is_rival(judged: _Group, other: _Group) -> bool:
    """Whether neither folder has a date, and they disagree about a task."""
    if judged.newest > -math.inf or other.newest > -math.inf:
        return False
    ours = {result.task_name: result_sha256(result) for result in judged.results}
    return any(
        ours.get(each.task_name, "") not in {"", result_sha256(each)} for each in other.results
    )


def _is_misnamed(result: TaskResult) -> bool:
    name = result.path.stem
    both_tasks = name.startswith(_TASK_PREFIX) and result.task_name.startswith(_TASK_PREFIX)
    return both_tasks and name != result.task_name


def _misnamed_text(result: TaskResult) -> str:
    return f"{printable(result.path.name, limit=80)} holds {printable(result.task_name, limit=80)}"


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
        if _is_nobodys(path, error):
            found.unread.append(str(relative))
        else:
            found.errors.append(error)
        return
    if not results:
        found.ignored.append(str(relative))
    elif experiment is not None:
        found.experiments[experiment].extend(results)
    else:
        found.groups[place].results.extend(results)


def _is_nobodys(path: Path, error: ArtifactError) -> bool:
    """Whether what is wrong is the content of a file that no task of ViDoRe is named like.

    JSON lines, an array or a Git LFS pointer beside the results are no fault of the checkpoint.
    """
    asked_for = (_TASK_PREFIX, *_OTHER_RESULTS)
    is_file = os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises where permission lacks
    return is_file and not error.escapes and not path.name.startswith(asked_for)


def _place(relative: Path) -> tuple[PurePath, str | None]:
    """Split off `experiments/NAME` and a benchmark's folder: the place, and the experiment."""
    folders = relative.parts[:-1]
    if EXPERIMENTS not in folders:
        is_benchmark = bool(folders) and BENCHMARK_FOLDER.fullmatch(folders[-1]) is not None
        return PurePath(*folders[: -1 if is_benchmark else None]), None
    at = folders.index(EXPERIMENTS)
    return PurePath(*folders[:at]), "/".join(folders[at + 1 :]) or EXPERIMENTS
