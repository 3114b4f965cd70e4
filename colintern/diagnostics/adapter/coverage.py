"""What LoRA was asked to reach, what it reached, and what a whole recipe would have reached."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.targets import (
    ALL_LINEAR,
    TargetMatcher,
    suffixes,
)
from colintern.diagnostics.adapter.tensors import (
    AdapterTensors,
    LoraModule,
    sort_adapter_tensors,
)
from colintern.families.catalogue import language_prefixes
from colintern.families.module_name import language_names, place_of
from colintern.families.outline.modules import ModuleOutline

_MOST_RENAMED: Final = 20_000
"""Modules that are also looked for under the names of other layouts."""

_LoraKey = tuple[int, str]
"""Layer and kind in the language model: the same in every layout."""


@dataclass(frozen=True)
class AdapterCoverage:
    """One adapter, its configuration against its tensors and the base's outline."""

    path: Path
    """The adapter's weights."""
    config: AdapterConfig
    tensors: AdapterTensors
    outline: ModuleOutline | None
    """The base's modules, where its configuration is known."""
    projection: str | None
    """Module name of the family's projection, where the family is known."""

    @property
    def entries(self) -> tuple[str, ...]:
        """The entries of `target_modules`."""
        return self.config.target_entries

    @cached_property
    def problem(self) -> str | None:
        """Why the patterns of the configuration cannot be tried, or None."""
        if self._matcher.problem is None and self._expression_reaches is None:
            return "a regular expression that takes too long on these names"
        return self._matcher.problem

    @property
    def is_silent(self) -> bool:
        """Whether nothing shows what was reached: no tensor of LoRA, no outline of the base.

        An entry of a list that is a glob reaches nothing in any model: beside a projection that was
        saved in full, it is why there is no LoRA. A file without any tensor was cut off instead.
        """
        has_glob = any(mark in entry for entry in self.entries for mark in "*?[")
        is_list = not isinstance(self.config.target_modules, str)
        reaches_nothing = is_list and has_glob and self.projection_saved
        return not (self.tensors.modules or reaches_nothing)

    @cached_property
    def unmatched(self) -> tuple[str, ...]:
        """Entries that match no module: neither among the tensors, nor one of the base's outline.

        An entry whose modules are saved in full, or were taken out on purpose, is not among them.
        """
        if isinstance(self.config.target_modules, str):
            return () if self._expression_reaches is not False else self.entries
        left = set(self.entries)
        for name in self.module_names:
            left.difference_update(suffixes(name))
        if any("." in entry for entry in left):
            for name in islice(self.module_names, _MOST_RENAMED):
                for other in language_names(name):
                    left.difference_update(suffixes(other))
        return tuple(entry for entry in self.entries if entry in left)

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Modules of the outline that the configuration matches and the file has no LoRA for."""
        if self.outline is None or self.problem is not None:
            return ()
        present = {_key(name) for name in self.tensors.modules}
        prefix = self._language_prefix
        renamed = (
            f"{prefix}layers.{module.place.layer}.{module.place.kind}" if prefix else module.name
            for module in self.outline.language
        )
        return tuple(
            name for name in renamed if self._matcher.matches(name) and _key(name) not in present
        )

    @cached_property
    def undeclared(self) -> tuple[str, ...]:
        """Modules with LoRA tensors that the configuration does not match: PEFT drops them."""
        if self.problem is not None or self.config.target_parameters or self._all_linear:
            return ()
        return tuple(
            name
            for name in sorted(self.tensors.modules)
            if not any(self._matcher.targets(other) is not False for other in language_names(name))
        )

    @cached_property
    def language_missing(self) -> tuple[_LoraKey, ...]:
        """Linear modules of the language model without LoRA, as (layer, kind)."""
        if self.outline is None:
            return ()
        full = (name for name in self.tensors.full if self.tensors.full_matrix(name) is not None)
        present = {_key(name) for name in (*self.tensors.modules, *full)}
        return tuple(
            (module.place.layer or 0, module.place.kind)
            for module in self.outline.language
            if _key(module.name) not in present
        )

    @property
    def language_expected(self) -> int:
        """Linear modules of the base's language model."""
        return 0 if self.outline is None else len(self.outline.language)

    @cached_property
    def missing_layers(self) -> tuple[int, ...]:
        """Layers of the language model without any LoRA."""
        if self.outline is None:
            return ()
        covered = {
            module.place.layer
            for module in self.tensors.modules.values()
            if module.place.tower == "language" and module.place.layer is not None
        }
        return tuple(layer for layer in range(self.outline.num_layers) if layer not in covered)

    @cached_property
    def missing_by_kind(self) -> Mapping[str, int]:
        """Number of layers without LoRA by kind of module, kinds that lack none left out."""
        counts: dict[str, int] = {}
        for _, kind in self.language_missing:
            counts[kind] = counts.get(kind, 0) + 1
        return counts

    @cached_property
    def is_deliberate(self) -> bool:
        """Whether the configuration itself left out what is missing: whole kinds or layers."""
        return bool(self.tensors.modules) and not self.missing and not self.unmatched

    @cached_property
    def vision_modules(self) -> tuple[str, ...]:
        """Modules of the vision tower that have LoRA."""
        return tuple(
            name
            for name, module in sorted(self.tensors.modules.items())
            if module.place.tower == "vision"
        )

    @cached_property
    def projection_module(self) -> LoraModule | None:
        """LoRA on the family's projection."""
        return next((m for m in self.tensors.modules.values() if self.is_projection(m.name)), None)

    @cached_property
    def projection_name(self) -> str | None:
        """Name under which the file holds the projection, with LoRA or in full."""
        names = (*self.tensors.modules, *self.tensors.full)
        return next((name for name in names if self.is_projection(name)), None)

    @property
    def projection_saved(self) -> bool:
        """Whether the file holds the projection's whole matrix."""
        return any(
            self.is_projection(name) and self.tensors.full_matrix(name) is not None
            for name in self.tensors.full
        )

    @cached_property
    def _matcher(self) -> TargetMatcher:
        return TargetMatcher(self.config)

    @property
    def _all_linear(self) -> bool:
        target = self.config.target_modules
        return isinstance(target, str) and target.lower() == ALL_LINEAR

    @cached_property
    def _language_prefix(self) -> str | None:
        """What stands before `layers.N.` in this file, when it is not the outline's own."""
        for name, module in self.tensors.modules.items():
            tail = f"layers.{module.place.layer}.{module.place.kind}"
            if module.place.tower == "language" and name.endswith(tail):
                prefix = name[: -len(tail)]
                return prefix if prefix in language_prefixes() else None
        return None

    @cached_property
    def _expression_reaches(self) -> bool | None:
        """Whether the one regular expression matches a module; None where it cannot be tried."""
        if self._all_linear or not isinstance(self.config.target_modules, str):
            return True
        untried = False
        for name in self.module_names:
            for other in language_names(name):
                matched = self._matcher.targets(other)
                if matched:
                    return True
                untried = untried or matched is None
        return None if untried else False

    @cached_property
    def module_names(self) -> tuple[str, ...]:
        """Modules that there are: those with tensors, and those of the base's outline."""
        outline = () if self.outline is None else tuple(m.name for m in self.outline.modules)
        projection = () if self.projection is None or self.outline is None else (self.projection,)
        return (*self.tensors.modules, *self.tensors.full, *outline, *projection)

    def is_projection(self, name: str) -> bool:
        """Whether the module called `name` is the family's projection."""
        return self.projection is not None and name.removeprefix("model.") == self.projection


def measure_coverage(
    config: AdapterConfig,
    store: TensorStore,
    outline: ModuleOutline | None,
    projection: str | None,
) -> AdapterCoverage:
    """Set the adapter's configuration, its tensors and the base's outline side by side."""
    tensors = sort_adapter_tensors(store.entries)
    return AdapterCoverage(store.path, config, tensors, outline, projection)


def _key(name: str) -> tuple[str, int | None, str]:
    return tuple(place_of(name))  # type: ignore[return-value]
