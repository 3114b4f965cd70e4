"""How long a run takes, by the work that a pair is and by the guide's table.

The guide's hours are for InternVL3.5-1B. Another model, other data or a cached batch take as much
longer as they are more work. The work is counted from the architecture, every page at its whole
token budget; nothing here was measured on a GPU.
"""

from typing import Final

from msgspec import Struct

from colintern.planning.activations import Rows
from colintern.planning.architecture import Architecture, Vision, find_architecture
from colintern.planning.hyperparameters import GUIDE_PAIRS, Proposal
from colintern.planning.memory import QUERY_TOKENS, page_tokens, tiles_of_page

_SECONDS: Final = 3600
_GUIDE_EPOCHS: Final = 5
_GUIDE_TOKENS: Final = 1536


class GuideHours(Struct, frozen=True):
    """A row of the guide's "Expected Training Time"."""

    gpu: str
    shortest: float
    longest: float
    """Hours of five epochs of InternVL3.5-1B."""
    peak: float
    """Dense bf16 operations a second with float32 sums; from NVIDIA's data sheet."""


GUIDE_HOURS: Final = (
    GuideHours("RTX 5090", 30, 40, 209.5e12),
    GuideHours("A100 40GB", 20, 25, 312e12),
    GuideHours("A100 80GB", 15, 20, 312e12),
)


class Duration(Struct, frozen=True):
    """How long a run takes on one of the guide's GPUs."""

    gpu: str
    shortest: float
    longest: float
    """Hours."""
    utilisation: tuple[float, float]
    """Share of the GPU's peak that the hours mean, lowest and highest."""


def operations_per_pair(
    architecture: Architecture,
    *,
    max_num_visual_tokens: int,
    rank: int,
    checkpointing: bool,
    cached: bool = False,
) -> float:
    """Count multiplications and additions of a query and its page, forward and backward.

    Frozen weights need no gradient of their own, so a backward pass is as much work as a forward
    pass; checkpointing and a cached batch each add a forward pass of the language model.
    """
    passes = 2 + checkpointing + cached
    page = page_tokens(architecture.vision, max_num_visual_tokens)
    language = 0.0
    for size in (Rows(1, page), Rows(1, QUERY_TOKENS)):
        language += _language(architecture, size, rank, passes)
    tiles = tiles_of_page(architecture.vision, max_num_visual_tokens)
    return language + tiles * _tile(architecture, architecture.vision)


def durations(proposal: Proposal, *, cached: bool = False) -> tuple[Duration, ...]:
    """Scale the guide's hours to the run that is proposed."""
    pair = operations_per_pair(
        proposal.architecture,
        max_num_visual_tokens=proposal.max_num_visual_tokens,
        rank=proposal.rank,
        checkpointing=proposal.checkpointing,
        cached=cached,
    )
    return scaled_hours(pair * proposal.pairs * proposal.epochs)


def scaled_hours(run: float) -> tuple[Duration, ...]:
    """Scale the guide's hours to a run of `run` operations on one GPU."""
    guide = _guide_run()
    return tuple(
        Duration(
            row.gpu,
            row.shortest * run / guide,
            row.longest * run / guide,
            (_share(guide, row.longest, row.peak), _share(guide, row.shortest, row.peak)),
        )
        for row in GUIDE_HOURS
    )


def _share(operations: float, hours: float, peak: float) -> float:
    return operations / (hours * _SECONDS * peak)


def _guide_run() -> float:
    """Operations of the run that the guide's table is of, gradient checkpointing on."""
    pair = operations_per_pair(
        find_architecture("1B"), max_num_visual_tokens=_GUIDE_TOKENS, rank=32, checkpointing=True
    )
    return pair * GUIDE_PAIRS * _GUIDE_EPOCHS


def _language(architecture: Architecture, size: Rows, rank: int, passes: int) -> float:
    text = architecture.text
    linear = sum(inputs * outputs for inputs, outputs in text.adapted) * text.layers
    matrices = linear + text.hidden * architecture.dimension
    attention = 2 * text.query_width * text.layers * size.tokens
    # LoRA's own weights are trained: their gradient is another pass.
    adapters = architecture.lora_parameters(rank)
    a_pass = 2 * size.total * (matrices + attention)
    # The backward pass of attention makes two products for each of the forward pass.
    return a_pass * passes + 2 * size.total * (adapters * (passes + 1) + attention)


def _tile(architecture: Architecture, vision: Vision) -> float:
    """Operations of one tile through the frozen tower and the connector: forward only."""
    per_token = 4 * vision.hidden**2 + 2 * vision.hidden * vision.intermediate
    attention = 2 * vision.patches * vision.hidden
    tower = 2 * vision.patches * vision.layers * (per_token + attention)
    return tower + 2 * vision.tokens_per_tile * architecture.connector_parameters
