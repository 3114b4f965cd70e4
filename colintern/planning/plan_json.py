"""A proposal as JSON, schema `colintern.plan/1`."""

from typing import Any

import msgspec

from colintern.planning.duration import durations
from colintern.planning.hyperparameters import CACHED_BATCH, DATASET_ROWS, Proposal, reasons
from colintern.planning.memory import MemoryUse
from colintern.planning.plan_text import needed_gigabytes, train_command


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
        "memory_bytes": _memory(proposal) if fits else None,
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


def _memory(proposal: Proposal) -> dict[str, Any]:
    return {
        "chosen": _bytes(proposal.memory()),
        "with_checkpointing": _bytes(proposal.memory(checkpointing=True)),
        "without_checkpointing": _bytes(proposal.memory(checkpointing=False)),
        "cached_batch": _bytes(proposal.memory(cached=True)) if proposal.chunk_size else None,
    }


def _bytes(use: MemoryUse) -> dict[str, int]:
    return {**msgspec.to_builtins(use), "total": use.total}
