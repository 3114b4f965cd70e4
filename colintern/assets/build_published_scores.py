"""Make the published reference from a folder of published MTEB results.

The folder holds `MODEL/REVISION/TASK.json` with `model_meta.json` beside them, as the repository
embeddings-benchmark/results does. Only figures go into the package: quantiles of NDCG@5 over the
models that have the whole task, how far each task lies from the shape that late-interaction models
share, and the scores of every model with its revision and versions.

    python -m colintern.assets.build_published_scores RESULTS --source "REPOSITORY @ COMMIT"
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from colintern.artifacts.files import Enclosure
from colintern.artifacts.printable import printable
from colintern.artifacts.results.folder import TaskResults, read_results_folder
from colintern.artifacts.results.task_result import TaskResult
from colintern.diagnostics.results import published as published_models
from colintern.diagnostics.results import published as published_scores
from colintern.diagnostics.results.benchmarks import BENCHMARKS, TASKS
from colintern.diagnostics.results.paired_bootstrap import sampling_error
from colintern.diagnostics.results.published import (
    PublishedModel,
    PublishedModels,
    PublishedScores,
    PublishedTable,
    PublishedTask,
)
from colintern.diagnostics.results.published_shape import LOWEST_LEVEL, MIN_TASKS, level
from colintern.diagnostics.results.result_table import TaskRow, judged_subsets, result_table

MIN_MODELS: Final = 8
"""Below it a quartile says little."""
_COMMIT: Final = 12
"""Characters of a dataset's commit that are kept."""

Scores = Mapping[str, float]
"""Task to NDCG@5 of one model."""


def main() -> None:
    """Write both assets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--source", required=True)
    arguments = parser.parse_args()
    models = tuple(_models(arguments.results))
    late = [_scores(model) for model in models if model.late_interaction]
    table = PublishedTable(
        source=arguments.source,
        tasks=_with_offsets(_summaries(late), late),
        all_models=_summaries([_scores(model) for model in models]),
    )
    _write(published_scores.ASSET, msgspec.json.format(msgspec.json.encode(table), indent=1))
    whole = PublishedModels(source=arguments.source, models=models)
    _write(
        published_models.MODELS_ASSET, msgspec.json.encode(whole).replace(b'{"name"', b'\n{"name"')
    )


def _write(name: str, content: bytes) -> None:
    Path(__file__).with_name(name).write_bytes(content + b"\n")


def _models(results: Path) -> Iterator[PublishedModel]:
    for folder in sorted(path for path in results.iterdir() if path.is_dir()):
        for revision in sorted(path for path in folder.iterdir() if path.is_dir()):
            found = read_results_folder(revision, Enclosure.around(revision))
            if found and found.model_meta and (tasks := dict(_tasks(found))):
                yield PublishedModel(
                    name=printable(found.model_meta.name or folder.name.replace("__", "/", 1)),
                    revision=printable(found.model_meta.revision or revision.name),
                    loader=found.model_meta.loader,
                    late_interaction=found.model_meta.is_late_interaction,
                    tasks=tasks,
                )


def _tasks(results: TaskResults) -> Iterator[tuple[str, PublishedTask]]:
    for row in result_table(results).tasks:
        if row.complete and row.name in TASKS and row.ndcg_at_5 is not None:
            yield row.name, _task(row, row.ndcg_at_5, results.tasks[row.name])


def _task(row: TaskRow, ndcg_at_5: float, result: TaskResult) -> PublishedTask:
    error = sampling_error(result)
    versions = {scores.mteb_version for scores in judged_subsets(result)}
    return PublishedTask(
        ndcg_at_5=round(ndcg_at_5, 5),
        ndcg_at_10=_rounded(row.ndcg_at_10),
        recall_at_100=_rounded(row.recall_at_100),
        spread=round(error.spread, 4) if error else 0.5,
        dataset_revision=printable(result.dataset_revision or "")[:_COMMIT] or None,
        mteb_version=versions.pop() if len(versions) == 1 else result.mteb_version,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def _scores(model: PublishedModel) -> dict[str, float]:
    return {name: task.ndcg_at_5 for name, task in model.tasks.items()}


def _summaries(models: Sequence[Scores]) -> dict[str, PublishedScores]:
    by_task = defaultdict(list)
    for scores in models:
        for task, score in scores.items():
            by_task[task].append(score)
    return {
        task: _summary(values)
        for task, values in sorted(by_task.items())
        if len(values) >= MIN_MODELS
    }


def _summary(values: list[float]) -> PublishedScores:
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return PublishedScores(
        models=len(values),
        lowest=round(min(values), 4),
        lower_quartile=round(lower, 4),
        median=round(median, 4),
        upper_quartile=round(upper, 4),
        best=round(max(values), 4),
    )


def _with_offsets(
    summaries: Mapping[str, PublishedScores], models: Sequence[Scores]
) -> dict[str, PublishedScores]:
    medians = {task: summary.median for task, summary in summaries.items()}
    offsets: dict[str, list[float]] = defaultdict(list)
    usual: dict[str, list[float]] = defaultdict(list)
    for scores in models:
        for benchmark in BENCHMARKS:
            tasks = benchmark.task_names & scores.keys() & medians.keys()
            own = {task: scores[task] for task in tasks}
            above = level(own, medians) if len(own) >= MIN_TASKS else None
            for task, score in own.items():
                if above is not None:
                    offsets[task].append(score - medians[task] - above)
                if above is not None and above >= LOWEST_LEVEL:
                    usual[task].append(score - medians[task] - above)
    return {
        task: msgspec.structs.replace(summary, **_offset(offsets[task], usual[task]))
        for task, summary in summaries.items()
    }


def _offset(values: Sequence[float], usual: Sequence[float]) -> dict[str, float]:
    middle = statistics.median(values)
    deviation = statistics.median(abs(value - middle) for value in values)
    return {
        "offset": round(middle, 4),
        "offset_deviation": round(deviation, 4),
        "deepest": round(middle - min(usual), 4),
    }


if __name__ == "__main__":
    main()
