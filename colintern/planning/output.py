"""A proposal as a person reads it: the guide's block, the reasons, memory, negatives, time."""

import shlex
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from colintern.artifacts.printable import printable
from colintern.planning.architecture import Architecture, find_architecture
from colintern.planning.duration import durations
from colintern.planning.hyperparameters import (
    CACHED_BATCH,
    DATASET_ROWS,
    GUIDE_PAIRS,
    Proposal,
    propose,
    reasons,
)
from colintern.planning.memory import GIBIBYTE, MemoryUse

_WIDTH: Final = 80
"""Of the guide's rules."""
_TABLE_GIGABYTES: Final = (16, 24, 32, 40, 80)
_TABLE_MODELS: Final = ("1B", "2B", "4B", "8B")

_PARTS: Final = {
    "weights": "frozen weights, bf16",
    "adapters": "LoRA, float32",
    "gradients": "its gradients",
    "optimiser": "AdamW, two moments",
    "images": "tiles of the batch",
    "embeddings": "vectors of a cached batch",
    "activations": "kept for the backward pass",
    "recomputed": "one layer, made again",
    "scores": "MaxSim; no logits are computed",
    "workspace": "temporaries, estimated",
    "vision": "vision tower, not at the same time",
    "reserve": "CUDA and fragments, estimated",
}


def guide_block(proposal: Proposal) -> str:
    """Return the block that the guide's optimiser prints."""
    rule = "=" * _WIDTH
    return "\n".join(
        (
            rule,
            "⚡ OPTIMAL HYPERPARAMETERS",
            rule,
            f"Learning Rate: {proposal.learning_rate:.2e}",
            f"Batch Size: {proposal.batch_size}",
            f"Gradient Accumulation: {proposal.accumulation}",
            f"Effective Batch Size: {proposal.effective_batch_size}",
            f"Number of Epochs: {proposal.epochs}",
            f"Warmup Steps: {proposal.warmup_steps}",
            f"LoRA Rank: {proposal.rank}",
        )
    )


def train_command(proposal: Proposal, *, cached: bool = False) -> str:
    """Return the `colintern train` that trains what is proposed."""
    batch = CACHED_BATCH if cached else proposal.batch_size
    flags = {
        "--output-dir": f"runs/{_run_name(proposal.architecture.name)}",
        "--base": proposal.architecture.name,
        "--lr": f"{proposal.learning_rate:g}",
        "--per-device-train-batch-size": str(batch),
        "--gradient-accumulation-steps": "1" if cached else str(proposal.accumulation),
        "--num-train-epochs": str(proposal.epochs),
        "--warmup-steps": str(proposal.warmup_steps),
        "--gradient-checkpointing": str(proposal.checkpointing).lower(),
    }
    words = ["colintern", "train"]
    for flag, value in flags.items():
        words += [flag, value]
    if cached:
        words += ["--chunk-size", str(proposal.chunk_size)]
    settings = {
        "lora.rank": proposal.rank,
        "lora.alpha": proposal.alpha,
        "max_num_visual_tokens": proposal.max_num_visual_tokens,
    }
    for key, number in settings.items():
        words += ["--set", f"{key}={number}"]
    return shlex.join(words)


def plan_text(proposal: Proposal) -> str:
    """Return the whole plan."""
    return "\n".join(_lines(proposal))


def misfit_text(proposal: Proposal) -> str:
    """Say what GPU would be large enough."""
    memory = proposal.memory()
    return (
        f"{printable(proposal.architecture.name)} does not fit "
        f"{proposal.gpu_bytes / GIBIBYTE:.0f} GB, needs {needed_gigabytes(proposal)} GB: "
        f"{_shown(memory.weights)} of weights alone"
    )


