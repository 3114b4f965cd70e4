"""The published results of single models, to compare with by name."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

import msgspec

MODELS_ASSET: Final = "published_models.json"
"""Made by `colintern.assets.build_published_scores`."""


class PublishedTask(msgspec.Struct, frozen=True, array_like=True):
    """One model on one task, the mean over all its languages; figures in [0, 1]."""

    ndcg_at_5: float
    ndcg_at_10: float | None
    recall_at_100: float | None
    spread: float
    """Standard deviation of NDCG@5 over queries, or the bound on it."""
    dataset_revision: str | None
    """The first characters of the commit."""
    mteb_version: str | None


class PublishedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one revision."""

    name: str
    """On the Hub, as `ORG/NAME`."""
    revision: str
    """The commit that was evaluated."""
    loader: str | None
    """MTEB's wrapper, which decides how queries are formatted."""
    late_interaction: bool
    tasks: dict[str, PublishedTask]
    """By MTEB's name."""


class PublishedModels(msgspec.Struct, frozen=True, kw_only=True):
    """The whole asset."""

    source: str
    """Where the results were published, with the commit."""
    models: tuple[PublishedModel, ...]
    """By name."""


@cache
def published_models() -> PublishedModels:
    """Return the whole table."""
    content = resources.files("colintern").joinpath("assets", MODELS_ASSET).read_bytes()
    return msgspec.json.decode(content, type=PublishedModels)


def published_model(name: str) -> PublishedModel | None:
    """Find a model by `ORG/NAME`, or by `NAME` where one organisation has it; case is ignored."""
    models = _by_name()
    wanted = name.casefold()
    if wanted in models:
        return models[wanted]
    found = [model for key, model in models.items() if key.rpartition("/")[2] == wanted]
    return found[0] if len(found) == 1 else None


def close_names(name: str) -> list[str]:
    """Return the names of published models that `name` may mean."""
    models = _by_name()
    short = {key.rpartition("/")[2]: key for key in models}
    wanted = name.casefold().rpartition("/")[2]
    return [models[short[key]].name for key in get_close_matches(wanted, short, n=3)]


@cache
def _by_name() -> Mapping[str, PublishedModel]:
    return {model.name.casefold(): model for model in published_models().models}


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


def published_scores() -> Mapping[str, PublishedScores]:
    """Return the figures of late-interaction models by task name."""
    return MappingProxyType(published_table().tasks)


@cache
def published_table() -> PublishedTable:
    """Return the whole table."""
    content = resources.files("colintern").joinpath("assets", ASSET).read_bytes()
    return msgspec.json.decode(content, type=PublishedTable)
