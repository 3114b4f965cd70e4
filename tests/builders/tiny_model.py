"""A tiny ColIntern with random weights, for tests that need torch."""

from pathlib import Path

import torch
from transformers import (
    GotOcr2ImageProcessor,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
)

from colintern.model.modeling import ColIntern3_5, initialise_projection
from colintern.pages.train_base import tiny_config, tiny_processor
from colintern.recipes.targets import GUIDE_TARGETS, LoraSettings, one_expression


def random_model(seed: int = 0) -> ColIntern3_5:
    torch.manual_seed(seed)
    model = ColIntern3_5(tiny_config())
    initialise_projection(model, seed=seed)
    # Zero at the start, they would hide a position or a mask that is wrong.
    with torch.no_grad():
        model.vision_tower.embeddings.position_embeddings.normal_(std=0.1)
    return model.eval()


def write_base(folder: Path, seed: int = 0) -> Path:
    random_model(seed).save_pretrained(folder)
    tiny_processor().save_pretrained(folder)
    return folder


def write_vision_language_model(folder: Path, seed: int = 0) -> Path:
    """A base as the Hub has it: with an output layer, without projection, in bfloat16."""
    torch.manual_seed(seed)
    model = InternVLForConditionalGeneration(tiny_config())
    with torch.no_grad():
        model.model.vision_tower.embeddings.position_embeddings.normal_(std=0.1)
    model.to(torch.bfloat16).save_pretrained(folder)
    size = {"height": 112, "width": 112}
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=size, crop_to_patches=True),
        tiny_processor().tokenizer,
        InternVLVideoProcessor(size=size),
        image_seq_length=16,
        chat_template="{{ messages }}",
    )
    processor.save_pretrained(folder)
    return folder


def guide_lora(**changes: object) -> LoraSettings:
    values: dict[str, object] = {
        "rank": 8,
        "alpha": 8,
        "dropout": 0.1,
        "target_modules": one_expression(GUIDE_TARGETS),
    }
    return LoraSettings(**{**values, **changes})  # type: ignore[arg-type]
