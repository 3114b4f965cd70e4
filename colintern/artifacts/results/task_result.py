"""One file of evaluation results: MTEB 1.x and 2.x, or vidore-benchmark's older layouts."""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import convert, read_json_object
from colintern.artifacts.printable import printable

Harness = Literal["mteb", "vidore-benchmark"]

METRIC: Final = re.compile(r"(ndcg|map|recall|precision|mrr|hit_rate|cv_recall)_at_(\d{1,4})")
"""The metrics that are kept; `nauc_*`, which holds NaN by design, is left out."""

_MTEB_NAMES: Final = {
    "arxivqa_test_subsampled": "VidoreArxivQARetrieval",
    "docvqa_test_subsampled": "VidoreDocVQARetrieval",
    "infovqa_test_subsampled": "VidoreInfoVQARetrieval",
    "tabfquad_test_subsampled": "VidoreTabfquadRetrieval",
    "tatdqa_test": "VidoreTatdqaRetrieval",
    "shiftproject_test": "VidoreShiftProjectRetrieval",
    "syntheticDocQA_artificial_intelligence_test": "VidoreSyntheticDocQAAIRetrieval",
    "syntheticDocQA_energy_test": "VidoreSyntheticDocQAEnergyRetrieval",
    "syntheticDocQA_government_reports_test": "VidoreSyntheticDocQAGovernmentReportsRetrieval",
    "syntheticDocQA_healthcare_industry_test": "VidoreSyntheticDocQAHealthcareIndustryRetrieval",
}
"""vidore-benchmark's data sets under the name that MTEB gives the same task."""


class SubsetScores(msgspec.Struct, frozen=True):
    """The scores of one language subset of a task."""

    split: str
    """The data split, as MTEB's `test`; empty where the layout records none."""
    subset: str
    """`hf_subset`: a language of ViDoRe v2 and v3, else `default`."""
    main_score: float | None
    """As recorded, or None where the layout has none."""
    metrics: Mapping[str, float]
    """Metric name to value as recorded, [0, 1] when healthy; NaN is kept."""
    mteb_version: str | None
    """Version inside the entry, else that of the file."""


class TaskResult(msgspec.Struct, frozen=True):
    """The result of one model on one task."""

    path: Path
    task_name: str
    """MTEB's name of the task; the data set's own where MTEB has none."""
    harness: Harness
    """The program that computed the scores; figures of two programs are not comparable."""
    dataset_revision: str | None
    mteb_version: str | None
    """At the top of the file; None for vidore-benchmark."""
    date: float | None
    """When it was evaluated, in seconds since 1970 UTC, from inside the file."""
    subsets: tuple[SubsetScores, ...]
    """In the order of the file, which means nothing."""


class _Document(msgspec.Struct, frozen=True):
    task_name: str
    scores: dict[str, list[dict[str, Any]]]
    dataset_revision: str | None = None
    mteb_version: str | None = None
    date: float | str | None = None


class _Entry(msgspec.Struct, frozen=True):
    main_score: float | None = None
    hf_subset: str = "default"
    mteb_version: str | None = None


class _LegacyMetadata(msgspec.Struct, frozen=True):
    timestamp: str | None = None


def read_task_results(path: Path, enclosure: Enclosure | None) -> tuple[TaskResult, ...]:
    """Read the results in one JSON file: one of MTEB, several of vidore-benchmark.

    Returns:
        The results, or nothing when the file is JSON but no result.

    Raises:
        ArtifactError: unreadable, not JSON, or a result with fields of the wrong type.
    """
    document = read_json_object(path, enclosure, limit=limits.TASK_RESULT_BYTES)
    if _is_mteb(document):
        return (_mteb_result(path, convert(path, document, _Document)),)
    if _is_legacy(document.get("metrics")):
        metadata = document.get("metadata")
        recorded = metadata if isinstance(metadata, dict) else {}
        return _legacy_results(path, document["metrics"], convert(path, recorded, _LegacyMetadata))
    return _legacy_results(path, document, _LegacyMetadata()) if _is_legacy(document) else ()


def epoch_seconds(date: float | str | None) -> float | None:
    """Return a recorded date as seconds since 1970 UTC, or None when it is none.

    >>> epoch_seconds("1970-01-02 00:00:00+00:00")
    86400.0
    """
    if isinstance(date, str):
        try:
            moment = datetime.fromisoformat(date)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    plausible = date is not None and math.isfinite(date) and 0 < date < _LATEST_DATE
    return date if plausible else None


