"""Which parts of a processor a folder lacks, and on which side it pads."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.run.layout import (
    PREPROCESSOR_CONFIG,
    PROCESSOR_CONFIG,
    TOKENIZER,
    TOKENIZER_CONFIG,
)
from colintern.families.family import Family

_EMBEDDING: Final = re.compile(
    r"(?:.*\.)?embed_tokens(?:\.(?:modules_to_save|base_layer))?(?:\.default)?\.weight"
)
_MATRIX: Final = 2


class Vocabulary(Struct, frozen=True):
    """How many ids can occur and how many can be looked up."""

    path: Path
    """The tokenizer."""
    num_token_ids: int
    """One more than the largest id that the tokenizer gives."""
    embedding_rows: int
    """Rows of the embedding; more than ids is normal, bases pad it."""

    @property
    def fits(self) -> bool:
        """Whether every id has a row."""
        return self.num_token_ids <= self.embedding_rows


def embedding_rows(shapes: Mapping[str, Sequence[int]]) -> int | None:
    """Return the rows of the token embedding among the weights, None when it is not there."""
    rows = {
        shape[0]
        for name, shape in shapes.items()
        if len(shape) == _MATRIX and _EMBEDDING.fullmatch(name)
    }
    return rows.pop() if len(rows) == 1 else None


_VOCABULARIES: Final = (
    frozenset({TOKENIZER}),
    frozenset({"tokenizer.model"}),
    frozenset({"spiece.model"}),
    frozenset({"vocab.json", "merges.txt"}),
    frozenset({"vocab.txt"}),
)
"""Sets of files, each of which holds a whole vocabulary."""


class PaddingSide(Struct, frozen=True):
    """The side on which queries and pages are padded, and what says so."""

    side: str
    source: str
    """The file."""

    def __str__(self) -> str:
        return f"{self.side} ({self.source})"


def missing_processor_parts(names: Collection[str], *, has_image_processor: bool) -> list[str]:
    """Name what must be added to `names` before the processor can be loaded.

    Args:
        names: files of the folder.
        has_image_processor: whether processor_config.json holds the image processor.
    """
    missing = []
    if not has_image_processor and PREPROCESSOR_CONFIG not in names:
        # Before transformers 5 the image processor had a file of its own beside the processor's.
        whole = PROCESSOR_CONFIG in names
        missing.append(
            PREPROCESSOR_CONFIG
            if whole
            else f"{PROCESSOR_CONFIG} (or the older {PREPROCESSOR_CONFIG})"
        )
    if TOKENIZER_CONFIG not in names:
        missing.append(TOKENIZER_CONFIG)
    if not any(files <= set(names) for files in _VOCABULARIES):
        missing.append(TOKENIZER)
    return missing


def padding_sides(
    family: Family,
    *,
    trained: str | None,
    evaluated: str | None,
    saved: str | None,
) -> tuple[PaddingSide, ...]:
    """Collect every side that is recorded.

    Args:
        family: whether the file decides.
        trained: recorded in colintern_run.json.
        evaluated: recorded in colintern_eval.json.
        saved: recorded in tokenizer_config.json; counts only where the file decides.
    """
    recorded = [(trained, "colintern_run.json"), (evaluated, "colintern_eval.json")]
    if family.padding_in_file:
        recorded.append((saved, TOKENIZER_CONFIG))
    return tuple(PaddingSide(side, source) for side, source in recorded if side is not None)
