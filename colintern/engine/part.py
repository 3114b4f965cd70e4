"""One part of a report: made from evidence, or left out with the reason and what would help."""

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.printable import printable
from colintern.engine.resolver import Resolver
from colintern.engine.verdict import NoEvidence
from colintern.figures.canvas import NothingToDraw

T = TypeVar("T")


class LeftOut(Struct, frozen=True):
    """A part that is not there, and why."""

    title: str
    reason: str
    hint: str = ""
    """What would let it be there."""
    broken: bool = False
    """Whether it was recorded, but cannot be read or shown."""


def part(title: str, make: Callable[..., T], resolver: Resolver) -> T | LeftOut:
    """Call `make` with the evidence that its parameters name. Nothing is raised.

    A report shows what can be shown: a malformed file, or a mistake of ours in one part, must not
    take the other parts away.
    """
    try:
        made: T = resolver.call(make)
    except NoEvidence as absence:
        return LeftOut(title, absence.missing.sentence, absence.missing.hint)
    except NothingToDraw as absence:
        return LeftOut(title, printable(absence))
    except ArtifactError as error:
        reason = f"its evidence is malformed: {printable(error)}"
        return LeftOut(title, reason, broken=True)
    except Exception as error:  # noqa: BLE001 - the verdict stands without this part
        reason = f"it could not be made: {type(error).__name__}: {printable(error)}"
        return LeftOut(title, reason, broken=True)
    return made
