"""Bytes that a forward pass keeps for the backward pass, counted operation by operation.

Only LoRA is trained: a frozen linear layer keeps nothing of its input, but LoRA keeps it, and with
dropout a mask and a copy for each module. The tests hold these figures against the bytes that
`torch.autograd.graph.saved_tensors_hooks` sees.

Legend: B rows, N tokens a row, `s` bytes a number of an activation, `m` of a dropout mask.
"""

from typing import Final, Literal

from msgspec import Struct

from colintern.planning.architecture import Architecture, Text

FLOAT32: Final = 4
"""Bytes. Norms and unit vectors are computed in float32 whatever the precision of the rest."""

Attention = Literal["masked", "plain"]
"""`plain`: no mask (flash attention, or rows of one length); `masked`: sdpa with padded rows, which
copies keys and values for every query head and keeps a mask of N x N a layer."""


class Precision(Struct, frozen=True, kw_only=True):
    """Bytes a number."""

    weight: int
    """Of frozen weights."""
    activation: int
    mask: int
    """Of a dropout mask; CUDA keeps a byte, a CPU keeps the factor itself."""
    autocast: bool = False
    """Whether LoRA's float32 matrices are copied to the activations' type."""


MIXED: Final = Precision(weight=2, activation=2, mask=1, autocast=True)
"""bf16 weights and autocast on a GPU, adapters in float32: what PEFT and the Trainer do."""


class Rows(Struct, frozen=True):
    """One side of a batch as the model sees it."""

    rows: int
    tokens: int
    """A row, padding included."""

    @property
    def total(self) -> int:
        """Tokens of all rows."""
        return self.rows * self.tokens


def saved_layer(
    text: Text,
    size: Rows,
    rank: int,
    precision: Precision,
    *,
    attention: Attention = "masked",
    first: bool = False,
) -> int:
    """Bytes that one decoder layer keeps; the first one's input needs no gradient."""
    n, s = size.total, precision.activation
    norm = _norm(n, text.hidden, 1)
    lora = sum(_lora(n, inputs, rank, precision) for inputs, _ in text.adapted)
    if first:
        # No gradient passes the input: neither its norm nor the masks of q, k and v are kept.
        lora -= 3 * precision.mask * n * text.hidden
        norm_in = 0
    else:
        norm_in = norm
    heads = 0
    if text.head_norms:
        heads = _norm(n, text.query_width, text.heads)
        heads += _norm(n, text.key_width, text.key_width // text.head_dim)
    gated = 3 * s * n * text.intermediate  # input of silu, and both factors of the product
    return norm_in + lora + heads + _attention(text, size, s, attention) + norm + gated


def saved_ends(architecture: Architecture, size: Rows, rank: int, precision: Precision) -> int:
    """Bytes kept behind the layers: the last norm, the projection and the unit vectors."""
    text, n = architecture.text, size.total
    unit = FLOAT32 * n * (architecture.dimension + 2) + n
    return _norm(n, text.hidden, 1) + _lora(n, text.hidden, rank, precision) + unit


def rotary_angles(text: Text, size: Rows, precision: Precision) -> int:
    """Bytes of the sines and cosines that all layers share."""
    return 2 * precision.activation * size.total * text.head_dim


def adapter_copies(
    architecture: Architecture, rank: int, precision: Precision, *, checkpointing: bool
) -> int:
    """Bytes of LoRA's matrices in the activations' type, kept over a forward pass.

    With checkpointing only the projection's: a layer's are made again when it is recomputed. The
    first layer's A of q, k and v are not needed for a gradient.
    """
    if not precision.autocast:
        return 0
    if checkpointing:
        return precision.activation * rank * (architecture.text.hidden + architecture.dimension)
    unneeded = 3 * rank * architecture.text.hidden
    return precision.activation * (architecture.lora_parameters(rank) - unneeded)


def saved_forward(
    architecture: Architecture,
    size: Rows,
    rank: int,
    precision: Precision,
    *,
    attention: Attention = "masked",
    checkpointing: bool,
) -> int:
    """Bytes that autograd saves in a forward pass of one side, the adapters' copies aside."""
    text = architecture.text
    ends = saved_ends(architecture, size, rank, precision)
    if checkpointing:
        return ends + precision.activation * size.total * text.hidden * text.layers
    first = saved_layer(text, size, rank, precision, attention=attention, first=True)
    other = saved_layer(text, size, rank, precision, attention=attention)
    angles = rotary_angles(text, size, precision)
    return ends + angles + first + other * (text.layers - 1)


def _norm(n: int, width: int, groups: int) -> int:
    """Bytes of an RMS norm: its input and the factor of each group, in float32."""
    return FLOAT32 * n * (width + groups)


def _lora(n: int, inputs: int, rank: int, precision: Precision) -> int:
    """Bytes of a LoRA module: mask, what entered A, what entered B."""
    return n * (precision.mask * inputs + precision.activation * (inputs + rank))


def _attention(text: Text, size: Rows, s: int, attention: Attention) -> int:
    keys = text.query_width if attention == "masked" else text.key_width
    vectors = s * size.total * (2 * text.query_width + 2 * keys)
    normalisers = FLOAT32 * size.total * text.heads
    mask = s * size.total * size.tokens if attention == "masked" else 0
    return vectors + normalisers + mask
