"""A value that a rule cannot do without."""

from typing import TypeVar

from colintern.engine.verdict import NoEvidence
from colintern.facts.run_config import Recorded

T = TypeVar("T")


def needed(value: Recorded[T] | None, missing: str, *, needed_for: str) -> Recorded[T]:
    """Return `value`.

    Raises:
        NoEvidence: nobody recorded it; `missing` names the file or key that would have it.
    """
    if value is None:
        raise NoEvidence(missing, needed_for=needed_for)
    return value
