from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
engine = pytest.importorskip("colpali_engine.models")

from colintern.artifacts.model.model_config import as_model_config  # noqa: E402
from colintern.families.catalogue import published_base  # noqa: E402
from colintern.families.outline.modules import outline_of  # noqa: E402

QWEN2_SIZES = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 500,
}
SIGLIP = {"model_type": "siglip_vision_model", "num_hidden_layers": 2}
CASES = {
    "internvl": (
        "InternVLModel",
        "InternVLConfig",
        {
            "text_config": {"model_type": "qwen3", **QWEN2_SIZES, "head_dim": 64},
            "vision_config": {"num_hidden_layers": 2, "attention_bias": True},
        },
    ),
    "internvl, rms norm and query norm": (
        "InternVLModel",
        "InternVLConfig",
        {
            "text_config": {"model_type": "qwen2", **QWEN2_SIZES},
            "vision_config": {
                "num_hidden_layers": 2,
                "norm_type": "rms_norm",
                "use_qk_norm": True,
                "use_mask_token": True,
            },
            "downsample_ratio": 0.25,
        },
    ),
    "paligemma 3b": (
        "ColPali",
        "PaliGemmaConfig",
        {
            "text_config": {
                "model_type": "gemma",
                "hidden_size": 2048,
                "intermediate_size": 16384,
                "num_attention_heads": 8,
                "num_hidden_layers": 18,
                "num_key_value_heads": 1,
                "vocab_size": 257216,
            },
            "vision_config": {
                "model_type": "siglip_vision_model",
                "hidden_size": 1152,
                "intermediate_size": 4304,
                "num_attention_heads": 16,
                "num_hidden_layers": 27,
                "patch_size": 14,
                "image_size": 448,
                "vision_use_head": False,
            },
            "projection_dim": 2048,
        },
    ),
    "qwen2-vl 2b": (
        "ColQwen2",
        "Qwen2VLConfig",
        {
            "text_config": {
                "hidden_size": 1536,
                "intermediate_size": 8960,
                "num_hidden_layers": 28,
                "num_attention_heads": 12,
                "num_key_value_heads": 2,
                "vocab_size": 151936,
            },
            "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": 1536},
        },
    ),
    "qwen2.5-vl 3b": (
        "ColQwen2_5",
        "Qwen2_5_VLConfig",
        {
            "text_config": {
                "hidden_size": 2048,
                "intermediate_size": 11008,
                "num_hidden_layers": 36,
                "num_attention_heads": 16,
                "num_key_value_heads": 2,
                "vocab_size": 151936,
            },
            "vision_config": {"hidden_size": 1280, "out_hidden_size": 2048},
        },
    ),
    "qwen3-vl, defaults": (
        "ColQwen3",
        "Qwen3VLConfig",
        {"text_config": {"num_hidden_layers": 2}, "vision_config": {}},
    ),
    "qwen3-vl, two mergers": (
        "ColQwen3",
        "Qwen3VLConfig",
        {
            "text_config": {**QWEN2_SIZES, "attention_bias": True},
            "vision_config": {"depth": 4, "deepstack_visual_indexes": [1, 2]},
        },
    ),
    "qwen3.5, hybrid": (
        "ColQwen3_5",
        "Qwen3_5Config",
        {"text_config": {"num_hidden_layers": 8}, "vision_config": {"depth": 2}},
    ),
    "smolvlm 256m": (
        "ColIdefics3",
        "Idefics3Config",
        {
            "text_config": {
                "model_type": "llama",
                "hidden_size": 576,
                "intermediate_size": 1536,
                "num_hidden_layers": 30,
                "num_attention_heads": 9,
                "num_key_value_heads": 3,
                "head_dim": 64,
                "vocab_size": 49280,
            },
            "vision_config": {
                "hidden_size": 768,
                "image_size": 512,
                "num_attention_heads": 12,
                "patch_size": 16,
            },
            "scale_factor": 4,
        },
    ),
    "modernvbert": (
        "ColModernVBert",
        "ModernVBertConfig",
        {"text_config": {"num_hidden_layers": 3}, "vision_config": {**SIGLIP}},
    ),
    "gemma3": (
        "ColGemma3",
        "Gemma3Config",
        {
            "text_config": {"hidden_size": 256, "num_hidden_layers": 3},
            "vision_config": {**SIGLIP, "vision_use_head": False},
        },
    ),
}


def real_modules(model):
    return {
        name: (module.out_features, module.in_features)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and name not in {"custom_text_proj", "linear", "model.lm_head", "lm_head"}
    }


def parameters_of(model):
    aside = ("custom_text_proj.", "linear.", "model.lm_head.", "lm_head.")
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if not name.startswith(aside)
    )


def model_class(name):
    return getattr(engine, name, None) or getattr(transformers, name)


@pytest.mark.parametrize("document_kind", ["to_dict", "to_diff_dict"])
@pytest.mark.parametrize("case", CASES)
def test_outline_equals_real_model(case, document_kind):
    class_name, config_name, arguments = CASES[case]
    config = getattr(transformers, config_name)(**arguments)
    with torch.device("meta"):
        model = model_class(class_name)(config)
    document = getattr(config, document_kind)()
    outline = outline_of(as_model_config(Path("config.json"), document))
    drawn = {module.name: (module.out_features, module.in_features) for module in outline.modules}
    assert drawn == real_modules(model)
    assert outline.num_parameters == parameters_of(model)


def test_built_in_equals_real_model():
    text = {
        "model_type": "qwen3",
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
    }
    config = transformers.InternVLConfig(text_config=text, vision_config={"attention_bias": True})
    with torch.device("meta"):
        model = transformers.InternVLModel(config)
    outline = outline_of(published_base("OpenGVLab/InternVL3_5-1B-HF").config)
    assert {module.name for module in outline.modules} == set(real_modules(model))
    assert outline.num_parameters == parameters_of(model)


def test_omni_language_and_vision():
    config = transformers.Qwen2_5OmniThinkerConfig(
        text_config={"num_hidden_layers": 2}, vision_config={"depth": 2}
    )
    with torch.device("meta"):
        model = transformers.Qwen2_5OmniThinkerForConditionalGeneration(config)
    outline = outline_of(as_model_config(Path("config.json"), config.to_dict()))
    drawn = {module.name: (module.out_features, module.in_features) for module in outline.modules}
    real = {name: at for name, at in real_modules(model).items() if "audio_tower" not in name}
    assert drawn == real
