"""Make `colintern/assets/published_scores.json` from a folder of published MTEB results.

The folder holds `MODEL/REVISION/TASK.json` with `model_meta.json` beside them, as the repository
embeddings-benchmark/results does. Only figures go into the package: the quartiles of NDCG@5 over
all late-interaction models that have the whole task.

    python -m colintern.assets.build_published_scores RESULTS --source "REPOSITORY @ COMMIT"
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results_folder import TaskResults, read_results_folder
from colintern.diagnostics.published_scores import ASSET, PublishedScores, PublishedTable
from colintern.diagnostics.result_table import result_table

MIN_MODELS = 8
"""Below it a quartile says little."""


def main() -> None:
    """Write the asset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--source", required=True)
    arguments = parser.parse_args()
    scores = _scores(arguments.results)
    table = PublishedTable(
        source=arguments.source,
        tasks={
            task: _summary(values)
            for task, values in sorted(scores.items())
            if len(values) >= MIN_MODELS
        },
    )
    asset = Path(__file__).parent.parent / "colintern" / "assets" / ASSET
    asset.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=1) + b"\n")


def _scores(results: Path) -> dict[str, list[float]]:
    scores = defaultdict(list)
    for model in _late_interaction(results):
        for task in result_table(model).tasks:
            if task.complete and task.benchmark and task.ndcg_at_5 is not None:
                scores[task.name].append(task.ndcg_at_5)
    return scores


def _late_interaction(results: Path) -> Iterator[TaskResults]:
    for folder in sorted(path for path in results.iterdir() if path.is_dir()):
        found = read_results_folder(folder, Enclosure.around(folder))
        if found and found.model_meta and found.model_meta.is_late_interaction:
            yield found


def _summary(values: list[float]) -> PublishedScores:
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return PublishedScores(
        models=len(values),
        lower_quartile=round(lower, 4),
        median=round(median, 4),
        upper_quartile=round(upper, 4),
        best=round(max(values), 4),
    )


if __name__ == "__main__":
    main()
