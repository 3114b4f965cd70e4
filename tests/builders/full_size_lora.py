"""A LoRA of InternVL3.5-1B at full size: 394 tensors of plausible values, 20,221,952 parameters."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from colintern.families.catalogue import published_base
from colintern.families.outline.modules import outline_of

BASE = "OpenGVLab/InternVL3_5-1B-HF"
TARGETS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj|custom_text_proj"
GLOBS = [
    *(f"language_model.layers.*.self_attn.{name}_proj" for name in "qkvo"),
    *(f"language_model.layers.*.mlp.{name}_proj" for name in ("gate", "up", "down")),
    "custom_text_proj",
]
PREFIX = "base_model.model."

Tensors = dict[str, np.ndarray]


def full_size_tensors(*, dtype: str = "bfloat16", seed: int = 0, rank: int = 32) -> Tensors:
    """A like PEFT's Kaiming start, B a Gaussian that grows with depth."""
    outline = outline_of(published_base(BASE).config)
    random = np.random.default_rng(seed)
    shapes = [(m.name, m.out_features, m.in_features, m.place.layer) for m in outline.language]
    shapes.append(("custom_text_proj", 128, 1024, outline.num_layers))
    # One pool of draws, read at another offset by each matrix: drawing 20 million takes a second.
    uniform = random.uniform(-1, 1, 1 << 18).astype(np.float32)
    normal = random.standard_normal(1 << 18).astype(np.float32)
    tensors = {}
    for index, (name, out, into, layer) in enumerate(shapes):
        scale = 2e-3 * (1 + layer / outline.num_layers) * random.uniform(0.9, 1.1)
        a = drawn(uniform, (rank, into), index) / np.float32(np.sqrt(into))
        b = drawn(normal, (out, rank), index) * np.float32(scale)
        tensors[f"{PREFIX}{name}.lora_A.weight"] = as_dtype(a, dtype)
        tensors[f"{PREFIX}{name}.lora_B.weight"] = as_dtype(b, dtype)
    return tensors


def write_full_size_lora(
    folder: Path,
    *,
    dtype: str = "bfloat16",
    save_projection: bool = True,
    edit: Callable[[Tensors], None] | None = None,
    config: Mapping[str, object] | None = None,
) -> Path:
    """Write adapter_config.json and adapter_model.safetensors.

    `save_projection` adds the projection's base matrix, as a run that keeps it would.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = full_size_tensors(dtype=dtype)
    if save_projection:
        random = np.random.default_rng(1)
        matrix = random.uniform(-1 / 32, 1 / 32, (128, 1024)).astype(np.float32)
        tensors[f"{PREFIX}custom_text_proj.base_layer.weight"] = as_dtype(matrix, dtype)
        tensors[f"{PREFIX}custom_text_proj.base_layer.bias"] = as_dtype(matrix[:, 0], dtype)
    if edit is not None:
        edit(tensors)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = adapter_settings() | dict(config or {})
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2))
    return folder


def adapter_settings() -> dict[str, object]:
    """What PEFT would write for the guide's recipe."""
    return {
        "peft_type": "LORA",
        "base_model_name_or_path": BASE,
        "revision": "3f1a9c2e5b7d4860a1c3e5f708192a3b4c5d6e7f",
        "task_type": "FEATURE_EXTRACTION",
        "inference_mode": True,
        "r": 32,
        "lora_alpha": 32,
        "lora_dropout": 0.1,
        "bias": "none",
        "target_modules": TARGETS,
        "exclude_modules": None,
        "modules_to_save": None,
        "layers_to_transform": None,
        "layers_pattern": None,
        "rank_pattern": {},
        "alpha_pattern": {},
        "init_lora_weights": True,
        "use_dora": False,
        "use_rslora": False,
        "fan_in_fan_out": False,
    }


def drawn(pool: np.ndarray, shape: tuple[int, int], index: int) -> np.ndarray:
    size = shape[0] * shape[1]
    return np.resize(np.roll(pool, 7919 * index), size).reshape(shape)


def as_dtype(values: np.ndarray, dtype: str) -> np.ndarray:
    return values.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
