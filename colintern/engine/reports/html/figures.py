"""The figures of each subject; what cannot be drawn is left out with its reason."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from colintern.engine.part import LeftOut, part
from colintern.engine.resolver import Resolver
from colintern.figures.canvas import Figure
from colintern.figures.results import results_figure
from colintern.figures.training import gradient_figure, loss_figure, rate_figure
from colintern.figures.update_map import update_map

MOST_SUBJECTS: Final = 12
"""Subjects with figures, the worst first: drawing takes some 20 ms each."""

_FIGURES: Final[dict[str, Callable[..., Figure]]] = {
    "Loss": loss_figure,
    "Learning rate": rate_figure,
    "Gradient norm": gradient_figure,
    "Updates by layer and module": update_map,
    "Results": results_figure,
}
_FIRST_COLUMN: Final = frozenset({"Loss", "Learning rate", "Gradient norm"})


class SubjectFigures(Struct, frozen=True):
    """The figures of one subject."""

    subject: str
    figures: tuple[Figure, ...]
    left_out: tuple[LeftOut, ...]
    num_first_column: int = 0
    """How many of them tell the course of the training: the others stand beside them."""


def subject_figures(subject: str, resolver: Resolver) -> SubjectFigures:
    """Draw what the evidence allows. Nothing is raised: a figure must not break the audit."""
    figures, left_out, num_first = [], [], 0
    for title, draw in _FIGURES.items():
        drawn = part(title, draw, resolver)
        if isinstance(drawn, Figure):
            figures.append(drawn)
            num_first += title in _FIRST_COLUMN
        else:
            left_out.append(drawn)
    return SubjectFigures(subject, tuple(figures), tuple(left_out), num_first)