def needed_gigabytes(proposal: Proposal) -> int:
    """Return the smallest GPU, in whole GB, that a batch of two fits on."""
    return -(-proposal.needed_bytes // GIBIBYTE)


def proposal_table() -> str:
    """Return batch x accumulation for each built-in model and GPU size."""
    rows = [["", *(f"{size} GB" for size in _TABLE_GIGABYTES)]]
    for model in _TABLE_MODELS:
        architecture = find_architecture(model)
        rows.append([model, *(_cell(architecture, size) for size in _TABLE_GIGABYTES)])
    return "\n".join("  ".join(f"{cell:22}" for cell in row).rstrip() for row in rows)


def _cell(architecture: Architecture, gigabytes: int) -> str:
    proposal = propose(architecture, gigabytes * GIBIBYTE)
    if not proposal.fits:
        return f"no fit, needs {needed_gigabytes(proposal)} GB"
    return f"{proposal.batch_size} x {proposal.accumulation}"


def _lines(proposal: Proposal) -> Iterator[str]:
    architecture = proposal.architecture
    yield guide_block(proposal)
    yield ""
    yield f"Why ({printable(architecture.name)}, {printable(architecture.source)})"
    yield from (f"  {name:22} {why}" for name, why in reasons(proposal).items())
    yield ""
    yield from _parameters(proposal)
    yield ""
    yield from _memory(proposal)
    yield ""
    yield from _negatives(proposal)
    yield ""
    yield from _time(proposal)
    yield ""
    yield from _data(proposal)
    yield ""
    yield "Train"
    yield f"  {train_command(proposal)}"
    if proposal.chunk_size:
        yield f"or, with {CACHED_BATCH - 1} in-batch negatives"
        yield f"  {train_command(proposal, cached=True)}"


def _parameters(proposal: Proposal) -> Iterator[str]:
    base = proposal.architecture
    yield "Parameters"
    yield f"  {'base':22} {base.base_parameters:,}"
    yield f"  {'language model':22} {base.language_parameters:,}"
    yield f"  {'vision tower':22} {base.vision_parameters:,}"
    yield f"  {'connector':22} {base.connector_parameters:,}"
    yield f"  {'projection':22} {base.projection_parameters:,}"
    trained = base.lora_parameters(proposal.rank)
    yield f"  {'LoRA':22} {trained:,} in {base.lora_modules} modules"


def _memory(proposal: Proposal) -> Iterator[str]:
    chosen = proposal.memory()
    yield (
        f"Memory of a step: {_shown(chosen.total)} of {_shown(proposal.gpu_bytes)} "
        "(counted, not measured on a GPU)"
    )
    for name, label in _PARTS.items():
        if getattr(chosen, name):
            yield f"  {name:12} {_shown(getattr(chosen, name)):>10}   {label}"
    for checkpointing in (True, False):
        use = proposal.memory(checkpointing=checkpointing)
        word = "with" if checkpointing else "without"
        yield f"  {word + ' checkpointing':24} {_totals(use)}"


def _totals(use: MemoryUse) -> str:
    return f"{_shown(use.activations)} of activations, {_shown(use.total)} in all"


def _negatives(proposal: Proposal) -> Iterator[str]:
    yield "In-batch negatives of a query"
    yield f"  {proposal.batch_size - 1:4} with this batch; accumulation adds none"
    if proposal.chunk_size:
        total = _shown(proposal.memory(cached=True).total)
        yield (
            f"  {CACHED_BATCH - 1:4} with a cached batch of {CACHED_BATCH}, "
            f"{proposal.chunk_size} pages in memory at a time: {total}"
        )


def _time(proposal: Proposal) -> Iterator[str]:
    yield f"Time of {proposal.steps:,} steps, scaled from the guide's hours for 1B by the work"
    cached = durations(proposal, cached=True)
    for plain, other in zip(durations(proposal), cached, strict=True):
        low, high = plain.utilisation
        yield (
            f"  {plain.gpu:12} {plain.shortest:4.0f}-{plain.longest:.0f} h, cached batch "
            f"{other.shortest:.0f}-{other.longest:.0f} h "
            f"(the guide's hours use {low:.0%}-{high:.0%} of its peak)"
        )


def _data(proposal: Proposal) -> Iterator[str]:
    yield f"Data: {proposal.pairs:,} pairs"
    if proposal.pairs < proposal.effective_batch_size:
        yield (
            f"  fewer than the {proposal.effective_batch_size} of one optimiser step: an epoch is "
            "a single step, which cannot train a retriever"
        )
    if proposal.pairs == GUIDE_PAIRS:
        yield (
            f"  colpali_train_set has {DATASET_ROWS:,} rows where the guide assumes "
            f"{GUIDE_PAIRS:,}; --pairs {DATASET_ROWS} plans for them"
        )


def _shown(size: int) -> str:
    if size < GIBIBYTE:
        return f"{size / 2**20:.0f} MB"
    return f"{size / GIBIBYTE:.1f} GB"


def _run_name(model: str) -> str:
    name = model.rstrip("/").rsplit("/", 1)[-1].lower()
    return name if name.strip(".~") else "run"


def plan_json(proposal: Proposal) -> dict[str, Any]:
    """Return the plan as plain values; what needs a batch is None when none fits."""
    base, fits = proposal.architecture, proposal.fits
    return {
        "schema": "colintern.plan/1",
        "model": base.name,
        "config_source": base.source,
        "gpu_memory_bytes": proposal.gpu_bytes,
        "fits": fits,
        "needs_gigabytes": needed_gigabytes(proposal),
        "pairs": proposal.pairs,
        "colpali_train_set_rows": DATASET_ROWS,
        "parameters": {
            "base": base.base_parameters,
            "language": base.language_parameters,
            "vision": base.vision_parameters,
            "connector": base.connector_parameters,
            "projection": base.projection_parameters,
            "lora": base.lora_parameters(proposal.rank),
            "lora_modules": base.lora_modules,
        },
        "hyperparameters": _hyperparameters(proposal) if fits else None,
        "reasons": reasons(proposal) if fits else None,
        "memory_bytes": _memory_json(proposal) if fits else None,
        "in_batch_negatives": {
            "batch": proposal.batch_size - 1 if fits else None,
            "cached_batch": CACHED_BATCH - 1 if proposal.chunk_size else None,
        },
        "hours": [msgspec.to_builtins(each) for each in durations(proposal)] if fits else None,
        "command": train_command(proposal) if fits else None,
        "cached_command": train_command(proposal, cached=True) if proposal.chunk_size else None,
    }


def _hyperparameters(proposal: Proposal) -> dict[str, Any]:
    return {
        "learning_rate": proposal.learning_rate,
        "per_device_train_batch_size": proposal.batch_size,
        "gradient_accumulation_steps": proposal.accumulation,
        "effective_batch_size": proposal.effective_batch_size,
        "num_train_epochs": proposal.epochs,
        "warmup_steps": proposal.warmup_steps,
        "steps": proposal.steps,
        "lora_rank": proposal.rank,
        "lora_alpha": proposal.alpha,
        "max_num_visual_tokens": proposal.max_num_visual_tokens,
        "gradient_checkpointing": proposal.checkpointing,
        "chunk_size": proposal.chunk_size or None,
    }


def _memory_json(proposal: Proposal) -> dict[str, Any]:
    return {
        "chosen": _bytes(proposal.memory()),
        "with_checkpointing": _bytes(proposal.memory(checkpointing=True)),
        "without_checkpointing": _bytes(proposal.memory(checkpointing=False)),
        "cached_batch": _bytes(proposal.memory(cached=True)) if proposal.chunk_size else None,
    }


def _bytes(use: MemoryUse) -> dict[str, int]:
    return {**msgspec.to_builtins(use), "total": use.total}
