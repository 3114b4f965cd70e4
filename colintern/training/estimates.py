"""What a run needs and how long it takes, estimated before it begins. Free of torch."""

import json
from pathlib import Path
from typing import Final

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.tiny_base import TINY_BASE, resolve_base
from colintern.planning.architecture import Architecture, ArchitectureError, find_architecture
from colintern.planning.memory import (
    GIBIBYTE,
    MemoryUse,
    StepSettings,
    largest_batch,
    memory_use,
    page_tokens,
)
from colintern.training.preflight import DoesNotFitError
from colintern.training.recipes import Recipe

_DEFAULT_TOKENS: Final = 1536
"""The guide's budget of a page, for a base that names none."""

_TINY_PAIRS_A_SECOND: Final = 240
"""Of the recipe `tiny` on one core of an AMD EPYC, forward and backward; measured."""

_GUIDE_HOURS: Final = {"RTX 5090": (30, 40), "A100 40GB": (20, 25), "A100 80GB": (15, 20)}
"""Hours of the guide's own run, by its table."""
_GUIDE_WORK: Final = 118_195 * 5 * 905_315_328 * (_DEFAULT_TOKENS + 40)
"""Pairs x epochs x parameters x tokens of that run."""
_CACHED_PASSES: Final = 4 / 3
"""A cached batch embeds twice: four passes where there are three."""


def step_of(recipe: Recipe, architecture: Architecture) -> StepSettings:
    """Return what decides the memory of a training step."""
    arguments = recipe.arguments
    names = ("gradient_checkpointing", "activation_checkpointing")
    return StepSettings(
        batch_size=recipe.per_device_train_batch_size,
        rank=recipe.lora.rank,
        checkpointing=any(bool(arguments.get(name)) for name in names),
        chunk_size=recipe.chunk_size,
        max_num_visual_tokens=_budget(recipe, architecture),
    )


def step_memory(recipe: Recipe) -> MemoryUse | None:
    """Return the memory of a step on one GPU; None for a base that cannot be counted."""
    try:
        architecture = find_architecture(recipe.base)
        return memory_use(architecture, step_of(recipe, architecture))
    except (ArchitectureError, ArtifactError):
        return None


def memory_text(recipe: Recipe) -> str:
    """Tell the memory of a step on a GPU, and what of it does not depend on the batch."""
    use = step_memory(recipe)
    if use is None:
        return "not known for this base"
    total, fixed = use.total / GIBIBYTE, use.fixed / GIBIBYTE
    return (
        f"about {total:.1f} GiB a GPU when every page fills its budget, {fixed:.1f} GiB of it "
        "whatever the batch (estimated in bf16, not measured)"
    )


def time_text(recipe: Recipe, pairs: float, world_size: int) -> str:
    """Tell how long `pairs` (rows x epochs) take, by the guide's table or our own measurement."""
    if recipe.base == TINY_BASE:
        minutes = pairs / _TINY_PAIRS_A_SECOND / 60
        return f"about {max(1, round(minutes))} min on one core of a CPU, by our own measurement"
    try:
        architecture = find_architecture(recipe.base)
    except (ArchitectureError, ArtifactError):
        return "not known for this base"
    tokens = page_tokens(architecture.vision, _budget(recipe, architecture)) + 40
    work = pairs * architecture.base_parameters * tokens / world_size / _GUIDE_WORK
    work *= _CACHED_PASSES if recipe.chunk_size is not None else 1
    hours = (
        f"{_hours(low * work)}-{_hours(high * work)} h on {gpu}"
        for gpu, (low, high) in _GUIDE_HOURS.items()
    )
    return f"{', '.join(hours)}: the guide's table, scaled by the work; not measured"


def check_memory(recipe: Recipe, gpu_bytes: int) -> None:
    """Check that a step fits on a GPU of `gpu_bytes`.

    Raises:
        DoesNotFitError: by the memory model it needs more than all of it.
    """
    use = step_memory(recipe)
    if use is None or use.total <= gpu_bytes:
        return
    architecture = find_architecture(recipe.base)
    most = recipe.per_device_train_batch_size
    fits = largest_batch(architecture, step_of(recipe, architecture), gpu_bytes, most)
    remedy = (
        f"set --per-device-train-batch-size {fits}, or keep the batch with --chunk-size {fits}"
        if fits
        else "set --gradient-checkpointing and --chunk-size 1, or take a larger GPU"
    )
    raise DoesNotFitError(
        f"a step must fit into the GPU's {gpu_bytes / GIBIBYTE:.1f} GiB, but it needs about "
        f"{use.total / GIBIBYTE:.1f} GiB; {remedy}"
    )


def _hours(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"  # noqa: PLR2004 - two digits


def _budget(recipe: Recipe, architecture: Architecture) -> int:
    """Return the recipe's budget of a page, else the base's own, else the guide's."""
    if recipe.max_num_visual_tokens is not None:
        return recipe.max_num_visual_tokens
    path = Path(resolve_base(recipe.base)) / "processor_config.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8")).get("max_num_visual_tokens")
    except (OSError, ValueError, AttributeError):
        saved = None
    return (
        saved
        if isinstance(saved, int)
        else max(_DEFAULT_TOKENS, architecture.vision.tokens_per_tile)
    )
