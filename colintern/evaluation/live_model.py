"""A checkpoint loaded as transformers and PEFT load it, faults and all, for the live rules.

`retriever.py` refuses what is wrong; here it is loaded and reported.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from torch import nn

from colintern.artifacts.run_layout import ADAPTER_WEIGHTS
from colintern.diagnostics.live_measurements import LoadReport
from colintern.evaluation.checkpoint import Checkpoint, classes_of
from colintern.model.loading import choose_attention

_OUTPUT_LAYER: Final = "lm_head."
_MOST_NAMED: Final = 20
"""Tensors that a report names."""


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A loaded model, not merged."""

    model: Any
    report: LoadReport

    @property
    def is_adapter(self) -> bool:
        """Whether an adapter can be switched off."""
        return isinstance(self.model, PeftModel)


def load_live(checkpoint: Checkpoint, *, seed: int, device: torch.device) -> LiveModel:
    """Load a checkpoint; what no file holds is drawn from `seed`.

    An error while loading is reported, not raised.
    """
    torch.manual_seed(seed)
    try:
        return _load(checkpoint, device)
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError, SafetensorError) as error:
        reason = f"{type(error).__name__}: {error}"
        return LiveModel(nn.Identity(), LoadReport(num_tensors=0, error=reason))


def projection_of(live: LiveModel, name: str) -> torch.Tensor:
    """Return the projection's matrix as it acts: base, or saved copy, plus update."""
    base: Any = live.model.get_base_model() if live.is_adapter else live.model
    layer = getattr(base, name)
    inner = layer.get_base_layer() if hasattr(layer, "get_base_layer") else layer
    if hasattr(inner, "modules_to_save"):
        inner = inner.modules_to_save["default"]
    weight: torch.Tensor = inner.weight.detach().float()
    if hasattr(layer, "get_delta_weight"):
        weight = weight + layer.get_delta_weight("default").detach().float()
    return weight


def _load(checkpoint: Checkpoint, device: torch.device) -> LiveModel:
    model_class, _ = classes_of(checkpoint.family)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model, information = model_class.from_pretrained(
        checkpoint.base or str(checkpoint.folder),
        dtype=dtype,
        attn_implementation=choose_attention(device),
        use_safetensors=True,
        output_loading_info=True,
    )
    projection = f"{checkpoint.family.projection}."
    missing = information["missing_keys"]
    # An adapter may bring the projection; LIV005 finds out.
    lost = [n for n in missing if not (checkpoint.is_adapter and n.startswith(projection))]
    left = [n for n in information["unexpected_keys"] if not n.startswith(_OUTPUT_LAYER)]
    mismatched = [str(each[0]) for each in information.get("mismatched_keys", ())]
    report = LoadReport(
        num_tensors=len(model.state_dict()),
        missing=_some([*lost, *mismatched]),
        # Only a whole model's own tensors: a base also holds what a retriever has no use for.
        unexpected=() if checkpoint.is_adapter else _some(left),
    )
    if checkpoint.is_adapter:
        model, report = _adapted(model, checkpoint, report)
    return LiveModel(model.eval().to(device), report)


def _adapted(
    model: nn.Module, checkpoint: Checkpoint, report: LoadReport
) -> tuple[PeftModel, LoadReport]:
    adapted = PeftModel.from_pretrained(model, checkpoint.folder, use_safetensors=True)
    # "auto" would ask the Hub whether the base's vocabulary was resized.
    expected = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    loaded = {name.replace(".default.", "."): value for name, value in adapted.state_dict().items()}
    unused = []
    with safe_open(checkpoint.folder / ADAPTER_WEIGHTS, framework="pt") as file:
        names = frozenset(file.keys())
        for name in sorted(names):
            there = expected.get(name, loaded.get(name))
            if there is None or not _equal(there, file.get_tensor(name)):
                unused.append(name)
    return adapted, LoadReport(
        num_tensors=len(names),
        missing=report.missing,
        unused=_some(unused),
        absent=_some([name for name in expected if name not in names]),
    )


def _equal(loaded: torch.Tensor, saved: torch.Tensor) -> bool:
    same_shape = loaded.shape == saved.shape
    other = saved.to(loaded.dtype)
    return same_shape and torch.allclose(loaded.cpu(), other, rtol=0, atol=0, equal_nan=True)


def _some(names: list[str]) -> tuple[str, ...]:
    return tuple(sorted(names)[:_MOST_NAMED])
