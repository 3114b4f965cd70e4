"""The figures of each subject; what cannot be drawn is left out with its reason."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.printable import printable
from colintern.report.figure import Figure, NothingToDraw
from colintern.report.results_figure import results_figure
from colintern.report.training_figures import gradient_figure, loss_figure, rate_figure
from colintern.report.update_map import update_map
from pytest_colintern.evidence_registry import Resolver
from pytest_colintern.verdict import NoEvidence

MOST_SUBJECTS: Final = 12
"""Subjects with figures, the worst first: drawing takes some 20 ms each."""

_FIGURES: Final[dict[str, Callable[..., Figure]]] = {
    "Loss": loss_figure,
    "Updates by layer and module": update_map,
    "Results": results_figure,
    "Learning rate": rate_figure,
    "Gradient norm": gradient_figure,
}


class LeftOut(Struct, frozen=True):
    """A figure that is not there, and why."""

    title: str
    reason: str


class SubjectFigures(Struct, frozen=True):
    """The figures of one subject."""

    subject: str
    figures: tuple[Figure, ...]
    left_out: tuple[LeftOut, ...]


def subject_figures(subject: str, resolver: Resolver) -> SubjectFigures:
    """Draw what the evidence allows. Nothing is raised: a figure must not break the audit."""
    figures, left_out = [], []
    for title, draw in _FIGURES.items():
        drawn = _drawn(title, draw, resolver)
        if isinstance(drawn, Figure):
            figures.append(drawn)
        else:
            left_out.append(drawn)
    return SubjectFigures(subject, tuple(figures), tuple(left_out))


def _drawn(title: str, draw: Callable[..., Any], resolver: Resolver) -> Figure | LeftOut:
    try:
        figure: Figure = resolver.call(draw)
    except (NoEvidence, NothingToDraw) as absence:
        return LeftOut(title, printable(absence))
    except ArtifactError as error:
        return LeftOut(title, f"its evidence is malformed: {printable(error)}")
    except Exception as error:  # noqa: BLE001 - the verdict stands without a figure
        return LeftOut(title, f"it could not be drawn: {type(error).__name__}: {printable(error)}")
    return figure
