"""Pretrains the tiny base: an InternVL below a million parameters that reads pages aloud.

    python -m colintern.pages.train_base --output-dir colintern/assets/tiny-base

Only pages of the training split are read, none of the evaluation's. Nothing is downloaded. The
shipped base is what this command wrote, in 22 minutes on two busy cores. Seeds are fixed; bits may
differ all the same, because threads and CPUs round differently.
"""

import argparse
import itertools
import logging
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from torch.nn import functional
from transformers import (
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLModel,
    get_cosine_schedule_with_warmup,
)

from colintern.model.modeling import ColIntern3_5, initialise_projection
from colintern.model.processing import ColIntern3_5Processor
from colintern.pages.facts import WORDS, Facts
from colintern.pages.layout import LAYOUTS, PAGE_SIZE, word_bitmap
from colintern.pages.page import Page
from colintern.pages.tokenizer import vocabulary, world_tokenizer
from colintern.pages.world import training_pairs

WHITENING_PAIRS: Final = 256
_LEAST_VARIANCE: Final = 0.01
"""Share of the mean variance below which a direction is not stretched further."""


def hidden_states(base: ColIntern3_5, features: Any) -> torch.Tensor:
    """Return the last hidden states of all real tokens, as (tokens, hidden size)."""
    with torch.inference_mode():
        mask = features["attention_mask"]
        output = InternVLModel.forward(base, **features, use_cache=False, return_dict=True)
    return output.last_hidden_state[mask.bool()].clone()


def whiten_projection(base: ColIntern3_5, processor: ColIntern3_5Processor) -> None:
    """Turn the seeded projection into one whose embeddings are centred and of equal variance.

    A few directions hold most of the variance of the hidden states, and none of the words: with a
    plain random projection all embeddings look alike, and the first thing that training does is to
    make them equal. It knows the training pages only, and not which query belongs to which.
    """
    pairs = training_pairs(WHITENING_PAIRS)
    images = [Image.fromarray(pair.page.pixels()) for pair in pairs]
    pages_NH = hidden_states(base, processor.process_images(images))  # noqa: N806
    queries_NH = hidden_states(base, processor.process_queries([pair.query for pair in pairs]))  # noqa: N806
    mean_H = (pages_NH.mean(0) + queries_NH.mean(0)) / 2  # noqa: N806
    covariance = (torch.cov(pages_NH.T) + torch.cov(queries_NH.T)) / 2
    variances, directions = torch.linalg.eigh(covariance)
    variances = variances.clamp_min(_LEAST_VARIANCE * variances.mean())
    projection = base.custom_text_proj
    with torch.no_grad():
        whitening = (directions * variances.rsqrt()) @ directions.T
        projection.weight.copy_(projection.weight @ whitening)
        projection.bias.copy_(-projection.weight @ mean_H)


