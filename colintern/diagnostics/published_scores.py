"""What published models reach on each task: the ground for judging one task and one benchmark."""

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
    lowest: float
    lower_quartile: float
    median: float
    upper_quartile: float
    best: float
    offset: float | None = None
    """Median over models of the task's NDCG@5 less the task's median and less the model's level,
    which is the median of those differences over the tasks of the benchmark."""
    offset_deviation: float | None = None
    """Median absolute deviation of the same."""
    deepest: float | None = None
    """How far the furthest model lies below the shape, at a level where there is one."""


class PublishedTable(msgspec.Struct, frozen=True, kw_only=True):
    """The whole asset."""

    source: str
    """Where the results were published, with the commit."""
    tasks: dict[str, PublishedScores]
    """Of late-interaction models."""
    all_models: dict[str, PublishedScores]
    """Of models of every kind."""
    best_means: dict[str, float]
    """Benchmark to the best mean NDCG@5 of any model."""


def published_scores() -> Mapping[str, PublishedScores]:
    """Return the figures of late-interaction models by task name."""
    return MappingProxyType(published_table().tasks)


@cache
def published_table() -> PublishedTable:
    """Return the whole table."""
    content = resources.files("colintern").joinpath("assets", ASSET).read_bytes()
    return msgspec.json.decode(content, type=PublishedTable)
