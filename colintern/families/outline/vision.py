"""The vision tower of an outline, and the connector between it and the language model."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from colintern.artifacts.model.model_config import ModelConfig, VisionConfig
from colintern.families.backbone import Backbone, Connector, VisionTower
from colintern.families.catalogue import tower_of
from colintern.families.module_name import Place
from colintern.families.outline.draft import Draft


class VisionSizes(NamedTuple):
    """What the connector needs of the tower."""

    hidden: int
    merged: int
    """Width after the tower's own merger, where it has one."""


def add_vision_tower(draft: Draft, backbone: Backbone, config: VisionConfig) -> VisionSizes | None:
    """Add the vision tower of `backbone`; None when nobody knows the class that is named."""
    tower = tower_of(config.model_type) if config.model_type else backbone.tower
    return None if tower is None else _LAYOUTS[tower.layout](draft, backbone.vision, config, tower)


def _add_intern_vit(
    draft: Draft, prefix: str, config: VisionConfig, tower: VisionTower
) -> VisionSizes:
    hidden = _or(config.hidden_size, tower.hidden)
    intermediate = _or(config.intermediate_size, tower.intermediate)
    bias = bool(config.attention_bias)
    norm = hidden * (1 if config.norm_type == "rms_norm" else 2)
    patches = _sides(config.image_size, tower.image_size, config.patch_size, tower.patch_size)
    patch_height, patch_width = _pair(config.patch_size, tower.patch_size)
    draft.count("vision", hidden * _or(config.num_channels, 3) * patch_height * patch_width)
    draft.count("vision", 2 * hidden)  # bias of the patch embedding, class token
    if config.use_absolute_position_embeddings is not False:
        draft.count("vision", (patches + 1) * hidden)
    if config.use_mask_token:
        draft.count("vision", hidden)
    for layer in range(_or(config.num_hidden_layers, tower.layers)):
        at = f"{prefix}encoder.layer.{layer}."
        for name in ("q_proj", "k_proj", "v_proj"):
            place = Place("vision", layer, f"attention.{name}")
            draft.linear(at, place, hidden, hidden, bias=bias)
        place = Place("vision", layer, "attention.projection_layer")
        draft.linear(at, place, hidden, hidden, bias=True)
        _add_feed_forward(draft, at, layer, tower.feed_forward, hidden, wide=intermediate)
        draft.count("vision", 2 * norm + 2 * hidden)  # norms, layer scales
        if config.use_qk_norm:
            draft.count("vision", 2 * hidden)
    return VisionSizes(hidden, hidden)


def _add_siglip(draft: Draft, prefix: str, config: VisionConfig, tower: VisionTower) -> VisionSizes:
    hidden = _or(config.hidden_size, tower.hidden)
    intermediate = _or(config.intermediate_size, tower.intermediate)
    positions = _sides(config.image_size, tower.image_size, config.patch_size, tower.patch_size)
    patch_height, patch_width = _pair(config.patch_size, tower.patch_size)
    draft.count("vision", hidden * _or(config.num_channels, 3) * patch_height * patch_width)
    draft.count("vision", (positions + 1) * hidden)
    for layer in range(_or(config.num_hidden_layers, tower.layers)):
        at = f"{prefix}encoder.layers.{layer}."
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            place = Place("vision", layer, f"self_attn.{name}")
            draft.linear(at, place, hidden, hidden, bias=True)
        _add_feed_forward(draft, at, layer, tower.feed_forward, hidden, wide=intermediate)
        draft.count("vision", 4 * hidden)
    draft.count("vision", 2 * hidden)
    if tower.pooling_head and config.vision_use_head is not False:
        draft.count("vision", hidden + 3 * hidden * (hidden + 1) + 2 * hidden)
        place = Place("vision", None, f"{prefix}head.attention.out_proj")
        draft.linear("", place, hidden, hidden, bias=True)
        names = (f"{prefix}head.mlp.fc1", f"{prefix}head.mlp.fc2")
        _add_feed_forward(draft, "", None, names, hidden, wide=intermediate)
    return VisionSizes(hidden, hidden)


