"""What a run needs and how long it takes, estimated before it begins. Free of torch."""

import json
from pathlib import Path
from typing import Final

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.model.base_model import TINY_BASE, resolve_base
from colintern.planning.architecture import Architecture, ArchitectureError, find_architecture
from colintern.planning.duration import operations_per_pair, scaled_hours
from colintern.planning.memory import (
    GIBIBYTE,
    MemoryUse,
    StepSettings,
    largest_batch,
    memory_use,
)
from colintern.recipes.recipe import Recipe
from colintern.training.preflight import DoesNotFitError

_DEFAULT_TOKENS: Final = 1536
"""The guide's budget of a page, for a base that names none."""

_TINY_PAIRS_A_SECOND: Final = 240
"""Of the recipe `tiny` on one core of an AMD EPYC, forward and backward; measured."""


_LEAST_SCALED: Final = 200_000_000
"""Parameters of the smallest base that the guide's hours are scaled to, a quarter of its own: the
time of smaller ones is not their arithmetic."""


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
    """Tell how long `pairs` (rows x epochs) take, by the guide's table or our own measurement.

    The work of a pair is counted as `colintern plan` counts it.
    """
    if recipe.base == TINY_BASE:
        minutes = pairs / _TINY_PAIRS_A_SECOND / 60
        return f"about {max(1, round(minutes))} min on one core of a CPU, by our own measurement"
    try:
        architecture = find_architecture(recipe.base)
    except (ArchitectureError, ArtifactError):
        return "not known for this base"
    if architecture.base_parameters < _LEAST_SCALED:
        return (
            f"not known: the guide's hours are of a base of 0.9 B parameters, and {recipe.base} "
            f"has {architecture.base_parameters / 1e6:.1f} M; `colintern watch` tells what is left"
        )
    step = step_of(recipe, architecture)
    pair = operations_per_pair(
        architecture,
        max_num_visual_tokens=step.max_num_visual_tokens,
        rank=step.rank,
        checkpointing=step.checkpointing,
        cached=step.chunk_size is not None,
    )
    hours = (
        f"{_hours(each.shortest)}-{_hours(each.longest)} h on {each.gpu}"
        for each in scaled_hours(pair * pairs / world_size)
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