_LATEST_DATE: Final = 253_402_300_799.0
"""The last second of the year 9999, where `datetime` ends."""


def _is_mteb(document: Mapping[str, Any]) -> bool:
    marks = {"task_name", "scores", "mteb_version"} & document.keys()
    return len(marks) >= 2  # noqa: PLR2004 - one of these names alone may stand in any file


def _is_legacy(document: object) -> bool:
    return (
        isinstance(document, dict)
        and bool(document)
        and all(
            isinstance(scores, dict) and any(METRIC.fullmatch(key) for key in scores)
            for scores in document.values()
        )
    )


def _mteb_result(path: Path, document: _Document) -> TaskResult:
    return TaskResult(
        path=path,
        task_name=document.task_name,
        harness="mteb",
        dataset_revision=document.dataset_revision,
        mteb_version=document.mteb_version,
        date=epoch_seconds(document.date),
        subsets=tuple(_subsets(path, document)),
    )


def _subsets(path: Path, document: _Document) -> Iterator[SubsetScores]:
    num_entries = sum(map(len, document.scores.values()))
    if num_entries > limits.TASK_RESULT_ENTRIES:
        raise ArtifactError(
            path,
            expected=f"at most {limits.TASK_RESULT_ENTRIES:,} language subsets",
            found=f"{num_entries:,}",
        )
    for split, entries in document.scores.items():
        for number, scores in enumerate(entries):
            place = f"scores.{printable(split, limit=60)}[{number}]"
            entry = convert(path, scores, _Entry, within=place)
            yield SubsetScores(
                split=split,
                subset=entry.hf_subset,
                main_score=entry.main_score,
                metrics=_metrics(path, scores),
                mteb_version=entry.mteb_version or document.mteb_version,
            )


def _legacy_results(
    path: Path, scores: Mapping[str, dict[str, Any]], metadata: _LegacyMetadata
) -> tuple[TaskResult, ...]:
    return tuple(
        TaskResult(
            path=path,
            task_name=_MTEB_NAMES.get(name.removeprefix("vidore/"), name),
            harness="vidore-benchmark",
            dataset_revision=None,
            mteb_version=None,
            date=epoch_seconds(metadata.timestamp),
            subsets=(SubsetScores("", "default", None, _metrics(path, metrics), None),),
        )
        for name, metrics in scores.items()
    )


def _metrics(path: Path, scores: Mapping[str, Any]) -> dict[str, float]:
    """A metric that is null was not computed."""
    return {
        metric: value if type(value) is float else _number(path, metric, value)
        for name, value in scores.items()
        if value is not None and (metric := _metric_name(name))
    }


@lru_cache(maxsize=4096)
def _metric_name(name: str) -> str | None:
    """The name itself, one object for all files, when it is that of a metric that is kept."""
    return name if METRIC.fullmatch(name) else None


def _number(path: Path, name: str, value: object) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    except OverflowError:
        pass
    raise ArtifactError(
        path,
        expected=f"a number under `{name}`",
        found=printable(value, limit=80),
        remedy="Evaluate the task again.",
    )


def result_sha256(result: TaskResult) -> str:
    """Hash the figures of one task."""
    subsets = [
        [scores.split, scores.subset, scores.main_score, sorted(scores.metrics.items())]
        for scores in sorted(result.subsets, key=lambda each: (each.split, each.subset))
    ]
    content = json.dumps([result.task_name, result.dataset_revision, subsets])
    return hashlib.sha256(content.encode()).hexdigest()


def mean_main_score(result: TaskResult) -> float:
    """Return the mean main score over subsets, NDCG@5 where none is recorded; 0 without either."""
    scores = [
        scores.metrics.get("ndcg_at_5") if scores.main_score is None else scores.main_score
        for scores in result.subsets
    ]
    known = [score for score in scores if score is not None and math.isfinite(score)]
    return math.fsum(known) / len(known) if known else 0.0


def written_result(path: Path) -> dict[str, dict[str, Any]]:
    """Describe a result for the record beside it, so that it is known again.

    Raises:
        ArtifactError: it cannot be read.
    """
    return {
        result.task_name: {"sha256": result_sha256(result), "date": result.date}
        for result in read_task_results(path, Enclosure.around(path.parent))
    }
