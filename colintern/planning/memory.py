"""The GPU memory of a training step, from the architecture alone: no torch, no weights.

Weights, adapters, gradients and optimiser are exact; what autograd saves is held against torch in
the tests. What else a step needs for a moment (`vision`, `workspace`, `reserve`) is an estimate
from the sizes of the tensors involved, and was not compared with the peak of a real GPU.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from colintern.planning.activations import (
    FLOAT32,
    MIXED,
    Attention,
    Precision,
    Rows,
    adapter_copies,
    rotary_angles,
    saved_forward,
    saved_layer,
)
from colintern.planning.architecture import Architecture, Text, Vision

GIBIBYTE: Final = 2**30
"""What a GPU's "32 GB" means, nearly: an RTX 5090 reports 31.8 of them."""

USABLE_RATIO: Final = 0.90
"""Share of a GPU's memory to plan for. The guide: 80-90 % is normal, above 95 % a risk."""

RESERVE_BYTES: Final = 768 * 2**20
"""CUDA's context, cuBLAS workspaces and what the allocator cannot reuse; an allowance."""

MAX_TILES: Final = 12
"""Of a page, thumbnail aside: what InternVL was trained with."""
PROMPT_TOKENS: Final = 12
"""Of a page beside its visual tokens: `<|im_start|>user`, `<img>`, "Describe the image.", ..."""
QUERY_TOKENS: Final = 40
"""Of a query, ten augmentation tokens included; the longest of a batch decides. An allowance:
a question of colpali_train_set has about 20."""

_ADAM_BYTES: Final = 8
"""Two float32 moments a trained parameter."""
_SCORE_COPIES: Final = 3
"""Of the MaxSim grid: the products, their gradient, and where the maximum is."""


class StepSettings(Struct, frozen=True, kw_only=True):
    """What decides the memory of a step on one GPU."""

    batch_size: int
    """Pairs that are compared with each other: `per_device_train_batch_size`."""
    rank: int
    checkpointing: bool
    chunk_size: int | None = None
    """Pages with a graph at a time in a cached batch; None: the whole batch at once."""
    max_num_visual_tokens: int = 1536
    """Budget of a page, thumbnail included."""
    query_tokens: int = QUERY_TOKENS
    attention: Attention = "masked"
    precision: Precision = MIXED


class MemoryUse(Struct, frozen=True, kw_only=True):
    """Bytes of a training step on one GPU, by what they are for."""

    weights: int
    """Frozen parameters."""
    adapters: int
    """LoRA's parameters, in float32."""
    gradients: int
    optimiser: int
    images: int
    """Tiles of the whole batch, as the processor makes them."""
    embeddings: int
    """Of a cached batch: its multi-vectors with their gradient, and its visual features."""
    activations: int
    """What the forward pass keeps until the backward pass."""
    recomputed: int
    """One layer, made again in the backward pass of a checkpointed model."""
    scores: int
    """The MaxSim grid; a vocabulary's logits are never computed."""
    workspace: int
    """Temporaries of a layer's backward pass."""
    vision: int
    """Temporaries of the vision tower, gone when the language model has run."""
    reserve: int

    @property
    def fixed(self) -> int:
        """What does not depend on the batch."""
        return self.weights + self.adapters + self.gradients + self.optimiser + self.reserve

    @property
    def total(self) -> int:
        """The peak: the vision tower and the backward pass are never at the same time."""
        backward = self.activations + self.recomputed + self.scores + self.workspace
        return self.fixed + self.images + self.embeddings + max(backward, self.vision)

    def fits(self, gpu_bytes: int) -> bool:
        """Whether the step stays in the usable share of a GPU's memory."""
        return self.total <= USABLE_RATIO * gpu_bytes


