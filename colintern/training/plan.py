"""What a recipe would do, without weights, data or Hub: `colintern train --dry-run`."""

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from peft import PeftModel
from torch import nn
from transformers import InternVLConfig

from colintern.artifacts.model.base_model import resolve_base
from colintern.families.catalogue import families
from colintern.model.lora import LoraCoverage, apply_lora
from colintern.model.modeling import ColIntern3_5
from colintern.recipes.named import RECIPES
from colintern.recipes.recipe import Recipe
from colintern.training.estimates import memory_text, time_text
from colintern.training.preflight import check_batch

_DIMENSIONS: Final = (
    *("model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "head_dim"),
    *("num_attention_heads", "num_key_value_heads", "vocab_size"),
)
"""What a published outline tells of its language model."""


class PlanError(ValueError):
    """A base whose modules are not known here."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would train, and for how long."""

    recipe: Recipe
    coverage: LoraCoverage
    modules: dict[str, int]
    """How many modules are matched in each part of the model."""
    world_size: int
    steps: int
    rows: int
    max_steps: bool
    """Whether the number of steps was set, not computed."""

    @property
    def pairs(self) -> float:
        """Pairs that all steps together see."""
        return float(self.steps * self.recipe.effective_batch_size * self.world_size)

    def __str__(self) -> str:
        return "\n".join(f"{name:14} {value}" for name, value in self._rows().items())

    def _rows(self) -> dict[str, str]:
        recipe, coverage = self.recipe, self.coverage
        source = recipe.data.source if recipe.data else "generated pages"
        where = ", ".join(f"{count} in {part}" for part, count in self.modules.items())
        noun = "module" if len(coverage.matched) == 1 else "modules"
        trained, everything = coverage.trainable_parameters, coverage.all_parameters
        return {
            "recipe": f"{recipe.name} ({recipe.family})",
            "base": recipe.base,
            "data": f"{source}, {self.rows:,} rows{_assumption(recipe)}",
            "LoRA": f"{len(coverage.matched)} {noun} ({where}), rank {recipe.lora.rank}",
            "trained": f"{trained:,} of {everything:,} parameters ({trained / everything:.2%})",
            "batch": self._batch(),
            "negatives": self._negatives(),
            "steps": self._steps(),
            "learning rate": f"{recipe.learning_rate:g}, {recipe.lr_scheduler_type} decay",
            "memory": memory_text(recipe),
            "time": time_text(recipe, self.pairs, self.world_size),
        }

    def _batch(self) -> str:
        recipe = self.recipe
        queries = recipe.effective_batch_size * self.world_size
        return (
            f"{recipe.per_device_train_batch_size} a device x "
            f"{recipe.gradient_accumulation_steps} accumulated x {self.world_size} devices = "
            f"{queries} queries an optimiser step"
        )

    def _negatives(self) -> str:
        recipe = self.recipe
        pages = recipe.per_device_train_batch_size * self.world_size - 1
        notes = ["accumulation adds none"] if recipe.gradient_accumulation_steps > 1 else []
        if recipe.chunk_size is not None:
            notes.append(f"cached batch, {recipe.chunk_size} pages in memory at a time")
        suffix = f" ({'; '.join(notes)})" if notes else ""
        return f"{pages} in-batch pages a query{suffix}"

    def _steps(self) -> str:
        recipe = self.recipe
        length = "max_steps" if self.max_steps else f"{recipe.num_train_epochs:g} epochs"
        warmup = recipe.warmup_steps
        # transformers: a share of the run where it is below 1
        warmup = math.ceil(warmup * self.steps) if warmup < 1 else warmup
        fault = ": as long as the run, which will not begin" if warmup >= self.steps else ""
        return f"{self.steps:,} optimiser steps ({length}), {warmup:g} of warm-up{fault}"


def plan_of(recipe: Recipe, *, world_size: int = 1) -> Plan:
    """Plan `recipe`: real modules, real PEFT, no weights.

    Raises:
        PlanError: nothing tells the modules of its base.
        TargetError: a LoRA target matches nothing.
        PreflightError: a batch of one.
    """
    check_batch(recipe.per_device_train_batch_size)
    _, coverage = outline(recipe)
    steps = int(recipe.arguments.get("max_steps", -1))
    window = recipe.per_device_train_batch_size * world_size
    an_epoch = max(1, math.ceil(recipe.train_pairs // window / recipe.gradient_accumulation_steps))
    planned = math.ceil(an_epoch * recipe.num_train_epochs)
    return Plan(
        recipe=recipe,
        coverage=coverage,
        modules=_parts(coverage.matched),
        world_size=world_size,
        steps=steps if steps > 0 else planned,
        rows=recipe.train_pairs,
        max_steps=steps > 0,
    )


def outline(recipe: Recipe) -> tuple[PeftModel, LoraCoverage]:
    """Build the model of `recipe` with its adapter on the meta device, where tensors are shapes."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT looks for the base's folder, which is not needed
        model: nn.Module = ColIntern3_5(base_config(recipe.base))
        return apply_lora(model, recipe.lora, base_name=recipe.base)


def base_config(name: str) -> InternVLConfig:
    """Return the configuration of a base: its own where it is here, else the published one.

    Raises:
        PlanError: it is neither here nor an InternVL3.5 of a known size.
    """
    path = Path(resolve_base(name)) / "config.json"
    if path.is_file():
        return InternVLConfig(**json.loads(path.read_text()))
    bases = [base for family in families() if family.is_ours for base in family.published_bases]
    published = next((base for base in bases if base.is_named_by(name)), None)
    if published is None:
        raise PlanError(
            f"{name} is neither a folder here nor an InternVL3.5 of "
            f"{', '.join(base.short for base in bases)}; name a folder with its config.json"
        )
    text = {key: getattr(published.config.text, key) for key in _DIMENSIONS}
    return InternVLConfig(text_config={**text, "tie_word_embeddings": True}, vision_config=_VISION)


_VISION: Final[dict[str, Any]] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "image_size": [448, 448],
    "patch_size": [14, 14],
    "attention_bias": True,
}
"""InternViT-300M, the vision tower of these sizes."""


def _assumption(recipe: Recipe) -> str:
    """Say so where the rows are those of the recipe's own data, but the data is another's."""
    if recipe.data is None or recipe.name not in RECIPES:
        return ""
    own = RECIPES[recipe.name]()
    same = own.data is not None and own.data.source == recipe.data.source
    if same or recipe.train_pairs != own.train_pairs:
        return ""
    return " assumed, the data is not read; --set train_pairs=N for as many as it has"


def _parts(matched: tuple[str, ...]) -> dict[str, int]:
    parts: dict[str, int] = {}
    for name in matched:
        part = name.split(".", 1)[0]
        parts[part] = parts.get(part, 0) + 1
    return parts
