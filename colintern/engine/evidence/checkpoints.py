"""Evidence of whether a run changed from one checkpoint to the next."""

from itertools import pairwise
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular
from colintern.artifacts.run.layout import ADAPTER_WEIGHTS, RunLayout
from colintern.engine.evidence import sources
from colintern.engine.resolver import evidence
from colintern.engine.verdict import NoEvidence

_MOST_COMPARED: Final = 50
"""Checkpoints of a run whose adapters are compared, the newest ones."""
_PIECE_BYTES: Final = limits.MEBIBYTE


class RepeatedCheckpoints(Struct, frozen=True):
    """Consecutive checkpoints of a run, compared."""

    folder: Path
    num_compared: int
    """Checkpoints with an adapter."""
    identical: tuple[tuple[int, int], ...]
    """Steps of neighbours that hold the same bytes."""


@evidence
def repeated_checkpoints(layout: RunLayout) -> RepeatedCheckpoints:
    """Whether the adapter changed from one checkpoint to the next."""
    saved = [
        (checkpoint.step, path)
        for checkpoint in layout.checkpoints[-_MOST_COMPARED:]
        if (path := checkpoint.folder.get(ADAPTER_WEIGHTS)) is not None
    ]
    if len(saved) < 2:  # noqa: PLR2004 - a pair
        raise NoEvidence(
            sources.CHECKPOINTS,
            what="at least two adapters",
            detail=f"found {len(saved)}",
            needed_for="comparing neighbouring checkpoints",
        )
    identical = tuple(
        (one[0], other[0])
        for one, other in pairwise(saved)
        if _same_bytes(one[1], other[1], layout.enclosure)
    )
    return RepeatedCheckpoints(layout.path, len(saved), identical)


def _same_bytes(one: Path, other: Path, enclosure: Enclosure) -> bool:
    """Compare two files; those that differ do so early, so this reads little."""
    try:
        with (
            open_regular(one, enclosure, limit=None) as left,
            open_regular(other, enclosure, limit=None) as right,
        ):
            while (piece := left.read(_PIECE_BYTES)) == right.read(_PIECE_BYTES):
                if not piece:
                    return True
    except ArtifactError:
        return False
    return False
