from pathlib import Path

import pytest

from colintern.artifacts.model.model_config import as_model_config
from colintern.families.catalogue import published_base
from colintern.families.module_name import Place, language_names, place_of
from colintern.families.outline.modules import outline_of

SIZES = {
    "OpenGVLab/InternVL3_5-1B-HF": (905_315_328, 28),
    "OpenGVLab/InternVL3_5-2B-HF": (2_037_182_464, 28),
    "OpenGVLab/InternVL3_5-4B-HF": (4_343_533_056, 36),
    "OpenGVLab/InternVL3_5-8B-HF": (7_905_988_608, 36),
}


@pytest.mark.parametrize("name", SIZES)
def test_built_in_outline_sizes(name):
    outline = outline_of(published_base(name).config)
    assert (outline.num_parameters, outline.num_layers) == SIZES[name]
    assert len(outline.language) == outline.num_layers * 7


def test_one_billion_by_tower():
    outline = outline_of(published_base("OpenGVLab/InternVL3_5-1B-HF").config)
    assert dict(outline.parameters) == {
        "language": 596_049_920,
        "vision": 304_012_288,
        "connector": 5_253_120,
    }


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"model_type": "bert", "hidden_size": 768},
        {"model_type": "internvl", "text_config": {"model_type": "gpt_oss"}},
        {"model_type": "internvl", "vision_config": {"model_type": "clip"}},
    ],
)
def test_unknown_architecture_has_none(document):
    assert outline_of(as_model_config(Path("config.json"), document)) is None


def test_flat_qwen2_vl_config():
    flat = {
        "model_type": "qwen2_vl",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 100,
        "vision_config": {"depth": 1, "embed_dim": 32, "hidden_size": 64, "mlp_ratio": 4},
    }
    outline = outline_of(as_model_config(Path("config.json"), flat))
    assert outline.hidden_size == 64
    assert len(outline.language) == 14


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("language_model.layers.3.mlp.up_proj", Place("language", 3, "mlp.up_proj")),
        ("model.layers.3.mlp.up_proj", Place("language", 3, "mlp.up_proj")),
        ("model.language_model.model.layers.3.mlp.up_proj", Place("language", 3, "mlp.up_proj")),
        (
            "vision_tower.encoder.layer.4.attention.q_proj",
            Place("vision", 4, "attention.q_proj"),
        ),
        ("visual.blocks.0.attn.qkv", Place("vision", 0, "attn.qkv")),
        ("visual.merger.mlp.0", Place("connector", None, "merger.mlp.0")),
        ("custom_text_proj", Place("projection", None, "custom_text_proj")),
        ("linear", Place("projection", None, "linear")),
        ("model.linear.linear", Place("other", None, "model.linear.linear")),
        ("pooler.dense", Place("other", None, "pooler.dense")),
        ("transformer.h.11.attn.c_attn", Place("language", 11, "attn.c_attn")),
    ],
)
def test_place_of_module(name, place):
    assert place_of(name) == place


def test_language_names_keep_others():
    assert "model.layers.0.mlp.up_proj" in language_names("language_model.layers.0.mlp.up_proj")
    assert language_names("visual.blocks.0.attn.qkv") == ("visual.blocks.0.attn.qkv",)
    assert language_names("a.strange.layers.0.x") == ("a.strange.layers.0.x",)
