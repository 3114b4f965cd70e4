"""What PEFT and transformers would do with an adapter: find, miss, drop or refuse each tensor.

Loading an adapter builds LoRA from the configuration and fills it by name and shape. What the file
lacks stays as it was drawn (missing), what fits nothing is dropped (unexpected), and another shape
is an error (mismatched). `tests/diagnostics/test_load_plan_real.py` asks the real loaders.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property

from msgspec import Struct

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.printable import printable
from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.diagnostics.adapter.targets import ALL_LINEAR, TargetMatcher, rank_of
from colintern.diagnostics.loading.adapter_names import (
    LOADERS,
    MAGNITUDE,
    PEFT,
    Loader,
    Parameter,
    read_name,
)
from colintern.diagnostics.loading.base_modules import BaseModules
from colintern.diagnostics.loading.settings import refused_settings

Shapes = Mapping[Parameter, tuple[int, ...] | None]


class Mismatch(Struct, frozen=True):
    """A tensor of another shape than the model's parameter."""

    name: str
    """In the file."""
    parameter: Parameter
    found: tuple[int, ...]
    expected: tuple[int, ...]


class LoaderPlan(Struct, frozen=True):
    """One loader's way with the file."""

    loader: Loader
    missing: tuple[Parameter, ...] = ()
    """Parameters that the adapted model has and the file does not: they stay as they were drawn."""
    unexpected: tuple[str, ...] = ()
    """Tensors, by their name in the file, that fit nothing: they are dropped."""
    mismatched: tuple["Mismatch", ...] = ()
    """Tensors of another shape: the loader raises an error."""
    lost: tuple[str, ...] = ()
    """Unexpected tensors whose values reach the model by no other name."""
    replaced: tuple[tuple[str, Parameter], ...] = ()
    """Tensors that take the place of the base's own, though `modules_to_save` does not name them:
    by their name in the file, and what they replace."""
    refusals: tuple[str, ...] = ()
    """Why loading ends with an error before a tensor is looked at."""

    @property
    def is_refused(self) -> bool:
        """Whether loading ends with an error.

        PEFT looks every parameter of `modules_to_save` up in the file and stops at a KeyError.
        """
        saved = self.loader == PEFT and any(not name.is_lora for name in self.missing)
        return bool(self.refusals or self.mismatched) or saved

    @property
    def is_whole(self) -> bool:
        """Whether every tensor reaches the model, and none of the model's is missing."""
        return not (self.refusals or self.missing or self.lost or self.mismatched)


def plan_adapter(
    config: AdapterConfig, entries: Iterable[TensorEntry], base: BaseModules
) -> tuple[LoaderPlan, ...] | None:
    """Plan both loaders; None where the configuration's patterns cannot be tried.

    Args:
        config: of the adapter.
        entries: the tensors of its file.
        base: the model that it is loaded on.
    """
    reach = _Reach(config, base)
    if config.is_variant or config.target_parameters or reach.matcher.problem is not None:
        return None
    tensors, refusals = tuple(entries), refused_settings(config) or reach.refusals
    if refusals:
        return tuple(LoaderPlan(loader, refusals=refusals) for loader in LOADERS)
    return tuple(_plan(loader, tensors, reach) for loader in LOADERS)


