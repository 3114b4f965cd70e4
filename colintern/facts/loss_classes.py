"""Loss classes of retrievers by what each query is compared with."""

from typing import Final

LOCAL: Final = frozenset(
    {
        "MultipleNegativesRankingLoss",
        "CachedMultipleNegativesRankingLoss",
        "MultipleNegativesSymmetricRankingLoss",
        "CachedMultipleNegativesSymmetricRankingLoss",
        "GISTEmbedLoss",
        "CachedGISTEmbedLoss",
        "MultiVectorMultipleNegativesRankingLoss",
        "CachedMultiVectorMultipleNegativesRankingLoss",
        "Contrastive",
        "CachedContrastive",
    }
)
"""In-batch losses of sentence-transformers and PyLate (`losses/contrastive.py`): each process
compares within its own batch."""

GATHERED: Final = frozenset(
    {
        "ColbertLoss",
        "ColbertNegativeCELoss",
        "BiEncoderLoss",
        "BiPairedEncoderLoss",
        "BiNegativeCELoss",
    }
)
"""In-batch losses of colpali-engine: its trainer gathers the pages of all processes."""

PAIRWISE: Final = frozenset(
    {
        "ColbertPairwiseCELoss",
        "ColbertPairwiseNegativeCELoss",
        "ColbertSigmoidLoss",
        "BiPairwiseCELoss",
        "BiPairwiseNegativeCELoss",
        "BiSigmoidLoss",
    }
)
"""Losses of colpali-engine whose chance level is ln 2, whatever the batch."""

OTHER: Final = frozenset(
    {
        "AdaptiveLayerLoss",
        "AnglELoss",
        "BatchAllTripletLoss",
        "BatchHardTripletLoss",
        "CoSENTLoss",
        "ContrastiveLoss",
        "CosineSimilarityLoss",
        "DenoisingAutoEncoderLoss",
        "Distillation",
        "MSELoss",
        "MarginMSELoss",
        "Matryoshka2dLoss",
        "MatryoshkaLoss",
        "OnlineContrastiveLoss",
        "SoftmaxLoss",
        "TripletLoss",
    }
)
"""Losses of sentence-transformers and PyLate with another chance level, or none."""


def has_batch_pages_only(loss: str) -> bool:
    """Whether each query brings one page of its own, and no other page is compared.

    Args:
        loss: name or dotted path of the class.
    """
    name = loss.rpartition(".")[2]
    return name in GATHERED | PAIRWISE and "Negative" not in name
