"""The language model of an outline: decoders of the Qwen, Llama and Gemma lines, and ModernBERT."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from colintern.artifacts.model.model_config import TextConfig
from colintern.diagnostics.adapter.module_name import Place
from colintern.families.outline.draft import Draft


class _Defaults(NamedTuple):
    """Of a configuration class in transformers 5.23, and what its decoder layer is made of."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int | None
    """None: hidden / heads."""
    vocabulary: int
    query_bias: bool | None = None
    """Bias of query, key and value; None: `attention_bias`, which then holds for the output too."""
    head_norms: bool = False
    """A norm of each query and key head."""
    norms: int = 2
    """Norms of width `hidden` a layer."""


_DEFAULTS: Final = {
    "qwen2": _Defaults(4096, 22_016, 32, 32, 32, None, 151_936, query_bias=True),
    "qwen2_vl_text": _Defaults(8192, 29_568, 80, 64, 8, None, 152_064, query_bias=True),
    "qwen2_5_vl_text": _Defaults(8192, 29_568, 80, 64, 8, None, 152_064, query_bias=True),
    "qwen2_5_omni_text": _Defaults(3584, 18_944, 28, 28, 4, None, 152_064, query_bias=True),
    "qwen3": _Defaults(4096, 22_016, 32, 32, 32, 128, 151_936, head_norms=True),
    "qwen3_vl_text": _Defaults(4096, 22_016, 32, 32, 32, 128, 151_936, head_norms=True),
    "qwen3_5_text": _Defaults(4096, 12_288, 32, 16, 4, 256, 248_320, head_norms=True),
    "llama": _Defaults(4096, 11_008, 32, 32, 32, None, 32_000),
    "gemma": _Defaults(3072, 24_576, 28, 16, 16, 256, 256_000),
    "gemma2": _Defaults(2304, 9216, 26, 8, 4, 256, 256_000, norms=4),
    "gemma3_text": _Defaults(2304, 9216, 26, 8, 4, 256, 262_208, head_norms=True, norms=4),
    "modernbert": _Defaults(768, 1152, 22, 12, 12, None, 50_368),
}
_FULL_ATTENTION_INTERVAL: Final = 4
"""Qwen3.5's default: every fourth layer has full attention."""


