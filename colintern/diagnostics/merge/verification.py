"""Whether a merged model is its base plus s·B·A, and otherwise its base, in a few megabytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from colintern.artifacts import limits
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.printable import listed
from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.tensors import AdapterTensors
from colintern.diagnostics.merge.copies import MergedCopies, compare_copies
from colintern.diagnostics.merge.update import MergedModule, compare_update
from colintern.diagnostics.weights.tensor_names import TensorNames, layers_text


@dataclass(frozen=True)
class MergeVerification:
    """A merged model against base and adapter."""

    path: Path
    """The merged weights."""
    modules: tuple[MergedModule, ...]
    """Modules with LoRA, compared."""
    copies: MergedCopies
    """All other tensors, compared; and what is missing."""
    not_fitted: tuple[str, ...]
    """Modules with LoRA that base or merged model do not have in a comparable form."""

    @cached_property
    def wrong(self) -> tuple[MergedModule, ...]:
        """Modules that are not base + s·B·A."""
        return tuple(module for module in self.modules if module.cause is not None)

    @property
    def compared(self) -> int:
        """Modules and tensors that were compared, or found to be missing."""
        missing = sum(copy.cause == "missing" for copy in self.copies.wrong)
        return len(self.modules) + self.copies.compared + missing

    @property
    def is_told(self) -> bool:
        """Whether the comparison tells anything: of LoRA itself, where there is some."""
        return bool(self.faults or self.modules or (self.compared and not self.not_fitted))

    @property
    def unverified(self) -> tuple[str, ...]:
        """Modules and tensors that could not be compared."""
        return (*self.not_fitted, *self.copies.unverified)

    @cached_property
    def faults(self) -> Mapping[str, tuple[str, ...]]:
        """Names of modules and tensors by what is wrong with them, the most frequent first."""
        found: dict[str, list[str]] = {}
        for module in self.wrong:
            found.setdefault(str(module.cause), []).append(module.name)
        for copy in self.copies.wrong:
            found.setdefault(copy.cause, []).append(copy.name)
        ordered = sorted(found.items(), key=lambda item: -len(item[1]))
        return {cause: tuple(names) for cause, names in ordered}


def verify_merge(
    merged: TensorStore,
    base: TensorStore,
    adapter: TensorStore,
    *,
    config: AdapterConfig,
    tensors: AdapterTensors,
) -> MergeVerification:
    """Compare every adapted weight with `base` plus the update, and every other with its origin.

    Both models are read once, block by block.

    Raises:
        ArtifactError: weights can no longer be read.
    """
    names = TensorNames(merged.entries.values()), TensorNames(base.entries.values())
    modules: list[MergedModule] = []
    absent: list[TensorEntry] = []
    not_fitted: list[str] = []
    num_bytes = limits.WEIGHT_SCAN_BYTES
    for module in tensors.pairs:
        name = f"{module.name}.weight"
        after, before = names[0].find(name), names[1].find(name)
        # The base may lack the projection, whose matrix the adapter then brings along.
        start = tensors.full_matrix(module.name) or before
        num_bytes -= after.num_bytes if after else 0
        fitted = compare_update(module, (after, start), adapter, config) if num_bytes >= 0 else None
        if fitted is not None:
            modules.append(fitted)
        elif before is not None and after is None:
            absent.append(before)
        else:
            not_fitted.append(module.name)
    copies = compare_copies(
        *names,
        tensors,
        absent=absent,
        # PEFT 0.20 does not save the biases that `lora_only` trains.
        with_bias=bool(config.lora_bias) or config.bias == "lora_only",
        num_bytes=max(num_bytes, 0),
    )
    return MergeVerification(merged.path, tuple(modules), copies, tuple(not_fitted))


def merge_text(merge: MergeVerification) -> str:
    """Say what is wrong in how many places, by layer; else what was compared and what was not."""
    wrong = "; ".join(_fault_text(cause, names) for cause, names in merge.faults.items())
    exact = f"{len(merge.modules)} modules and {merge.copies.compared} other tensors are exact"
    left = merge.unverified
    rest = f"; not compared: {len(left)} ({listed(left, most=2)})" if left else ""
    return f"{wrong or exact}{rest}"


def _fault_text(cause: str, names: tuple[str, ...]) -> str:
    layers = layers_text(names)
    where = f" in {layers}" if layers else ""
    return f"{cause}: {len(names)} weights{where} ({listed(names, most=2)})"
