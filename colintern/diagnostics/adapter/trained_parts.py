"""Which parts of an adapter never moved from where they started."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from msgspec import Struct

from colintern.diagnostics.adapter.tensors import AdapterTensors, LoraModule
from colintern.diagnostics.weights.statistics import WeightStatistics
from colintern.families.catalogue import projection_names

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
    def kinds(self) -> tuple[str, ...]:
        """Kinds of module, as `self_attn.v_proj`, of which none moved, in towers that did."""
        return self._untouched(_kind_name)

    @cached_property
    def alone(self) -> tuple[str, ...]:
        """Single modules that did not move, the projection aside, which has a rule of its own."""
        projections = projection_names()
        return tuple(
            sorted(name for name in self.zero if name.removeprefix("model.") not in projections)
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


def _kind_name(module: LoraModule) -> str | None:
    if module.place.layer is None:
        return None
    return f"{module.place.kind} of the {module.place.tower} layers"


MIN_GRADIENT_STEPS: Final = 3
"""Steps without a gradient that are no accident: a gradient scaler may skip the first ones."""


class TrainedParts(Struct, frozen=True):
    """Parameters of a model, as far as they tell what is trained."""

    requires_gradient: Mapping[str, bool]
    """By the parameter's name."""
    steps_without: Mapping[str, int] = {}
    """Steps in which a parameter that requires a gradient got none, or all zeros."""
    num_steps: int = 0
    """Steps that were looked at: those in which some parameter had a gradient."""

    def projection_state(self, projection: str) -> tuple[bool, str] | None:
        """Tell whether the module `projection` is trained, and in words how that shows.

        Returns:
            None where the model has no such module: its parameters may be wrapped or sharded.
        """
        names = [name for name in self.requires_gradient if projection in name.split(".")]
        if not names:
            return None
        trained = [name for name in names if self.requires_gradient[name]]
        if not trained:
            return False, f"none of {len(names)} parameters of {projection} requires a gradient"
        without = min(self.steps_without.get(name, 0) for name in trained)
        if self.num_steps >= MIN_GRADIENT_STEPS and without >= self.num_steps:
            return False, f"no gradient reached {projection} in the first {self.num_steps} steps"
        return True, f"{len(trained)} of {len(names)} parameters of {projection} are trained"
