"""What to train a base model with on a GPU: the guide's numbers (sources N07 to N12)."""

import math
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from colintern.diagnostics.log.learning_rate import shown_size
from colintern.guide import GUIDE
from colintern.planning.architecture import Architecture
from colintern.planning.memory import (
    GIBIBYTE,
    USABLE_RATIO,
    MemoryUse,
    StepSettings,
    largest_batch,
    memory_use,
)

GUIDE_PAIRS: Final = 127_000
"""Pairs that the guide's warm-up of 198 steps follows from: 10 % of 127,000 / 64."""
DATASET_ROWS: Final = 118_195
"""Rows of vidore/colpali_train_set's train split."""
MAX_NUM_VISUAL_TOKENS: Final = 1536
"""The guide's token budget of a page."""
CACHED_BATCH: Final = 64
"""Pages compared at once in a cached batch: the guide's effective batch."""

_GUIDE_BATCHES: Final = ((0, 4), (16, 8), (24, 12), (32, 16), (40, 24), (80, 32))
"""The guide's batch sizes by GB of GPU memory: "24-32" from 40 GB is 24 there and 32 at 80.
Below its minimum of 16 GB: half of what it has at 16."""
_GUIDE_LEAST: Final = 16
"""GB of GPU memory: the guide's minimum hardware."""
_BATCHES: Final = (2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Of these the largest that fits; below 2 a query has no page to be told from."""
_CHUNKS: Final = (16, 8, 4, 2, 1)
_CALM_RATE: Final = 2e-5
"""The guide's learning rate for training that is unstable."""
_SMALL_RANK: Final = 0.7e9
_LARGE_RANK: Final = 3e9
"""Base parameters: sources N08."""


class Proposal(Struct, frozen=True, kw_only=True):
    """What to train with, and what it costs."""

    architecture: Architecture
    gpu_bytes: int
    pairs: int
    learning_rate: float
    batch_size: int
    """0 when not even a batch of two fits."""
    accumulation: int
    epochs: int
    warmup_steps: int
    rank: int
    checkpointing: bool
    max_num_visual_tokens: int
    ceiling: int
    """The guide's batch size for this GPU."""
    chunk_size: int
    """Pages in memory at once of a cached batch; 0 when not even one fits."""
    needed_bytes: int
    """The smallest GPU that a batch of two fits on."""

    @property
    def fits(self) -> bool:
        """Whether anything can be trained on this GPU."""
        return self.batch_size > 0

    @property
    def alpha(self) -> int:
        """The guide keeps it equal to the rank."""
        return self.rank

    @property
    def effective_batch_size(self) -> int:
        """Pairs an optimiser step."""
        return self.batch_size * self.accumulation

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps."""
        return steps_of_epoch(self.pairs, self.batch_size, self.accumulation)

    @property
    def steps(self) -> int:
        """Optimiser steps of the run."""
        return self.steps_per_epoch * self.epochs

    def step(self, *, cached: bool = False) -> StepSettings:
        """Return what decides the memory of a step."""
        return StepSettings(
            batch_size=CACHED_BATCH if cached else self.batch_size,
            chunk_size=self.chunk_size if cached else None,
            rank=self.rank,
            checkpointing=self.checkpointing,
            max_num_visual_tokens=self.max_num_visual_tokens,
        )

    def memory(self, *, checkpointing: bool | None = None, cached: bool = False) -> MemoryUse:
        """Return the memory of a step; of the other choice of checkpointing when asked."""
        step = self.step(cached=cached)
        chosen = self.checkpointing if checkpointing is None else checkpointing
        return memory_use(self.architecture, replace(step, checkpointing=chosen))


def propose(architecture: Architecture, gpu_bytes: int, pairs: int = GUIDE_PAIRS) -> Proposal:
    """Propose hyperparameters for `pairs` on one GPU."""
    rank = rank_for(architecture.base_parameters)
    ceiling = guide_batch(gpu_bytes)
    step = StepSettings(
        batch_size=_BATCHES[0],
        rank=rank,
        checkpointing=True,
        max_num_visual_tokens=MAX_NUM_VISUAL_TOKENS,
    )
    batch = _batch(architecture, step, gpu_bytes, ceiling)
    plain = _batch(architecture, replace(step, checkpointing=False), gpu_bytes, ceiling)
    accumulation = math.ceil(GUIDE.min_effective_batch_size / max(batch, 1))
    epochs = math.ceil(GUIDE.min_epochs)
    return Proposal(
        architecture=architecture,
        gpu_bytes=gpu_bytes,
        pairs=pairs,
        learning_rate=learning_rate_for(architecture),
        batch_size=batch,
        accumulation=accumulation,
        epochs=epochs,
        warmup_steps=warmup_for(steps_of_epoch(pairs, batch, accumulation), epochs),
        rank=rank,
        checkpointing=plain < batch or not batch,
        max_num_visual_tokens=MAX_NUM_VISUAL_TOKENS,
        ceiling=ceiling,
        chunk_size=_chunk(architecture, step, gpu_bytes),
        needed_bytes=math.ceil(memory_use(architecture, step).total / USABLE_RATIO),
    )


def learning_rate_for(architecture: Architecture) -> float:
    """Return the learning rate for a base: its family's, by its size."""
    family = architecture.family
    rates = family.learning_rate_for(architecture.base_parameters) or family.learning_rates[-1]
    return rates.low if rates.proposed is None else rates.proposed


def rank_for(base_parameters: int) -> int:
    """Return LoRA's rank for a base of that size."""
    if base_parameters < _SMALL_RANK:
        return GUIDE.rank_small
    return GUIDE.rank_large if base_parameters > _LARGE_RANK else GUIDE.rank_medium


def steps_of_epoch(pairs: int, batch_size: int, accumulation: int) -> int:
    """Return the optimiser steps of an epoch, as the Trainer counts them without a last batch."""
    return max(1, math.ceil(pairs // max(batch_size, 1) / accumulation))


def warmup_for(steps_per_epoch: int, epochs: int) -> int:
    """Return 10 % of the first epoch, at least 100 steps, and less than a third of the run."""
    wanted = max(int(steps_per_epoch * GUIDE.min_warmup_epoch_ratio), GUIDE.min_warmup_steps)
    return min(wanted, math.ceil(steps_per_epoch * epochs * GUIDE.max_warmup_run_ratio) - 1)


def guide_batch(gpu_bytes: int) -> int:
    """Return the guide's batch size for a GPU; a card sold as 32 GB may report 31.8."""
    gigabytes = round(gpu_bytes / GIBIBYTE)
    return max(batch for least, batch in _GUIDE_BATCHES if gigabytes >= least)


def reasons(proposal: Proposal) -> dict[str, str]:
    """Say of each number why it is what it is."""
    size = shown_size(proposal.architecture.base_parameters)
    gigabytes = f"{proposal.gpu_bytes / GIBIBYTE:.0f} GB"
    return {
        "Learning Rate": f"the guide's figure for {size} parameters; "
        f"{_calmer_rate(proposal.learning_rate):.0e} if training is unstable",
        "Batch Size": _batch_reason(proposal, gigabytes),
        "Gradient Accumulation": "the fewest that make an effective batch of at least "
        f"{GUIDE.min_effective_batch_size}",
        "Effective Batch Size": "steadies the gradient; it adds no negatives",
        "Number of Epochs": "the guide's: critical",
        "Warmup Steps": "10 % of the first epoch, at least 100, less than a third of the run",
        "LoRA Rank": f"the guide's for {size} parameters; alpha is the same",
        "Targets": "all seven linear layers of every language layer, and custom_text_proj",
        "Token budget": "the guide's most visual tokens a page, thumbnail included",
        "Checkpointing": "the batch does not fit without it"
        if proposal.checkpointing
        else "not needed: the batch fits without it, and it costs a second forward pass",
    }


def _calmer_rate(rate: float) -> float:
    """Return the guide's 2e-5 for an unstable run; half of a rate that is not above it."""
    return _CALM_RATE if rate > _CALM_RATE else rate / 2


def _batch_reason(proposal: Proposal, gigabytes: str) -> str:
    if proposal.batch_size < proposal.ceiling:
        return f"the largest that fits {gigabytes}; the guide's {proposal.ceiling} is for 1B"
    if round(proposal.gpu_bytes / GIBIBYTE) < _GUIDE_LEAST:
        return f"half of the guide's for {_GUIDE_LEAST} GB, its least; {gigabytes} is below it"
    return f"the guide's for {gigabytes}"


def _batch(architecture: Architecture, step: StepSettings, gpu_bytes: int, ceiling: int) -> int:
    most = largest_batch(architecture, step, gpu_bytes, ceiling)
    return max((batch for batch in _BATCHES if batch <= most), default=0)


def _chunk(architecture: Architecture, step: StepSettings, gpu_bytes: int) -> int:
    for chunk in _CHUNKS:
        cached = replace(step, batch_size=CACHED_BATCH, chunk_size=chunk)
        if memory_use(architecture, cached).fits(gpu_bytes):
            return chunk
    return 0
