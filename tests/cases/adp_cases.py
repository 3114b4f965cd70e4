"""ADP: a healthy adapter, broken in one way."""

import hashlib
import json
import shutil

import numpy as np
from builders.adapter import (
    PREFIX,
    adapter_tensors,
    write_adapter,
    write_merged,
    write_tensors,
)
from builders.processor import write_processor

from cases.case import Case
from colintern.artifacts.tensors.store import read_tensor_store
from colintern.diagnostics.weights.base_identity import layers_sha256

LAYER = f"{PREFIX}language_model.layers"
HUB_BASE = "OpenGVLab/InternVL3_5-1B-HF"
SUFFIXES = [
    *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    *("projection_layer", "fc1", "fc2", "linear_1", "linear_2"),
]
MERGED = ("--merged", "{run}/../merged")


def _adapter(**changes):
    return lambda run: write_adapter(run, **changes)


def _config(**changes):
    return _adapter(config=changes)


def _without_adapter(run):
    (run / "adapter_config.json").unlink()


def _only_projection(tensors):
    for name in [name for name in tensors if "language_model" in name]:
        del tensors[name]


def _without_partner(tensors):
    del tensors[f"{LAYER}.1.mlp.up_proj.lora_B.weight"]


def _without_key_projections(tensors):
    for name in [name for name in tensors if ".k_proj." in name]:
        del tensors[name]


def _not_finite(tensors):
    tensors[f"{LAYER}.0.mlp.up_proj.lora_A.weight"][3, 5] = np.nan


def _zero(part):
    def edit(tensors):
        for name in [name for name in tensors if part in name and "lora_B" in name]:
            tensors[name][:] = 0

    return edit


def _one_huge(tensors):
    tensors[f"{LAYER}.5.mlp.up_proj.lora_B.weight"] *= 300


def _one_direction(tensors):
    for name in [name for name in tensors if "lora_B" in name]:
        tensors[name][:, 1:] = 0


def _unwrapped_names(tensors):
    for name in list(tensors):
        tensors[name.replace(PREFIX, f"{PREFIX}_orig_mod.")] = tensors.pop(name)


def _checkpoints(*seeds):
    def write(run):
        for step, seed in enumerate(seeds, 1):
            folder = run / f"checkpoint-{100 * step}"
            folder.mkdir()
            shutil.copy(run / "adapter_config.json", folder)
            write_tensors(folder / "adapter_model.safetensors", adapter_tensors(seed=seed))

    return write


def _stacked_base(run):
    (run.parent / "base" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))


def _merged(**changes):
    return lambda run: write_merged(run.parent / "merged", run, **changes)


def _base_recorded(run):
    """Have the manifest record the base that is beside the run."""
    base = read_tensor_store(run.parent / "base" / "model.safetensors", None)
    projection = base.read_float32("custom_text_proj.weight")
    path = run / "colintern_run.json"
    manifest = json.loads(path.read_text())
    manifest["base"] |= {
        "projection_sha256": hashlib.sha256(projection.tobytes()).hexdigest(),
        "layers_sha256": layers_sha256(base),
    }
    path.write_text(json.dumps(manifest))


def _base_replaced(run):
    _base_recorded(run)
    write_adapter(run, base={"seed": 1})


def _without_a_tensor(tensors):
    tensors.clear()


def _copied_layer(tensors):
    for name in [name for name in tensors if "layers.0." in name]:
        tensors[name.replace("layers.0.", "layers.1.")] = tensors[name]


CASES = {
    "ADP001": Case(bad=_without_adapter),
    "ADP002": Case(bad=_adapter(config={"modules_to_save": None}, projection=None)),
    "ADP003": Case(
        bad=_adapter(
            config={
                "target_modules": ["language_model.layers.*.self_attn.q_proj", "custom_text_proj"],
                "modules_to_save": None,
            },
            projection="lora",
            edit=_only_projection,
        )
    ),
    "ADP004": Case(bad=_adapter(edit=_without_key_projections)),
    "ADP005": Case(bad=_adapter(config={"target_modules": SUFFIXES}, vision=True), outcome="noted"),
    "ADP006": Case(bad=_adapter(config={"r": 64, "lora_alpha": 64}, rank=64), outcome="warned"),
    "ADP007": Case(
        bad=_config(lora_alpha=32), outcome="warned", good=_config(lora_alpha=4, use_rslora=True)
    ),
    "ADP008": Case(bad=_config(lora_dropout=0.0), outcome="noted"),
    "ADP009": Case(bad=_adapter(edit=_without_partner)),
    "ADP010": Case(bad=_adapter(edit=_not_finite)),
    "ADP011": Case(bad=_adapter(edit=_zero(""))),
    "ADP012": Case(bad=_adapter(edit=_zero("layers.1."))),
    "ADP013": Case(
        bad=_adapter(layers=12, edit=_one_huge), outcome="warned", good=_adapter(layers=12)
    ),
    "ADP014": Case(
        bad=_adapter(config={"r": 32, "lora_alpha": 32}, rank=32, edit=_one_direction),
        outcome="warned",
        good=_adapter(config={"r": 32, "lora_alpha": 32}, rank=32),
    ),
    "ADP015": Case(bad=_config(base_model_name_or_path="/home/somebody/base"), outcome="warned"),
    "ADP016": Case(
        bad=_config(base_model_name_or_path=HUB_BASE, revision="unsloth"),
        outcome="noted",
        good=_config(base_model_name_or_path=HUB_BASE, revision="b" * 40),
    ),
    "ADP017": Case(bad=_adapter(edit=_unwrapped_names)),
    "ADP018": Case(bad=_config(task_type="CAUSAL_LM"), outcome="noted"),
    "ADP019": Case(bad=_checkpoints(1, 1), good=_checkpoints(1, 2)),
    "ADP020": Case(bad=_merged(times=2.0), good=_merged(), options=MERGED),
    "ADP021": Case(
        bad=lambda run: write_processor(
            run, processor_changes={"processor_class": "ColQwen2_5_Processor"}
        ),
        outcome="warned",
    ),
    "ADP022": Case(bad=_base_replaced, good=_base_recorded),
    "ADP023": Case(bad=_adapter(edit=_without_a_tensor)),
    "ADP024": Case(bad=_adapter(edit=_copied_layer)),
}
