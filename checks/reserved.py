"""Ids of rules that are to come: taken already, so that no other rule is given one of them.

A rule that is written takes its entry out of here and its `explains` into its `@rule`.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Reserved:
    """An id, and what its rule will judge."""

    id: str
    subject: str
    explains: frozenset[str] = frozenset()
    """Rules that will fail as a consequence when it fails."""


_POOR_RESULTS: Final = frozenset({"RES001", "RES002", "RES005"})
_POOR_LEARNING: Final = frozenset({"LOG002", "LOG003", "LOG004"}) | _POOR_RESULTS

RESERVED: Final = (
    Reserved(
        "ADP025",
        "a head that some common loader replaces",
        _POOR_RESULTS | {"LIV005", "LIV006", "LIV007", "LIV010"},
    ),
    Reserved(
        "CFG016",
        "extremes of configuration",
        _POOR_LEARNING | {"LOG001", "LOG005", "LOG006", "LOG010", "LOG011", "LOG012"},
    ),
    Reserved("PRC006", "the processor as a whole", frozenset({"LIV010", "RES001", "RES002"})),
    Reserved("DAT001", "duplicates in a batch", frozenset({"LOG004", "RES001", "RES002"})),
    Reserved("DAT002", "leakage between training and evaluation", frozenset({"LOG008", "RES010"})),
    Reserved("DAT003", "blank or unreadable pages", _POOR_LEARNING | {"LOG005"}),
    Reserved("DAT004", "truncated queries", _POOR_LEARNING),
    Reserved("DAT005", "hard negatives that are answers", _POOR_LEARNING),
    Reserved("DAT006", "unbalanced sources", frozenset({"RES002", "RES009"})),
    Reserved("LOG018", "the reference course of the loss", frozenset({"RES001", "RES002"})),
    Reserved(
        "REC007", "records of the processor", frozenset({"PRC002", "PRC003", "PRC004", "LIV010"})
    ),
    Reserved("REC009", "records of results and model_meta.json", frozenset({"RES007", "RES011"})),
    Reserved("SEC005", "code that loading reaches by other ways than `auto_map`"),
)
"""By stage."""