def _add_qwen_tower(
    draft: Draft, prefix: str, config: VisionConfig, tower: VisionTower
) -> VisionSizes:
    hidden = _or(getattr(config, tower.width_key), tower.hidden)
    merged = _or(getattr(config, tower.merged_key), tower.merged)
    ratio = tower.mlp_ratio if config.mlp_ratio is None else config.mlp_ratio
    intermediate = (
        _or(config.intermediate_size, tower.intermediate)
        if tower.intermediate
        else int(hidden * ratio)
    )
    patch, _ = _pair(config.patch_size, tower.patch_size)
    frames = _or(config.temporal_patch_size, 2)
    draft.count("vision", hidden * _or(config.in_channels, 3) * frames * patch * patch)
    if tower.positions:
        positions = _or(config.num_position_embeddings, tower.positions)
        draft.count("vision", hidden + positions * hidden)
    norm = hidden * (2 if tower.biased_norms else 1)
    for layer in range(_or(config.depth, tower.layers)):
        at = f"{prefix}blocks.{layer}."
        _add_qwen_attention(draft, at, layer, hidden, fused=tower.fused_attention)
        _add_feed_forward(draft, at, layer, tower.feed_forward, hidden, wide=intermediate)
        draft.count("vision", 2 * norm)
    _add_mergers(draft, prefix, config, tower, hidden, merged=merged, norm=norm)
    return VisionSizes(hidden, merged)


def _add_mergers(
    draft: Draft,
    prefix: str,
    config: VisionConfig,
    tower: VisionTower,
    hidden: int,
    *,
    merged: int,
    norm: int,
) -> None:
    group = hidden * _or(config.spatial_merge_size, 2) ** 2
    mergers = [("merger.", norm)]
    if tower.deepstack:
        indexes = config.deepstack_visual_indexes
        count = len(tower.deepstack if indexes is None else indexes)
        mergers += [(f"deepstack_merger_list.{index}.", 2 * group) for index in range(count)]
    for merger, norm_parameters in mergers:
        draft.count("connector", norm_parameters)
        for name, out in zip(tower.merger, (group, merged), strict=True):
            draft.linear(prefix, Place("connector", None, merger + name), out, group, bias=True)


def _add_qwen_attention(draft: Draft, at: str, layer: int, hidden: int, *, fused: bool) -> None:
    if fused:
        draft.linear(at, Place("vision", layer, "attn.qkv"), 3 * hidden, hidden, bias=True)
    else:
        for name in ("q", "k", "v"):
            place = Place("vision", layer, f"attn.{name}")
            draft.linear(at, place, hidden, hidden, bias=True)
    draft.linear(at, Place("vision", layer, "attn.proj"), hidden, hidden, bias=True)


_LAYOUTS: Final[Mapping[str, Callable[[Draft, str, VisionConfig, VisionTower], VisionSizes]]] = {
    "intern vit": _add_intern_vit,
    "siglip": _add_siglip,
    "qwen": _add_qwen_tower,
}


def add_connector(
    draft: Draft, backbone: Backbone, config: ModelConfig, vision: VisionSizes, text_hidden: int
) -> None:
    """Add what carries the tower's output into the language model, if it is not in the tower."""
    bridge = backbone.bridge
    if bridge is None:
        return
    given = getattr(config, bridge.key)
    if bridge.layout == "matrix":
        draft.count("connector", vision.hidden * text_hidden + vision.hidden)
    elif bridge.layout == "mlp":
        width = vision.hidden * int(1 / (given or bridge.default)) ** 2
        draft.count("connector", 2 * width)
        for name, in_features in zip(bridge.modules, (width, text_hidden), strict=True):
            place = Place("connector", None, name)
            draft.linear(backbone.connector, place, text_hidden, in_features, bias=True)
    else:
        _add_one_layer(draft, backbone.connector, bridge, vision, text_hidden, given=given)


def _add_one_layer(
    draft: Draft,
    prefix: str,
    bridge: Connector,
    vision: VisionSizes,
    text_hidden: int,
    *,
    given: int | None,
) -> None:
    place = Place("connector", None, bridge.modules[0])
    size = _or(given, int(bridge.default))
    if bridge.layout == "linear":
        draft.linear(prefix, place, size, vision.hidden, bias=True)
    else:
        draft.linear(prefix, place, text_hidden, vision.hidden * size**2, bias=False)


def _add_feed_forward(
    draft: Draft, at: str, layer: int | None, names: tuple[str, ...], hidden: int, *, wide: int
) -> None:
    """Add the layers into the wide feed-forward, one or two, and the one that leads back."""
    for name in names[:-1]:
        draft.linear(at, Place("vision", layer, name), wide, hidden, bias=True)
    draft.linear(at, Place("vision", layer, names[-1]), hidden, wide, bias=True)


def _sides(image: object, image_default: int, patch: object, patch_default: int) -> int:
    """Count the patches of an image."""
    height, width = _pair(image, image_default)
    patch_height, patch_width = _pair(patch, patch_default)
    return (height // max(patch_height, 1)) * (width // max(patch_width, 1))


def _pair(value: object, default: int) -> tuple[int, int]:
    """Read one side, or [height, width]."""
    if isinstance(value, list):
        sides = [side for side in value if isinstance(side, int)] or [default]
        return sides[0], sides[-1]
    side = value if isinstance(value, int) else default
    return side, side


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
