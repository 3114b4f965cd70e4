"""Training pairs from any supported source, in the form that colpali-engine's collator reads."""

import dataclasses
import hashlib
import logging
import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from colpali_engine.data.dataset import ColPaliEngineDataset
from msgspec.structs import replace
from PIL import Image
from torch.utils.data import Dataset
from transformers import TrainingArguments

from colintern.artifacts.run.manifest import DatasetRecord
from colintern.pages.world import Pair, held_out_pairs, retrieval_task, training_pairs
from colintern.recipes.recipe import DataSettings, Recipe
from colintern.training.faults import DataError
from colintern.training.page_table import FILE_NAME_COLUMN, PageTable, decoded, open_table

_SHOWN_ROWS: Final = 5
"""Bad rows that are named before the rest is counted."""

_CHECKED_ROWS: Final = 64
"""Rows whose pages are decoded before training begins: a wrong column shows at once."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Rows to train on, rows for the evaluation loss, and what the run records of them."""

    train: Any
    evaluation: Any
    """None where no evaluation loss is computed."""
    records: tuple[DatasetRecord, ...]

    @property
    def has_negatives(self) -> bool:
        """Whether every row to train on has hard negatives."""
        return isinstance(self.train, PagePairRows) and self.train.num_negatives > 0


class PagePairs(Dataset[dict[str, Any]]):
    """Pairs whose pages are drawn when they are asked for."""

    def __init__(self, pairs: list[Pair]) -> None:
        """Wrap `pairs`."""
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        pair = self.pairs[index]
        return {"query": pair.query, "pos_target": Image.fromarray(pair.page.pixels())}


def pair_dataset(pairs: list[Pair]) -> ColPaliEngineDataset:
    """Return `pairs` in the form that colpali-engine's collator reads."""
    return ColPaliEngineDataset(PagePairs(pairs))


