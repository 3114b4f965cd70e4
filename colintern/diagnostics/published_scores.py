"""What published late-interaction models reach on each task: the ground for judging one task."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

import msgspec

ASSET: Final = "published_scores.json"
"""Made by `colintern.assets.build_published_scores`."""


class PublishedScores(msgspec.Struct, frozen=True, kw_only=True):
    """NDCG@5 of published models on one task, in [0, 1], the mean over all its languages."""

    models: int
    """How many models these figures are of."""
    lower_quartile: float
    median: float
    upper_quartile: float
    best: float


class PublishedTable(msgspec.Struct, frozen=True, kw_only=True):
    """The whole asset."""

    source: str
    """Where the results were published, with the commit."""
    tasks: dict[str, PublishedScores]


@cache
def published_scores() -> Mapping[str, PublishedScores]:
    """Return the figures by task name."""
    content = resources.files("colintern").joinpath("assets", ASSET).read_bytes()
    return MappingProxyType(msgspec.json.decode(content, type=PublishedTable).tasks)
