"""What running a model shows of it: facts about embeddings and scores, as plain numbers.

Shape letters: V vectors, D embedding dimension, Q queries, P pages.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from colintern.diagnostics.benchmarks import DISCOUNTS_AT_5

Vectors = npt.NDArray[np.float32]


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
    """Why nothing could be loaded."""

    @property
    def ok(self) -> bool:
        """Whether every tensor was loaded once."""
        return not (self.missing or self.unexpected or self.unused or self.absent or self.error)


class VectorNorms(Struct, frozen=True):
    """Lengths of the vectors of some pages and queries."""

    num_vectors: int
    num_not_finite: int
    largest_deviation: float
    """From 1, of the vectors of real tokens."""
    largest_padding: float
    """Length of a vector that belongs to padding; 0 where there was none."""


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


class Retrieval(Struct, frozen=True):
    """NDCG@5 on pages with one answer a query."""

    ndcg_at_5: float
    num_pages: int
    num_queries: int

    @property
    def chance(self) -> float:
        """NDCG@5 that a random ranking is expected to have."""
        return sum(DISCOUNTS_AT_5) / self.num_pages


def vector_norms(vectors_VD: Vectors, real_V: npt.NDArray[np.bool_]) -> VectorNorms:  # noqa: N803
    """Measure the vectors of real tokens and of padding."""
    finite_V = np.isfinite(vectors_VD).all(axis=1)  # noqa: N806
    lengths_V = np.linalg.norm(np.nan_to_num(vectors_VD), axis=1)  # noqa: N806
    real = lengths_V[real_V & finite_V]
    padding = lengths_V[~real_V & finite_V]
    return VectorNorms(
        num_vectors=len(vectors_VD),
        num_not_finite=int((~finite_V).sum()),
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
