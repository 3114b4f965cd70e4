"""Whether a score can be believed: the best that anybody published, and what was trained on."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec import Struct

from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.results.benchmarks import VIDORE_V1
from colintern.diagnostics.results.model_meta_faults import TASK_OF_TRAINING_SET
from colintern.diagnostics.results.paired_bootstrap import sampling_error
from colintern.diagnostics.results.published import PublishedModel
from colintern.diagnostics.results.result_table import ResultTable

NOISE_ERRORS: Final = 3.0
"""Standard errors by which the best published mean may be passed: a model as good as the best
passes it by one half of the time, by three once in 700."""

BEST_MEAN: Final = 0.92671
"""Best mean NDCG@5 on ViDoRe v1 of a model that is not bundled: DataScience-UIBK's
Argus-Colqwen3.5-9b-v0 at 1728b21a, from its ten files in embeddings-benchmark/results; the bundled
half has 0.92304 (sources M12)."""
MIN_MODELS: Final = 8
"""Models of a task below which the best of them says little."""

TASKS_IN_TRAINING_SET: Final[Mapping[str, tuple[str, ...]]] = {
    "colpali_train_set": (
        "VidoreArxivQARetrieval",
        "VidoreDocVQARetrieval",
        "VidoreInfoVQARetrieval",
        "VidoreTatdqaRetrieval",
    ),
}
"""Data set, without its owner, to the tasks whose training split it holds: mteb 2.26,
`COLPALI_TRAINING_DATA`."""


class BestLevel(Struct, frozen=True):
    """The mean NDCG@5 of ViDoRe v1 beside the best published one."""

    mean: float
    best: float
    error: float
    """Standard error of the mean over queries."""

    @property
    def above(self) -> bool:
        """Better than anything published."""
        return self.mean > self.best

    @property
    def beyond_noise(self) -> bool:
        """Better by more than other queries would explain."""
        return self.mean - self.best > NOISE_ERRORS * self.error

    def __str__(self) -> str:
        return f"ViDoRe(v1) mean NDCG@5 {self.mean:.3f}, best published {self.best:.3f}"


class TaskAbove(Struct, frozen=True):
    """A task whose NDCG@5 is above the best that anybody published, by more than its error."""

    task: str
    ndcg_at_5: float
    best: float

    def __str__(self) -> str:
        return f"{self.task} {self.ndcg_at_5:.3f}, best published {self.best:.3f}"


def best_level(
    table: ResultTable, results: TaskResults, models: Sequence[PublishedModel]
) -> BestLevel | None:
    """Compare the mean of ViDoRe v1; None where it is not complete."""
    mean = table.banded_means.get(VIDORE_V1.name)
    best = best_mean(models, VIDORE_V1.task_names)
    if mean is None or best is None:
        return None
    errors = [sampling_error(results.tasks[task]) for task in sorted(VIDORE_V1.task_names)]
    squares = [error.standard_error**2 for error in errors if error is not None]
    best = max(best, BEST_MEAN)
    return BestLevel(mean, best, math.sqrt(math.fsum(squares)) / len(errors))


def best_mean(models: Sequence[PublishedModel], tasks: Collection[str]) -> float | None:
    """Return the best mean NDCG@5 of a model that has all of `tasks`."""
    means = [
        math.fsum(model.tasks[task].ndcg_at_5 for task in tasks) / len(tasks)
        for model in models
        if model.tasks.keys() >= set(tasks)
    ]
    return max(means, default=None)


def tasks_above(
    table: ResultTable, results: TaskResults, models: Sequence[PublishedModel]
) -> tuple[TaskAbove, ...] | None:
    """Return the tasks above their best published score by more than other queries would explain.

    A task that fewer than `MIN_MODELS` models published is not judged; None where all are such.
    """
    found, judged = [], False
    for row in table.tasks:
        published = [m.tasks[row.name].ndcg_at_5 for m in models if row.name in m.tasks]
        error = sampling_error(results.tasks[row.name])
        if len(published) < MIN_MODELS or not row.complete or row.ndcg_at_5 is None or not error:
            continue
        judged = True
        if row.ndcg_at_5 - max(published) > NOISE_ERRORS * error.standard_error:
            found.append(TaskAbove(row.name, row.ndcg_at_5, max(published)))
    return tuple(found) if judged else None


def undeclared_tasks(manifest: RunManifest | None, meta: ModelMeta | None) -> list[str] | None:
    """Name the tasks that the run trained on and `model_meta.json` does not declare.

    None where nothing tells on what the run trained, or nothing was declared to MTEB at all.
    """
    if meta is None or manifest is None or not manifest.datasets:
        return None
    names = [(dataset.name or "").rstrip("/").rpartition("/")[2] for dataset in manifest.datasets]
    trained = {task for name in names for task in TASKS_IN_TRAINING_SET.get(name, ())}
    plain = {re.sub(r"[\W_]", "", name).lower() for name in meta.training_names}
    aliases = {TASK_OF_TRAINING_SET[name] for name in plain & TASK_OF_TRAINING_SET.keys()}
    return sorted(trained - aliases - set(meta.training_names)) if trained else None
