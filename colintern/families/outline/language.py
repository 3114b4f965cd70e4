"""The language model of an outline: decoders of the Qwen, Llama and Gemma lines, and ModernBERT."""

from collections.abc import Iterator
from typing import NamedTuple

from colintern.artifacts.model.model_config import TextConfig
from colintern.families.backbone import Backbone, Decoder
from colintern.families.catalogue import decoder_of
from colintern.families.module_name import Place
from colintern.families.outline.draft import Draft


class TextSizes(NamedTuple):
    """Sizes of the language model, defaults filled in."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int


def add_language_model(draft: Draft, backbone: Backbone, config: TextConfig) -> TextSizes | None:
    """Add the language model of `backbone`; None when nobody knows the class that is named."""
    decoder = _decoder(backbone, config.model_type)
    if decoder is None:
        return None
    sizes = _sizes(config, decoder)
    vocabulary = _or(config.vocab_size, decoder.vocabulary)
    draft.count("language", vocabulary * sizes.hidden + sizes.hidden)
    if decoder.layout == "modernbert":
        _add_modernbert(draft, backbone.language, config, sizes)
        return sizes
    for layer, full_attention in enumerate(_layer_types(config, sizes.layers, decoder)):
        at = f"{backbone.language}layers.{layer}."
        if full_attention:
            _add_attention(draft, at, layer, config, sizes, decoder=decoder)
        else:
            _add_linear_attention(draft, at, layer, config, sizes.hidden)
        _add_feed_forward(draft, at, layer, sizes, bias=bool(config.mlp_bias))
        draft.count("language", decoder.norms * sizes.hidden)
    return sizes


def _decoder(backbone: Backbone, model_type: str | None) -> Decoder | None:
    """Return the class of the language model: the one that is named, else the backbone's usual."""
    unnamed = model_type is None or (backbone.flat_config and model_type in backbone.model_types)
    return backbone.decoders[0] if unnamed else decoder_of(model_type)


def _sizes(config: TextConfig, decoder: Decoder) -> TextSizes:
    hidden = _or(config.hidden_size, decoder.hidden)
    heads = max(_or(config.num_attention_heads, decoder.heads), 1)
    head_dim = config.head_dim or decoder.head_dim or hidden // heads
    return TextSizes(
        hidden,
        _or(config.intermediate_size, decoder.intermediate),
        _or(config.num_hidden_layers, decoder.layers),
        heads,
        _or(config.num_key_value_heads, decoder.key_value_heads),
        head_dim,
    )


def _layer_types(config: TextConfig, layers: int, decoder: Decoder) -> Iterator[bool]:
    """Yield for each layer whether it has full attention."""
    interval = config.full_attention_interval or decoder.full_attention_interval or 1
    named = config.layer_types or []
    for layer in range(layers):
        if decoder.full_attention_interval is None:
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
    decoder: Decoder,
) -> None:
    query = sizes.heads * sizes.head_dim
    key = sizes.key_value_heads * sizes.head_dim
    bias = bool(config.attention_bias) if decoder.query_bias is None else decoder.query_bias
    for name, out in (
        ("q_proj", query * (2 if decoder.gated_query else 1)),
        ("k_proj", key),
        ("v_proj", key),
    ):
        place = Place("language", layer, f"self_attn.{name}")
        draft.linear(at, place, out, sizes.hidden, bias=bias)
    output_bias = bias and decoder.query_bias is None
    place = Place("language", layer, "self_attn.o_proj")
    draft.linear(at, place, sizes.hidden, query, bias=output_bias)
    if decoder.head_norms:
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
