"""A retriever family: one record holds everything that is known of it.

The entries are in the modules beside this one, by backbone; `catalogue.py` collects them. A figure
that nobody published is None. Defaults are what most classes of colpali-engine have in common.
"""

import re
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from colintern.artifacts.model.model_config import ModelConfig
from colintern.families.backbone import Backbone

USUAL_PROJECTION: Final = "custom_text_proj"
"""The projection of most families, and of weights whose family is not known. It is also targeted
by mistake where the class calls it otherwise (sources B05)."""

ANY_SIZE: Final = float("inf")
NO_NAME: Final = re.compile(r"(?!)")
"""Matches no name."""


def names(pattern: str) -> re.Pattern[str]:
    """Return a pattern of model names, which nobody writes in one case."""
    return re.compile(pattern, re.IGNORECASE)


class LearningRates(NamedTuple):
    """The accepted peak learning rates of base models up to a size."""

    max_parameters: float
    """Largest base (without projection and output layer) that the figures are for."""
    low: float
    high: float
    proposed: float | None = None
    """What `colintern plan` proposes; None where it plans no training."""


class PublishedBase(Struct, frozen=True, kw_only=True):
    """A base of a published size: its config.json need not be on this machine."""

    hub_id: str
    short: str
    """As `1B`, part of the Hub id: what `colintern plan` takes for it."""
    config: ModelConfig

    def is_named_by(self, name: str) -> bool:
        """Whether `name`, a path or another repository's, names this size."""
        model = self.hub_id.rpartition("/")[2]
        return model[: model.index(self.short) + len(self.short)] in name


class QueryPrefix(NamedTuple):
    """What stands before a query from a release of colpali-engine on."""

    since: tuple[int, ...]
    text: str


ENGINE_PREFIXES: Final = (QueryPrefix((0, 3, 13), ""), QueryPrefix((0,), "Query: "))
"""Of colpali-engine's processors, newest first (sources D02)."""

Repair = Literal["prefix attention", "output layer"]
"""What a class of colpali-engine needs so that transformers 5 runs it as it was trained; the
functions are in `colintern/evaluation/engine_repairs.py`."""


class Family(Struct, frozen=True, kw_only=True, eq=False):
    """All that is known of a family. An entry is equal to itself alone."""

    name: str
    """As a user types it after `--family`, and as the manifest and every report name it."""
    aliases: tuple[str, ...] = ()
    """Other names for it; case and punctuation do not matter."""
    same_model_as: str | None = None
    """The family whose model this one is in small: classes and model types mean that one."""
    backbone: Backbone
    """The vision-language model below it, and how its modules are laid out."""
    published_bases: tuple[PublishedBase, ...] = ()
    """Its bases in published sizes, smallest first."""

    architectures: frozenset[str] = frozenset()
    """Retriever classes, as a config's `architectures` names them."""
    processor_classes: frozenset[str] = frozenset()
    """`processor_class` in the processor's or tokenizer's configuration."""
    model_class: str | None = None
    """Dotted path of the class that runs the model; None: no class here runs it, so it is audited
    only."""
    processor_class: str | None = None
    """Dotted path of its processor's class, None as above."""
    native_class: str | None = None
    """transformers' own class, as `ColPaliForRetrieval`; None where it has none."""
    native_projection: str = "embedding_proj_layer"
    """What transformers' own classes call the projection, of every family so far."""
    transformers_since: str | None = None
    """The transformers release that brought its base; None where no bound is known."""
    repairs: frozenset[Repair] = frozenset()
    """What has to be repaired before its class is run."""

    projection: str = USUAL_PROJECTION
    """Module name of the last linear layer."""
    dimension: int = 128
    """Numbers in a vector, where no key of config.json says otherwise."""
    dimension_keys: tuple[str, ...] = ()
    """Keys of config.json that the class takes the size of a vector from; none: it is fixed."""

    padding_side: Literal["left", "right"] = "left"
    """Side on which the processor pads."""
    padding_in_file: bool = False
    """Whether tokenizer_config.json decides the side; every other class sets it when it is made
    (colpali-engine 0.3.18, sources D01)."""
    query_prefixes: tuple[QueryPrefix, ...] = ENGINE_PREFIXES
    """Prefix of a query by release of colpali-engine, newest first; empty where the release does
    not tell it: the processor is saved with its format, or its history is not known."""
    num_augmentation_tokens: int = 10
    """Tokens that the collator appends to a query."""
    mteb_wrappers: frozenset[str] = frozenset()
    """Classes of MTEB that run it through colpali-engine: `loader` in model_meta.json. A wrapper
    that formats queries by itself is none of them."""

    raw_bases: re.Pattern[str] = NO_NAME
    """Names of vision-language models that have no projection of the family."""
    saved_bases: re.Pattern[str] = NO_NAME
    """Names of repositories that hold the same model with a projection."""
    raw_organisations: frozenset[str] = frozenset()
    """Owners on the Hub of those raw models."""

    learning_rates: tuple[LearningRates, ...]
    """Accepted intervals by base size, smallest first."""
    min_epochs: float | None = None
    """Fewest epochs that a published recipe uses; None: the guide's figure, or none known."""
    follows_guide: bool = False
    """The guide was written for it: its numbers judge as errors."""
    only_benchmark: str | None = None
    """The one benchmark that such a model can do, for `--benchmarks`; None: it can do all."""
    source: str
    """Where the figures are from."""

    @property
    def is_guides_own(self) -> bool:
        """Whether it is the very model that the guide's numbers are for."""
        return self.follows_guide and self.same_model_as is None

    @property
    def is_ours(self) -> bool:
        """Whether its classes are this project's, which also trains and plans it."""
        return self.model_class is not None and self.model_class.startswith("colintern.")

    @property
    def projections(self) -> frozenset[str]:
        """Every name of the projection: that of its class and that of transformers' own."""
        return frozenset({self.projection, self.native_projection})

    @property
    def classes(self) -> frozenset[str]:
        """Names of its model and processor classes, as checkpoints record them."""
        return self.architectures | self.processor_classes

    def learning_rate_for(self, num_parameters: int | None) -> LearningRates | None:
        """Return the interval for a base of that size, or for any size when it does not matter.

        None when the size matters and is unknown.
        """
        if len(self.learning_rates) == 1:
            return self.learning_rates[0]
        if num_parameters is None:
            return None
        return next(
            (rates for rates in self.learning_rates if num_parameters <= rates.max_parameters), None
        )

    def dimension_in(self, config: ModelConfig | None) -> int:
        """Return the numbers in a vector of a model with this config.json."""
        numbers = config.numbers if config is not None else {}
        given = (numbers.get(key) for key in self.dimension_keys)
        return next(filter(None, given), self.dimension)

    def prefix_in(self, engine: tuple[int, ...]) -> str | None:
        """Return the prefix of a query in that release of colpali-engine; None when unknown."""
        return next((each.text for each in self.query_prefixes if engine >= each.since), None)

    def is_raw_base(self, hub_id: str) -> bool:
        """Whether `hub_id` is a vision-language model known to ship no projection."""
        organisation, _, name = hub_id.rpartition("/")
        return organisation in self.raw_organisations and bool(self.raw_bases.fullmatch(name))
