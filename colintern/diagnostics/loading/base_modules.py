"""The modules of a base that an adapter may reach, and the shape of each one's weight."""

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from msgspec import Struct

from colintern.artifacts.model.model_config import ModelConfig
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.weights.tensor_names import Key, is_dropped, is_embedding, key_of
from colintern.families.family import Family
from colintern.families.outline.modules import ModuleOutline

_MOST_MODULES: Final = 50_000
"""Modules of a base that an adapter is set against; a 72B model has some 1,500."""
_MATRIX: Final = 2
_CONVOLUTION: Final = 4


class BaseModules(Struct, frozen=True, dict=True):
    """What a base is made of, as far as its weights or its configuration show it."""

    shapes: Mapping[str, tuple[int, ...]]
    """Shape of the weight by the module's name, as the family's class names it."""
    biased: frozenset[str]
    """Modules with a bias, where the base's weights are known."""
    others: frozenset[str]
    """Parameters that are neither weight nor bias, by their whole name."""
    is_whole: bool
    """Whether the base's weights are known, and so every module of it."""
    is_exact: bool
    """Whether the names are those of the class to the letter, so that no other name is found."""

    def find(self, name: str) -> str | None:
        """Return the module that a file calls `name`; None for none of the base."""
        if self.is_exact or name in self.shapes:
            return name if name in self._names else None
        return self._by_key.get(key_of(name))

    def is_embedding(self, name: str) -> bool:
        """Whether the module is an embedding, on which LoRA has other names and shapes."""
        return is_embedding(f"{name}.weight")

    def can_be_adapted(self, name: str) -> bool:
        """Whether LoRA has a layer for the module: a matrix or a convolution, not a norm."""
        return len(self.shapes[name]) in {_MATRIX, _CONVOLUTION}

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset({*self.shapes, *(name.rpartition(".")[0] for name in self.others)})

    @cached_property
    def _by_key(self) -> Mapping[Key, str]:
        return {key_of(name): name for name in self._names}


def base_modules(
    outline: ModuleOutline | None,
    store: TensorStore | None,
    family: Family | None,
    config: ModelConfig | None,
) -> BaseModules | None:
    """Collect the modules of a base; None where neither configuration nor weights are known.

    Args:
        outline: its linear modules, under the names that the class has today.
        store: its weights, whose names may be those of another release.
        family: tells the projection, which a plain base does not have.
        config: the base's, for the size of a vector.
    """
    if outline is None and store is None:
        return None
    shapes: dict[str, tuple[int, ...]] = {}
    if outline is not None:
        shapes |= {each.name: (each.out_features, each.in_features) for each in outline.modules}
        if family is not None:
            shapes[family.projection] = (family.dimension_in(config), outline.hidden_size)
    names = {key_of(name): name for name in shapes}
    others: set[str] = set()
    biased = {family.projection} & shapes.keys() if family is not None else set()
    for entry in store.entries.values() if store is not None else ():
        module, _, parameter = entry.name.rpartition(".")
        if is_dropped(entry.name) or len(shapes) > _MOST_MODULES:
            continue
        name = names.setdefault(key_of(module), module)
        if parameter == "weight":
            shapes[name] = entry.shape
        elif parameter == "bias":
            biased.add(name)
        else:
            others.add(f"{name}.{parameter}")
    return BaseModules(
        shapes,
        frozenset(biased),
        frozenset(others),
        is_whole=store is not None,
        is_exact=outline is not None and family is not None and family.is_ours,
    )
