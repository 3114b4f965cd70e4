"""`colintern_run.json` of the healthy run."""

import json
from pathlib import Path

LAYERS = 2
PROJECTIONS = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)
ARGUMENTS = {
    "num_train_epochs": 5,
    "max_steps": -1,
    "per_device_train_batch_size": 16,
    "per_device_eval_batch_size": 16,
    "gradient_accumulation_steps": 4,
    "learning_rate": 7e-5,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 100,
    "bf16": True,
    "fp16": False,
    "eval_strategy": "steps",
    "eval_steps": 100,
    "logging_steps": 10,
    "save_steps": 100,
    "dataloader_num_workers": 4,
    "max_grad_norm": 1.0,
    "gradient_checkpointing": True,
    "gradient_checkpointing_kwargs": {"use_reentrant": False},
}


def manifest():
    return {
        "schema": "colintern.run/1",
        "status": "completed",
        "family": "ColIntern3.5",
        "recipe": "guide_1b",
        "base": {"id": "../base", "revision": None, "projection_sha256": None},
        "arguments": dict(ARGUMENTS),
        "world_size": 1,
        "effective_batch_size": 64,
        "contrastive_batch_size": 16,
        "candidates": 16,
        "loss": {"class": "ColbertLoss", "temperature": 0.02, "normalize_scores": True},
        "lora": {
            "target_modules": r".*language_model.*\.(q|k|v|o|gate|up|down)_proj",
            "matched": [
                f"language_model.layers.{layer}.{projection}"
                for layer in range(LAYERS)
                for projection in PROJECTIONS
            ],
        },
        "processor": {
            "query_prefix": "",
            "query_suffix": "<|endoftext|>" * 10,
            "padding_side": "left",
            "max_num_visual_tokens": 1536,
        },
        "datasets": [
            {
                "name": "vidore/colpali_train_set",
                "revision": "c" * 40,
                "split": "train",
                "rows": 7680,
            }
        ],
        "versions": {
            "colpali-engine": "0.3.18",
            "transformers": "5.23.0",
            "peft": "0.20.0",
            "torch": "2.13.0",
        },
        "hardware": {
            "device": "cuda",
            "gpu": "NVIDIA A100-SXM4-80GB",
            "attention": "flash_attention_2",
            "dtype": "bfloat16",
        },
        "git_commit": "a" * 40,
        "started": "2026-05-04T08:00:00Z",
        "ended": "2026-05-04T10:00:00Z",
    }


def write_manifest(run: Path, **changes):
    """Each change is a value, or a dictionary of changes to a nested record; None removes a key."""
    document = manifest()
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(document.get(key), dict):
            document[key] = _without_none({**document[key], **change})
        else:
            document[key] = change
    (run / "colintern_run.json").write_text(json.dumps(_without_none(document), indent=2) + "\n")


def _without_none(values):
    return {key: value for key, value in values.items() if value is not None}
