"""What a rule's good and bad example is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Edit = Callable[[Path], None]
"""Changes a healthy run in place."""


def unchanged(run: Path) -> None:
    """The healthy run itself is the example."""


@dataclass(frozen=True)
class Case:
    """A pair of runs: the rule passes on `good` and has `outcome` on `bad`."""

    bad: Edit
    outcome: str = "failed"
    good: Edit = unchanged
    options: tuple[str, ...] = ()
    """More command-line arguments for both; `{run}` stands for the run's path."""
