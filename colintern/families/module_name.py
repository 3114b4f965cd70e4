"""Where in a vision-language model a module sits, read from its dotted name.

The same module has had several names: transformers 4.52 and 5 moved the language model, so that one
adapter says `model.layers.3.mlp.up_proj`, another `language_model.layers.3.mlp.up_proj` and a third
`model.language_model.layers.3.mlp.up_proj` (sources B06). Tower, layer and kind are the same
in all of them.
"""

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from colintern.families.catalogue import (
    connector_prefixes,
    language_prefixes,
    projection_names,
    vision_prefixes,
)

Tower = Literal["language", "vision", "connector", "audio", "projection", "other"]

_VISION: Final = re.compile(
    r"(^|\.)(visual|vision_tower|vision_model|vision_encoder|image_encoder)(\.|$)|siglip"
)
_AUDIO: Final = re.compile(r"(^|\.)(audio_tower|audio_model|audio_encoder)(\.|$)")
_CONNECTOR: Final = re.compile(
    r"(^|\.)(multi_modal_projector|connector|merger|deepstack_merger_list|mlp1|embed_vision)(\.|$)"
)
_LAYER: Final = re.compile(r"(?:^|\.)(?:layers?|blocks|h|block)\.(\d{1,6})\.(.+)$", re.DOTALL)


class Place(NamedTuple):
    """One module's place, independent of the layout that named it."""

    tower: Tower
    layer: int | None
    """Index in its tower, or None outside the layers."""
    kind: str
    """The name below the layer, as `self_attn.q_proj`; the whole name outside the layers."""


@lru_cache(maxsize=4096)
def place_of(name: str) -> Place:
    """Tell tower, layer and kind of the module called `name`.

    >>> place_of("model.language_model.layers.3.mlp.up_proj")
    Place(tower='language', layer=3, kind='mlp.up_proj')
    """
    if name.removeprefix("model.") in projection_names():
        return Place("projection", None, name)
    tower = _tower(name)
    match = _LAYER.search(name)
    if match is None or tower == "connector":
        kind = name if tower != "connector" else name[_start(_CONNECTOR, name) :]
        return Place("other" if tower == "language" else tower, None, kind)
    return Place(tower, int(match.group(1)), match.group(2))


def language_names(name: str) -> tuple[str, ...]:
    """Return every name that a module of the language model has had; `name` alone for others.

    >>> "model.layers.0.mlp.up_proj" in language_names("language_model.layers.0.mlp.up_proj")
    True
    """
    place = place_of(name)
    if place.tower != "language" or place.layer is None:
        return (name,)
    tail = f"layers.{place.layer}.{place.kind}"
    prefix = name[: -len(tail)] if name.endswith(tail) else None
    known = language_prefixes()
    if prefix not in known and prefix != "":
        return (name,)
    return (name, *(other + tail for other in known if other != prefix))


def _tower(name: str) -> Tower:
    if _CONNECTOR.search(name) or name.startswith(connector_prefixes()):
        return "connector"
    if _AUDIO.search(name):
        return "audio"
    seen = _VISION.search(name) or name.startswith(vision_prefixes())
    return "vision" if seen else "language"


def _start(pattern: re.Pattern[str], name: str) -> int:
    match = pattern.search(name)
    return match.start(2) if match else 0
