"""Evidence of whether a run changed from one checkpoint to the next."""

from itertools import pairwise
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.run.layout import ADAPTER_WEIGHTS, Folder, RunLayout
from colintern.diagnostics.log.training_progress import best_step
from colintern.engine.evidence import sources
from colintern.engine.resolver import evidence
from colintern.engine.verdict import NoEvidence
from colintern.facts.run_config import RunConfig

_MOST_COMPARED: Final = 50
"""Checkpoints of a run whose adapters are compared, the newest ones."""
_PIECE_BYTES: Final = limits.MEBIBYTE


class RepeatedCheckpoints(Struct, frozen=True):
    """Consecutive checkpoints of a run, compared."""

    folder: Path
    num_compared: int
    """Checkpoints with an adapter."""
    identical: tuple[tuple[int, int], ...]
    """Steps of neighbours that hold the same bytes."""


class JudgedWeights(Struct, frozen=True):
    """Which moment of the run the audited weights are of."""

    step: int | None
    """Optimiser step; None where nothing tells."""
    reason: str
    """What it was told from."""
    may_be_best: bool = False
    """The run tracked its best checkpoint, and nothing here shows whether it was loaded."""


@evidence
def judged_weights(
    layout: RunLayout, training_log: TrainerState, run_config: RunConfig | None
) -> JudgedWeights:
    """The step of the audited weights: the last one, unless the best checkpoint was loaded."""
    if (folder := layout.weights_folder) is not layout.folder:
        step = next((each.step for each in layout.checkpoints if each.folder is folder), None)
        return JudgedWeights(step, f"they lie in {folder.path.name}")
    best = best_step(training_log)
    if best is not None and not layout.is_checkpoint:
        held = next((each for each in layout.checkpoints if each.step == best), None)
        if held is not None and (same := _same_adapter(layout, held.folder)) is not None:
            if same:
                return JudgedWeights(best, f"they equal those of {held.folder.path.name}")
            return JudgedWeights(training_log.global_step, "they are not those of the best")
        asked = run_config.load_best_model_at_end if run_config is not None else None
        if asked is not None and asked.value:
            return JudgedWeights(best, f"{asked.where} loaded the best")
        if asked is None:
            last = "they are of the last step, or of the best"
            return JudgedWeights(training_log.global_step, last, may_be_best=True)
    return JudgedWeights(training_log.global_step, "they are of the last step")


def _same_adapter(layout: RunLayout, other: Folder) -> bool | None:
    """Whether the adapter is that of another folder; None where either has none."""
    mine, theirs = layout.folder.get(ADAPTER_WEIGHTS), other.get(ADAPTER_WEIGHTS)
    if mine is None or theirs is None:
        return None
    return _same_bytes(mine, theirs, layout.enclosure)


@evidence
def repeated_checkpoints(layout: RunLayout) -> RepeatedCheckpoints:
    """Whether the adapter changed from one checkpoint to the next."""
    saved = [
        (checkpoint.step, path)
        for checkpoint in layout.checkpoints[-_MOST_COMPARED:]
        if (path := checkpoint.folder.get(ADAPTER_WEIGHTS)) is not None
    ]
    if len(saved) < 2:  # noqa: PLR2004 - a pair
        raise NoEvidence(
            sources.CHECKPOINTS,
            what="at least two adapters",
            detail=f"found {len(saved)}",
            needed_for="comparing neighbouring checkpoints",
        )
    identical = tuple(
        (one[0], other[0])
        for one, other in pairwise(saved)
        if _same_bytes(one[1], other[1], layout.enclosure)
    )
    return RepeatedCheckpoints(layout.path, len(saved), identical)


def _same_bytes(one: Path, other: Path, enclosure: Enclosure) -> bool:
    """Compare two files; those that differ do so early, so this reads little."""
    try:
        with (
            open_regular(one, enclosure, limit=None) as left,
            open_regular(other, enclosure, limit=None) as right,
        ):
            while (piece := left.read(_PIECE_BYTES)) == right.read(_PIECE_BYTES):
                if not piece:
                    return True
    except ArtifactError:
        return False
    return False
