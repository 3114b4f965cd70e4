"""What loading a whole model by its family's class would find, miss, drop or refuse.

`from_pretrained` fills a model that was built from config.json. Parameters that no file holds are
drawn at random, tensors that fit nothing are dropped, both with a warning at most; another shape
is an error. Which linear layers there are follows from config.json; which other tensors, from the
base's weights where they are known, else from what the layers have in common, and in the families
whose sizes are known to the last parameter from their number.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final

from msgspec import Struct

from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.diagnostics.adapter.tensors import PREFIX
from colintern.diagnostics.weights.tensor_names import is_dropped, is_embedding, key_of
from colintern.families.family import Family
from colintern.families.module_name import place_of
from colintern.families.outline.modules import ModuleOutline

_WRAPPED: Final = re.compile(
    r"(?:^|\.)(?:_orig_mod|_fsdp_wrapped_module|base_layer|modules_to_save|original_module)\."
    r"|\.lora_(?:A|B|embedding_[AB]|magnitude_vector)(?:\.|$)|^module\."
)
"""Names of a model that was saved inside a wrapper: of `torch.compile`, FSDP, PEFT, DDP."""
_FLOATS: Final = frozenset({"BF16", "F16", "F32", "F64"})
"""Types whose shape is that of the parameter; packed and quantised weights have another one."""
_FEWEST_LAYERS: Final = 3
"""Layers from which one that lacks what all others have stands out."""


class ModelPlan(Struct, frozen=True, dict=True):
    """One class's way with the weights of a whole model."""

    missing: tuple[str, ...] = ()
    """Parameters that no file holds: they are drawn at random."""
    wrapped: tuple[str, ...] = ()
    """Tensors under the names of a wrapper, which fit nothing."""
    unexpected: tuple[str, ...] = ()
    """Other tensors that fit nothing, where that is known: layers that config.json leaves out."""
    mismatched: tuple[str, ...] = ()
    """Tensors of another shape than config.json asks for."""
    num_short: int = 0
    """Values that are missing under names that are not known."""

    @property
    def is_whole(self) -> bool:
        """Whether every parameter is filled, and every tensor is used."""
        return not any(
            (self.missing, self.wrapped, self.unexpected, self.mismatched, self.num_short)
        )


def plan_model(
    entries: Mapping[str, TensorEntry],
    outline: ModuleOutline | None,
    family: Family | None,
    base: Mapping[str, TensorEntry] | None = None,
    *,
    vocabulary: int | None = None,
) -> ModelPlan:
    """Plan how the class of `family` loads the weights of a whole model.

    Args:
        entries: the weights.
        outline: the linear modules that config.json asks for.
        family: tells the names that its class takes.
        base: the weights of the model that this one was made from.
        vocabulary: rows of the embedding that config.json asks for.
    """
    tensors = _Tensors(entries, family)
    found = _Expectation(tensors)
    if outline is not None:
        found.linear_layers(outline)
        found.common_parts(outline)
        if family is not None and family.is_ours and vocabulary:
            found.embedding_of(vocabulary, outline.hidden_size)
        found.projection(outline)
    if base is not None:
        found.like_base(base)
    missing = tuple(found.missing)
    return ModelPlan(
        missing=missing,
        wrapped=tensors.wrapped,
        unexpected=() if outline is None else tensors.beyond(outline),
        mismatched=tuple(found.mismatched),
        num_short=0 if outline is None or missing else tensors.shortage(outline),
    )


class _Tensors(Struct, frozen=True, dict=True):
    """The tensors of a model by the key that they have in every layout that loads."""

    entries: Mapping[str, TensorEntry]
    family: Family | None

    @cached_property
    def wrapped(self) -> tuple[str, ...]:
        return tuple(
            name for name in self.entries if name.startswith(PREFIX) or _WRAPPED.search(name)
        )

    @cached_property
    def stray(self) -> frozenset[str]:
        """Names that the class does not take, though another layout has them."""
        if self.family is None or not self.family.is_ours:
            return frozenset()
        backbone = self.family.backbone
        known = (*backbone.earlier_language, backbone.language)
        return frozenset(
            name
            for name in self.entries
            if key_of(name)[0] == "language"
            and not name.removeprefix("model.").startswith(known)
            and name.removeprefix("model.").rpartition(".")[0] not in self.family.projections
            and not is_dropped(name)
        )

    @cached_property
    def by_key(self) -> Mapping[tuple[str, str], TensorEntry]:
        lost = {*self.wrapped, *self.stray}
        return {key_of(name): entry for name, entry in self.entries.items() if name not in lost}

    def beyond(self, outline: ModuleOutline) -> tuple[str, ...]:
        """Tensors of the language model in layers that config.json does not have."""
        layered = ((name, place_of(name)) for name in self.entries if not is_dropped(name))
        return tuple(
            name
            for name, place in layered
            if name in self.stray
            or (place.tower == "language" and (place.layer or 0) >= outline.num_layers)
        )

    def shortage(self, outline: ModuleOutline) -> int:
        """Values that the towers lack, of a family whose sizes are known exactly."""
        if self.family is None or not self.family.is_ours or self.is_packed:
            return 0
        held: Counter[str] = Counter()
        for (tower, _), entry in self.by_key.items():
            if not is_dropped(entry.name) and entry.name.rpartition(".")[0] not in (
                *self.family.projections,
                *(f"model.{name}" for name in self.family.projections),
            ):
                held[tower] += entry.num_values
        return sum(
            max(0, number - held[tower])
            for tower, number in outline.parameters.items()
            if tower in {"language", "vision", "connector"}
        )

    @property
    def is_packed(self) -> bool:
        """Whether weights are quantised, so that their shapes say nothing."""
        return any(entry.dtype not in _FLOATS for entry in self.entries.values())


