"""Local copies of the benchmarks' data, for machines without a network.

A copy is the folder that `hf download --repo-type dataset ORG/NAME --local-dir FOLDER` makes:
`queries/`, `corpus/` and `qrels/` with parquet files, and a README.md that names them.
"""

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import datasets
from huggingface_hub import errors as hub_errors
from mteb.abstasks.retrieval import AbsTaskRetrieval

from colintern.artifacts.printable import printable

_PARTS: Final = ("queries", "corpus", "qrels")
_MOST_FILES: Final = 10_000
"""Parquet files of one part; the largest, ViDoRe v3's, has about a hundred."""


class DataError(OSError):
    """The data of a task cannot be read; the message says what to put where."""


def use_local_copy(task: AbsTaskRetrieval, folder: Path) -> AbsTaskRetrieval:
    """Let `task` read the copy of its data in `folder`, when there is one.

    Looked for are `folder/ORG/NAME`, `folder/NAME` and `folder/TASK`.
    """
    if (path := _copy_in(task, folder)) is None:
        return task
    place = _described(path)
    if place != path:
        weakref.finalize(task, shutil.rmtree, place, ignore_errors=True)
    dataset = {**task.metadata.dataset, "path": str(place)}
    task.metadata = task.metadata.model_copy(update={"dataset": dataset})
    return task


def load_data(task: AbsTaskRetrieval, folder: Path | None) -> None:
    """Load the data of `task`.

    Raises:
        DataError: it is neither in `folder` nor in the cache, and cannot be downloaded.
    """
    try:
        task.load_data()
        task.convert_v1_dataset_format_to_v2(num_proc=None)
    except (OSError, ValueError, hub_errors.HfHubHTTPError, datasets.exceptions.DatasetsError) as e:
        raise DataError(_advice(task, folder, e)) from e


def _copy_in(task: AbsTaskRetrieval, folder: Path) -> Path | None:
    hub_id = _hub_id(task)
    places = (folder / hub_id, folder / hub_id.rpartition("/")[2], folder / task.metadata.name)
    return next((place for place in places if place.is_dir()), None)


def _hub_id(task: AbsTaskRetrieval) -> str:
    """Return the id of the data, also where the task was told to read a copy."""
    return str(type(task).metadata.dataset["path"])


def _advice(task: AbsTaskRetrieval, folder: Path | None, error: Exception) -> str:
    reason = printable(f"{type(error).__name__}: {error}", limit=300)
    path = _hub_id(task)
    if folder is not None and (copy := _copy_in(task, folder)) is not None:
        return f"the data in {printable(copy)} cannot be read ({reason}); expected {_layout(copy)}"
    place = (folder or Path("DATA")) / path
    return (
        f"the data {path} is not in the local cache and cannot be downloaded ({reason}). "
        f"Put a copy into {printable(place)}: {_layout(place)}, made on a machine with a network "
        f"by `hf download {path} --repo-type dataset --local-dir {printable(place)}`, "
        f"and give --data-dir {printable(folder or Path('DATA'))}"
    )


def _layout(folder: Path) -> str:
    return ", ".join(f"{folder.name}/{part}/*.parquet" for part in _PARTS)


def _described(path: Path) -> Path:
    """Return a folder that `datasets` understands: the copy, or links to it with a README."""
    parts = [folder for folder in sorted(path.iterdir()) if any(folder.glob("*.parquet"))]
    if (path / "README.md").is_file() or not parts:
        return path
    view = Path(tempfile.mkdtemp(prefix="colintern-data-"))
    lines = ["---", "configs:"]
    for part in parts:
        (view / part.name).mkdir()
        lines += [f"- config_name: {part.name}", "  data_files:"]
        for split, files in _by_split(part):
            lines += [f"  - split: {split}", "    path:"]
            lines += [f"    - {part.name}/{file.name}" for file in files]
            for file in files:
                (view / part.name / file.name).symlink_to(file.resolve())
    (view / "README.md").write_text("\n".join([*lines, "---", ""]))
    return view


def _by_split(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    files = sorted(folder.glob("*.parquet"))[:_MOST_FILES]
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(file.name.partition("-")[0].removesuffix(".parquet"), []).append(file)
    yield from splits.items()
