"""Version numbers as tuples that compare."""

import re
from typing import Final

_RELEASE: Final = re.compile(r"v?(\d{1,9}(?:\.\d{1,9}){0,5})(?![\d])")


def release(version: str | None) -> tuple[int, ...] | None:
    """Return the numbers of a version; a development version counts as the release it leads to.

    Trailing zeros are dropped, so 5.3 and 5.3.0 are equal.

    >>> release("5.3.0.dev0")
    (5, 3)
    """
    match = _RELEASE.match(version or "")
    if match is None:
        return None
    numbers = [int(number) for number in match[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
