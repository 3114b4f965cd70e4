"""The entries of the page `sources` that a text cites, as `sources F03, B11`."""

import re
from typing import Final

PAGE: Final = "sources"
"""The page of `colintern docs` that has them."""

_ENTRY: Final = r"[A-Z]\d{2}"
_CITATION: Final = re.compile(rf"\b[Ss]ources\s+({_ENTRY}(?:(?:,|\s+and|\s+to)\s+{_ENTRY})*)")


def cited_entries(text: str) -> tuple[str, ...]:
    """Return what `text` cites, each entry once, in the order of the text.

    >>> cited_entries("the guide; sources F03, B11; PEFT issue 42; sources M09: one of 39")
    ('F03', 'B11', 'M09')
    """
    found = (entry for group in _CITATION.findall(text) for entry in re.findall(_ENTRY, group))
    return tuple(dict.fromkeys(found))
