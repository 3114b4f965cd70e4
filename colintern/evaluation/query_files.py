"""Writes what was ranked for each query and which pages answer it, beside a task's result.

`artifacts.results.predictions` reads these files. MTEB writes the first of them itself, but not
whole or not at all, and never the second, without which nobody can score a query.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from colintern.artifacts.results.predictions import FOLDER, MODEL, PREDICTIONS, RELEVANCE
from colintern.artifacts.writing import write_json

Rankings = Mapping[str, Mapping[str, float]]
"""Query to the score of each page that was found for it."""
Answers = Mapping[str, Mapping[str, int]]
"""Query to the grade of each page that answers it."""


def write_queries(
    folder: Path,
    task: str,
    *,
    subset: str,
    split: str,
    rankings: Rankings,
    answers: Answers,
    model: Mapping[str, str | None],
) -> None:
    """Add one subset to the two files of `task`; its other subsets stay as they are.

    Args:
        folder: the results.
        task: its name.
        subset: the `hf_subset`.
        split: the split of the data.
        rankings: what the model found.
        answers: what is right.
        model: `model_name` and `revision`, as MTEB records them.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    files: tuple[tuple[str, Rankings | Answers, dict[str, Any]], ...] = (
        (PREDICTIONS, rankings, {MODEL: dict(model)}),
        (RELEVANCE, answers, {}),
    )
    for ending, queries, start in files:
        path = _path(folder, task, ending)
        written = _object_in(path) or start
        written.setdefault(subset, {})[split] = {
            query: dict(pages) for query, pages in queries.items()
        }
        write_json(path, written, indent=None)


def discard_queries(folder: Path, task: str) -> None:
    """Remove the files of `task`, if there are any."""
    for ending in (PREDICTIONS, RELEVANCE):
        _path(folder, task, ending).unlink(missing_ok=True)


def _path(folder: Path, task: str, ending: str) -> Path:
    return folder / FOLDER / f"{task}{ending}"


def _object_in(path: Path) -> dict[str, Any]:
    """Read a JSON object of ours; empty when there is none."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
