"""The sizes of a base model that memory and time follow from, counted from its configuration."""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.hub_cache import find_snapshot, is_hub_id
from colintern.artifacts.model.base_model import TINY_BASE, bundled_base
from colintern.artifacts.model.model_config import ModelConfig, read_model_config
from colintern.artifacts.printable import printable
from colintern.families.backbone import Backbone, Decoder
from colintern.families.catalogue import (
    backbone_of,
    decoder_of,
    families_of_type,
    published_base,
    published_bases,
)
from colintern.families.family import Family
from colintern.families.outline.modules import ModuleOutline, outline_of
from colintern.families.traces import in_small

_SUPPORTED: Final = ("qwen2", "qwen3")
"""The language models of InternVL whose saved activations are known here."""
_DOWNSAMPLE: Final = 0.5


class ArchitectureError(ValueError):
    """A base model that cannot be planned for."""


class Text(Struct, frozen=True, kw_only=True):
    """The language model."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    query_width: int
    """Query heads times their width."""
    key_width: int
    """Key heads times their width: fewer where heads share keys."""
    head_norms: bool
    """A norm of each query and key head (Qwen3)."""
    vocabulary: int

    @property
    def head_dim(self) -> int:
        """Width of a head."""
        return self.query_width // self.heads

    @property
    def adapted(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of the seven linear modules of a layer that get LoRA."""
        h, q, k, f = self.hidden, self.query_width, self.key_width, self.intermediate
        return ((h, q), (h, k), (h, k), (q, h), (h, f), (h, f), (f, h))


class Vision(Struct, frozen=True, kw_only=True):
    """The vision tower, which is frozen."""

    hidden: int
    intermediate: int
    layers: int
    patches: int
    """Of a tile, class token included."""
    pixels: int
    """Of one colour channel of a tile."""
    tokens_per_tile: int
    """Visual tokens that the language model gets of a tile."""


class Architecture(Struct, frozen=True, kw_only=True):
    """A base model in numbers."""

    name: str
    """As the user named it, or the Hub id that it stands for."""
    family: Family
    """The family that is trained on it."""
    source: str
    """Where its configuration came from, for the person who reads the plan."""
    language_parameters: int
    vision_parameters: int
    connector_parameters: int
    text: Text
    vision: Vision
    dimension: int
    """Width of a multi-vector."""

    @property
    def base_parameters(self) -> int:
        """Parameters of the base, without projection and output layer."""
        return self.language_parameters + self.vision_parameters + self.connector_parameters

    @property
    def projection_parameters(self) -> int:
        """Parameters of the projection."""
        return (self.text.hidden + 1) * self.dimension

    @property
    def frozen_parameters(self) -> int:
        """Parameters that are held and not trained."""
        return self.base_parameters + self.projection_parameters

    @property
    def lora_modules(self) -> int:
        """Modules with LoRA: seven a layer, and the projection."""
        return len(self.text.adapted) * self.text.layers + 1

    def lora_parameters(self, rank: int) -> int:
        """Count the trained parameters at `rank`."""
        layer = sum(inputs + outputs for inputs, outputs in self.text.adapted)
        projection = self.text.hidden + self.dimension
        return rank * (layer * self.text.layers + projection)


def find_architecture(model: str) -> Architecture:
    """Count the base that `model` names: a folder, a cached Hub id, a built-in one, or `1B`.

    Raises:
        ArchitectureError: it is none of these, or of another architecture.
        ArtifactError: its configuration cannot be read.
    """
    short = {base.short: base.hub_id for base in published_bases()}
    name = short.get(model.upper(), model)
    folder = bundled_base(name) or _folder(name)
    if folder is not None:
        return architecture_of(_config_in(folder), name, str(folder))
    if (published := published_base(name)) is not None:
        return architecture_of(published.config, name, "built-in outline")
    raise ArchitectureError(
        f"{printable(model)} must be a folder with a config.json, a Hub id in the local cache, or "
        f"one of {', '.join(short)}; {_meant(model)}"
    )