class _Expectation:
    """Collects what the class asks for and the tensors lack."""

    def __init__(self, tensors: _Tensors) -> None:
        self.tensors = tensors
        self.missing: dict[str, None] = {}
        self.mismatched: dict[str, None] = {}
        self._seen: set[tuple[str, str]] = set()

    def _expect(self, name: str, shape: tuple[int, ...] | None) -> None:
        key = key_of(name)
        if key in self._seen:
            return
        self._seen.add(key)
        entry = self.tensors.by_key.get(key)
        if entry is None:
            self.missing[name] = None
        elif shape is not None and entry.dtype in _FLOATS and entry.shape != shape:
            self.mismatched[entry.name] = None

    def linear_layers(self, outline: ModuleOutline) -> None:
        """Every linear module of the towers and the connector has its matrix."""
        if self.tensors.is_packed:
            return
        for module in outline.modules:
            if not is_dropped(f"{module.name}.weight"):
                self._expect(f"{module.name}.weight", (module.out_features, module.in_features))

    def common_parts(self, outline: ModuleOutline) -> None:
        """A layer has what all other layers of its tower have, and the language model its ends."""
        kinds: dict[str, dict[int, dict[str, str]]] = {}
        for entry in self.tensors.by_key.values():
            place = place_of(entry.name)
            if place.layer is not None and place.tower in {"language", "vision"}:
                layers = kinds.setdefault(place.tower, {})
                layers.setdefault(place.layer, {})[place.kind] = entry.name
        for layers in kinds.values():
            for name in _absent(layers):
                self._expect(name, None)
        for name in _further(kinds.get("language", {}), outline):
            self._expect(name, None)
        self._expect_embedding(outline)

    def _expect_embedding(self, outline: ModuleOutline) -> None:
        names = [entry.name for entry in self.tensors.by_key.values()]
        tied = any(name.rpartition(".")[0].endswith("lm_head") for name in names)
        named = any(is_embedding(name) or "tok_embeddings" in name for name in names)
        if not named and not tied and outline.language:
            head = outline.language[0].name.partition("layers.")[0]
            self._expect(f"{head}embed_tokens.weight", None)

    def embedding_of(self, vocabulary: int, width: int) -> None:
        """The embedding has a row for each token that config.json counts."""
        for entry in self.tensors.by_key.values():
            if is_embedding(entry.name) and entry.shape != (vocabulary, width):
                self.mismatched[entry.name] = None

    def projection(self, outline: ModuleOutline) -> None:
        """The projection has a matrix and a bias in every class of colpali-engine."""
        family = self.tensors.family
        if family is None or not self.tensors.stray.isdisjoint(self.tensors.entries):
            return
        held = {key_of(f"{name}.weight") for name in family.projections}
        if not held & self.tensors.by_key.keys():
            self.missing[f"{family.projection}.weight"] = None
            return
        if family.is_ours:
            width = self.tensors.by_key.get(key_of(f"{family.projection}.weight"))
            self._expect(f"{family.projection}.bias", width.shape[:1] if width else None)
            if width is not None and len(width.shape) > 1 and width.shape[1] != outline.hidden_size:
                self.mismatched[width.name] = None

    def like_base(self, base: Mapping[str, TensorEntry]) -> None:
        """Every tensor of the base is there, in its shape; an embedding may have more rows."""
        for name, entry in base.items():
            if not is_dropped(name):
                self._expect(name, None if is_embedding(name) else entry.shape)


def _further(layers: Mapping[int, Mapping[str, str]], outline: ModuleOutline) -> Iterable[str]:
    """Yield names of a layer that config.json asks for and no tensor is of: those of its like."""
    wanted: dict[int, set[str]] = {}
    for module in outline.language:
        wanted.setdefault(module.place.layer or 0, set()).add(f"{module.place.kind}.weight")
    for layer in wanted.keys() - layers.keys():
        like = (one for one, kinds in layers.items() if wanted[layer] <= kinds.keys())
        other = next(like, None)
        if other is not None:
            for kind, name in layers[other].items():
                yield name.replace(f".{other}.{kind}", f".{layer}.{kind}")


def _absent(layers: Mapping[int, Mapping[str, str]]) -> Iterable[str]:
    """Yield names of tensors that one layer lacks and all the others have."""
    if len(layers) < _FEWEST_LAYERS:
        return
    counts = Counter(kind for kinds in layers.values() for kind in kinds)
    for layer, kinds in sorted(layers.items()):
        for kind, count in counts.items():
            if count == len(layers) - 1 and kind not in kinds:
                other, pattern = next((n, held[kind]) for n, held in layers.items() if kind in held)
                yield pattern.replace(f".{other}.{kind}", f".{layer}.{kind}")
