"""The processor of ColIntern3.5: pages to tiles, queries to tokens, within a token budget."""

import re
from typing import Any, Final

import torch
from colpali_engine.utils.processing_utils import (
    BaseVisualRetrieverProcessor,
    Idefics3SplitImageInterpretabilityMixin,
)
from PIL import Image
from transformers import BatchEncoding, BatchFeature, InternVLProcessor, ProcessorMixin
from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas

MAX_TILES: Final = 12
"""InternVL was trained on at most 12 tiles a page, plus the thumbnail."""

VISUAL_PROMPT: Final = "<|im_start|>user\n<IMG_CONTEXT>\nDescribe the image.<|im_end|><|endoftext|>"
AUGMENTATION_TOKENS: Final = 10
"""Tokens that are appended to a query; colpali-engine's collator has the same number built in."""


class BudgetError(ValueError):
    """A budget of visual tokens that pays for no tile."""


class ColIntern3_5Processor(  # noqa: N801 - the model's published name
    Idefics3SplitImageInterpretabilityMixin,
    BaseVisualRetrieverProcessor,
    InternVLProcessor,
):
    """Prepares pages and queries; everything that decides their form is saved with it.

    Pages are laid out tile by tile with the thumbnail last, as in Idefics 3, so colpali-engine's
    similarity maps for split images apply.
    """

    def __init__(  # noqa: PLR0917 - transformers passes the parts by position
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        image_seq_length: int = 256,
        chat_template: str | None = None,
        max_num_visual_tokens: int | None = None,
        query_prefix: str = "",
        query_augmentation_token: str = "<|endoftext|>",  # noqa: S107 - no secret
        visual_prompt: str = VISUAL_PROMPT,
    ) -> None:
        """Assemble the processor.

        Args:
            image_processor: cuts a page into tiles; its `max_patches` is set from the budget.
            tokenizer: of the base model, with its image tokens; it is set to pad on the left.
            image_seq_length: visual tokens of one tile.
            chat_template: kept for the base model's own uses.
            max_num_visual_tokens: the most visual tokens of one page, tiles and thumbnail together;
                None keeps the tiling of the image processor.
            query_prefix: put before every query.
            query_augmentation_token: appended ten times to every query.
            visual_prompt: the text of a page, with one image token.
        """
        # Not InternVLProcessor's: it asks for a video processor, which a page retriever never has.
        ProcessorMixin.__init__(
            self, image_processor=image_processor, tokenizer=tokenizer, chat_template=chat_template
        )
        self.image_seq_length = image_seq_length
        self.start_image_token = tokenizer.start_image_token
        self.end_image_token = tokenizer.end_image_token
        self.start_image_token_id = tokenizer.start_image_token_id
        self.end_image_token_id = tokenizer.end_image_token_id
        self.image_token = tokenizer.context_image_token
        self.image_token_id = tokenizer.context_image_token_id
        self.video_token = tokenizer.video_token
        self.multimodal_pattern = _image_or_video(self.image_token, self.video_token)
        self.query_prefix = query_prefix
        self.query_augmentation_token = query_augmentation_token
        self.visual_prompt = visual_prompt
        self.max_num_visual_tokens = max_num_visual_tokens
        tokenizer.padding_side = "left"
        if max_num_visual_tokens is not None:
            image_processor.crop_to_patches = True
            image_processor.min_patches = 1
            image_processor.max_patches = tiles_within(max_num_visual_tokens, image_seq_length)

    @property
    def image_seq_len(self) -> int:
        """Visual tokens of one tile, under the name that colpali-engine's similarity maps use."""
        return self.image_seq_length

    def process_images(self, images: list[Image.Image]) -> BatchFeature | BatchEncoding:
        """Prepare pages; `pixel_values` has a row a tile, not a row a page."""
        return self(
            text=[self.visual_prompt] * len(images),
            images=[image.convert("RGB") for image in images],
            padding="longest",
            return_tensors="pt",
        )

    def process_texts(self, texts: list[str]) -> BatchFeature | BatchEncoding:
        """Prepare texts as they are: `process_queries` adds prefix and augmentation."""
        return self.tokenizer(texts, padding="longest", return_tensors="pt")

    def score(
        self,
        qs: torch.Tensor | list[torch.Tensor],
        ps: torch.Tensor | list[torch.Tensor],
        device: str | torch.device | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return the MaxSim score of every query with every page, as (queries, pages)."""
        return self.score_multi_vector(qs, ps, device=device, **kwargs)

    def get_n_patches(self, image_size: tuple[int, int], *_: Any, **__: Any) -> tuple[int, int]:
        """Return the grid of visual tokens, (along x, along y), of a page of (height, width).

        The thumbnail is not in it.
        """
        columns, rows = self.tile_grid(image_size)
        side = int(self.image_seq_length**0.5)
        return columns * side, rows * side

    def tile_grid(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Return the tiles, (columns, rows), that a page of (height, width) is cut into."""
        if not self.image_processor.crop_to_patches:
            return 1, 1
        size = self.image_processor.size
        columns, rows = get_optimal_tiled_canvas(
            image_size,
            (size["height"], size["width"]),
            self.image_processor.min_patches,
            self.image_processor.max_patches,
        )
        return columns, rows

    def num_visual_tokens(self, image_size: tuple[int, int]) -> int:
        """Return the visual tokens of a page of (height, width), thumbnail included."""
        columns, rows = self.tile_grid(image_size)
        tiles = columns * rows
        return int(self.image_seq_length * (tiles + 1 if tiles > 1 else 1))


def tiles_within(max_num_visual_tokens: int, image_seq_length: int) -> int:
    """Return the most tiles of a page whose tokens, thumbnail included, stay in the budget.

    Two tiles bring a thumbnail and cost three, so a budget for two tiles admits one.

    Raises:
        BudgetError: the budget is too small for one tile.
    """
    affordable = max_num_visual_tokens // image_seq_length
    if affordable < 1:
        raise BudgetError(
            f"max_num_visual_tokens must pay for one tile of {image_seq_length} visual tokens, but "
            f"it is {max_num_visual_tokens}; allow at least {image_seq_length}"
        )
    return min(max(affordable - 1, 1), MAX_TILES)


def _image_or_video(image_token: str, video_token: str) -> Any:

    return re.compile(f"(?P<image>{re.escape(image_token)})|(?P<video>{re.escape(video_token)})")
