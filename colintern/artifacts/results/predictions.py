"""What a model ranked for each query, and which pages answer it: files beside the results.

MTEB writes `TASK_predictions.json` into its `prediction_folder`:

    {"mteb_model_meta": {"model_name": ..., "revision": ...},
     "HF_SUBSET": {"SPLIT": {"QUERY_ID": {"PAGE_ID": score, ...}, ...}}}

It does not say which pages are the right ones. Our evaluation writes that beside it, as
`TASK_relevance.json`, in the same nesting: `{"HF_SUBSET": {"SPLIT": {"QUERY_ID": {"PAGE_ID":
grade}}}}`. Both are read from the folder of the results, from `predictions` in it, and from the
same places above it.
"""

import heapq
import math
import os
from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import read_json_object
from colintern.artifacts.printable import printable
from colintern.artifacts.results.folder import TaskResults

PREDICTIONS: Final = "_predictions.json"
"""MTEB's ending of the file of a task."""
RELEVANCE: Final = "_relevance.json"
"""Our ending of the file that says which pages answer which query."""
FOLDER: Final = "predictions"
"""Where they may lie, in the folder of the results."""
DEPTH: Final = 10
"""Pages kept of a ranking: NDCG is compared at 5 and at 10."""

MODEL: Final = "mteb_model_meta"
"""Key of the model's name, among the subsets."""

_LARGEST: Final = 1e30
"""Beyond it a whole number does not fit single precision, and grades cannot be added up."""


class TaskQueries(Struct, frozen=True):
    """The queries of one task; keys are (subset, split)."""

    rankings: Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]]
    """Query to its first pages, the best first; equal scores in MTEB's order."""
    relevance: Mapping[tuple[str, str], Mapping[str, Mapping[str, float]]] | None
    """Query to the grade of each page that answers it; None where no file says so."""


def read_task_queries(results: TaskResults, task: str) -> TaskQueries | None:
    """Read the rankings of `task`, or None when there are none beside its results.

    Raises:
        ArtifactError: a file is malformed or too large.
    """
    path = _beside(results, f"{task}{PREDICTIONS}")
    if path is None:
        return None
    enclosure = Enclosure.around(results.root)
    rankings = {
        key: {query: _first(scores) for query, scores in queries.items()}
        for key, queries in _queries(path, enclosure, _is_score)
    }
    answers = _beside(results, f"{task}{RELEVANCE}")
    relevance = dict(_queries(answers, enclosure, _is_grade)) if answers is not None else None
    return TaskQueries(rankings, relevance)


def _beside(results: TaskResults, name: str) -> Path | None:
    if Path(name).name != name:
        return None  # A task's name comes from its file: it must not lead elsewhere.
    above = [results.folder, *results.folder.parents]
    for folder in (path for path in above if path.is_relative_to(results.root)):
        for path in (folder / name, folder / FOLDER / name):
            if os.path.lexists(path):
                return path
    return None


def _queries(
    path: Path, enclosure: Enclosure, is_valid: Callable[[Any], bool]
) -> Iterator[tuple[tuple[str, str], dict[str, dict[str, float]]]]:
    document = read_json_object(path, enclosure, limit=limits.PREDICTIONS_BYTES)
    for subset, splits in document.items():
        if subset == MODEL:
            continue
        for split, queries in _object(path, splits, subset).items():
            numbers = {
                query: _numbers(path, _object(path, pages, query), query, is_valid)
                for query, pages in _object(path, queries, split).items()
            }
            yield (subset, split), numbers


def _object(path: Path, value: Any, key: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise _wrong(path, key, "an object", value)


def _numbers(
    path: Path, pages: dict[str, Any], query: str, is_valid: Callable[[Any], bool]
) -> dict[str, float]:
    for value in pages.values():
        if not is_valid(value):
            raise _wrong(path, query, "a number for each page", value)
    return pages


def _is_score(value: Any) -> bool:
    """Any float: a model whose scores are NaN has a ranking too, if a bad one."""
    return type(value) is float or _is_grade(value)


def _is_grade(value: Any) -> bool:
    return type(value) in (float, int) and abs(value) <= _LARGEST


def _wrong(path: Path, key: str, expected: str, value: Any) -> ArtifactError:
    return ArtifactError(
        path,
        expected=f"{expected} under `{printable(key, limit=80)}`",
        found=printable(value, limit=80),
        remedy="Evaluate the task again with a prediction folder.",
    )


def _first(scores: Mapping[str, float]) -> tuple[str, ...]:
    """Rank as trec_eval does: by score in single precision, equal ones by the larger identifier."""
    single = map(_sortable, array("f", scores.values()))
    return tuple(page for _, page in heapq.nlargest(DEPTH, zip(single, scores, strict=True)))


def _sortable(score: float) -> float:
    return -math.inf if math.isnan(score) else score
