"""The LoRA of the healthy run, and the tiny InternVL beside the run that it belongs to."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from colintern.artifacts.model.model_config import as_model_config
from colintern.families.outline.modules import outline_of

PREFIX = "base_model.model."
PROJECTION = "custom_text_proj"
TARGETS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"
HIDDEN = 64
DIMENSION = 128


def base_config(layers=2):
    return {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": "internvl",
        "downsample_ratio": 0.5,
        "text_config": {
            "model_type": "qwen3",
            "hidden_size": HIDDEN,
            "intermediate_size": 128,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "vocab_size": 64,
        },
        "vision_config": {
            "model_type": "internvl_vision",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": [112, 112],
            "patch_size": [14, 14],
        },
    }


def adapter_config(**changes):
    document = {
        "peft_type": "LORA",
        "base_model_name_or_path": "../base",
        "revision": None,
        "task_type": "FEATURE_EXTRACTION",
        "inference_mode": True,
        "r": 16,
        "lora_alpha": 16,
        "lora_dropout": 0.1,
        "bias": "none",
        "target_modules": TARGETS,
        "exclude_modules": None,
        "modules_to_save": [PROJECTION],
        "layers_to_transform": None,
        "layers_pattern": None,
        "rank_pattern": {},
        "alpha_pattern": {},
        "init_lora_weights": True,
        "use_dora": False,
        "use_rslora": False,
        "fan_in_fan_out": False,
    }
    return {**document, **changes}


def outline(layers=2):
    return outline_of(as_model_config(Path("config.json"), base_config(layers)))


def base_tensors(*, layers=2, projection=True, seed=0):
    random = np.random.default_rng(seed)
    tensors = {
        f"{module.name}.weight": _normal(random, module.out_features, module.in_features) * 0.05
        for module in outline(layers).modules
    }
    tensors["language_model.embed_tokens.weight"] = _normal(random, 64, HIDDEN) * 0.02
    if projection:
        tensors[f"{PROJECTION}.weight"] = _normal(random, DIMENSION, HIDDEN) * 0.1
        tensors[f"{PROJECTION}.bias"] = np.zeros(DIMENSION, np.float32)
    return tensors


def adapter_tensors(
    *, layers=2, rank=16, projection="saved", vision=False, seed=1, dimension=DIMENSION
):
    """`projection`: "saved" in full, with "lora", or None."""
    random = np.random.default_rng(seed)
    drawn = outline(layers)
    modules = drawn.modules if vision else drawn.language
    shapes = [(module.name, module.out_features, module.in_features) for module in modules]
    if projection == "lora":
        shapes.append((PROJECTION, dimension, HIDDEN))
    tensors = {}
    for name, out, into in shapes:
        a = random.uniform(-1, 1, (rank, into)).astype(np.float32) / np.float32(np.sqrt(into))
        tensors[f"{PREFIX}{name}.lora_A.weight"] = a
        tensors[f"{PREFIX}{name}.lora_B.weight"] = _normal(random, out, rank) * np.float32(0.01)
    if projection == "saved":
        tensors[f"{PREFIX}{PROJECTION}.weight"] = _normal(random, dimension, HIDDEN) * 0.1
        tensors[f"{PREFIX}{PROJECTION}.bias"] = np.zeros(dimension, np.float32)
    return tensors


def write_base(folder: Path, *, dtype="float32", **changes):
    folder.mkdir(parents=True, exist_ok=True)
    layers = changes.get("layers", 2)
    (folder / "config.json").write_text(json.dumps(base_config(layers), indent=2) + "\n")
    write_tensors(folder / "model.safetensors", base_tensors(**changes), dtype)


def write_adapter(run: Path, *, config=None, edit=None, dtype="float32", base=None, **changes):
    """Write base and adapter; `edit` changes the adapter's tensors in place.

    Other keywords are those of `adapter_tensors`; `base` holds those of `base_tensors`.
    """
    layers = changes.get("layers", 2)
    write_base(run.parent / "base", dtype=dtype, **{"layers": layers, **(base or {})})
    tensors = adapter_tensors(**changes)
    if edit is not None:
        edit(tensors)
    write_tensors(run / "adapter_model.safetensors", tensors, dtype)
    settings = adapter_config(**(config or {}))
    (run / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def write_merged(
    folder: Path, run: Path, *, times=1.0, other_base=False, dtype="float32", edit=None
):
    """Write base + `times` · s·B·A, s being 1; `edit` changes the merged tensors in place."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = base_tensors(seed=7 if other_base else 0)
    adapter = adapter_tensors()
    for name in [name for name in adapter if name.endswith("lora_A.weight")]:
        module = name.removeprefix(PREFIX).removesuffix(".lora_A.weight")
        b = adapter[f"{PREFIX}{module}.lora_B.weight"]
        tensors[f"{module}.weight"] = tensors[f"{module}.weight"] + np.float32(times) * (
            b @ adapter[name]
        )
    for part in ("weight", "bias"):
        tensors[f"{PROJECTION}.{part}"] = adapter[f"{PREFIX}{PROJECTION}.{part}"]
    if edit is not None:
        edit(tensors)
    (folder / "config.json").write_text(json.dumps(base_config(), indent=2) + "\n")
    write_tensors(folder / "model.safetensors", tensors, dtype)
    return run


def write_tensors(path: Path, tensors, dtype="float32"):
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    save_file(
        {name: np.ascontiguousarray(values.astype(kind)) for name, values in tensors.items()},
        path,
        metadata={"format": "pt"},
    )


def _normal(random, *shape):
    return random.standard_normal(shape).astype(np.float32)
