"""Untrusted text made safe to show: file names, JSON keys and values of a stranger's checkpoint."""

import unicodedata
from collections.abc import Collection
from typing import Final

MAX_SHOWN_CHARACTERS: Final = 300
"""A longer string is cut: one hostile value must not fill the screen."""

# Control, format (bidi overrides, zero width), surrogate, private and unassigned characters, and
# the two Unicode line separators: each can move, hide or reorder what a terminal shows.
_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(value: object, *, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    r"""Show `value` on one line, every invisible or control character as an escape.

    Shows the first `limit` characters, and an ellipsis in place of the others.

    >>> printable("a\x1b[31mb\u202ec")
    'a\\x1b[31mb\\u202ec'
    """
    text = value if isinstance(value, str) else _text(value)
    shown = text[:limit] if len(text) > limit else text
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(_escaped(character) for character in shown)
    return f"{shown}…" if len(text) > limit else shown


def listed(values: Collection[str], *, most: int = 4) -> str:
    """Name the first `most` values in sorted order and count the rest.

    >>> listed(["b", "a", "c"], most=2)
    'a, b and 1 more'
    """
    ordered = sorted(values)
    named = ", ".join(printable(value, limit=100) for value in ordered[:most])
    return named if len(ordered) <= most else f"{named} and {len(ordered) - most} more"


def _text(value: object) -> str:
    try:
        return str(value)
    except ValueError:
        # Python refuses to write out an integer of more than 4,300 digits.
        return "a huge integer"


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN_CATEGORIES:
        return character
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004 - the range of \x escapes
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - as above
