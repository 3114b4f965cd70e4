"""The processor of the healthy run, as transformers 5 saves it."""

import json
from pathlib import Path

TOKENS = ("a", "b", "c", "ab", "<|endoftext|>", "<IMG_CONTEXT>")
AUGMENTATION = "<|endoftext|>"


def processor():
    return {
        "processor_class": "ColIntern3_5Processor",
        "image_seq_length": 256,
        "max_num_visual_tokens": 1536,
        "query_prefix": "",
        "query_augmentation_token": AUGMENTATION,
        "image_processor": {
            "image_processor_type": "GotOcr2ImageProcessor",
            "size": {"height": 448, "width": 448},
            "crop_to_patches": True,
            "min_patches": 1,
            "max_patches": 5,
        },
    }


def tokenizer_config():
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "processor_class": "ColIntern3_5Processor",
        "padding_side": "left",
    }


def tokenizer(tokens=TOKENS):
    added = [{"id": i, "content": token} for i, token in enumerate(tokens) if token.startswith("<")]
    return {
        "version": "1.0",
        "added_tokens": added,
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [["a", "b"]],
        },
    }


def write_processor(run: Path, *, processor_changes=None, tokenizer_changes=None, tokens=TOKENS):
    _write(run / "processor_config.json", {**processor(), **(processor_changes or {})})
    _write(run / "tokenizer_config.json", {**tokenizer_config(), **(tokenizer_changes or {})})
    _write(run / "tokenizer.json", tokenizer(tokens))


def _write(path, document):
    path.write_text(json.dumps(document, indent=2) + "\n")
