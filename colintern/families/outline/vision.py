"""The vision tower of an outline, and the connector between it and the language model."""

from typing import Final, NamedTuple

from colintern.artifacts.model.model_config import ModelConfig, VisionConfig
from colintern.diagnostics.adapter.module_name import Place
from colintern.families.outline.draft import Draft


class _Defaults(NamedTuple):
    """Of a configuration class in transformers 5.23."""

    hidden: int
    intermediate: int
    layers: int
    image_size: int
    patch_size: int


_DEFAULTS: Final = {
    "internvl_vision": _Defaults(1024, 4096, 24, 448, 14),
    "siglip_vision_model": _Defaults(768, 3072, 12, 224, 16),
    "idefics3_vision": _Defaults(1152, 3072, 12, 224, 32),
    "smolvlm_vision": _Defaults(1152, 3072, 12, 224, 32),
    "qwen2_vl": _Defaults(1280, 0, 32, 0, 14),
    "qwen2_5_vl": _Defaults(3584, 3420, 32, 0, 14),
    "qwen2_5_omni_vision_encoder": _Defaults(3584, 3420, 32, 0, 14),
    "qwen3_vl": _Defaults(1152, 4304, 27, 0, 16),
    "qwen3_5": _Defaults(1152, 4304, 27, 0, 16),
}
_TYPES_OF_OTHER_VERSIONS: Final = {
    "idefics3": "idefics3_vision",
    "smolvlm": "smolvlm_vision",
    "qwen2_vl_vision": "qwen2_vl",
    "qwen2_5_vl_vision": "qwen2_5_vl",
    "qwen3_vl_vision": "qwen3_vl",
    "qwen3_5_vision": "qwen3_5",
}
_QWEN_MERGED_WIDTH: Final = 3584
_DEEPSTACK: Final = (8, 16, 24)
_QWEN_POSITIONS: Final = 2304


class VisionSizes(NamedTuple):
    """What the connector needs of the tower."""

    hidden: int
    merged: int
    """Width after the tower's own merger, where it has one."""


def add_vision_tower(
    draft: Draft, prefix: str, config: VisionConfig, vision_type: str
) -> VisionSizes | None:
    """Add the vision tower below `prefix`; None when its class is not in the table."""
    kind = config.model_type or vision_type
    kind = _TYPES_OF_OTHER_VERSIONS.get(kind, kind)
    if kind not in _DEFAULTS:
        return None
    defaults = _DEFAULTS[kind]
    if kind == "internvl_vision":
        return _add_intern_vit(draft, prefix, config, defaults)
    if kind.startswith("qwen"):
        return _add_qwen_tower(draft, prefix, config, kind, defaults)
    return _add_siglip(draft, prefix, config, kind, defaults)


def _add_intern_vit(
    draft: Draft, prefix: str, config: VisionConfig, defaults: _Defaults
) -> VisionSizes:
    hidden = _or(config.hidden_size, defaults.hidden)
    intermediate = _or(config.intermediate_size, defaults.intermediate)
    bias = bool(config.attention_bias)
    norm = hidden * (1 if config.norm_type == "rms_norm" else 2)
    patches = _sides(config.image_size, defaults.image_size, config.patch_size, defaults.patch_size)
    patch_height, patch_width = _pair(config.patch_size, defaults.patch_size)
    draft.count("vision", hidden * _or(config.num_channels, 3) * patch_height * patch_width)
    draft.count("vision", 2 * hidden)  # bias of the patch embedding, class token
    if config.use_absolute_position_embeddings is not False:
        draft.count("vision", (patches + 1) * hidden)
    if config.use_mask_token:
        draft.count("vision", hidden)
    for layer in range(_or(config.num_hidden_layers, defaults.layers)):
        at = f"{prefix}encoder.layer.{layer}."
        for name in ("q_proj", "k_proj", "v_proj"):
            place = Place("vision", layer, f"attention.{name}")
            draft.linear(at, place, hidden, hidden, bias=bias)
        place = Place("vision", layer, "attention.projection_layer")
        draft.linear(at, place, hidden, hidden, bias=True)
        _add_two_layers(draft, at, layer, ("mlp.fc1", "mlp.fc2"), hidden, wide=intermediate)
        draft.count("vision", 2 * norm + 2 * hidden)  # norms, layer scales
        if config.use_qk_norm:
            draft.count("vision", 2 * hidden)
    return VisionSizes(hidden, hidden)


def _add_siglip(
    draft: Draft, prefix: str, config: VisionConfig, kind: str, defaults: _Defaults
) -> VisionSizes:
    hidden = _or(config.hidden_size, defaults.hidden)
    intermediate = _or(config.intermediate_size, defaults.intermediate)
    positions = _sides(
        config.image_size, defaults.image_size, config.patch_size, defaults.patch_size
    )
    patch_height, patch_width = _pair(config.patch_size, defaults.patch_size)
    draft.count("vision", hidden * _or(config.num_channels, 3) * patch_height * patch_width)
    draft.count("vision", (positions + 1) * hidden)
    for layer in range(_or(config.num_hidden_layers, defaults.layers)):
        at = f"{prefix}encoder.layers.{layer}."
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            place = Place("vision", layer, f"self_attn.{name}")
            draft.linear(at, place, hidden, hidden, bias=True)
        _add_two_layers(draft, at, layer, ("mlp.fc1", "mlp.fc2"), hidden, wide=intermediate)
        draft.count("vision", 4 * hidden)
    draft.count("vision", 2 * hidden)
    if kind == "siglip_vision_model" and config.vision_use_head is not False:
        draft.count("vision", hidden + 3 * hidden * (hidden + 1) + 2 * hidden)
        place = Place("vision", None, f"{prefix}head.attention.out_proj")
        draft.linear("", place, hidden, hidden, bias=True)
        names = (f"{prefix}head.mlp.fc1", f"{prefix}head.mlp.fc2")
        _add_two_layers(draft, "", None, names, hidden, wide=intermediate)
    return VisionSizes(hidden, hidden)


