"""Ranking metrics of a retrieval task, computed like MTEB's. Free of torch.

Shape letters: Q queries, P pages.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

CUT_OFFS: Final = (1, 3, 5, 10, 20, 100)

Scores = npt.NDArray[np.float32]
Grades = npt.NDArray[np.int64]


def ranking_metrics(scores_QP: Scores, relevant: Sequence[frozenset[int]]) -> dict[str, float]:  # noqa: N803
    """Average NDCG, MAP, recall, precision and MRR over the queries.

    Args:
        scores_QP: the score of every query with every page.
        relevant: for each query, the indices of the pages that answer it, at least one.

    Returns:
        `ndcg_at_5` and so on, in [0, 1]. Equal scores are ranked by descending index: a model that
        scores all pages alike must not gain from the order in which they were made.
    """
    order_QP = np.argsort(scores_QP, axis=1, kind="stable")[:, ::-1]  # noqa: N806
    hits_QP = np.zeros(scores_QP.shape)  # noqa: N806
    for query, pages in enumerate(relevant):
        hits_QP[query] = np.isin(order_QP[query], list(pages))
    sizes_Q = np.array([len(pages) for pages in relevant])  # noqa: N806
    metrics: dict[str, float] = {}
    for name, metric in _METRICS.items():
        for k in CUT_OFFS:
            metrics[f"{name}_at_{k}"] = round(float(metric(hits_QP, sizes_Q, k).mean()), 5)
    return metrics


def _ndcg(hits_QP: npt.NDArray[np.float64], sizes_Q: Grades, k: int) -> npt.NDArray[np.float64]:  # noqa: N803
    discounts = 1 / np.log2(np.arange(2, hits_QP.shape[1] + 2))
    best_Q = np.array([discounts[: min(size, k)].sum() for size in sizes_Q])  # noqa: N806
    gain_Q: npt.NDArray[np.float64] = (hits_QP[:, :k] * discounts[:k]).sum(axis=1)  # noqa: N806
    ndcg_Q: npt.NDArray[np.float64] = gain_Q / best_Q  # noqa: N806
    return ndcg_Q


def _map(hits_QP: npt.NDArray[np.float64], sizes_Q: Grades, k: int) -> npt.NDArray[np.float64]:  # noqa: N803
    top = hits_QP[:, :k]
    precision = top.cumsum(axis=1) / np.arange(1, top.shape[1] + 1)
    found: npt.NDArray[np.float64] = (precision * top).sum(axis=1)
    return found / sizes_Q


def _recall(hits_QP: npt.NDArray[np.float64], sizes_Q: Grades, k: int) -> npt.NDArray[np.float64]:  # noqa: N803
    found: npt.NDArray[np.float64] = hits_QP[:, :k].sum(axis=1)
    return found / sizes_Q


def _precision(hits_QP: npt.NDArray[np.float64], _: Grades, k: int) -> npt.NDArray[np.float64]:  # noqa: N803
    found: npt.NDArray[np.float64] = hits_QP[:, :k].sum(axis=1)
    return found / k


def _mrr(hits_QP: npt.NDArray[np.float64], _: Grades, k: int) -> npt.NDArray[np.float64]:  # noqa: N803
    top = hits_QP[:, :k]
    reciprocal: npt.NDArray[np.float64] = top.max(axis=1) / (top.argmax(axis=1) + 1)
    return reciprocal


_METRICS: Final = {
    "ndcg": _ndcg,
    "map": _map,
    "recall": _recall,
    "precision": _precision,
    "mrr": _mrr,
}