class _Reach(Struct, frozen=True, dict=True):
    """The parameters that the adapted model has beside the base's own."""

    config: AdapterConfig
    base: BaseModules

    @cached_property
    def matcher(self) -> TargetMatcher:
        return TargetMatcher(self.config)

    @cached_property
    def saved(self) -> frozenset[str]:
        """Modules of which the adapter has a copy: named by their own or an outer name's end."""
        ends = tuple(self.config.modules_to_save or ())
        return frozenset(
            name for name in self.base.shapes if any(outer.endswith(ends) for outer in _outer(name))
        )

    @cached_property
    def targeted(self) -> frozenset[str]:
        target = self.config.target_modules
        every = isinstance(target, str) and target.lower() == ALL_LINEAR
        return frozenset(
            name
            for name in self.base.shapes
            if self.base.can_be_adapted(name)
            and self._is_named(name)
            and not (every and self.base.is_embedding(name))
        )

    def _is_named(self, name: str) -> bool:
        return name not in self.saved and bool(self.matcher.matches(name))

    @cached_property
    def refusals(self) -> tuple[str, ...]:
        """Targets that make PEFT raise: none at all, or a module that LoRA has no layer for."""
        target = self.config.target_modules
        if isinstance(target, str) and target.lower() == ALL_LINEAR:
            return ()
        norm = next(
            (
                name
                for name in self.base.shapes
                if not self.base.can_be_adapted(name) and self._is_named(name)
            ),
            None,
        )
        if norm is not None:
            return (f"LoRA is targeted at {printable(norm, limit=100)}, which is no linear layer",)
        if self.base.is_whole and not self.targeted:
            return ("LoRA is targeted at no module of the base",)
        return ()

    @cached_property
    def expected(self) -> Shapes:
        """Shape of every parameter that the file should hold."""
        found: dict[Parameter, tuple[int, ...] | None] = {}
        for name in sorted(self.targeted):
            found |= self._lora(name)
        for name in sorted(self.saved):
            found[Parameter(name, "weight")] = self.base.shapes[name]
            if name in self.base.biased:
                found[Parameter(name, "bias")] = self.base.shapes[name][:1]
        return found

    def _lora(self, name: str) -> Shapes:
        out, into, *kernel = self.base.shapes[name]
        rank = rank_of(self.config, name) or self.config.r
        shapes: dict[str, tuple[int, ...] | None]
        if self.base.is_embedding(name):
            shapes = {"lora_embedding_A": (rank, out), "lora_embedding_B": (into, rank)}
        else:
            ones = (1,) * len(kernel)
            shapes = {
                "lora_A.weight": (rank, into, *kernel),
                "lora_B.weight": (out, rank, *ones),
            }
        if self.config.lora_bias:
            shapes["lora_B.bias"] = (out,)
        if self.config.use_dora:
            shapes[MAGNITUDE] = None
        return {Parameter(name, part): shape for part, shape in shapes.items()}

    def place(self, read: Parameter) -> Parameter | None:
        """Return the parameter of the adapted model that a name means; None for none."""
        module = self.base.find(read.module)
        if module is None:
            return None
        if read.is_lora:
            found = Parameter(module, read.name)
            return found if found in self.expected else None
        wrapper, _, parameter = read.name.rpartition(".")
        if wrapper != self._wrapper(module) and not (not wrapper and module in self.saved):
            return None
        own = (
            (parameter == "weight" and module in self.base.shapes)
            or (parameter == "bias" and module in self.base.biased)
            or f"{module}.{parameter}" in self.base.others
        )
        return Parameter(module, read.name) if own else None

    def _wrapper(self, module: str) -> str:
        """Return what stands between an adapted module's name and its own parameters."""
        if module in self.saved:
            return "original_module"
        return "base_layer" if module in self.targeted else ""

    def shape(self, place: Parameter) -> tuple[int, ...] | None:
        """Return the shape that a parameter has; None where it is not judged."""
        if place in self.expected:
            return self.expected[place]
        own = self.base.shapes.get(place.module)
        if own is None or f"{place.module}.{place.name}" in self.base.others:
            return None
        return own if place.name.endswith("weight") else own[:1]


def _plan(loader: Loader, entries: tuple[TensorEntry, ...], reach: _Reach) -> LoaderPlan:
    filled: set[Parameter] = set()
    unexpected: list[TensorEntry] = []
    mismatched: list[Mismatch] = []
    replaced: list[tuple[str, Parameter]] = []
    for entry in entries:
        read = read_name(loader, entry.name)
        place = reach.place(read) if read is not None else None
        if place is None:
            unexpected.append(entry)
            continue
        filled.add(place)
        if place not in reach.expected and not place.name.startswith("original_module"):
            replaced.append((entry.name, place))
        shape = reach.shape(place)
        if shape is not None and shape != entry.shape:
            mismatched.append(Mismatch(entry.name, place, entry.shape, shape))
    return LoaderPlan(
        loader,
        missing=tuple(name for name in reach.expected if name not in filled),
        unexpected=tuple(entry.name for entry in unexpected),
        mismatched=tuple(mismatched),
        replaced=tuple(replaced),
        lost=tuple(entry.name for entry in unexpected if not _is_copy(entry.name, filled)),
    )


def _is_copy(name: str, filled: set[Parameter]) -> bool:
    """Whether a module's own parameter is also there under the name that loads."""
    short = name.replace(".modules_to_save.", ".").replace(".original_module.", ".")
    read = read_name(PEFT, short)
    return short != name and read is not None and read in filled


def _outer(name: str) -> Iterable[str]:
    """Yield the module's name and those of the modules around it."""
    end = len(name)
    while end > 0:
        yield name[:end]
        end = name.rfind(".", 0, end)