PATCH_SIZE: Final = 14
IMAGE_SEQ_LENGTH: Final = (PAGE_SIZE // PATCH_SIZE // 2) ** 2
"""Visual tokens of a page: 8 x 8 patches, merged two by two."""

_TOKENS_A_SIDE: Final = PAGE_SIZE // PATCH_SIZE // 2
_TOKEN_PIXELS: Final = PAGE_SIZE // _TOKENS_A_SIDE

VISUAL_PROMPT: Final = "<IMG_CONTEXT><|endoftext|>"
STEPS: Final = 3000
"""Batches that are only read aloud: the language loss goes from 4.4 to 0.15."""

POINTING_STEPS: Final = 800
"""Batches that are read aloud and pointed at."""

BATCH_SIZE: Final = 64
LEARNING_RATE: Final = 2e-3
PROJECTION_SEED: Final = 0
_PIXEL_MEAN: Final = 0.5
_IGNORED: Final = -100
"""The label that transformers' loss leaves out."""

logger = logging.getLogger(__name__)


def tiny_config() -> InternVLConfig:
    """Describe the tiny base: 3 vision layers of width 64, 2 language layers of width 128."""
    return InternVLConfig(
        vision_config={
            "hidden_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 256,
            "image_size": [PAGE_SIZE, PAGE_SIZE],
            "patch_size": [PATCH_SIZE, PATCH_SIZE],
            "attention_bias": True,
        },
        text_config={
            "model_type": "qwen3",
            "hidden_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": 32,
            "intermediate_size": 384,
            "vocab_size": 8 * -(-len(vocabulary()) // 8),
            "max_position_embeddings": 512,
            "tie_word_embeddings": True,
            "pad_token_id": 0,
            "eos_token_id": 0,
            "bos_token_id": None,
        },
        image_token_id=vocabulary().index("<IMG_CONTEXT>"),
        image_seq_length=IMAGE_SEQ_LENGTH,
        downsample_ratio=0.5,
    )


def tiny_processor() -> ColIntern3_5Processor:
    """Build the processor of the tiny base: one tile a page."""
    image_processor = GotOcr2ImageProcessor(
        size={"height": PAGE_SIZE, "width": PAGE_SIZE},
        image_mean=[_PIXEL_MEAN] * 3,
        image_std=[_PIXEL_MEAN] * 3,
        crop_to_patches=True,
    )
    return ColIntern3_5Processor(
        image_processor,
        world_tokenizer(),
        image_seq_length=IMAGE_SEQ_LENGTH,
        max_num_visual_tokens=IMAGE_SEQ_LENGTH,
        # Ten of sixteen query tokens would be augmentation, and learn the easiest word only.
        query_augmentation_token="",
        visual_prompt=VISUAL_PROMPT,
    )


def reading_pages(seed: int) -> Iterator[Page]:
    """Yield pages of the training split without end."""
    generator = random.Random(f"reading/{seed}")
    while True:
        facts = Facts(*(generator.choice(words) for words in WORDS.values()))
        layout = generator.choice(LAYOUTS)
        if facts.split == "train":
            yield Page(facts, layout)


def reading_batch(pages: list[Page], tokenizer: Any) -> dict[str, torch.Tensor]:
    """Make one batch: each page, then its words as labels, padded on the right."""
    image = [tokenizer.start_image_token, *[tokenizer.context_image_token] * IMAGE_SEQ_LENGTH]
    prompt = tokenizer.convert_tokens_to_ids([*image, tokenizer.end_image_token])
    texts = [
        tokenizer.convert_tokens_to_ids([*page.text.split(), tokenizer.eos_token]) for page in pages
    ]
    longest = max(map(len, texts))
    input_ids, labels = [], []
    for text in texts:
        padding = longest - len(text)
        input_ids.append(prompt + text + [tokenizer.pad_token_id] * padding)
        labels.append([_IGNORED] * len(prompt) + text + [_IGNORED] * padding)
    grey = torch.stack([torch.from_numpy(page.pixels()) for page in pages]).float() / 255
    pixel_values = ((grey - _PIXEL_MEAN) / _PIXEL_MEAN).unsqueeze(1).expand(-1, 3, -1, -1)
    return {
        "input_ids": torch.tensor(input_ids),
        "labels": torch.tensor(labels),
        "pixel_values": pixel_values,
    }


def pointing_loss(logits_BNV: torch.Tensor, pages: list[Page], tokenizer: Any) -> torch.Tensor:  # noqa: N803
    """Ask the visual token at the middle of each value for that word; one token may have two."""
    rows, columns, words = [], [], []
    for row, page in enumerate(pages):
        values = page.facts.values()
        for word in page.composition.words:
            if word.text in values:
                height, width = word_bitmap(word.text, word.face, word.scale).shape
                x, y = word.x + width // 2, word.y + height // 2
                rows.append(row)
                columns.append(1 + y // _TOKEN_PIXELS * _TOKENS_A_SIDE + x // _TOKEN_PIXELS)
                words.append(tokenizer.convert_tokens_to_ids(word.text))
    return functional.cross_entropy(logits_BNV[rows, columns], torch.tensor(words))


def pretrain(
    model: InternVLForConditionalGeneration,
    *,
    steps: int,
    seed: int,
    pointing: bool = False,
) -> None:
    """Train `model` with its language loss.

    Args:
        model: changed in place.
        steps: optimiser steps.
        seed: of the order of pages.
        pointing: beside reading pages aloud, say each value where it stands.
    """
    torch.manual_seed(seed)
    model.train()
    tokenizer = world_tokenizer()
    learning_rate = LEARNING_RATE / 2 if pointing else LEARNING_RATE
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = get_cosine_schedule_with_warmup(optimizer, max(1, steps // 20), steps)
    stream, started, recent = reading_pages(seed), time.monotonic(), 0.0
    for step in range(1, steps + 1):
        pages = list(itertools.islice(stream, BATCH_SIZE))
        output = model(**reading_batch(pages, tokenizer))
        loss = output.loss
        if pointing:
            loss = loss + pointing_loss(output.logits, pages, tokenizer)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        recent = loss.item() if step == 1 else 0.98 * recent + 0.02 * loss.item()
        if step % 100 == 0 or step == steps:
            seconds = time.monotonic() - started
            logger.info("step %d of %d: loss %.3f, %.0f s", step, steps, recent, seconds)
    model.eval()


def save_base(model: InternVLForConditionalGeneration, folder: Path) -> None:
    """Write the base that ColIntern is trained on: the reader's weights and a projection."""
    base = ColIntern3_5(model.config).eval()
    base.load_state_dict(model.model.state_dict(), strict=False)
    initialise_projection(base, seed=PROJECTION_SEED)
    whiten_projection(base, tiny_processor())
    base.save_pretrained(folder)
    # A new one: the one that was used has the padding of its last batch in its tokenizer.
    tiny_processor().save_pretrained(folder)


def main() -> None:
    """Read the command line, pretrain and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--pointing-steps", type=int, default=POINTING_STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    model = InternVLForConditionalGeneration(tiny_config())
    seed = arguments.seed
    pretrain(model, steps=arguments.steps, seed=seed)
    pretrain(model, steps=arguments.pointing_steps, seed=seed + 1, pointing=True)
    save_base(model, arguments.output_dir)


if __name__ == "__main__":
    main()
