"""What processes that train together exchange: pages as candidates, and what they agree on.

Shape letters: P pages of this process, N tokens, D dimension.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn


def is_distributed() -> bool:
    """Whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def largest(number: int, device: torch.device) -> int:
    """Return the largest `number` of all processes, each of which must ask at the same step."""
    if not is_distributed():
        return number
    found = torch.tensor(number, device=device)
    dist.all_reduce(found, op=dist.ReduceOp.MAX)
    return int(found)


def gathered(pages_PND: torch.Tensor) -> tuple[torch.Tensor, int]:  # noqa: N803
    """Return the pages of all processes in the order of their ranks, and where ours begin.

    Every process must hold equally many pages. Gradients come back from the queries of all of them.
    """
    if not is_distributed():
        return pages_PND, 0
    longest = largest(pages_PND.shape[1], pages_PND.device)
    # In front, as the tokenizer pads; zero vectors, as the model masks.
    padded = nn.functional.pad(pages_PND, (0, 0, longest - pages_PND.shape[1], 0))
    return _Gather.apply(padded), dist.get_rank() * pages_PND.shape[0]


class _Gather(torch.autograd.Function):
    """An all-gather with a gradient; torch 2.13's own gives a wrong one on gloo, silently."""

    @staticmethod
    def forward(context: Any, pages: torch.Tensor) -> torch.Tensor:
        context.rows = pages.shape[0]
        pieces = [torch.empty_like(pages) for _ in range(dist.get_world_size())]
        dist.all_gather(pieces, pages.contiguous())
        return torch.cat(pieces)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        start = dist.get_rank() * context.rows
        return total[start : start + context.rows]
