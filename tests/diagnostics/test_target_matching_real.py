from dataclasses import asdict
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

from colintern.artifacts.model.adapter_config import AdapterConfig  # noqa: E402
from colintern.diagnostics.adapter.targets import (  # noqa: E402
    TargetMatcher,
    rank_of,
    scaling_of,
)

TEXT = {
    "model_type": "qwen3",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 50,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": [28, 28],
}
GUIDE = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj|custom_text_proj"
CONFIGS = [
    {"target_modules": GUIDE},
    {"target_modules": "(.*(model)(?!.*visual).*(k_proj|up_proj).*$|.*(custom_text_proj).*$)"},
    {"target_modules": ["q_proj", "k_proj", "custom_text_proj"]},
    {"target_modules": ["language_model.layers.*.self_attn.q_proj", "custom_text_proj"]},
    {"target_modules": ["self_attn.q_proj", "mlp.fc1", "linear_1"]},
    {"target_modules": ["language_model.layers.0.mlp.up_proj", "1.mlp.up_proj"]},
    {"target_modules": ["q_proj"], "exclude_modules": ["attention.q_proj"]},
    {"target_modules": ["q_proj"], "exclude_modules": ".*vision.*"},
    {"target_modules": ["q_proj", "custom_text_proj"], "modules_to_save": ["custom_text_proj"]},
    {"target_modules": ["fc1", "up_proj"], "modules_to_save": ["vision_tower"]},
    {"target_modules": ["up_proj"], "layers_to_transform": 1},
    {"target_modules": ["up_proj", "fc1"], "layers_to_transform": [0, 2]},
    {
        "target_modules": ["up_proj", "fc1"],
        "layers_to_transform": [0, 1],
        "layers_pattern": ["layer"],
    },
    {"target_modules": ["up_proj"], "layers_to_transform": [0], "layers_pattern": "layers"},
    {
        "target_modules": ["up_proj", "q_proj"],
        "rank_pattern": {"up_proj": 2, "layers.1.self_attn.q_proj": 3},
        "alpha_pattern": {r"^vision_tower.*q_proj": 64},
        "r": 4,
        "lora_alpha": 8,
    },
    {"target_modules": ["o_proj"], "use_dora": True, "use_rslora": True, "lora_alpha": 32},
    {"target_modules": "language_model.layers.[01].mlp.(up|down)_proj"},
]


def build_model():
    class Retriever(torch.nn.Module):
        def __init__(self):
            super().__init__()
            config = transformers.InternVLConfig(text_config=TEXT, vision_config=VISION)
            base = transformers.InternVLModel(config)
            self.language_model = base.language_model
            self.vision_tower = base.vision_tower
            self.multi_modal_projector = base.multi_modal_projector
            self.custom_text_proj = torch.nn.Linear(32, 16)

    return Retriever()


def ours_of(lora):
    known = {key for key in AdapterConfig.__struct_fields__ if key not in {"path", "raw"}}
    values = {key: value for key, value in asdict(lora).items() if key in known}
    values = {
        key: list(value) if isinstance(value, set) else value for key, value in values.items()
    }
    return AdapterConfig(**{**values, "peft_type": "LORA", "path": Path("x")})


@pytest.mark.parametrize("fields", CONFIGS, ids=str)
def test_matching_equals_peft(fields):
    model = build_model()
    linear = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)]
    lora = peft.LoraConfig(**fields)
    matcher = TargetMatcher(ours_of(lora))
    ours = {name for name in linear if matcher.matches(name)}
    adapted = peft.get_peft_model(model, lora)
    layers = {
        name.removeprefix("base_model.model."): part
        for name, part in adapted.named_modules()
        if isinstance(part, peft.tuners.lora.LoraLayer)
    }
    assert ours == set(layers)
    for name, layer in layers.items():
        assert rank_of(matcher.config, name) == layer.r["default"]
        assert scaling_of(matcher.config, name, layer.r["default"]) == layer.scaling["default"]


def test_nothing_matched_is_an_error_in_peft():
    with pytest.raises(ValueError, match="not found"):
        peft.get_peft_model(build_model(), peft.LoraConfig(target_modules=["*.q_proj"]))
