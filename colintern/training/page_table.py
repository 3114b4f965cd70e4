"""Opens training data of any supported form as a table of rows, pages not yet decoded."""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image

from colintern.recipes.recipe import DataSettings
from colintern.training.faults import DataError

FILE_NAME_COLUMN: Final = "image_filename"
"""What tells the pages of ColPali's training set apart."""

_ON_DISK: Final = ("dataset_dict.json", "state.json")
_MAX_QUERY_FILES: Final = 1


@dataclass(frozen=True, slots=True)
class PageTable:
    """Rows with a query and a page, by column; `rows[i]` gives a dictionary."""

    name: str
    rows: Sequence[Any]
    columns: frozenset[str]
    root: Path | None
    """Folder that file names in rows are relative to."""

    def column(self, name: str) -> list[Any]:
        """Return all values of a column, without decoding pages.

        Raises:
            DataError: there is no such column.
        """
        if name not in self.columns:
            raise DataError(
                f"{self.name} must have a column {name!r}, but it has "
                f"{', '.join(sorted(self.columns)) or 'none'}; name the right one in the settings"
            )
        if isinstance(self.rows, list):
            return [row.get(name) for row in self.rows]
        by_column: Any = self.rows  # datasets index by column too
        # A slice is read at once; a column that is iterated is read row by row, 100 times slower.
        return list(by_column[name][:])


def open_table(settings: DataSettings, split: str) -> PageTable:
    """Open one split of the data.

    Raises:
        DataError: it is not there, or not in a form that is understood.
    """
    path = Path(settings.source).expanduser()
    if path.is_file():
        return _parquet(path)
    if not path.is_dir():
        if settings.source.startswith((".", "/", "~")) or settings.source.count("/") != 1:
            raise DataError(
                f"{settings.source} must be a Hub id, a folder or a parquet file, but it is none"
            )
        return _hub(settings, split)
    if any((path / name).exists() for name in _ON_DISK):
        return _on_disk(path, split)
    queries = sorted(path.glob("*.jsonl"))
    return _images(path, queries) if queries else _folder(settings, path, split)


def decoded(value: Any, root: Path | None) -> Image.Image:
    """Return a page as RGB pixels.

    Raises:
        OSError: it is no image, or one that is cut off.
        ValueError: nothing that could be one, or one of absurd size.
    """
    if isinstance(value, Image.Image):
        return value.convert("RGB")
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        stream: Any = io.BytesIO(value)
    elif isinstance(value, str) and value:
        stream = (root or Path()) / value
    else:
        raise ValueError(f"it holds {'nothing' if not value else type(value).__name__}")
    try:
        with Image.open(stream) as image:
            return image.convert("RGB")
    except (Image.DecompressionBombError, SyntaxError) as error:
        raise ValueError(str(error)) from error


def _parquet(path: Path) -> PageTable:
    import datasets  # noqa: PLC0415 - seconds to import, and not for folders of images
    from pyarrow import parquet  # noqa: PLC0415 - comes with datasets

    if path.suffix != ".parquet":
        raise DataError(f"{path} must be a parquet file, but its name ends in {path.suffix!r}")
    try:
        empty = parquet.read_metadata(path).num_rows == 0
        found = None if empty else datasets.Dataset.from_parquet(str(path))
    except Exception as error:
        raise DataError(f"{path} must be a parquet file, but it cannot be read: {error}") from error
    if found is None:
        raise DataError(f"{path} must have rows with a query and a page, but it has none")
    return _of_datasets(str(path), found, path.parent)


def _on_disk(path: Path, split: str) -> PageTable:
    import datasets  # noqa: PLC0415 - as above

    try:
        found = datasets.load_from_disk(str(path))
    except Exception as error:
        raise DataError(f"{path} must be a folder of datasets: {error}") from error
    if isinstance(found, datasets.DatasetDict):
        found = found[_one_of(split, list(found), f"{path} must have the split")]
    return _of_datasets(str(path), found, path)


def _folder(settings: DataSettings, path: Path, split: str) -> PageTable:
    import datasets  # noqa: PLC0415 - as above

    try:
        with _offline():
            configs = datasets.get_dataset_config_names(str(path))
            config = settings.config or (configs[0] if len(configs) == 1 else "train")
            _one_of(config, configs, f"{path} must have the configuration")
            found = datasets.load_dataset(str(path), config, split=split)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{path} must hold images with a JSONL of queries, parquet files or what "
            f"`save_to_disk` writes, but: {error}"
        ) from error
    return _of_datasets(str(path), found, path)


def _hub(settings: DataSettings, split: str) -> PageTable:
    import datasets  # noqa: PLC0415 - as above

    try:
        with nullcontext() if settings.download else _offline():
            found = datasets.load_dataset(
                settings.source, settings.config, split=split, revision=settings.revision
            )
    except Exception as error:
        remedy = "" if settings.download else "; pass --download to fetch it from the Hub"
        raise DataError(f"{settings.source} is not in the local cache{remedy} ({error})") from error
    return _of_datasets(settings.source, found, None)


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the Hub from being asked; both libraries read their environment when first imported."""
    import datasets  # noqa: PLC0415 - as above
    from huggingface_hub import constants  # noqa: PLC0415 - as above

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _of_datasets(name: str, found: Any, root: Path | None) -> PageTable:
    import datasets  # noqa: PLC0415 - as above

    for column, feature in found.features.items():
        if isinstance(feature, datasets.Image):
            found = found.cast_column(column, datasets.Image(decode=False))
        elif isinstance(getattr(feature, "feature", None), datasets.Image):
            found = found.cast_column(column, datasets.List(datasets.Image(decode=False)))
    return PageTable(name, found, frozenset(found.column_names), root)


def _images(folder: Path, files: list[Path]) -> PageTable:
    if len(files) > _MAX_QUERY_FILES:
        names = ", ".join(path.name for path in files)
        raise DataError(f"{folder} must have one JSONL of queries, but it has {names}")
    rows = [
        _query_row(files[0], number, line)
        for number, line in enumerate(files[0].read_text(encoding="utf-8").splitlines(), 1)
        if line.strip()
    ]
    columns = frozenset(key for row in rows for key in row)
    return PageTable(str(folder), rows, columns, folder)


def _query_row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{path}, line {number} must be a JSON object: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f'{path}, line {number} must be like {{"query": "...", "image": "a.png"}}')
    return row


def _one_of(wanted: str, names: Iterable[str], what: str) -> str:
    if wanted not in names:
        raise DataError(f"{what} {wanted!r}, but it has {', '.join(names)}")
    return wanted
