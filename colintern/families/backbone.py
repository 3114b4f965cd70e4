"""A backbone: the vision-language model below a retriever, and where its class keeps each part.

Sizes are the defaults of transformers' configuration classes (5.23), which hold where a config.json
leaves a key out. How modules are named from them is `families/outline`.
"""

import re
from typing import Final, Literal

from msgspec import Struct


class Decoder(Struct, frozen=True, kw_only=True):
    """A class of language models, and what a layer of it is made of."""

    model_type: str
    """`model_type` in `text_config`."""
    layout: Literal["decoder", "modernbert"] = "decoder"
    """`decoder`: query, key, value and output, then gate, up and down; as in Llama."""
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int | None = None
    """None: hidden / heads."""
    vocabulary: int
    query_bias: bool | None = None
    """Bias of query, key and value; None: `attention_bias`, which then holds for the output too."""
    gated_query: bool = False
    """The query projection is twice as wide: its second half gates the output."""
    head_norms: bool = False
    """A norm of each query and key head."""
    norms: int = 2
    """Norms of width `hidden` a layer."""
    full_attention_interval: int | None = None
    """Every how many layers one has full attention, the others linear; None: all have it."""


class VisionTower(Struct, frozen=True, kw_only=True):
    """A class of vision towers, and what a layer of it is made of."""

    model_types: tuple[str, ...]
    """`model_type` in `vision_config`, in every version of transformers."""
    layout: Literal["intern vit", "siglip", "qwen"]
    hidden: int
    intermediate: int = 0
    """0: `mlp_ratio` times the width."""
    layers: int
    image_size: int = 0
    """Edge in pixels; 0: pages keep their own size."""
    patch_size: int
    """Edge in pixels."""
    pooling_head: bool = False
    """Attention pooling on top, unless `vision_use_head` is false."""
    width_key: Literal["hidden_size", "embed_dim"] = "hidden_size"
    merged_key: Literal["out_hidden_size", "hidden_size"] = "out_hidden_size"
    merged: int = 3584
    """Width after the tower's own merger, where it has one."""
    mlp_ratio: int = 4
    """Feed-forward width by width, where `intermediate` is 0."""
    positions: int = 0
    """Rows of a learned embedding of positions; 0: none."""
    biased_norms: bool = True
    fused_attention: bool = True
    """Query, key and value are one module."""
    feed_forward: tuple[str, ...] = ("mlp.fc1", "mlp.fc2")
    """Modules below a layer; the last one leads back to `hidden`."""
    merger: tuple[str, str] = ("mlp.0", "mlp.2")
    """Modules below `merger`."""
    deepstack: tuple[int, ...] = ()
    """Layers with a merger of their own."""


class Connector(Struct, frozen=True, kw_only=True):
    """What carries the tower's output into the language model."""

    layout: Literal["mlp", "linear", "matrix", "shuffle"]
    """`mlp`: norm and two layers on shuffled pixels; `linear`: one layer with a bias; `matrix`: a
    parameter and a norm, no module; `shuffle`: one layer without a bias on shuffled pixels."""
    modules: tuple[str, ...] = ()
    """Names below the connector's prefix, in order."""
    key: Literal["downsample_ratio", "projection_dim", "scale_factor", "pixel_shuffle_factor"]
    """Of config.json: the ratio, width or factor."""
    default: float
    """Where config.json leaves the key out."""


class VisualTokens(Struct, frozen=True, kw_only=True):
    """How a processor cuts a page into visual tokens."""

    rule: Literal["tiles", "area", "grid"]
    """`tiles`: at most so many tiles, and a thumbnail; `area`: one token a square of pixels;
    `grid`: tiles of one size as the longest edge asks for, and a thumbnail."""
    image_processors: re.Pattern[str]
    """`image_processor_type`, searched."""
    processors: re.Pattern[str]
    """`processor_class`, searched: of the retriever or of the plain model."""
    tile_tokens: int = 0
    """Visual tokens of one tile, where the processor's files do not say."""
    max_tiles: int = 0
    """Most tiles, where they do not say."""
    merge_size: int = 0
    """Patches along a token's edge, where they do not say."""
    patch_size: int = 0
    """Edge of a patch in pixels, where they do not say."""


class Backbone(Struct, frozen=True, kw_only=True, eq=False):
    """A vision-language model as the retriever's class holds it (colpali-engine 0.3.18)."""

    model_types: tuple[str, ...]
    """`model_type` in config.json, in every version of transformers."""
    language: str
    """What stands before `layers.N.` of the language model today."""
    earlier_language: tuple[str, ...] = ()
    """What stood there before transformers 5 (`_checkpoint_conversion_mapping` names it)."""
    vision: str
    """What stands before the vision tower's modules."""
    connector: str
    """What stands before the connector's modules."""
    decoders: tuple[Decoder, ...]
    """Language models that it has been published with; the first one where config.json names
    none. One that another backbone brings is known here too."""
    tower: VisionTower
    """The vision tower where config.json names none."""
    bridge: Connector | None
    """None: the tower's own merger."""
    flat_config: bool = False
    """Old config.json files hold the language model's sizes at the top level, under the model's own
    `model_type`."""
    visual_tokens: VisualTokens | None = None
    """None: nobody has said how many visual tokens a page becomes."""


SIGLIP: Final = VisionTower(
    model_types=("siglip_vision_model",),
    layout="siglip",
    hidden=768,
    intermediate=3072,
    layers=12,
    image_size=224,
    patch_size=16,
    pooling_head=True,
)
"""The tower of several backbones."""
