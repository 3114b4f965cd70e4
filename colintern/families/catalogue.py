"""Every retriever family, and finding what one of them says.

An entry holds all that is known of its family, so nothing else here names one: what holds for all
of them is gathered from `FAMILIES`, and a new family is one entry in the module of its backbone.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from colintern.families import colintern, gemma, idefics, modernvbert, paligemma, qwen
from colintern.families.backbone import Backbone, Decoder, VisionTower, VisualTokens
from colintern.families.family import Family, PublishedBase

FAMILIES: Final[tuple[Family, ...]] = (
    *colintern.FAMILIES,
    *paligemma.FAMILIES,
    *qwen.FAMILIES,
    *idefics.FAMILIES,
    *modernvbert.FAMILIES,
    *gemma.FAMILIES,
)
"""Projection, dimension and padding side as in colpali-engine 0.3.18 (tested against its classes);
ColIntern3.5 as in sources N05."""


def families() -> tuple[Family, ...]:
    """Return every family, in the order in which they are tried."""
    return FAMILIES


def family_named(name: str) -> Family | None:
    """Find a family by the name that a user, a manifest or a class gives it."""
    key = _key(name)
    if not key:
        return None
    named = (family for family in FAMILIES if key in map(_key, (family.name, *family.aliases)))
    return next(named, None) or family_of_class(name)


def family_of_class(name: str) -> Family | None:
    """Find a family by the name of its model's or its processor's class."""
    return next((family for family in _originals() if name in family.classes), None)


def families_of_type(model_type: str | None) -> tuple[Family, ...]:
    """Find the families whose base has that `model_type` in its config.json."""
    return tuple(each for each in _originals() if model_type in each.backbone.model_types)


def variants_of(family: Family) -> tuple[Family, ...]:
    """Return the families that are the same model in small."""
    return tuple(each for each in FAMILIES if each.same_model_as == family.name)


def backbone_of(model_type: str | None) -> Backbone | None:
    """Find the backbone with that `model_type` in its config.json."""
    return next((each for each in _backbones() if model_type in each.model_types), None)


def decoder_of(model_type: str | None) -> Decoder | None:
    """Find the language model with that `model_type` in its `text_config`."""
    decoders = (decoder for each in _backbones() for decoder in each.decoders)
    return next((each for each in decoders if each.model_type == model_type), None)


def tower_of(model_type: str | None) -> VisionTower | None:
    """Find the vision tower with that `model_type` in its `vision_config`."""
    return next((b.tower for b in _backbones() if model_type in b.tower.model_types), None)


def visual_tokens_of(image_processor: str, processor: str = "") -> VisualTokens | None:
    """Find how pages become tokens, by the class of the image processor or of the processor."""
    rules = (each.visual_tokens for each in _backbones() if each.visual_tokens is not None)
    return next(
        (
            rule
            for rule in rules
            if rule.image_processors.search(image_processor) or rule.processors.search(processor)
        ),
        None,
    )


def published_bases() -> tuple[PublishedBase, ...]:
    """Return every base whose configuration is known without its files."""
    return tuple(base for family in FAMILIES for base in family.published_bases)


def published_base(hub_id: str) -> PublishedBase | None:
    """Find the base of that Hub id."""
    return next((base for base in published_bases() if base.hub_id == hub_id), None)


def mteb_wrappers() -> frozenset[str]:
    """Return MTEB's classes that run a family through colpali-engine."""
    return frozenset().union(*(family.mteb_wrappers for family in FAMILIES))


def projection_names() -> frozenset[str]:
    """Return every name of a projection: at the top level it is the last linear layer."""
    return _projection_names(FAMILIES)


def language_prefixes() -> tuple[str, ...]:
    """Return what may stand before `layers.N.` of a language model, today or before."""
    return _language_prefixes(FAMILIES)


def vision_prefixes() -> tuple[str, ...]:
    """Return what stands before the modules of a vision tower today."""
    return _prefixes(FAMILIES)[0]


def connector_prefixes() -> tuple[str, ...]:
    """Return what stands before the modules of a connector today."""
    return _prefixes(FAMILIES)[1]


# Asked for each of thousands of tensor names: gathered once for one tuple of families.
@lru_cache(maxsize=2)
def _projection_names(known: tuple[Family, ...]) -> frozenset[str]:
    return frozenset().union(*(family.projections for family in known))


@lru_cache(maxsize=2)
def _language_prefixes(known: tuple[Family, ...]) -> tuple[str, ...]:
    backbones = [family.backbone for family in known]
    prefixes = (prefix for b in backbones for prefix in (b.language, *b.earlier_language))
    return tuple(dict.fromkeys(prefixes))


@lru_cache(maxsize=2)
def _prefixes(known: tuple[Family, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    backbones = [family.backbone for family in known]
    return tuple(b.vision for b in backbones), tuple(b.connector for b in backbones)


def _originals() -> Iterator[Family]:
    """Yield the families that classes and model types mean: none that is another one in small."""
    return (family for family in FAMILIES if family.same_model_as is None)


def _backbones() -> Iterator[Backbone]:
    return (family.backbone for family in FAMILIES)


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
