"""Names and shapes of a base model's linear modules, from its configuration alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from colintern.artifacts.model.model_config import ModelConfig, VisionConfig
from colintern.families.catalogue import backbone_of
from colintern.families.module_name import Tower
from colintern.families.outline.draft import Draft, OutlineModule
from colintern.families.outline.language import add_language_model
from colintern.families.outline.vision import add_connector, add_vision_tower


@dataclass(frozen=True)
class ModuleOutline:
    """The linear modules of a base model as colpali-engine's class for it names them today."""

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


def outline_of(config: ModelConfig) -> ModuleOutline | None:
    """Draw the outline of a base model, or return None for an architecture of no family."""
    backbone = backbone_of(config.model_type)
    if backbone is None:
        return None
    draft = Draft()
    text = add_language_model(draft, backbone, config.text)
    vision = add_vision_tower(draft, backbone, config.vision or VisionConfig())
    if text is None or vision is None:
        return None
    add_connector(draft, backbone, config, vision, text.hidden)
    return ModuleOutline(tuple(draft.modules), draft.parameters, text.hidden, text.layers)