def memory_use(architecture: Architecture, step: StepSettings) -> MemoryUse:
    """Return the memory of one training step of `architecture`."""
    text, precision = architecture.text, step.precision
    at_once = min(step.chunk_size or step.batch_size, step.batch_size)
    tiles = tiles_of_page(architecture.vision, step.max_num_visual_tokens)
    page, query = page_tokens(architecture.vision, step.max_num_visual_tokens), step.query_tokens
    pages = Rows(at_once, page)
    trained = architecture.lora_parameters(step.rank)
    return MemoryUse(
        weights=precision.weight * architecture.frozen_parameters,
        adapters=FLOAT32 * trained,
        gradients=FLOAT32 * trained,
        optimiser=_ADAM_BYTES * trained,
        images=step.batch_size * tiles * 3 * architecture.vision.pixels * FLOAT32,
        embeddings=_embeddings(architecture, step, page, tiles),
        activations=sum(_kept(architecture, step, side) for side in _sides(step, pages)),
        recomputed=_recomputed(text, step, pages),
        scores=_SCORE_COPIES * precision.activation * at_once * query * step.batch_size * page,
        workspace=_workspace(text, pages, precision),
        vision=_vision(architecture.vision, at_once * tiles, precision),
        reserve=RESERVE_BYTES,
    )


def tiles_of_page(vision: Vision, max_num_visual_tokens: int) -> int:
    """Return the most tiles of a page in the budget, thumbnail included."""
    affordable = max_num_visual_tokens // vision.tokens_per_tile
    tiles = min(max(affordable - 1, 1), MAX_TILES)
    return tiles + 1 if tiles > 1 else 1


def page_tokens(vision: Vision, max_num_visual_tokens: int) -> int:
    """Return the most tokens of a page: its visual tokens and its prompt."""
    return tiles_of_page(vision, max_num_visual_tokens) * vision.tokens_per_tile + PROMPT_TOKENS


def largest_batch(architecture: Architecture, step: StepSettings, gpu_bytes: int, most: int) -> int:
    """Return the largest batch of at most `most` that fits; 0 when not even one pair does."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        fits = memory_use(architecture, replace(step, batch_size=middle)).fits(gpu_bytes)
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _sides(step: StepSettings, pages: Rows) -> Iterator[Rows]:
    """Yield the sides whose graphs exist together: both, or a chunk of pages at a time."""
    yield pages
    if step.chunk_size is None:
        yield Rows(step.batch_size, step.query_tokens)


def _kept(architecture: Architecture, step: StepSettings, side: Rows) -> int:
    """Bytes that the forward pass of one side keeps alive, saved by autograd or not."""
    text, precision = architecture.text, step.precision
    saved = saved_forward(
        architecture,
        side,
        step.rank,
        precision,
        attention=step.attention,
        checkpointing=step.checkpointing,
    )
    copies = adapter_copies(architecture, step.rank, precision, checkpointing=step.checkpointing)
    # The arguments of a layer that is to be recomputed: not saved, but kept.
    arguments = rotary_angles(text, side, precision) if step.checkpointing else 0
    mask = side.total * side.tokens if step.attention == "masked" else 0
    return saved + copies + arguments + mask


def _recomputed(text: Text, step: StepSettings, pages: Rows) -> int:
    if not step.checkpointing:
        return 0
    return saved_layer(text, pages, step.rank, step.precision, attention=step.attention)


def _embeddings(architecture: Architecture, step: StepSettings, page: int, tiles: int) -> int:
    if step.chunk_size is None:
        return 0
    s = step.precision.activation
    vectors = step.batch_size * (page + step.query_tokens) * architecture.dimension
    visual = step.batch_size * tiles * architecture.vision.tokens_per_tile
    return 2 * s * vectors + s * visual * architecture.text.hidden


def _workspace(text: Text, pages: Rows, precision: Precision) -> int:
    """Gradients of the gated product, and of what enters `down_proj` in float32; the residual's."""
    wide = (3 * precision.activation + 2 * FLOAT32) * text.intermediate
    return pages.total * (wide + 2 * (precision.activation + FLOAT32) * text.hidden)


def _vision(vision: Vision, tiles: int, precision: Precision) -> int:
    """The feed-forward of one layer without a graph: residual, norm, and both wide tensors."""
    s = precision.activation
    tokens = tiles * vision.patches
    layer = tokens * ((2 * s + FLOAT32) * vision.hidden + 2 * s * vision.intermediate)
    return layer + s * tiles * 3 * vision.pixels
