"""A base and its adapter of any family, written from the family's entry alone, without torch."""

import json

import numpy as np

from builders.adapter import PREFIX, adapter_config, write_tensors
from builders.processor import tokenizer, tokenizer_config
from colintern.artifacts.model.model_config import as_model_config
from colintern.families.module_name import language_names
from colintern.families.outline.modules import outline_of

HIDDEN = 64
VOCABULARY = 64
RANK = 16
TEXT = {
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": VOCABULARY,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
VISION = {
    "hidden_size": 32,
    "embed_dim": 32,
    "out_hidden_size": HIDDEN,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "depth": 2,
    "image_size": 56,
    "patch_size": 14,
}


def config_of(family):
    """A config.json of a tiny base of the family."""
    backbone = family.backbone
    return {
        "model_type": backbone.model_types[0],
        "text_config": {"model_type": backbone.decoders[0].model_type, **TEXT},
        "vision_config": {"model_type": backbone.tower.model_types[0], **VISION},
        **dict.fromkeys(family.dimension_keys, family.dimension),
    }


def outline(family):
    return outline_of(as_model_config("config.json", config_of(family)))


def write_base(folder, family):
    random = np.random.default_rng(0)
    tensors = {
        f"{module.name}.weight": _normal(random, module.out_features, module.in_features)
        for module in outline(family).modules
    }
    embedding = f"{family.backbone.language}embed_tokens.weight"
    tensors[embedding] = _normal(random, VOCABULARY, HIDDEN)
    tensors[f"{family.projection}.weight"] = _normal(random, family.dimension, HIDDEN)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "config.json", config_of(family))
    write_tensors(folder / "model.safetensors", tensors)


def write_run(folder, family):
    """Write a base and an adapter that moved on every language layer; return the adapter."""
    base, run = folder / base_name(family), folder / "run"
    run.mkdir(parents=True)
    write_base(base, family)
    random = np.random.default_rng(1)
    language = outline(family).language
    tensors = {}
    for module in language:
        lora = f"{PREFIX}{module.name}.lora_"
        tensors[f"{lora}A.weight"] = _normal(random, RANK, module.in_features)
        tensors[f"{lora}B.weight"] = _normal(random, module.out_features, RANK) * 0.01
    tensors[f"{PREFIX}{family.projection}.weight"] = _normal(random, family.dimension, HIDDEN)
    write_tensors(run / "adapter_model.safetensors", tensors)
    changes = {
        "base_model_name_or_path": f"../{base.name}",
        "target_modules": sorted({module.place.kind for module in language}),
        "modules_to_save": [family.projection],
    }
    _write(run / "adapter_config.json", adapter_config(**changes))
    _write_processor(run, family)
    return run


def write_config(run, family, config):
    """Give the base of `run` another config.json."""
    _write(run.parent / base_name(family) / "config.json", config)


def base_name(family):
    """A folder's name; the one that the family's bases have, where they have just one."""
    only = family.saved_bases.pattern
    return only if family.saved_bases.fullmatch(only) else "base"


def names_in_layouts(family):
    """The names of a language module that are known in any layout."""
    return language_names(outline(family).language[0].name)


def _write_processor(run, family):
    owner = min(family.processor_classes)
    _write(run / "processor_config.json", {"processor_class": owner, "image_processor": {"a": 1}})
    sides = {"processor_class": owner, "padding_side": family.padding_side}
    _write(run / "tokenizer_config.json", {**tokenizer_config(), **sides})
    _write(run / "tokenizer.json", tokenizer())


def _write(path, document):
    path.write_text(json.dumps(document, indent=2) + "\n")


def _normal(random, *shape):
    return (random.standard_normal(shape) * 0.05).astype(np.float32)