class TextSizes(NamedTuple):
    """Sizes of the language model, defaults filled in."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int


def add_language_model(
    draft: Draft, prefix: str, config: TextConfig, text_type: str
) -> TextSizes | None:
    """Add the language model below `prefix`; None when its class is not in the table.

    Args:
        draft: the outline so far.
        prefix: as `language_model.`.
        config: the sizes.
        text_type: the class when the config names none, or names the whole model's.
    """
    kind = config.model_type if config.model_type in _DEFAULTS else None
    if kind is None and config.model_type not in (None, *_WHOLE_MODELS):
        return None
    defaults = _DEFAULTS[kind or text_type]
    sizes = _sizes(config, defaults)
    vocabulary = _or(config.vocab_size, defaults.vocabulary)
    draft.count("language", vocabulary * sizes.hidden + sizes.hidden)
    if (kind or text_type) == "modernbert":
        _add_modernbert(draft, prefix, config, sizes)
        return sizes
    types = _layer_types(config, sizes.layers, hybrid=(kind or text_type) == "qwen3_5_text")
    for layer, full_attention in enumerate(types):
        at = f"{prefix}layers.{layer}."
        if full_attention:
            doubled = (kind or text_type) == "qwen3_5_text"
            _add_attention(draft, at, layer, config, sizes, defaults=defaults, gated=doubled)
        else:
            _add_linear_attention(draft, at, layer, config, sizes.hidden)
        _add_feed_forward(draft, at, layer, sizes, bias=bool(config.mlp_bias))
        draft.count("language", defaults.norms * sizes.hidden)
    return sizes


_WHOLE_MODELS: Final = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5", "modernvbert")
"""Old configurations hold the language model's sizes at the top level, under the model's type."""


def _sizes(config: TextConfig, defaults: _Defaults) -> TextSizes:
    hidden = _or(config.hidden_size, defaults.hidden)
    heads = max(_or(config.num_attention_heads, defaults.heads), 1)
    head_dim = config.head_dim or defaults.head_dim or hidden // heads
    return TextSizes(
        hidden,
        _or(config.intermediate_size, defaults.intermediate),
        _or(config.num_hidden_layers, defaults.layers),
        heads,
        _or(config.num_key_value_heads, defaults.key_value_heads),
        head_dim,
    )


def _layer_types(config: TextConfig, layers: int, *, hybrid: bool) -> Iterator[bool]:
    """Yield for each layer whether it has full attention."""
    interval = config.full_attention_interval or _FULL_ATTENTION_INTERVAL
    named = config.layer_types or []
    for layer in range(layers):
        if not hybrid:
            yield True
        elif layer < len(named):
            yield named[layer] != "linear_attention"
        else:
            yield (layer + 1) % interval == 0


def _add_attention(
    draft: Draft,
    at: str,
    layer: int,
    config: TextConfig,
    sizes: TextSizes,
    *,
    defaults: _Defaults,
    gated: bool,
) -> None:
    query = sizes.heads * sizes.head_dim
    key = sizes.key_value_heads * sizes.head_dim
    bias = bool(config.attention_bias) if defaults.query_bias is None else defaults.query_bias
    for name, out in (("q_proj", query * (2 if gated else 1)), ("k_proj", key), ("v_proj", key)):
        place = Place("language", layer, f"self_attn.{name}")
        draft.linear(at, place, out, sizes.hidden, bias=bias)
    output_bias = bias and defaults.query_bias is None
    place = Place("language", layer, "self_attn.o_proj")
    draft.linear(at, place, sizes.hidden, query, bias=output_bias)
    if defaults.head_norms:
        draft.count("language", 2 * sizes.head_dim)


def _add_linear_attention(
    draft: Draft, at: str, layer: int, config: TextConfig, hidden: int
) -> None:
    """Add a gated delta net: its projections, convolution, decay and norm."""
    value_heads = _or(config.linear_num_value_heads, 32)
    value_dim = _or(config.linear_value_head_dim, 128)
    value = value_heads * value_dim
    key = _or(config.linear_num_key_heads, 16) * _or(config.linear_key_head_dim, 128)
    mixed = 2 * key + value
    draft.count("language", mixed * _or(config.linear_conv_kernel_dim, 4))
    draft.count("language", 2 * value_heads + value_dim)
    outs = (("in_proj_qkv", mixed), ("in_proj_z", value))
    gates = (("in_proj_b", value_heads), ("in_proj_a", value_heads))
    for name, out in (*outs, *gates):
        place = Place("language", layer, f"linear_attn.{name}")
        draft.linear(at, place, out, hidden, bias=False)
    place = Place("language", layer, "linear_attn.out_proj")
    draft.linear(at, place, hidden, value, bias=False)


def _add_feed_forward(draft: Draft, at: str, layer: int, sizes: TextSizes, *, bias: bool) -> None:
    for name in ("gate_proj", "up_proj"):
        place = Place("language", layer, f"mlp.{name}")
        draft.linear(at, place, sizes.intermediate, sizes.hidden, bias=bias)
    place = Place("language", layer, "mlp.down_proj")
    draft.linear(at, place, sizes.hidden, sizes.intermediate, bias=bias)


def _add_modernbert(draft: Draft, prefix: str, config: TextConfig, sizes: TextSizes) -> None:
    hidden, attention, feed_forward = (
        sizes.hidden,
        bool(config.attention_bias),
        bool(config.mlp_bias),
    )
    draft.count("language", hidden)  # the norm of the embeddings
    for layer in range(sizes.layers):
        at = f"{prefix}layers.{layer}."
        for kind, out, width, bias in (
            ("attn.Wqkv", 3 * hidden, hidden, attention),
            ("attn.Wo", hidden, hidden, attention),
            ("mlp.Wi", 2 * sizes.intermediate, hidden, feed_forward),
            ("mlp.Wo", hidden, sizes.intermediate, feed_forward),
        ):
            draft.linear(at, Place("language", layer, kind), out, width, bias=bias)
        draft.count("language", hidden * (2 if layer else 1))  # the first layer norms once


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
