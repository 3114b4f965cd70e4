"""Folds an adapter into its base, and proves that it was folded in.

A merge that was skipped, done twice or scaled otherwise raises nothing and scores like another
model. So every adapted matrix is multiplied by a fixed vector before and after.
"""

from typing import Any, Final

import torch
from peft import PeftModel
from peft.tuners.lora import Linear
from torch import nn

_SEED: Final = 0
_SLACK: Final = 4.0
"""Roundings of the weight's type: once in the sum and once in the cast, doubled."""


class MergeError(ValueError):
    """The merged weights are not base + s·B·A."""


def merge_verified(model: Any) -> nn.Module:
    """Return the merged model.

    Raises:
        MergeError: a merged matrix is not its base plus its update, beyond rounding.
    """
    adapted: PeftModel = model
    expected = {
        name: _expected(module)
        for name, module in adapted.get_base_model().named_modules()
        if isinstance(module, Linear)
    }
    merged: nn.Module = adapted.merge_and_unload(safe_merge=True)
    wrong = [name for name, product in expected.items() if not _agrees(merged, name, product)]
    left = [name for name, _ in merged.named_parameters() if ".lora_" in name]
    if wrong or left:
        named = ", ".join((wrong or left)[:3])
        raise MergeError(
            f"every merged matrix must be base + s·B·A, but {len(wrong or left)} are not: {named}"
        )
    return merged


def _expected(module: Any) -> torch.Tensor:
    """Multiply base + s·B·A of every active adapter by the fixed vector."""
    weight = module.get_base_layer().weight.detach().float()
    for adapter in module.active_adapters:
        weight = weight + module.get_delta_weight(adapter).detach().float()
    return weight @ _probe(weight)


def _agrees(merged: nn.Module, name: str, product: torch.Tensor) -> bool:
    module: Any = merged.get_submodule(name)
    weight = module.weight.detach()
    probe = _probe(weight)
    precision = torch.finfo(weight.dtype).eps
    bound = weight.float().abs() @ probe.abs() * precision * _SLACK
    return bool(((weight.float() @ probe - product).abs() <= bound + precision).all())


def _probe(weight: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(_SEED)
    return torch.randn(weight.shape[1], generator=generator).to(weight.device)
