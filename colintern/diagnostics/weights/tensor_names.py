"""The tensors of one model found under the names of another layout of the same model."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.families.module_name import place_of

_WRAPPERS: Final = frozenset(
    {
        *("base_model", "model", "thinker"),
        *("language_model", "text_model"),
        *("vision_model", "vision_tower", "visual"),
    }
)
"""Segments that transformers and colpali-engine put before a part, or leave out, by version."""

_DROPPED: Final = re.compile(
    r"(?:^|\.)(?:lm_head|embed_out|score|classifier|mtp|talker|token2wav|code2wav|head|mask_token"
    r"|inv_freq|position_ids|masked_bias|attn_bias|logit_scale|logit_bias)(?:\.|$)"
)
"""What a retriever's class does not take over from its base: output layers, speech, several-token
prediction, pooling heads, and buffers that are computed (colpali-engine 0.3.18, transformers 5)."""

_EMBEDDING: Final = re.compile(r"(?:^|\.)embed_tokens\.weight$")

Key = tuple[str, str]
"""Tower, and the name without wrappers: the same in every layout."""


@lru_cache(maxsize=4096)
def key_of(name: str) -> Key:
    """Return what the tensor or module `name` is called in every layout.

    >>> key_of("model.language_model.layers.3.mlp.up_proj") == key_of("layers.3.mlp.up_proj")
    True
    """
    tail = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
    tower = place_of(name).tower
    return ("language" if tower in {"other", "projection"} else tower), tail


class TensorNames:
    """Finds the tensors of one model by key; of tensors with one key, only by their own name."""

    def __init__(self, entries: Iterable[TensorEntry]) -> None:
        """Sort `entries` by key."""
        self._by_name = {entry.name: entry for entry in entries}
        self._by_key: dict[Key, TensorEntry | None] = {}
        for name, entry in self._by_name.items():
            key = key_of(name)
            self._by_key[key] = None if key in self._by_key else entry

    def __iter__(self) -> Iterator[TensorEntry]:
        """Yield every tensor in the order of the data."""
        return iter(self._by_name.values())

    def find(self, name: str) -> TensorEntry | None:
        """Return the tensor that another layout calls `name`."""
        return self._by_key.get(key_of(name)) or self._by_name.get(name)


def is_dropped(name: str) -> bool:
    """Whether a retriever may be without the base's tensor `name`."""
    return _DROPPED.search(name) is not None


def is_embedding(name: str) -> bool:
    """Whether the tensor has a row for each token, so that more rows are more tokens."""
    return _EMBEDDING.search(name) is not None


def layers_text(names: Iterable[str]) -> str:
    """Name the layers that `names` are in, as `language layers 0-27`; empty outside the layers."""
    towers: dict[str, set[int]] = {}
    for place in map(place_of, names):
        if place.layer is not None:
            towers.setdefault(place.tower, set()).add(place.layer)
    return ", ".join(
        f"{tower} layer{'s' * (len(layers) > 1)} {_ranges(sorted(layers))}"
        for tower, layers in sorted(towers.items())
    )


def _ranges(numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number, number])
    shown = [f"{first}-{last}" if last > first else f"{first}" for first, last in runs]
    more = f" and {len(shown) - _MOST_RANGES} more runs" if len(shown) > _MOST_RANGES else ""
    return f"{', '.join(shown[:_MOST_RANGES])}{more}"


_MOST_RANGES: Final = 4
"""Runs of layers that one line names."""
