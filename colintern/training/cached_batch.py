"""Contrastive batches of any size in the memory of a chunk, with the gradient of the whole batch.

Accumulating gradients adds no negatives: each micro-batch compares with its own pages only. Here
the whole batch is embedded twice (Gao et al., 2021, "GradCache"): without a graph, to compute the
loss and its gradient at the embeddings; then chunk by chunk with a graph, to carry that gradient
into the weights. Random state is put back before the second pass, so dropout draws the same.

Shape letters: Q queries, P pages, B rows of one side, N tokens, D dimension.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import torch
from colpali_engine.loss.late_interaction_losses import (
    ColbertLoss,
    ColbertNegativeCELoss,
    ColbertPairwiseCELoss,
    ColbertPairwiseNegativeCELoss,
)
from torch import nn

from colintern.training.frozen_vision import FrozenVision
from colintern.training.processes import gathered

Inputs = dict[str, Any]
"""Keyword arguments of a model's forward: `input_ids` (B, N), `pixel_values` (T, ...), ..."""


def with_prefix(batch: Mapping[str, Any], prefix: str) -> Inputs:
    """Return the entries of `batch` whose name starts with `prefix`, without it."""
    return {key[len(prefix) :]: value for key, value in batch.items() if key.startswith(prefix)}


def flat_negatives(inputs: Inputs) -> Inputs:
    """Return hard negatives with one row a page, whichever layout the collator gives them.

    colpali-engine's gives (B, negatives, ...), ours gives (B x negatives, ...) already, because
    pixel rows are tiles and pages have different numbers of them.
    """
    if not inputs or inputs["input_ids"].dim() == 2:  # noqa: PLR2004 - (rows, tokens)
        return inputs
    leading = inputs["input_ids"].shape[:2]
    return {
        key: value.flatten(0, 1) if value.shape[:2] == leading else value
        for key, value in inputs.items()
    }


