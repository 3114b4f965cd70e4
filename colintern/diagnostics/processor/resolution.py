"""The most visual tokens that a saved processor can make of one page."""

from msgspec import Struct

from colintern.artifacts.model.processor_config import ImageProcessorConfig, ProcessorConfig, Size
from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.artifacts.run.manifest import RunManifest
from colintern.families.backbone import VisualTokens
from colintern.families.catalogue import visual_tokens_of


class PageTokens(Struct, frozen=True):
    """How many visual tokens one page can become."""

    most: int
    formula: str
    """How they add up, for a person: `12 tiles + thumbnail of 256 tokens`."""


def visual_tokens(config: ProcessorConfig) -> PageTokens | None:
    """Return the most visual tokens a page, or None for an image processor not known here."""
    kind = (config.image.image_processor_type or "").removesuffix("Fast").removesuffix("Pil")
    known = visual_tokens_of(kind, config.processor_class or "")
    if known is None:
        return None
    if known.rule == "tiles":
        return _tiles(config, known)
    return _area(config.image, known) if known.rule == "area" else _grid(config, known)


def _tiles(config: ProcessorConfig, known: VisualTokens) -> PageTokens:
    tokens = config.image_seq_length or known.tile_tokens
    tiles = config.image.max_patches
    tiles = known.max_tiles if tiles is None else tiles
    if tiles <= 1 or config.image.crop_to_patches is False:
        return PageTokens(tokens, f"one tile of {tokens} tokens")
    return PageTokens((tiles + 1) * tokens, f"{tiles} tiles + thumbnail of {tokens} tokens")


def _area(image: ImageProcessorConfig, known: VisualTokens) -> PageTokens | None:
    """The class reads the area from `size` where it is, and from `max_pixels` otherwise."""
    area = _edge(image.size) or image.max_pixels
    edge = (_edge(image.patch_size) or known.patch_size) * (image.merge_size or known.merge_size)
    if not area:
        return None
    return PageTokens(area // edge**2, f"{area:,} pixels in tokens of {edge} x {edge}")


def _grid(config: ProcessorConfig, known: VisualTokens) -> PageTokens | None:
    tokens = config.image_seq_len or config.image_seq_length or known.tile_tokens
    longest, tile = _edge(config.image.size), _edge(config.image.max_image_size)
    if config.image.do_image_splitting is False:
        return PageTokens(tokens, f"one tile of {tokens} tokens")
    if not longest or not tile:
        return None
    side = -(-longest // tile)
    if side == 1:
        return PageTokens(tokens, f"one tile of {tokens} tokens")
    return PageTokens(
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
