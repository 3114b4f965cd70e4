"""The hash by which an evaluation knows its own result again, whatever layout it is stored in.

It is of the figures that are read: task, revision of the data, and every metric of every subset;
not of the file, which may be indented otherwise or gain a field.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from colintern.artifacts.files import Enclosure
from colintern.artifacts.task_result import TaskResult, read_task_results


def result_sha256(result: TaskResult) -> str:
    """Hash the figures of one task."""
    subsets = [
        [scores.split, scores.subset, scores.main_score, sorted(scores.metrics.items())]
        for scores in sorted(result.subsets, key=lambda each: (each.split, each.subset))
    ]
    content = json.dumps([result.task_name, result.dataset_revision, subsets])
    return hashlib.sha256(content.encode()).hexdigest()


def written_result(path: Path) -> dict[str, dict[str, Any]]:
    """Describe a result for the record beside it, so that it is known again.

    Raises:
        ArtifactError: it cannot be read.
    """
    return {
        result.task_name: {"sha256": result_sha256(result), "date": result.date}
        for result in read_task_results(path, Enclosure.around(path.parent))
    }