def tiles_of_rows(inputs: Inputs, image_token_id: int | None) -> list[int]:
    """Return how many rows of `pixel_values` belong to each row of `input_ids`.

    Every tile has the same number of tokens, so the image tokens of a row tell.

    Raises:
        ValueError: the tiles cannot be shared out among the rows.
    """
    rows, tiles = inputs["input_ids"].shape[0], inputs["pixel_values"].shape[0]
    if image_token_id is None:
        if rows == tiles:
            return [1] * rows
        raise ValueError(
            f"pages must have one row of pixels each where the model names no image token, but "
            f"{rows} pages have {tiles}; set `image_token_id` in the model's config"
        )
    tokens_B = (inputs["input_ids"] == image_token_id).sum(dim=1)  # noqa: N806
    total = int(tokens_B.sum())
    counts = [tokens * tiles // max(total, 1) for tokens in tokens_B.tolist()]
    if total % tiles or sum(counts) != tiles:
        raise ValueError(
            f"every tile must have the same number of image tokens, but {rows} pages have "
            f"{total} tokens for {tiles} tiles; check that the processor belongs to this model"
        )
    return counts


def split_rows(inputs: Inputs, size: int, image_token_id: int | None) -> list[Inputs]:
    """Cut `inputs` into parts of at most `size` rows, each page with all of its tiles."""
    rows = inputs["input_ids"].shape[0]
    pixels = inputs.get("pixel_values")
    tiles = [0] * rows if pixels is None else tiles_of_rows(inputs, image_token_id)
    parts, first_tile = [], 0
    for start in range(0, rows, size):
        last_tile = first_tile + sum(tiles[start : start + size])
        parts.append(_part(inputs, slice(start, start + size), slice(first_tile, last_tile)))
        first_tile = last_tile
    return parts


def _part(inputs: Inputs, rows: slice, tiles: slice) -> Inputs:
    total_tiles = inputs["pixel_values"].shape[0] if "pixel_values" in inputs else None
    total_rows = inputs["input_ids"].shape[0]
    part: Inputs = {}
    for key, value in inputs.items():
        if not isinstance(value, torch.Tensor):
            part[key] = value
        elif key.startswith("pixel_"):
            part[key] = value[tiles] if value.shape[0] == total_tiles else value[rows]
        else:
            part[key] = value[rows] if value.shape[0] == total_rows else value[tiles]
    return part


SEPARABLE_LOSSES: Final = (
    ColbertLoss,
    ColbertNegativeCELoss,
    ColbertPairwiseCELoss,
    ColbertPairwiseNegativeCELoss,
)
"""Losses that are a mean over queries, so that a block of queries is scored at a time."""

Backward = Callable[[torch.Tensor], None]


@dataclass(frozen=True, slots=True)
class RandomState:
    """The random generators that a forward pass draws from."""

    cpu: torch.Tensor
    cuda: torch.Tensor | None
    device: torch.device

    @classmethod
    def now(cls, device: torch.device) -> "RandomState":
        """Take the state as it is."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(torch.get_rng_state(), cuda, device)

    def restore(self) -> None:
        """Put the generators back to this state."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Draw from this state inside the block, and go on as if nothing had been drawn."""
        before = RandomState.now(self.device)
        self.restore()
        try:
            yield
        finally:
            before.restore()


@dataclass(slots=True)
class EmbeddedSide:
    """One side of a batch (queries, pages or hard negatives), embedded without a graph."""

    chunks: list[Inputs]
    states: list[RandomState]
    vectors_BND: torch.Tensor  # noqa: N815
    """A leaf: its gradient is what the second pass carries into the weights."""
    memory: FrozenVision

    @classmethod
    def of(cls, model: nn.Module, chunks: list[Inputs]) -> "EmbeddedSide":
        """Embed `chunks`, remembering what each drew."""
        states, pieces, memory = [], [], FrozenVision(model)
        for chunk in chunks:
            states.append(RandomState.now(chunk["input_ids"].device))
            with torch.no_grad(), memory.recorded():
                pieces.append(model(**chunk))
        return cls(chunks, states, torch.cat(pieces).detach().requires_grad_(), memory)

    def carry(
        self,
        model: nn.Module,
        backward: Backward,
        *,
        unsynchronised: Callable[[], AbstractContextManager[Any]],
        last: bool,
    ) -> None:
        """Carry the gradient at the embeddings into the weights, chunk by chunk.

        Args:
            model: embeds again, with a graph.
            backward: the trainer's, with its scaling.
            unsynchronised: keeps processes from averaging gradients, in all but the final chunk.
            last: this side is the batch's last.
        """
        if self.vectors_BND.grad is None:
            raise RuntimeError("the loss must depend on every side of the batch, but one got none")
        start = 0
        for index, (chunk, state) in enumerate(zip(self.chunks, self.states, strict=True)):
            final = last and index == len(self.chunks) - 1
            with nullcontext() if final else unsynchronised():
                with state.replayed(), self.memory.replayed():
                    vectors_BND = model(**chunk)  # noqa: N806
                stop = start + vectors_BND.shape[0]
                backward((vectors_BND.float() * self.vectors_BND.grad[start:stop]).sum())
            start = stop


def loss_at_embeddings(
    loss_func: nn.Module,
    queries_QND: torch.Tensor,  # noqa: N803
    pages_PND: torch.Tensor,  # noqa: N803
    negatives_BND: torch.Tensor | None,  # noqa: N803
    *,
    block: int,
) -> torch.Tensor:
    """Compute the loss of a batch and leave its gradient at the three tensors, all leaves.

    Pages of all processes are candidates. Blocks of queries are scored one after the other, so
    that no score of all queries, pages and tokens exists at once.

    Returns:
        The mean loss over the queries of this process, detached.
    """
    gathered_PND, offset = gathered(pages_PND)  # noqa: N806
    candidates_PND = gathered_PND.detach().requires_grad_()  # noqa: N806
    rows = queries_QND.shape[0]
    block = block if isinstance(loss_func, SEPARABLE_LOSSES) else rows
    total = torch.zeros((), device=queries_QND.device)
    for start in range(0, rows, block):
        part_QND = queries_QND[start : start + block]  # noqa: N806
        more = _rows_of(negatives_BND, rows, start, block)
        loss = loss_func(part_QND, candidates_PND, *more, offset=offset + start)
        share = loss * (part_QND.shape[0] / rows)
        share.backward()
        total += share.detach()
    if candidates_PND.grad is None:
        raise RuntimeError("the loss must depend on the pages, but it does not")
    gathered_PND.backward(candidates_PND.grad)
    return total


def _rows_of(
    negatives: torch.Tensor | None, queries: int, start: int, block: int
) -> Sequence[torch.Tensor]:
    if negatives is None:
        return ()
    grouped = negatives.view(queries, -1, *negatives.shape[1:])
    return (grouped[start : start + block],)
