"""LoRA on the language layers and the projection, with targets that are proven to match."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import check_target_module_exists
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from colintern.recipes.targets import PROJECTION, LoraSettings

ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"

logger = logging.getLogger(__name__)


class TargetError(ValueError):
    """LoRA targets that would leave layers untrained in silence."""


@dataclass(frozen=True, slots=True)
class LoraCoverage:
    """What the adapter reaches."""

    matched: tuple[str, ...]
    """Names of the modules with an adapter, in the order of the model."""
    trainable_parameters: int
    all_parameters: int

    def __str__(self) -> str:
        share = self.trainable_parameters / self.all_parameters
        modules = "module" if len(self.matched) == 1 else "modules"
        return (
            f"LoRA on {len(self.matched)} {modules}; {self.trainable_parameters:,} of "
            f"{self.all_parameters:,} parameters are trained ({share:.2%})"
        )


def peft_config(settings: LoraSettings) -> LoraConfig:
    """Return the settings as PEFT's."""
    targets = settings.target_modules
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        modules_to_save=[PROJECTION] if settings.projection == "full" else None,
        bias="none",
        init_lora_weights=True,
        task_type=TaskType.FEATURE_EXTRACTION,
    )


def apply_lora(
    model: nn.Module, settings: LoraSettings, *, base_name: str | None = None
) -> tuple[PeftModel, LoraCoverage]:
    """Wrap `model` in an adapter, and report what it reaches.

    Args:
        model: the base.
        settings: what gets an adapter.
        base_name: the name of the base that the adapter records; by default where it was loaded.

    Raises:
        TargetError: a target matches no module, and the settings do not tolerate that.
    """
    config = peft_config(settings)
    unmatched = unmatched_targets(model, config)
    if unmatched and not settings.tolerate_unmatched:
        raise TargetError(
            f"every LoRA target must match a module, but these match none: {', '.join(unmatched)}; "
            "write one regular expression as a string: PEFT reads a list as names and suffixes"
        )
    adapted = get_peft_model(model, config)
    if base_name is not None:
        config.base_model_name_or_path = base_name
    coverage = coverage_of(adapted)
    logger.info("%s", coverage)
    return adapted, coverage


def unmatched_targets(model: nn.Module, config: LoraConfig) -> list[str]:
    """Return the targets that match no linear module, by PEFT's own rule."""
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    targets = config.target_modules
    entries: list[str | list[str]] = (
        [targets] if isinstance(targets, str) else [[target] for target in sorted(targets or ())]
    )
    return [
        entry if isinstance(entry, str) else entry[0]
        for entry in entries
        if not any(_matches(entry, name) for name in names)
    ]


def _matches(entry: str | list[str], name: str) -> bool:
    return bool(check_target_module_exists(LoraConfig(target_modules=entry), name))


def coverage_of(model: PeftModel) -> LoraCoverage:
    """Count what the adapter of `model` reaches."""
    matched = tuple(
        name
        for name, module in model.get_base_model().named_modules()
        if isinstance(module, LoraLayer)
    )
    trainable, everything = model.get_nb_trainable_parameters()
    return LoraCoverage(matched, trainable, everything)


def save_projection_base(model: PeftModel, folder: Path) -> None:
    """Add the projection's base matrix to a saved adapter that has LoRA on the projection.

    Without it the adapter is a correction to a matrix that nobody has: a base without a projection
    draws a new one at every load. PEFT loads the added tensors as it does its own.
    """
    layer = getattr(model.get_base_model(), PROJECTION)
    if not isinstance(layer, LoraLayer):
        return
    path = folder / ADAPTER_WEIGHTS
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    for name, tensor in layer.get_base_layer().state_dict().items():
        key = f"base_model.model.{PROJECTION}.base_layer.{name}"
        tensors[key] = tensor.detach().to("cpu", copy=True).contiguous()
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"format": "pt"})
    partial.replace(path)


def projection_matrix(model: nn.Module) -> torch.Tensor:
    """Return the projection's matrix as it is now, without any LoRA correction on it."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    layer = getattr(base, PROJECTION)
    inner = layer.get_base_layer() if hasattr(layer, "get_base_layer") else layer
    if hasattr(inner, "modules_to_save"):
        inner = inner.modules_to_save["default"]
    return inner.weight.detach()
