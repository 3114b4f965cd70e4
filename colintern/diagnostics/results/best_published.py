"""Whether a score can be believed: the best that anybody published, and what was trained on."""

import math
import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.results.benchmarks import VIDORE_V1
from colintern.diagnostics.results.model_meta_faults import TASK_OF_TRAINING_SET
from colintern.diagnostics.results.paired_bootstrap import sampling_error
from colintern.diagnostics.results.result_table import ResultTable

NOISE_ERRORS: Final = 3.0
"""Standard errors by which the best published mean may be passed: a model as good as the best
passes it by one half of the time, by three once in 700."""

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


def best_level(
    table: ResultTable, results: TaskResults, best_means: Mapping[str, float]
) -> BestLevel | None:
    """Compare the mean of ViDoRe v1; None where it is not complete."""
    name = VIDORE_V1.name
    mean = table.banded_means.get(name)
    if mean is None or name not in best_means:
        return None
    errors = [sampling_error(results.tasks[task]) for task in sorted(VIDORE_V1.task_names)]
    squares = [error.standard_error**2 for error in errors if error is not None]
    return BestLevel(mean, best_means[name], math.sqrt(math.fsum(squares)) / len(errors))


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