class PagePairRows(Dataset[dict[str, Any]]):
    """Some rows of a table; a page is decoded when it is asked for."""

    def __init__(
        self, table: PageTable, settings: DataSettings, rows: Sequence[int], keys: list[Hashable]
    ) -> None:
        """Choose `rows` of `table`; `keys` tells the pages of all its rows apart."""
        self.table = table
        self.settings = settings
        self.rows = rows
        self.page_keys = [keys[row] for row in rows]
        self.num_negatives = _num_negatives(table, settings, rows)
        self._by_name: dict[Hashable, int] | None = None
        self._reported: set[int] = set()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return a row; where bad rows are skipped, the next sound one stands in for a bad one.

        Raises:
            DataError: the row is bad, and bad rows are fatal; or no row is sound.
            IndexError: there is no such row.
        """
        if not -len(self.rows) <= index < len(self.rows):
            raise IndexError(index)
        for offset in range(len(self.rows)):
            row = self.rows[(index + offset) % len(self.rows)]
            try:
                return self._read(row)
            except (OSError, ValueError) as error:
                fault = f"{self.table.name}, row {row:,}: its page cannot be used: {error}"
                if self.settings.on_bad_row == "fail":
                    raise DataError(f"{fault}; mend it, or pass --on-bad-row skip") from error
                if row not in self._reported:
                    self._reported.add(row)
                    logger.warning("%s; skipped", fault)
        raise DataError(f"{self.table.name} has no row with a page that can be used")

    def _read(self, row: int) -> dict[str, Any]:
        values = self.table.rows[row]
        query = values[self.settings.query_column]
        page = decoded(values[self.settings.page_column], self.table.root)
        more = [self._negative(value) for value in self._negatives(values)]
        return {"query": query, "pos_target": [page], "neg_target": more or None}

    def _negatives(self, values: dict[str, Any]) -> list[Any]:
        if not self.num_negatives:
            return []
        found = values[str(self.settings.negatives_column)]
        return [found[number % len(found)] for number in range(self.num_negatives)]

    def _negative(self, value: Any) -> Image.Image:
        """Decode a negative: a page, a file, another row's number or another row's file name."""
        row = value if isinstance(value, int) else self._row_named(value)
        if row is not None:
            if not 0 <= row < len(self.table.rows):
                raise ValueError(f"its hard negative is row {row:,}, which there is not")
            value = self.table.rows[row][self.settings.page_column]
        return decoded(value, self.table.root)

    def _row_named(self, value: Any) -> int | None:
        if not isinstance(value, str) or FILE_NAME_COLUMN not in self.table.columns:
            return None
        if self._by_name is None:
            names = self.table.column(FILE_NAME_COLUMN)
            self._by_name = {name: row for row, name in enumerate(names)}
        return self._by_name.get(value)


def open_data(recipe: Recipe, arguments: TrainingArguments) -> TrainingData:
    """Return the data of `recipe`; without rows for an evaluation that is switched off.

    Raises:
        DataError: it is not there, or cannot be trained on.
    """
    evaluated = str(arguments.eval_strategy.value) != "no"
    if recipe.data is None:
        return _generated(recipe, evaluated=evaluated)
    data = load_data(recipe.data)
    return data if evaluated else dataclasses.replace(data, evaluation=None)


def _generated(recipe: Recipe, *, evaluated: bool) -> TrainingData:
    record = DatasetRecord(
        name="colintern/pages",
        revision=retrieval_task().revision,
        split="train",
        rows=recipe.train_pairs,
    )
    pairs = training_pairs(recipe.train_pairs, seed=recipe.seed)
    held_out = pair_dataset(held_out_pairs(recipe.eval_pairs)) if evaluated else None
    return TrainingData(pair_dataset(pairs), held_out, (record,))


def load_data(settings: DataSettings) -> TrainingData:
    """Open the data that `settings` describes and check what can be checked at once.

    Raises:
        DataError: it is not there, lacks a column, has no rows, or a bad one that is fatal.
    """
    table = open_table(settings, settings.split)
    rows = _sound_rows(table, settings)
    keys = page_keys_of(table, settings)
    records = [_record(settings, settings.split, len(rows))]
    evaluation = None
    if settings.eval_split is not None:
        other = open_table(settings, settings.eval_split)
        held_out = _sound_rows(other, settings)[: settings.eval_rows or None]
        evaluation = PagePairRows(other, settings, held_out, page_keys_of(other, settings))
        records.append(_record(settings, settings.eval_split, len(held_out)))
    elif settings.eval_rows:
        rows, held_out = hold_out(rows, keys, settings.eval_rows, seed=settings.seed)
        evaluation = PagePairRows(table, settings, held_out, keys)
        records = [_record(settings, settings.split, len(rows))]
    train = PagePairRows(table, settings, rows, keys)
    records[0] = replace(records[0], rows_sha256=_rows_sha256(train))
    for chosen in (train, evaluation or ()):
        for index in range(min(_CHECKED_ROWS, len(chosen))):
            chosen[index]
    return TrainingData(train, evaluation, tuple(records))


def page_keys_of(table: PageTable, settings: DataSettings) -> list[Hashable]:
    """Return what tells pages apart, row by row: their file name, else a hash of their bytes."""
    if FILE_NAME_COLUMN in table.columns:
        return table.column(FILE_NAME_COLUMN)
    return [_page_key(value) for value in table.column(settings.page_column)]


def hold_out(
    rows: Sequence[int], keys: Sequence[Hashable], count: int, *, seed: int
) -> tuple[list[int], list[int]]:
    """Divide `rows` so that about `count` are held out and no page is on both sides.

    Raises:
        DataError: nothing would be left to train on.
    """
    pages = sorted({keys[row] for row in rows}, key=str)
    random.Random(f"hold-out/{seed}").shuffle(pages)
    of_page: dict[Hashable, list[int]] = {page: [] for page in pages}
    for row in rows:
        of_page[keys[row]].append(row)
    held_out: list[int] = []
    for page in pages:
        if len(held_out) >= count:
            break
        held_out += of_page[page]
    chosen = set(held_out)
    left = [row for row in rows if row not in chosen]
    if not left:
        raise DataError(f"{count} rows cannot be held out of {len(rows)}; lower eval_rows")
    return left, sorted(held_out)


def _sound_rows(table: PageTable, settings: DataSettings) -> list[int]:
    """Return the rows that have a query, and hard negatives if they are asked for."""
    if settings.page_column not in table.columns:
        table.column(settings.page_column)
    faults = {
        row: "its query is empty"
        for row, query in enumerate(table.column(settings.query_column))
        if not isinstance(query, str) or not query.strip()
    }
    if settings.negatives_column is not None:
        for row, found in enumerate(table.column(settings.negatives_column)):
            if not isinstance(found, list) or not found:
                faults.setdefault(row, "it has no hard negatives")
    _report(table, settings, faults)
    rows = [row for row in range(len(table.rows)) if row not in faults]
    if not rows:
        raise DataError(f"{table.name} must have rows with a query and a page, but it has none")
    return rows


def _report(table: PageTable, settings: DataSettings, faults: dict[int, str]) -> None:
    if not faults:
        return
    named = [f"row {row:,}: {fault}" for row, fault in list(faults.items())[:_SHOWN_ROWS]]
    rest = f"; and {len(faults) - len(named):,} more" if len(faults) > len(named) else ""
    text = f"{table.name}, {'; '.join(named)}{rest}"
    if settings.on_bad_row == "fail":
        raise DataError(f"{text}; mend them, or pass --on-bad-row skip")
    logger.warning("%s; skipped", text)


def _num_negatives(table: PageTable, settings: DataSettings, rows: Sequence[int]) -> int:
    if settings.negatives_column is None:
        return 0
    found = table.column(settings.negatives_column)
    fewest = min(len(found[row]) for row in rows)
    return fewest if settings.num_negatives is None else settings.num_negatives


def _page_key(value: Any) -> Hashable:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return hashlib.sha1(value, usedforsecurity=False).hexdigest()
    return value if isinstance(value, str) else id(value)


def _record(settings: DataSettings, split: str, rows: int) -> DatasetRecord:
    name = settings.source
    if Path(name).exists():
        name = Path(name).name
    return DatasetRecord(name=name, revision=settings.revision, split=split, rows=rows)


def _rows_sha256(rows: PagePairRows) -> str:
    """Hash which rows these are; their pages are told by their columns only, not read."""
    settings = rows.settings
    queries = rows.table.column(settings.query_column)
    columns = (settings.page_column, settings.negatives_column, rows.num_negatives)
    digest = hashlib.sha256(repr(columns).encode())
    for row in rows.rows:
        digest.update(f"{row} {queries[row]!r}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