def architecture_of(config: ModelConfig, name: str, source: str) -> Architecture:
    """Count the model that `config` describes.

    Raises:
        ArchitectureError: not an InternVL with a language model of the Qwen line.
    """
    family = next((each for each in families_of_type(config.model_type) if each.is_ours), None)
    outline, kind = outline_of(config), _decoder_type(config)
    decoder = decoder_of(kind)
    if family is None or outline is None or decoder is None or kind not in _SUPPORTED:
        raise ArchitectureError(
            f"{printable(name)} must be an InternVL with a Qwen language model, which is what "
            f"`colintern train` trains, but its config says model_type "
            f"{printable(config.model_type)} with {printable(kind)}"
        )
    family = in_small(family, name)
    return Architecture(
        name=name,
        family=family,
        source=source,
        language_parameters=outline.parameters["language"],
        vision_parameters=outline.parameters["vision"],
        connector_parameters=outline.parameters["connector"],
        text=_text(config, outline, decoder),
        vision=_vision(config, outline, family.backbone),
        dimension=config.dim or family.dimension,
    )


def _decoder_type(config: ModelConfig) -> str:
    """Return what the language model is called, or would be where config.json leaves it out."""
    backbone = backbone_of(config.model_type)
    usual = backbone.decoders[0].model_type if backbone is not None else "no language model"
    return config.text.model_type or usual


_CLOSE: Final = 0.75
"""Likeness of two names, from 0 to 1, from which one may be meant by the other (own choice)."""


def _folder(name: str) -> Path | None:
    # Of os.path: a name that no file can have is no folder, not an exception.
    path = os.path.expanduser(name)  # noqa: PTH111 - as above
    if os.path.isdir(path):  # noqa: PTH112 - as above
        return Path(path)
    return find_snapshot(name) if is_hub_id(name) else None


def _config_in(folder: Path) -> ModelConfig:
    path = folder / "config.json"
    if not os.path.lexists(path):
        adapter = (folder / "adapter_config.json").exists()
        raise ArchitectureError(
            f"{printable(folder)} must have the config.json of a base model, but it has none; "
            + ("it is an adapter: name its base" if adapter else "name the folder of a base model")
        )
    return read_model_config(path, None)


def _meant(model: str) -> str:
    """Say which name is close to `model`, or what to do without one."""
    bases = published_bases()
    known = (*(base.hub_id for base in bases), *(base.short for base in bases), TINY_BASE)
    names = {_last(name): name for name in known}
    close = difflib.get_close_matches(_last(model), names, n=1, cutoff=_CLOSE)
    if close:
        return f"did you mean {names[close[0]]}?"
    return "name one of these, or fetch the model first"


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].upper()


def _text(config: ModelConfig, outline: ModuleOutline, decoder: Decoder) -> Text:
    width = {
        module.place.kind: (module.in_features, module.out_features)
        for module in outline.language
        if module.place.layer == 0
    }
    if "self_attn.q_proj" not in width or not width["self_attn.q_proj"][1]:
        raise ArchitectureError("a language model must have layers, but this one has none")
    hidden, query = width["self_attn.q_proj"]
    head_dim = config.text.head_dim or decoder.head_dim or 0
    heads = config.text.num_attention_heads or max(query // max(head_dim, 1), 1)
    if query // heads == 0 or query % heads:
        raise ArchitectureError(
            f"the heads must share the query's width, but {heads} heads share {query} numbers"
        )
    vocabulary = config.text.vocab_size or decoder.vocabulary
    return Text(
        hidden=hidden,
        intermediate=width["mlp.gate_proj"][1],
        layers=outline.num_layers,
        heads=heads,
        query_width=query,
        key_width=width["self_attn.k_proj"][1],
        head_norms=decoder.head_norms,
        vocabulary=vocabulary,
    )


def _vision(config: ModelConfig, outline: ModuleOutline, backbone: Backbone) -> Vision:
    layers = [module for module in outline.modules if module.place.tower == "vision"]
    first = next((module for module in layers if module.place.kind == "mlp.fc1"), None)
    if first is None:
        raise ArchitectureError("a vision tower must have layers, but this one has none")
    image = _side(config.vision.image_size if config.vision else None, backbone.tower.image_size)
    patch = _side(config.vision.patch_size if config.vision else None, backbone.tower.patch_size)
    grid = (image[0] // max(patch[0], 1)) * (image[1] // max(patch[1], 1))
    return Vision(
        hidden=first.in_features,
        intermediate=first.out_features,
        layers=sum(module.place.kind == "mlp.fc1" for module in layers),
        patches=grid + 1,
        pixels=image[0] * image[1],
        tokens_per_tile=max(int(grid * (config.downsample_ratio or _DOWNSAMPLE) ** 2), 1),
    )


def _side(value: int | Sequence[int] | None, default: int) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return (value[0], value[-1]) if value else (default, default)