def _add_qwen_tower(
    draft: Draft, prefix: str, config: VisionConfig, kind: str, defaults: _Defaults
) -> VisionSizes:
    first = kind == "qwen2_vl"
    hidden = _or(config.embed_dim if first else config.hidden_size, defaults.hidden)
    merged = (
        _or(config.hidden_size, _QWEN_MERGED_WIDTH)
        if first
        else _or(config.out_hidden_size, _QWEN_MERGED_WIDTH)
    )
    intermediate = _or(config.intermediate_size, defaults.intermediate)
    if first:
        intermediate = int(hidden * (4 if config.mlp_ratio is None else config.mlp_ratio))
    third = kind in {"qwen3_vl", "qwen3_5"}
    patch, _ = _pair(config.patch_size, defaults.patch_size)
    frames = _or(config.temporal_patch_size, 2)
    draft.count("vision", hidden * _or(config.in_channels, 3) * frames * patch * patch)
    if third:
        positions = _or(config.num_position_embeddings, _QWEN_POSITIONS)
        draft.count("vision", hidden + positions * hidden)
    norm = hidden * (1 if kind in {"qwen2_5_vl", "qwen2_5_omni_vision_encoder"} else 2)
    for layer in range(_or(config.depth, defaults.layers)):
        at = f"{prefix}blocks.{layer}."
        _add_qwen_attention(draft, at, layer, hidden, kind)
        _add_qwen_feed_forward(draft, at, layer, hidden, intermediate, kind=kind)
        draft.count("vision", 2 * norm)
    group = hidden * _or(config.spatial_merge_size, 2) ** 2
    names = ("linear_fc1", "linear_fc2") if third else ("mlp.0", "mlp.2")
    mergers = [("merger.", norm)]
    if kind == "qwen3_vl":
        indexes = config.deepstack_visual_indexes
        count = len(_DEEPSTACK if indexes is None else indexes)
        mergers += [(f"deepstack_merger_list.{index}.", 2 * group) for index in range(count)]
    for merger, norm_parameters in mergers:
        draft.count("connector", norm_parameters)
        for name, out in ((names[0], group), (names[1], merged)):
            draft.linear(prefix, Place("connector", None, merger + name), out, group, bias=True)
    return VisionSizes(hidden, merged)


def _add_qwen_attention(draft: Draft, at: str, layer: int, hidden: int, kind: str) -> None:
    if kind == "qwen2_5_omni_vision_encoder":
        for name in ("q", "k", "v"):
            place = Place("vision", layer, f"attn.{name}")
            draft.linear(at, place, hidden, hidden, bias=True)
    else:
        draft.linear(at, Place("vision", layer, "attn.qkv"), 3 * hidden, hidden, bias=True)
    draft.linear(at, Place("vision", layer, "attn.proj"), hidden, hidden, bias=True)


def _add_qwen_feed_forward(
    draft: Draft, at: str, layer: int, hidden: int, intermediate: int, *, kind: str
) -> None:
    if kind in {"qwen2_5_vl", "qwen2_5_omni_vision_encoder"}:
        for name in ("gate_proj", "up_proj"):
            place = Place("vision", layer, f"mlp.{name}")
            draft.linear(at, place, intermediate, hidden, bias=True)
        place = Place("vision", layer, "mlp.down_proj")
        draft.linear(at, place, hidden, intermediate, bias=True)
        return
    names = ("mlp.fc1", "mlp.fc2") if kind == "qwen2_vl" else ("mlp.linear_fc1", "mlp.linear_fc2")
    _add_two_layers(draft, at, layer, names, hidden, wide=intermediate)


def add_connector(
    draft: Draft,
    prefix: str,
    config: ModelConfig,
    vision: VisionSizes,
    text_hidden: int,
    *,
    architecture: str,
) -> None:
    """Add what carries the tower's output into the language model; Qwen's is in its tower."""
    if architecture == "internvl":
        ratio = config.downsample_ratio or 0.5
        width = vision.hidden * int(1 / ratio) ** 2
        draft.count("connector", 2 * width)
        for name, in_features in (("linear_1", width), ("linear_2", text_hidden)):
            place = Place("connector", None, name)
            draft.linear(prefix, place, text_hidden, in_features, bias=True)
    elif architecture == "paligemma":
        place = Place("connector", None, "linear")
        width = _or(config.projection_dim, 2048)
        draft.linear(prefix, place, width, vision.hidden, bias=True)
    elif architecture == "gemma3":
        draft.count("connector", vision.hidden * text_hidden + vision.hidden)
    elif architecture in {"idefics3", "smolvlm"}:
        factor = _or(config.scale_factor, 2)
        place = Place("connector", None, "modality_projection.proj")
        draft.linear(prefix, place, text_hidden, vision.hidden * factor**2, bias=False)
    elif architecture == "modernvbert":
        factor = _or(config.pixel_shuffle_factor, 4)
        place = Place("connector", None, "modality_projection")
        draft.linear(prefix, place, text_hidden, vision.hidden * factor**2, bias=False)


def _add_two_layers(
    draft: Draft, at: str, layer: int | None, names: tuple[str, str], hidden: int, *, wide: int
) -> None:
    draft.linear(at, Place("vision", layer, names[0]), wide, hidden, bias=True)
    draft.linear(at, Place("vision", layer, names[1]), hidden, wide, bias=True)


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
