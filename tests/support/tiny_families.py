# ruff: noqa: S106 - tokens of a tokenizer are no passwords

"""Tiny models of colpali-engine's other kinds, with LoRA, saved by its and PEFT's own classes."""

import torch
from colpali_engine import models as engine
from peft import LoraConfig, get_peft_model
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import (
    Idefics3Config,
    Idefics3ImageProcessor,
    PaliGemmaConfig,
    PreTrainedTokenizerFast,
    SiglipImageProcessor,
)

from colintern.pages.tokenizer import vocabulary
from support.tiny_engine import write_run as write_colqwen2

IDEFICS_SPECIAL = (
    *("<pad>", "<|im_start|>", "<end_of_utterance>", "<image>", "<global-img>"),
    *("<fake_token_around_image>", "\n"),
    *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
)
GEMMA_SPECIAL = ("<pad>", "<eos>", "<bos>", "<image>", "\n")
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
}


def tokenizer(special, **names):
    tokens = list(dict.fromkeys([*special, "[UNK]", *vocabulary()]))
    words = Tokenizer(
        models.WordLevel({token: n for n, token in enumerate(tokens)}, unk_token="[UNK]")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.add_special_tokens([AddedToken(token, special=True) for token in special])
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", **names)


def colidefics3():
    words = tokenizer(IDEFICS_SPECIAL, pad_token="<pad>")
    image = Idefics3ImageProcessor(size={"longest_edge": 112}, max_image_size={"longest_edge": 56})
    config = Idefics3Config(
        text_config={"model_type": "llama", "vocab_size": len(words), **TEXT},
        vision_config={"model_type": "idefics3_vision", **VISION},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    processor = engine.ColIdefics3Processor(image, words, image_seq_len=4)
    return engine.ColIdefics3, config, processor


def colpali():
    words = tokenizer(GEMMA_SPECIAL, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>")
    words.padding_side = "right"
    image = SiglipImageProcessor(size={"height": 56, "width": 56})
    image.image_seq_length = 16
    processor = engine.ColPaliProcessor(image, words)
    config = PaliGemmaConfig(
        text_config={
            "model_type": "gemma",
            "vocab_size": len(words),
            "head_dim": 16,
            "num_image_tokens": 16,
            **TEXT,
        },
        vision_config={"model_type": "siglip_vision_model", **VISION},
        image_token_index=words.convert_tokens_to_ids("<image>"),
        projection_dim=64,
        hidden_size=64,
    )
    return engine.ColPali, config, processor


MADE = {"ColIdefics3": colidefics3, "ColPali": colpali}


def write_family(folder, name):
    """Write a base and an adapter that moved, of the family `name`; return the adapter's folder."""
    if name == "ColQwen2":
        return write_colqwen2(folder)
    torch.manual_seed(0)
    model_class, config, processor = MADE[name]()
    base, run = folder / f"{name.lower()}-base", folder / "run"
    model_class(config).save_pretrained(base)
    processor.save_pretrained(base)
    targets = (
        r".*(text_model|language_model).*\.(q|k|v|o|gate|up|down)_proj|custom_text_proj|linear"
    )
    lora = LoraConfig(r=4, lora_alpha=4, target_modules=targets, task_type="FEATURE_EXTRACTION")
    adapted = get_peft_model(model_class.from_pretrained(base), lora)
    for parameter_name, parameter in adapted.named_parameters():
        if "lora_B" in parameter_name:
            torch.nn.init.normal_(parameter, std=0.05)
    adapted.save_pretrained(run)
    processor.save_pretrained(run)
    return run
