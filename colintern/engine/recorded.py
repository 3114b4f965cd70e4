"""A value that a rule cannot do without."""

from typing import TypeVar

from colintern.engine.missing import Source
from colintern.engine.verdict import NoEvidence
from colintern.facts.run_config import Recorded

T = TypeVar("T")


def needed(value: Recorded[T] | None, source: Source, what: str, *, needed_for: str) -> Recorded[T]:
    """Return `value`.

    Raises:
        NoEvidence: nobody recorded it; `what` in `source` would be it.
    """
    if value is None:
        raise NoEvidence(source, what=what, needed_for=needed_for)
    return value
