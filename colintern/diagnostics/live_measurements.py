"""What running a model shows of it: facts about embeddings and scores, as plain numbers.

Shape letters: V vectors, D embedding dimension, Q queries, P pages.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from colintern.artifacts.printable import listed
from colintern.diagnostics.results.benchmarks import DISCOUNTS_AT_5
from colintern.diagnostics.results.score_level import RANDOM_ERRORS, RANDOM_FACTOR

Vectors = npt.NDArray[np.float32]

_TELLING: Final = 0.5
"""NDCG@5 that must lie beyond chance for pages to tell anything: five pages tell nothing."""


class LoadReport(Struct, frozen=True, kw_only=True):
    """What became of every tensor when the model was loaded as transformers and PEFT do."""

    num_tensors: int
    """Tensors of the adapter, or of the whole model."""
    missing: tuple[str, ...] = ()
    """Parameters of the trunk that no file holds: they are random."""
    unexpected: tuple[str, ...] = ()
    """Tensors of the base that fit no parameter, an output layer left out."""
    unused: tuple[str, ...] = ()
    """Tensors of the adapter that are not in the loaded model."""
    absent: tuple[str, ...] = ()
    """Parameters of the adapter that its file does not hold."""
    error: str | None = None
    """Why the model could not be loaded, or not be run once."""

    @property
    def ok(self) -> bool:
        """Whether every tensor was loaded once."""
        return not (self.missing or self.unexpected or self.unused or self.absent or self.error)

    @property
    def text(self) -> str:
        """What went wrong, else how much was loaded."""
        parts = {
            "missing": self.missing,
            "left over": self.unexpected,
            "not in the model": self.unused,
            "not in the adapter's file": self.absent,
        }
        wrong = [f"{what}: {listed(names, most=2)}" for what, names in parts.items() if names]
        whole = f"{self.num_tensors} tensors loaded, each once"
        return self.error or "; ".join(wrong) or whole


class VectorNorms(Struct, frozen=True):
    """Lengths of the vectors of some pages and queries."""

    num_vectors: int
    """Of real tokens."""
    num_not_finite: int
    """Of those."""
    largest_deviation: float
    """From 1, of the vectors of real tokens."""
    largest_padding: float
    """Length of a vector that belongs to padding; 0 where there was none, and where it is NaN: sdpa
    gives a row that attends to nothing no value, and whoever drops padding never sees it."""


class BatchEffect(Struct, frozen=True):
    """The same inputs alone and in company."""

    smallest_cosine: float
    """Of a vector with the same vector in the other batch."""
    largest_score_change: float
    """Of a MaxSim score, relative to it."""


class Spread(Struct, frozen=True):
    """How different pages are for the model."""

    mean_cosine: float
    """Between vectors of different pages, over all pairs of vectors."""
    score_variation: float
    """Standard deviation of a query's scores over pages, relative to their mean; the median."""


class Reproduction(Struct, frozen=True):
    """NDCG@5 on the generated pages, twice."""

    now: float
    recorded: float
    """In the results of the checkpoint."""


class MergeEffect(Struct, frozen=True):
    """Scores before and after merging."""

    largest_score_change: float = 0.0
    """Relative to the largest score."""
    error: str | None = None
    """Why the merged model could not be run."""


class Retrieval(Struct, frozen=True):
    """NDCG@5 on pages with one answer a query."""

    ndcg_at_5: float
    num_pages: int
    num_queries: int

    @property
    def limit(self) -> float:
        """NDCG@5 below which a model is not told from a random ranking."""
        gains = DISCOUNTS_AT_5[: self.num_pages]
        chance = sum(gains) / self.num_pages
        spread = sum(gain**2 for gain in gains) / self.num_pages - chance**2
        error = math.sqrt(spread / self.num_queries)
        return min(RANDOM_FACTOR * chance, chance + RANDOM_ERRORS * error)

    @property
    def tells(self) -> bool:
        """Whether there are pages and queries enough to tell a model from chance."""
        return self.limit < _TELLING


def vector_norms(vectors_VD: Vectors, real_V: npt.NDArray[np.bool_]) -> VectorNorms:  # noqa: N803
    """Measure the vectors of real tokens and of padding."""
    finite_V = np.isfinite(vectors_VD).all(axis=1)  # noqa: N806
    lengths_V = np.linalg.norm(np.nan_to_num(vectors_VD), axis=1)  # noqa: N806
    real = lengths_V[real_V & finite_V]
    padding = lengths_V[~real_V & finite_V]
    return VectorNorms(
        num_vectors=int(real_V.sum()),
        num_not_finite=int((real_V & ~finite_V).sum()),
        largest_deviation=float(np.abs(real - 1).max(initial=0.0)),
        largest_padding=float(padding.max(initial=0.0)),
    )


def batch_effect(
    alone: Sequence[Vectors], together: Sequence[Vectors], scores: tuple[Vectors, Vectors]
) -> BatchEffect:
    """Compare inputs that were embedded one by one with the same in one batch."""
    cosines = [
        (one * other).sum(axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1))
        for one, other in zip(alone, together, strict=True)
    ]
    return BatchEffect(
        smallest_cosine=float(min(values.min() for values in cosines)),
        largest_score_change=relative_change(*scores),
    )


def relative_change(one: Vectors, other: Vectors) -> float:
    """Return the largest difference of two sets of scores, relative to the larger score."""
    scale = np.maximum(np.abs(one), np.abs(other)).max(initial=0.0)
    return float(np.abs(one - other).max(initial=0.0) / scale) if scale else 0.0


def spread_of(pages: Sequence[Vectors], scores_QP: Vectors) -> Spread:  # noqa: N803
    """Measure how alike the vectors of different pages are, and the scores over pages."""
    means_PD = np.stack([page.mean(axis=0) for page in pages])  # noqa: N806
    between = means_PD @ means_PD.T
    pairs = between[~np.eye(len(pages), dtype=bool)]
    middle = np.abs(scores_QP.mean(axis=1))
    variation = scores_QP.std(axis=1) / np.maximum(middle, np.finfo(np.float32).tiny)
    return Spread(float(pairs.mean()), float(np.median(variation)))
