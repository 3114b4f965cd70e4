"""MaxSim of multi-vectors of any lengths, in blocks of bounded memory.

Shape letters: Q queries, P pages, N query tokens, M page tokens, D embedding dimension.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from colpali_engine.utils import _lik_backend
from colpali_engine.utils.maxsim import maxsim_inbatch
from torch.nn.utils.rnn import pad_sequence

BLOCK_SIMILARITIES: Final = 2**24
"""Token similarities that are in memory at once; 64 MiB in float32."""


def maxsim_scores(
    queries: Sequence[torch.Tensor], pages: Sequence[torch.Tensor], device: torch.device
) -> torch.Tensor:
    """Return the scores (Q, P), in float32 on the CPU.

    Each page is padded with its own first vector, so its score does not depend on the pages it is
    computed with: padding with zeros would raise every negative maximum of a shorter page to zero.

    Args:
        queries: each (N, D).
        pages: each (M, D), at least one vector long.
        device: where it is computed.
    """
    scores_QP = torch.empty(len(queries), len(pages))  # noqa: N806
    kind = _computing_type(pages[0].dtype, device)
    padded = pad_sequence(list(queries), batch_first=True).to(device, kind)
    for start, block in _page_blocks(pages):
        block_PMD = _padded(block).to(device, kind)  # noqa: N806
        rows = _rows(padded.shape[1] * block_PMD.shape[0] * block_PMD.shape[1])
        for first in range(0, len(queries), rows):
            found = maxsim_inbatch(padded[first : first + rows], block_PMD)
            scores_QP[first : first + rows, start : start + len(block)] = found.float().cpu()
    return scores_QP


def _computing_type(stored: torch.dtype, device: torch.device) -> torch.dtype:
    """Half precision only where late-interaction-kernels sum it up in float32."""
    fused = device.type == "cuda" and _lik_backend.is_available()
    return stored if fused else torch.float32


def _page_blocks(pages: Sequence[torch.Tensor]) -> Iterator[tuple[int, Sequence[torch.Tensor]]]:
    """Cut into runs that, padded, stay within a share of the budget for one query token."""
    most = BLOCK_SIMILARITIES // 64
    start = 0
    while start < len(pages):
        longest, end = 0, start
        while end < len(pages):
            longest = max(longest, len(pages[end]))
            if end > start and longest * (end - start + 1) > most:
                break
            end += 1
        yield start, pages[start:end]
        start = end


def _rows(similarities_of_a_query: int) -> int:
    return max(1, BLOCK_SIMILARITIES // similarities_of_a_query)


def _padded(pages: Sequence[torch.Tensor]) -> torch.Tensor:
    longest = max(len(page) for page in pages)
    return torch.stack(
        [torch.cat([page, page[:1].expand(longest - len(page), -1)]) for page in pages]
    )
