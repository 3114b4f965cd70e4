"""Cuts a collated batch into parts that a model can embed one after the other.

Shape letters: B rows, N tokens, T tiles of all pages.
"""

from collections.abc import Mapping
from typing import Any

import torch

Inputs = dict[str, Any]
"""Keyword arguments of a model's forward: `input_ids` (B, N), `pixel_values` (T, ...), ..."""


def with_prefix(batch: Mapping[str, Any], prefix: str) -> Inputs:
    """Return the entries of `batch` whose name starts with `prefix`, without it."""
    return {key[len(prefix) :]: value for key, value in batch.items() if key.startswith(prefix)}


def flat_negatives(inputs: Inputs) -> Inputs:
    """Return hard negatives with one row a page, whichever layout the collator gives them.

    colpali-engine's gives (B, negatives, ...), ours gives (B x negatives, ...) already, because
    pixel rows are tiles and pages have different numbers of them.
    """
    if not inputs or inputs["input_ids"].dim() == 2:  # noqa: PLR2004 - (rows, tokens)
        return inputs
    leading = inputs["input_ids"].shape[:2]
    return {
        key: value.flatten(0, 1) if value.shape[:2] == leading else value
        for key, value in inputs.items()
    }


def tiles_of_rows(inputs: Inputs, image_token_id: int | None) -> list[int]:
    """Return how many rows of `pixel_values` belong to each row of `input_ids`.

    Every tile has the same number of tokens, so the image tokens of a row tell.

    Raises:
        ValueError: the tiles cannot be shared out among the rows.
    """
    rows, tiles = inputs["input_ids"].shape[0], inputs["pixel_values"].shape[0]
    if image_token_id is None:
        if rows == tiles:
            return [1] * rows
        raise ValueError(
            f"pages must have one row of pixels each where the model names no image token, but "
            f"{rows} pages have {tiles}; set `image_token_id` in the model's config"
        )
    tokens_B = (inputs["input_ids"] == image_token_id).sum(dim=1)  # noqa: N806
    total = int(tokens_B.sum())
    counts = [tokens * tiles // max(total, 1) for tokens in tokens_B.tolist()]
    if total % tiles or sum(counts) != tiles:
        raise ValueError(
            f"every tile must have the same number of image tokens, but {rows} pages have "
            f"{total} tokens for {tiles} tiles; check that the processor belongs to this model"
        )
    return counts


def split_rows(inputs: Inputs, size: int, image_token_id: int | None) -> list[Inputs]:
    """Cut `inputs` into parts of at most `size` rows, each page with all of its tiles."""
    rows = inputs["input_ids"].shape[0]
    pixels = inputs.get("pixel_values")
    tiles = [0] * rows if pixels is None else tiles_of_rows(inputs, image_token_id)
    parts, first_tile = [], 0
    for start in range(0, rows, size):
        last_tile = first_tile + sum(tiles[start : start + size])
        parts.append(_part(inputs, slice(start, start + size), slice(first_tile, last_tile)))
        first_tile = last_tile
    return parts


def _part(inputs: Inputs, rows: slice, tiles: slice) -> Inputs:
    total_tiles = inputs["pixel_values"].shape[0] if "pixel_values" in inputs else None
    total_rows = inputs["input_ids"].shape[0]
    part: Inputs = {}
    for key, value in inputs.items():
        if not isinstance(value, torch.Tensor):
            part[key] = value
        elif key.startswith("pixel_"):
            part[key] = value[tiles] if value.shape[0] == total_tiles else value[rows]
        else:
            part[key] = value[rows] if value.shape[0] == total_rows else value[tiles]
    return part
