"""The tensors of a LoRA file, sorted by the module that they belong to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.families.module_name import Place, place_of

PREFIX: Final = "base_model.model."
"""What PEFT puts before every name, and removes when it loads."""

_COMPILED: Final = "_orig_mod."
"""What `torch.compile` puts into the names of a model that is saved without unwrapping it."""

_PART: Final = re.compile(
    r"^(?P<module>.*)\.lora_(?P<embedding>embedding_)?(?P<part>A|B|magnitude_vector)"
    r"(?:\.(?P<adapter>(?!weight$|bias$)[^.]+))?(?:\.(?P<kind>weight|bias))?$",
    re.DOTALL,
)
_MANGLED: Final = re.compile(
    r"(?:_|[._]lora[._]?)(?:A|B|a|b|down|up)(?:\.[^.]{1,40})?(?:\.weight)?$", re.DOTALL
)
"""LoRA's matrices under other names: PEFT cuts ".lora" out of those of an adapter that is called
`lora` (PEFT issue 2699); kohya's and diffusers' end in `lora_down` or `lora.down`."""
_FULL: Final = re.compile(
    r"^(?P<module>.*?)(?:\.modules_to_save(?:\.(?!weight$|bias$)[^.]+)?"
    r"|\.original_module|\.base_layer)?"
    r"\.(?P<kind>weight|bias)$",
    re.DOTALL,
)


@dataclass(slots=True)
class LoraModule:
    """One module with LoRA."""

    name: str
    """As PEFT saw it, without its prefix."""
    place: Place
    a: TensorEntry | None = None
    """(rank, in features), further dimensions for a convolution."""
    b: TensorEntry | None = None
    """(out features, rank)."""
    magnitude: TensorEntry | None = None
    """DoRA's vector."""
    b_bias: TensorEntry | None = None
    """The bias of B, with `lora_bias`."""
    is_embedding: bool = False
    """Saved as `lora_embedding_A`: (rank, rows)."""

    @property
    def entries(self) -> tuple[TensorEntry, ...]:
        """The tensors that there are."""
        found = (self.a, self.b, self.magnitude, self.b_bias)
        return tuple(entry for entry in found if entry is not None)

    @property
    def is_pair(self) -> bool:
        """Whether both A and B are there."""
        return self.a is not None and self.b is not None

    @property
    def rank(self) -> int | None:
        """First dimension of A."""
        return self.a.shape[0] if self.a is not None and self.a.shape else None

    @property
    def in_features(self) -> int | None:
        """Second dimension of A."""
        return self.a.shape[1] if self.a is not None and len(self.a.shape) > 1 else None

    @property
    def out_features(self) -> int | None:
        """First dimension of B."""
        return self.b.shape[0] if self.b is not None and self.b.shape else None


@dataclass(frozen=True)
class AdapterTensors:
    """All tensors of an adapter file."""

    modules: Mapping[str, LoraModule]
    """Modules with at least one LoRA tensor, by name."""
    full: Mapping[str, tuple[TensorEntry, ...]]
    """Modules saved in full (`modules_to_save`, biases), by name."""
    unprefixed: tuple[str, ...]
    """LoRA tensors whose name lacks PEFT's prefix or holds another: PEFT would not find them."""
    nested: tuple[str, ...]
    """LoRA tensors with PEFT's prefix twice: an adapter of an adapter."""
    parameters: int = field(default=0)
    """Values in all tensors."""

    @cached_property
    def mangled(self) -> tuple[str, ...]:
        """Tensors that are LoRA's by the end of their name, and that no loader takes for it."""
        names = (entry.name for entries in self.full.values() for entry in entries)
        return tuple(name for name in names if _MANGLED.search(name))

    @cached_property
    def pairs(self) -> tuple[LoraModule, ...]:
        """Modules with both matrices, in the order of their names."""
        return tuple(
            self.modules[name] for name in sorted(self.modules) if self.modules[name].is_pair
        )

    def full_matrix(self, module: str) -> TensorEntry | None:
        """Return the weight of a module saved in full."""
        return next((entry for entry in self.full.get(module, ()) if len(entry.shape) > 1), None)


def sort_adapter_tensors(entries: Mapping[str, TensorEntry]) -> AdapterTensors:
    """Sort the tensors of an adapter file by module."""
    modules: dict[str, LoraModule] = {}
    full: dict[str, tuple[TensorEntry, ...]] = {}
    unprefixed: list[str] = []
    nested: list[str] = []
    for entry in entries.values():
        short = entry.name.removeprefix(PREFIX)
        wrapped = _COMPILED in short
        short = short.replace(_COMPILED, "")
        match = _PART.match(short)
        if match is None:
            whole = _FULL.match(short)
            module = whole["module"] if whole else short
            full[module] = (*full.get(module, ()), entry)
            continue
        if wrapped or not entry.name.startswith(PREFIX):
            unprefixed.append(entry.name)
        elif short.startswith("base_model."):
            nested.append(entry.name)
        _add_part(modules, match, entry)
    parameters = sum(entry.num_values for entry in entries.values())
    return AdapterTensors(modules, full, tuple(unprefixed), tuple(nested), parameters)


def _add_part(modules: dict[str, LoraModule], match: re.Match[str], entry: TensorEntry) -> None:
    name = match["module"]
    module = modules.get(name)
    if module is None:
        module = modules[name] = LoraModule(name, place_of(name))
    if match["embedding"]:
        module.is_embedding = True
    if match["part"] == "magnitude_vector":
        module.magnitude = entry
    elif match["kind"] == "bias":
        module.b_bias = entry if match["part"] == "B" else module.b_bias
    elif match["part"] == "A":
        module.a = entry
    else:
        module.b = entry
