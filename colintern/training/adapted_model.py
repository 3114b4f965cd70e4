"""The model of a run: the recipe's base with a fresh adapter, and the processor beside it."""

from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from transformers import TrainingArguments

from colintern.artifacts.model.base_model import resolve_base
from colintern.model.loading import choose_attention, load_base
from colintern.model.lora import LoraCoverage, apply_lora
from colintern.model.processing import ColIntern3_5Processor
from colintern.recipes.recipe import Recipe
from colintern.recipes.targets import PROJECTION
from colintern.training.estimates import check_memory
from colintern.training.preflight import check_projection


@dataclass(frozen=True, slots=True)
class AdaptedModel:
    """A base with its adapter, ready to be trained."""

    model: PeftModel
    coverage: LoraCoverage
    """What the adapter reaches."""
    processor: ColIntern3_5Processor
    attention: str
    """The attention implementation that was chosen."""


def load_adapted_model(recipe: Recipe, arguments: TrainingArguments) -> AdaptedModel:
    """Load the base of `recipe` and add its adapter, where a step of it fits on this machine.

    Raises:
        PreflightError: it does not fit, or its projection would be saved nowhere.
        LoadError: tensors of the base are missing or left over.
        TargetError: a LoRA target matches nothing.
    """
    device = arguments.device
    if device.type == "cuda":
        check_memory(recipe, torch.cuda.get_device_properties(device).total_memory)
    attention = choose_attention(device)
    base, missing = load_base(recipe.base, dtype=base_dtype(recipe, arguments), attention=attention)
    processor = _processor(recipe)
    model, coverage = apply_lora(base, recipe.lora, base_name=recipe.base)
    saved = PROJECTION in coverage.matched or recipe.lora.projection == "full"
    check_projection(missing, saved)
    return AdaptedModel(model, coverage, processor, attention)


def base_dtype(recipe: Recipe, arguments: TrainingArguments) -> torch.dtype:
    """Return the type of the frozen weights: bfloat16 where the run computes in it.

    Adapters stay in float32. A projection that is trained whole would lose its small steps to the
    rounding of bfloat16.
    """
    half = arguments.bf16 and recipe.lora.projection == "lora"
    return torch.bfloat16 if half else torch.float32


def _processor(recipe: Recipe) -> ColIntern3_5Processor:
    more: dict[str, Any] = {}
    if recipe.max_num_visual_tokens is not None:
        more["max_num_visual_tokens"] = recipe.max_num_visual_tokens
    return ColIntern3_5Processor.from_pretrained(resolve_base(recipe.base), **more)
