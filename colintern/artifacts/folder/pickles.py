"""Every pickle below a folder, whatever its name, examined within one budget of work."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular
from colintern.artifacts.pickle.file import (
    PICKLE_SUFFIXES,
    PickleReport,
    examine_pickle_file,
    is_torch_file,
    starts_like_pickle,
)
from colintern.artifacts.pickle.stand_ins import Budget

_NO_PICKLES: Final = frozenset(
    """
    .safetensors .json .jsonl .md .txt .jinja .model .py .yaml .yml .toml .csv .tsv .log .html .png
    .jpg .jpeg .pdf .svg .sh .gitattributes .gitignore .parquet .lock .gguf .onnx .h5
    """.split()  # noqa: SIM905 - a list of names reads best as words
)
"""Kinds that no library unpickles; every other unknown file is opened for its first bytes."""
_MOST_PEEKS: Final = 2_000


class FolderPickles(Struct, frozen=True):
    """What loading the pickles of a folder would do."""

    reports: tuple[PickleReport, ...]
    faults: tuple[ArtifactError, ...]
    """Files under the name of a pickle that cannot be opened."""
    is_complete: bool
    """False when more files of unknown kinds lie here than are opened for their first bytes."""


def examine_pickles(paths: Iterable[Path], enclosure: Enclosure | None) -> FolderPickles:
    """Examine the pickles among `paths`."""
    budget = Budget()
    reports: list[PickleReport] = []
    faults: list[ArtifactError] = []
    peeks, is_complete = _MOST_PEEKS, True
    for path in paths:
        named = path.suffix.lower() in PICKLE_SUFFIXES or is_torch_file(path)
        if not named and path.suffix.lower() in _NO_PICKLES:
            continue
        if not named and peeks == 0:
            is_complete = False
            continue
        try:
            if not named:
                peeks -= 1
                if not _looks_pickled(path, enclosure):
                    continue
            report = examine_pickle_file(path, enclosure, budget)
        except ArtifactError as error:
            if is_torch_file(path):
                faults.append(error.with_traceback(None))
            continue
        if report is not None:
            reports.append(report)
    return FolderPickles(tuple(reports), tuple(faults), is_complete)


def _looks_pickled(path: Path, enclosure: Enclosure | None) -> bool:
    with open_regular(path, enclosure, limit=None) as stream:
        return starts_like_pickle(stream.read(4))
