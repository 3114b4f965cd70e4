"""The tokenizer's ids beside the rows of the embedding that they look up."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

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
