"""The most visual tokens that a saved processor can make of one page."""

from typing import Final

from msgspec import Struct

from colintern.artifacts.model.processor_config import ImageProcessorConfig, ProcessorConfig, Size
from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.artifacts.run.manifest import RunManifest

_INTERNVL_TILE_TOKENS: Final = 256
"""`image_seq_length` of transformers' InternVLProcessor: a tile of 448 x 448 pixels."""
_INTERNVL_MAX_TILES: Final = 12
"""`max_patches` of GotOcr2ImageProcessor."""
_IDEFICS_TILE_TOKENS: Final = 64
"""`image_seq_len` of ColIdefics3Processor; transformers' own default is 169."""
_QWEN_PATCH: Final = 14
_QWEN_MERGE: Final = 2
"""Defaults of Qwen2VLImageProcessor."""


class VisualTokens(Struct, frozen=True):
    """How many visual tokens one page can become."""

    most: int
    formula: str
    """How they add up, for a person: `12 tiles + thumbnail of 256 tokens`."""


def visual_tokens(config: ProcessorConfig) -> VisualTokens | None:
    """Return the most visual tokens a page, or None for an image processor not known here."""
    kind = (config.image.image_processor_type or "").removesuffix("Fast").removesuffix("Pil")
    owner = config.processor_class or ""
    if kind.startswith("GotOcr2") or "InternVL" in owner or owner.startswith("ColIntern"):
        return _internvl(config)
    if kind.startswith("Qwen") or "Qwen" in owner:
        return _qwen(config.image)
    if kind.startswith(("Idefics3", "SmolVLM")) or owner.startswith(("ColIdefics3", "ColModern")):
        return _idefics(config)
    return None


def _internvl(config: ProcessorConfig) -> VisualTokens:
    tokens = config.image_seq_length or _INTERNVL_TILE_TOKENS
    tiles = config.image.max_patches
    tiles = _INTERNVL_MAX_TILES if tiles is None else tiles
    if tiles <= 1 or config.image.crop_to_patches is False:
        return VisualTokens(tokens, f"one tile of {tokens} tokens")
    return VisualTokens((tiles + 1) * tokens, f"{tiles} tiles + thumbnail of {tokens} tokens")


def _qwen(image: ImageProcessorConfig) -> VisualTokens | None:
    """The class reads the area from `size` where it is, and from `max_pixels` otherwise."""
    area = _edge(image.size) or image.max_pixels
    edge = (_edge(image.patch_size) or _QWEN_PATCH) * (image.merge_size or _QWEN_MERGE)
    if not area:
        return None
    return VisualTokens(area // edge**2, f"{area:,} pixels in tokens of {edge} x {edge}")


def _idefics(config: ProcessorConfig) -> VisualTokens | None:
    tokens = config.image_seq_len or config.image_seq_length or _IDEFICS_TILE_TOKENS
    longest, tile = _edge(config.image.size), _edge(config.image.max_image_size)
    if config.image.do_image_splitting is False:
        return VisualTokens(tokens, f"one tile of {tokens} tokens")
    if not longest or not tile:
        return None
    side = -(-longest // tile)
    if side == 1:
        return VisualTokens(tokens, f"one tile of {tokens} tokens")
    return VisualTokens(
        (side**2 + 1) * tokens, f"{side} x {side} tiles + thumbnail of {tokens} tokens"
    )


def _edge(size: Size | None) -> int | None:
    """The one number in a size that may be a number, a pair or a dictionary."""
    if isinstance(size, int):
        return size
    if isinstance(size, dict):
        return size.get("longest_edge") or size.get("height")
    return size[0] if size else None


def page_budgets(
    manifest: RunManifest | None,
    processor: ProcessorConfig | None,
    evaluation: EvaluationRecord | None,
) -> dict[str, int]:
    """Return the budget by the file that records it.

    It is `max_num_visual_tokens`, or, for a processor that has none, what the largest page becomes.
    """
    trained = manifest.processor if manifest else None
    recorded = {
        "colintern_run.json": trained.max_num_visual_tokens if trained else None,
        "the saved processor": processor.max_num_visual_tokens if processor else None,
        "colintern_eval.json": evaluation.max_num_visual_tokens if evaluation else None,
    }
    budgets = {source: tokens for source, tokens in recorded.items() if tokens is not None}
    return budgets or _largest_pages(processor, evaluation)


def _largest_pages(
    processor: ProcessorConfig | None, evaluation: EvaluationRecord | None
) -> dict[str, int]:
    saved = visual_tokens(processor) if processor else None
    then = evaluation.most_visual_tokens if evaluation else None
    if saved is None or then is None:
        return {}
    return {"the saved processor": saved.most, "colintern_eval.json": then}
