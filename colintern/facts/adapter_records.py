"""What LoRA was put on, by the manifest, the adapter's settings and its tensors."""

from collections.abc import Iterable
from typing import Any, Final

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.printable import listed
from colintern.artifacts.run.layout import ADAPTER_CONFIG, ADAPTER_WEIGHTS, RUN_MANIFEST
from colintern.artifacts.run.manifest import LoraRecord
from colintern.facts.fact import Fact, Witness, fact_of

_EXPANDED: Final = "all-linear"
"""PEFT saves the modules that it stands for."""


def adapter_facts(
    record: LoraRecord,
    adapter: AdapterConfig | None,
    modules: frozenset[str],
    num_parameters: int | None,
) -> Iterable[Fact[Any] | None]:
    """Compare what the run recorded of LoRA with what is saved.

    Args:
        record: `lora` of the run manifest.
        adapter: the saved settings.
        modules: names of the modules that have LoRA matrices here.
        num_parameters: elements of the trained tensors here.
    """
    if adapter is not None:
        yield _targets(record, adapter)
    if modules:
        yield _modules(record, modules)
    yield fact_of(
        "trained parameters",
        [
            _count(num_parameters, ADAPTER_WEIGHTS, "elements"),
            _count(record.trainable_parameters, RUN_MANIFEST, "lora.trainable_parameters"),
        ],
    )


def _count(value: int | None, source: str, key: str) -> Witness[int] | None:
    if value is None:
        return None
    return Witness(value=value, source=source, key=key, shown=f"{value:,}")


def _targets(record: LoraRecord, adapter: AdapterConfig) -> Fact[Any] | None:
    """Compare the targets as they were given: PEFT saves a list as a set, in any order."""
    asked, saved = record.target_modules, adapter.target_modules
    if asked is None or saved is None or asked == _EXPANDED:
        return None
    if isinstance(asked, str) is not isinstance(saved, str):
        return None
    return fact_of(
        "target_modules",
        [_names(saved, ADAPTER_CONFIG, ""), _names(asked, RUN_MANIFEST, "lora.target_modules")],
    )


def _names(given: Any, source: str, key: str) -> Witness[Any]:
    value = given if isinstance(given, str) else frozenset(given)
    shown = given if isinstance(given, str) else listed(sorted(given), most=3)
    return Witness(value=value, source=source, key=key, shown=shown)


def _modules(record: LoraRecord, modules: frozenset[str]) -> Fact[Any] | None:
    """Compare the adapted modules; named are those that only one side has."""
    if record.matched is None:
        return None
    matched = frozenset(record.matched)
    return fact_of(
        "adapted modules",
        [
            _some(modules, modules - matched, ADAPTER_WEIGHTS, ""),
            _some(matched, matched - modules, RUN_MANIFEST, "lora.matched"),
        ],
    )


def _some(names: frozenset[str], only: frozenset[str], source: str, key: str) -> Witness[Any]:
    shown = f"{len(names):,}" + (f" with {min(only)}" if only else "")
    return Witness(value=names, source=source, key=key, shown=shown)
