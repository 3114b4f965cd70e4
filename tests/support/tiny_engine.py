"""A tiny ColQwen2 with LoRA, made and saved by colpali-engine's and PEFT's own classes."""

import torch
from colpali_engine.models import ColQwen2, ColQwen2Processor
from peft import LoraConfig, get_peft_model
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2VLConfig, Qwen2VLVideoProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from colintern.pages.tokenizer import vocabulary

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
TOKENS = list(dict.fromkeys([*SPECIAL, IMAGE, VIDEO, "[UNK]", *vocabulary()]))


def tokenizer():
    ids = {token: number for number, token in enumerate(TOKENS)}
    words = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))  # noqa: S106 - no secret
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.add_special_tokens(
        [AddedToken(token, special=True) for token in (*SPECIAL, IMAGE, VIDEO)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<|endoftext|>",  # noqa: S106 - no secret
        unk_token="[UNK]",  # noqa: S106 - no secret
    )


def processor():
    pixels = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    return ColQwen2Processor(
        image_processor=Qwen2VLImageProcessor(size=pixels),
        tokenizer=tokenizer(),
        video_processor=Qwen2VLVideoProcessor(),
    )


def config():
    def of(token):
        return TOKENS.index(token)

    text = {
        "vocab_size": len(TOKENS),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [2, 3, 3],
        },
    }
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "patch_size": 14}
    return Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=of(IMAGE),
        video_token_id=of(VIDEO),
        vision_start_token_id=of("<|vision_start|>"),
        vision_end_token_id=of("<|vision_end|>"),
    )


def write_run(folder):
    """Write a base and an adapter that moved; return the adapter's folder."""
    torch.manual_seed(0)
    base, run = folder / "colqwen2-base", folder / "run"
    ColQwen2(config()).save_pretrained(base)
    processor().save_pretrained(base)
    plain = ColQwen2.from_pretrained(base)
    targets = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj|custom_text_proj"
    lora = LoraConfig(
        r=4, lora_alpha=4, target_modules=targets, task_type="FEATURE_EXTRACTION", lora_dropout=0.1
    )
    adapted = get_peft_model(plain, lora)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    adapted.save_pretrained(run)
    processor().save_pretrained(run)
    return run
