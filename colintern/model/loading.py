"""Loads a checkpoint whole or not at all: no tensor missing, none left over."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from torch import nn
from transformers.utils import is_flash_attn_2_available

from colintern.artifacts.model.base_model import resolve_base
from colintern.model.lora import ADAPTER_WEIGHTS
from colintern.model.modeling import ColIntern3_5
from colintern.model.processing import ColIntern3_5Processor
from colintern.recipes.targets import PROJECTION

_FLASH_CAPABILITY: Final = (8, 0)
"""The first GPU generation that flash-attention 2 runs on: Ampere."""


class LoadError(ValueError):
    """A checkpoint that does not fit its base, or itself."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to embed, and how it came to be."""

    model: nn.Module
    processor: ColIntern3_5Processor
    attention: str
    """The attention implementation that was chosen."""
    adapter_tensors: int
    """Tensors that came from an adapter; 0 for a base or a merged model."""


def choose_attention(device: torch.device) -> str:
    """Return flash-attention 2 where it is installed and the GPU has it, else sdpa."""
    capable = (
        device.type == "cuda" and torch.cuda.get_device_capability(device) >= _FLASH_CAPABILITY
    )
    return "flash_attention_2" if capable and is_flash_attn_2_available() else "sdpa"


def load_base(
    name: str,
    *,
    dtype: torch.dtype | Literal["auto"] = torch.float32,
    attention: str = "sdpa",
    config: Any = None,
) -> tuple[ColIntern3_5, frozenset[str]]:
    """Load a base model.

    Args:
        name: folder, Hub id or `colintern/tiny-base`.
        dtype: of the weights; `auto` is as they were saved.
        attention: the implementation.
        config: instead of the base's own.

    Returns:
        The model, and the parameters that the base does not have: at most the projection's.

    Raises:
        LoadError: tensors of the base are missing or left over.
    """
    model, information = ColIntern3_5.from_pretrained(
        resolve_base(name),
        config=config,
        dtype=dtype,
        attn_implementation=attention,
        output_loading_info=True,
    )
    missing = frozenset(information["missing_keys"])
    _refuse(name, "is missing", {key for key in missing if not key.startswith(PROJECTION)})
    left_over = {key for key in information["unexpected_keys"] if not key.startswith("lm_head.")}
    _refuse(name, "has, but the model does not,", left_over)
    return model, missing


def load_checkpoint(
    folder: Path,
    *,
    base: str | None = None,
    merge: bool = False,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Loaded:
    """Load an adapter on its base, or a merged model, in evaluation mode.

    Args:
        folder: holds the adapter, or the whole model; and the processor.
        base: the base, where the adapter's own name for it does not lead to it.
        merge: fold the adapter into the base's weights.
        dtype: of the weights.
        device: where the model is put.

    Raises:
        LoadError: a tensor is missing or left over.
    """
    attention = choose_attention(torch.device(device))
    processor = ColIntern3_5Processor.from_pretrained(folder)
    configuration = folder / "adapter_config.json"
    if not configuration.exists():
        model, missing = load_base(str(folder), dtype=dtype, attention=attention)
        _refuse(str(folder), "is missing", missing)
        return Loaded(model.eval().to(device), processor, attention, 0)
    recorded = json.loads(configuration.read_text())["base_model_name_or_path"]
    plain, missing = load_base(base or recorded, dtype=dtype, attention=attention)
    adapted, brought = _load_adapter(plain, folder, missing)
    model = adapted.merge_and_unload() if merge else adapted
    return Loaded(model.eval().to(device), processor, attention, len(brought))


def _load_adapter(
    plain: ColIntern3_5, folder: Path, missing_in_base: frozenset[str]
) -> tuple[PeftModel, frozenset[str]]:
    adapted = PeftModel.from_pretrained(plain, folder)
    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as file:
        brought = frozenset(file.keys())
    # "auto" would ask the Hub whether the base's vocabulary was resized.
    expected = frozenset(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    projection_base = {
        f"base_model.model.{PROJECTION}.base_layer.{part}" for part in ("weight", "bias")
    }
    _refuse(str(folder), "is missing", expected - brought)
    _refuse(str(folder), "has, but the model does not,", brought - expected - projection_base)
    brought_parts = {
        key.rsplit(".", 1)[1] for key in brought if PROJECTION in key and "lora_" not in key
    }
    without = {key for key in missing_in_base if key.rsplit(".", 1)[1] not in brought_parts}
    _refuse(f"{folder} and its base", "are missing", without)
    return adapted, brought


def _refuse(where: str, verb: str, names: Any) -> None:
    if names:
        shown = ", ".join(sorted(names)[:5]) + (", ..." if len(names) > 5 else "")  # noqa: PLR2004
        raise LoadError(
            f"every tensor must be loaded once, but {where} {verb} {len(names)}: {shown}; "
            "check that the checkpoint belongs to this base and to this version of transformers"
        )
