"""Names and shapes of a base model's linear modules, from its configuration alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from msgspec import Struct

from colintern.artifacts.model.model_config import ModelConfig, TextConfig, VisionConfig
from colintern.diagnostics.adapter.module_name import Tower
from colintern.families.outline.draft import Draft, OutlineModule
from colintern.families.outline.language import add_language_model
from colintern.families.outline.vision import add_connector, add_vision_tower


@dataclass(frozen=True)
class ModuleOutline:
    """The linear modules of a base model as colpali-engine's class for it names them today."""

    architecture: str
    """`model_type` of the base's config."""
    modules: tuple[OutlineModule, ...]
    """Every linear module, the projection and the output layer aside."""
    parameters: Mapping[Tower, int]
    """Parameters by tower, linear or not; embeddings count, a tied output layer does not."""
    hidden_size: int
    """Width of the language model: what the projection takes."""
    num_layers: int
    """Layers of the language model."""

    @property
    def num_parameters(self) -> int:
        """All parameters, without the projection and the output layer."""
        return sum(self.parameters.values())

    @cached_property
    def language(self) -> tuple[OutlineModule, ...]:
        """The linear modules in the layers of the language model."""
        return tuple(module for module in self.modules if module.place.tower == "language")


class Prefixes(Struct, frozen=True):
    """Where colpali-engine's class keeps each part, and the defaults that its config leaves out."""

    language: str
    vision: str
    connector: str
    text_type: str
    vision_type: str


ARCHITECTURES: Final[Mapping[str, Prefixes]] = {
    "internvl": Prefixes(
        "language_model.", "vision_tower.", "multi_modal_projector.", "qwen2", "internvl_vision"
    ),
    "paligemma": Prefixes(
        "model.model.language_model.",
        "model.model.vision_tower.",
        "model.model.multi_modal_projector.",
        "gemma",
        "siglip_vision_model",
    ),
    "qwen2_vl": Prefixes(
        "language_model.", "visual.", "visual.merger.", "qwen2_vl_text", "qwen2_vl"
    ),
    "qwen2_5_vl": Prefixes(
        "language_model.", "visual.", "visual.merger.", "qwen2_5_vl_text", "qwen2_5_vl"
    ),
    "qwen3_vl": Prefixes(
        "language_model.", "visual.", "visual.merger.", "qwen3_vl_text", "qwen3_vl"
    ),
    "qwen3_5": Prefixes("language_model.", "visual.", "visual.merger.", "qwen3_5_text", "qwen3_5"),
    "qwen2_5_omni_thinker": Prefixes(
        "model.language_model.",
        "model.visual.",
        "model.visual.merger.",
        "qwen2_5_omni_text",
        "qwen2_5_omni_vision_encoder",
    ),
    "idefics3": Prefixes(
        "model.text_model.", "model.vision_model.", "model.connector.", "llama", "idefics3_vision"
    ),
    "smolvlm": Prefixes(
        "model.text_model.", "model.vision_model.", "model.connector.", "llama", "smolvlm_vision"
    ),
    "modernvbert": Prefixes(
        "model.text_model.",
        "model.vision_model.",
        "model.connector.",
        "modernbert",
        "siglip_vision_model",
    ),
    "gemma3": Prefixes(
        "language_model.",
        "vision_tower.",
        "multi_modal_projector.",
        "gemma3_text",
        "siglip_vision_model",
    ),
}
"""colpali-engine 0.3.18 on transformers 5.23; ColIntern3.5 is transformers' InternVLModel."""

_ALIASES: Final = {"qwen2_5_omni": "qwen2_5_omni_thinker"}


def outline_of(config: ModelConfig) -> ModuleOutline | None:
    """Draw the outline of a base model, or return None for an architecture not in the table.

    The audio tower of ColQwen-Omni is left out: no recipe of the family trains it.
    """
    architecture = _ALIASES.get(config.model_type or "", config.model_type or "")
    prefixes = ARCHITECTURES.get(architecture)
    if prefixes is None:
        return None
    draft = Draft()
    text = add_language_model(draft, prefixes.language, config.text, prefixes.text_type)
    if text is None:
        return None
    vision = add_vision_tower(
        draft, prefixes.vision, config.vision or VisionConfig(), prefixes.vision_type
    )
    if vision is None:
        return None
    add_connector(draft, prefixes.connector, config, vision, text.hidden, architecture=architecture)
    return ModuleOutline(
        architecture, tuple(draft.modules), draft.parameters, text.hidden, text.layers
    )


def _internvl3_5(hidden: int, intermediate: int, layers: int, heads: int) -> ModelConfig:
    text = TextConfig(
        model_type="qwen3",
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=8,
        head_dim=128,
        vocab_size=151_936,
    )
    vision = VisionConfig(model_type="internvl_vision", attention_bias=True)
    return ModelConfig(model_type="internvl", text=text, vision=vision, downsample_ratio=0.5)


BUILT_IN: Final[Mapping[str, ModelConfig]] = {
    "OpenGVLab/InternVL3_5-1B-HF": _internvl3_5(1024, 3072, 28, 16),
    "OpenGVLab/InternVL3_5-2B-HF": _internvl3_5(2048, 6144, 28, 16),
    "OpenGVLab/InternVL3_5-4B-HF": _internvl3_5(2560, 9728, 36, 32),
    "OpenGVLab/InternVL3_5-8B-HF": _internvl3_5(4096, 12_288, 36, 32),
}
"""The published configurations of InternVL3.5 by Hub id: no base need be on this machine."""
