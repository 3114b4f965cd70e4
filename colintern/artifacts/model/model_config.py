"""`config.json` of a vision-language model: the sizes that its modules follow from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import convert, read_json_object

_LARGEST_SIZE: Final = 10_000_000
_MOST_LAYERS: Final = 1_000
"""A hostile config must not make the module outline large; the deepest model known has 126."""

Size = Annotated[int, Meta(ge=0, le=_LARGEST_SIZE)]
Layers = Annotated[int, Meta(ge=0, le=_MOST_LAYERS)]
Side = Size | list[Size]


class TextConfig(Struct, frozen=True, kw_only=True):
    """The language model; a size that the file leaves out is None: its class has a default."""

    model_type: str | None = None
    """As `qwen3`; names the class whose defaults hold."""
    hidden_size: Size | None = None
    """Width of the residual stream."""
    intermediate_size: Size | None = None
    """Width of the feed-forward layers."""
    num_hidden_layers: Layers | None = None
    """Decoder layers."""
    num_attention_heads: Size | None = None
    """Query heads."""
    num_key_value_heads: Size | None = None
    """Key and value heads."""
    head_dim: Size | None = None
    """Width of a head; None for hidden_size / num_attention_heads in most classes."""
    vocab_size: Size | None = None
    """Rows of the embedding."""
    attention_bias: bool | None = None
    """Bias of the attention's projections, where the class leaves it open."""
    mlp_bias: bool | None = None
    """Bias of the feed-forward projections, where the class leaves it open."""
    tie_word_embeddings: bool | None = None
    """Whether the output layer is the embedding."""
    layer_types: Annotated[list[str], Meta(max_length=_MOST_LAYERS)] | None = None
    """`full_attention` or `linear_attention` by layer, of hybrid models."""
    full_attention_interval: Size | None = None
    """Every how many layers one has full attention, when `layer_types` is left out."""
    linear_num_key_heads: Size | None = None
    """Of linear attention."""
    linear_num_value_heads: Size | None = None
    """Of linear attention."""
    linear_key_head_dim: Size | None = None
    """Of linear attention."""
    linear_value_head_dim: Size | None = None
    """Of linear attention."""
    linear_conv_kernel_dim: Size | None = None
    """Of linear attention."""


class VisionConfig(Struct, frozen=True, kw_only=True):
    """The vision tower."""

    model_type: str | None = None
    """As `siglip_vision_model`; names the class whose defaults hold."""
    hidden_size: Size | None = None
    """Width; of Qwen2-VL the width after merging."""
    embed_dim: Size | None = None
    """Width in Qwen2-VL."""
    intermediate_size: Size | None = None
    """Width of the feed-forward layers."""
    mlp_ratio: float | None = None
    """Feed-forward width by width, in Qwen2-VL."""
    num_hidden_layers: Layers | None = None
    """Encoder layers."""
    depth: Layers | None = None
    """Encoder layers, in the Qwen families."""
    image_size: Side | None = None
    """Pixels a side, or [height, width]."""
    patch_size: Side | None = None
    """Pixels a side, or [height, width]."""
    num_channels: Size | None = None
    """Colour channels."""
    in_channels: Size | None = None
    """Colour channels, in the Qwen families."""
    attention_bias: bool | None = None
    """Bias of query, key and value, in InternViT."""
    use_qk_norm: bool | None = None
    """Norm of query and key, in InternViT."""
    use_mask_token: bool | None = None
    """A learned mask token, in InternViT."""
    use_absolute_position_embeddings: bool | None = None
    """Learned positions, in InternViT."""
    norm_type: str | None = None
    """`layer_norm` or `rms_norm`, in InternViT."""
    vision_use_head: bool | None = None
    """Attention pooling on top, in SigLIP."""
    out_hidden_size: Size | None = None
    """Width after merging, in the Qwen families."""
    spatial_merge_size: Size | None = None
    """Patches a side that merge to one token, in the Qwen families."""
    temporal_patch_size: Size | None = None
    """Frames a patch, in the Qwen families."""
    deepstack_visual_indexes: Annotated[list[int], Meta(max_length=_MOST_LAYERS)] | None = None
    """Layers with a merger of their own, in Qwen3-VL."""
    num_position_embeddings: Size | None = None
    """Learned positions, in Qwen3-VL."""


class ModelConfig(Struct, frozen=True, kw_only=True):
    """The parts of a `config.json` that tell names and shapes of the modules."""

    model_type: str | None = None
    """As `internvl`."""
    architectures: list[str] | None = None
    """Classes, as `InternVLForConditionalGeneration`."""
    transformers_version: str | None = None
    """Of the library that wrote it."""
    text: TextConfig = field(name="text_config", default_factory=TextConfig)
    """The language model: `text_config`, or the top level in older files."""
    vision: VisionConfig | None = field(name="vision_config", default=None)
    """The vision tower, or None."""
    downsample_ratio: float | None = None
    """Pixel shuffle of InternVL: 0.5 merges 2 x 2 patches."""
    projection_dim: Size | None = None
    """Width after the connector, in PaliGemma."""
    scale_factor: Size | None = None
    """Pixel shuffle of Idefics3."""
    pixel_shuffle_factor: Size | None = None
    """Pixel shuffle of ModernVBERT."""
    dim: Size | None = None
    """Embedding dimension, where a retriever's config records it (ColQwen3.5)."""
    numbers: Mapping[str, int] = {}
    """Every whole number at the top level, by key."""
    auto_map: dict[str, Any] | None = None
    """Code of the repository that loading would run."""
    path: Path | None = None
    """Where it was read; None for a built-in one."""


_OURS: Final = frozenset({"path", "numbers"})
_NULLABLE: Final = ("text_config", "vision_config")
_OF_SEVERAL_MODELS: Final = frozenset({"text_config", "vision_config"})
"""A config with one of these describes models with sizes of their own: all that we know do."""


def read_model_config(path: Path, enclosure: Enclosure | None) -> ModelConfig:
    """Read a `config.json`.

    Raises:
        ArtifactError: not readable, or a field of the wrong type.
    """
    return replace(as_model_config(path, read_json_object(path, enclosure)), path=path)


def as_model_config(path: Path, document: Mapping[str, Any]) -> ModelConfig:
    """Turn a parsed document into the record.

    Raises:
        ArtifactError: a field has the wrong type.
    """
    known = {key: value for key, value in document.items() if key not in _OURS}
    thinker = known.get("thinker_config")
    if isinstance(thinker, dict):
        known = {key: value for key, value in thinker.items() if key not in _OURS}
    for key in _NULLABLE:
        if known.get(key) is None:
            known.pop(key, None)
    if known.keys().isdisjoint(_OF_SEVERAL_MODELS):
        # Of another kind of model, maybe: OpenELM has a list, a figure a layer, where others have
        # a number, and SegFormer one a stage.
        known = {key: value for key, value in known.items() if not _is_series(key, value)}
    if "text_config" not in known:
        # Before transformers 4.52 Qwen2-VL wrote the language model's sizes at the top level.
        known["text_config"] = {key: known[key] for key in _TEXT_KEYS & known.keys()}
    numbers = {key: value for key, value in known.items() if type(value) is int}
    return replace(convert(path, known, ModelConfig), numbers=numbers)


_TEXT_KEYS: Final = frozenset(TextConfig.__struct_fields__)


def _is_series(key: str, value: Any) -> bool:
    """Whether a figure that is one number elsewhere is a list or a table here."""
    return isinstance(value, list | dict) and key not in {"architectures", "auto_map"}
