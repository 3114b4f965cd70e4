"""Which parts of an adapter never moved from where they started."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from colintern.diagnostics.adapter_tensors import AdapterTensors, LoraModule
from colintern.diagnostics.module_name import PROJECTIONS
from colintern.diagnostics.weight_statistics import WeightStatistics

_TOWERS: Final = {
    "language": "the language model",
    "vision": "the vision tower",
    "connector": "the connector",
    "audio": "the audio tower",
}


@dataclass(frozen=True)
class UntrainedParts:
    """Modules whose B is still zero, and the parts of the model that they make up."""

    pairs: tuple[LoraModule, ...]
    """Modules with A and B."""
    zero: frozenset[str]
    """Those whose B is zero throughout."""

    @property
    def is_all(self) -> bool:
        """Whether no module moved."""
        return bool(self.pairs) and len(self.zero) == len(self.pairs)

    @cached_property
    def towers(self) -> tuple[str, ...]:
        """Towers that have LoRA on more than one module and of which none moved."""
        return self._untouched(lambda module: _TOWERS.get(module.place.tower))

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Layers of which no module moved, in towers that did; a tower's last vision layer aside.

        A model may take its visual features from the layer before the last, which leaves that one
        without a gradient.
        """
        return tuple(
            layer for layer in self._untouched(_layer_name) if layer != self._last_vision_layer
        )

    @cached_property
    def alone(self) -> tuple[str, ...]:
        """Single modules that did not move, the projection aside, for which PRJ002 speaks."""
        return tuple(
            sorted(name for name in self.zero if name.removeprefix("model.") not in PROJECTIONS)
        )

    @property
    def _last_vision_layer(self) -> str | None:
        indexes = [
            module.place.layer
            for module in self.pairs
            if module.place.tower == "vision" and module.place.layer is not None
        ]
        return f"vision layer {max(indexes)}" if indexes else None

    def _untouched(self, group_of: Callable[[LoraModule], str | None]) -> tuple[str, ...]:
        groups: dict[str, list[bool]] = {}
        for module in self.pairs:
            group = group_of(module)
            if group is not None:
                groups.setdefault(group, []).append(module.name in self.zero)
        return tuple(name for name, zero in groups.items() if len(zero) > 1 and all(zero))


def untrained_parts(tensors: AdapterTensors, statistics: WeightStatistics) -> UntrainedParts:
    """Find the modules whose B is zero throughout."""
    zero = frozenset(
        module.name
        for module in tensors.pairs
        if module.b is not None
        and module.b.name in statistics.tensors
        and statistics.tensors[module.b.name].is_zero
    )
    return UntrainedParts(tensors.pairs, zero)


def _layer_name(module: LoraModule) -> str | None:
    if module.place.layer is None:
        return None
    return f"{module.place.tower} layer {module.place.layer}"
