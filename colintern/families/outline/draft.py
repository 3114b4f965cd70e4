"""An outline while it is drawn: linear modules, and parameters that are in none."""

from collections import Counter
from dataclasses import dataclass, field

from msgspec import Struct

from colintern.families.module_name import Place, Tower, place_of


class OutlineModule(Struct, frozen=True):
    """One linear module of a base model."""

    name: str
    """As colpali-engine's class for the base names it."""
    place: Place
    out_features: int
    in_features: int


@dataclass
class Draft:
    """Collects modules in the order of the model, and counts every parameter by tower."""

    modules: list[OutlineModule] = field(default_factory=list)
    parameters: Counter[Tower] = field(default_factory=Counter)

    def linear(
        self, prefix: str, place: Place, out_features: int, in_features: int, *, bias: bool
    ) -> None:
        """Add the linear module `prefix` + kind of `place`."""
        name = prefix + place.kind
        self.modules.append(OutlineModule(name, place_of(name), out_features, in_features))
        self.parameters[place.tower] += out_features * in_features + (out_features if bias else 0)

    def count(self, tower: Tower, parameters: int) -> None:
        """Add parameters outside linear modules: norms, embeddings, convolutions."""
        self.parameters[tower] += parameters
