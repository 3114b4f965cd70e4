"""Contradictions of an adapter, each with the modules that it is in."""

from collections.abc import Collection, Iterator
from typing import Final

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.printable import listed
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.adapter.targets import rank_of, scaling_of
from colintern.diagnostics.adapter.tensors import AdapterTensors, LoraModule
from colintern.diagnostics.loading.adapter_names import LOADERS, read_name
from colintern.families.catalogue import language_prefixes
from colintern.families.module_name import place_of

_SCALE_BAND: Final = 0.1
"""Distance from a scale of one that is none: with rsLoRA alpha is the root of the rank, rounded to
a whole number (own choice: 6 / sqrt(32) is 1.06)."""

_CLASSIFIER_HEADS: Final = frozenset({"classifier", "score"})
"""PEFT adds both to `modules_to_save` of a classifier; a model has one (sources M08)."""

_LOST_BIASES: Final = "with a bias that"
_TRAINED_BIASES: Final = frozenset({"all", "lora_only"})

Fault = tuple[str, tuple[str, ...]]


def disagreements(coverage: AdapterCoverage, base_names: Collection[str] = ()) -> tuple[Fault, ...]:
    """List how tensors and configuration disagree, as (what, names), the gravest first.

    Args:
        coverage: of the adapter.
        base_names: of the base's tensors, where they are known: which modules have a bias.
    """
    found: tuple[Fault, ...] = (
        ("without their A or B", unpaired(coverage.tensors)),
        ("without DoRA's magnitude", without_magnitude(coverage)),
        ("with a magnitude, without use_dora", with_magnitude(coverage)),
        ("whose bias of B is not as lora_bias says", odd_biases(coverage)),
        (f"of another rank than {coverage.config.r}", wrong_ranks(coverage)),
        ("of another shape than the base", wrong_shapes(coverage)),
        ("targeted but without tensors", coverage.missing),
        ("with tensors but not targeted", coverage.undeclared),
        ("of modules_to_save without a tensor", unsaved(coverage)),
        (
            f"{_LOST_BIASES} bias={coverage.config.bias} trained, not saved",
            lost_biases(coverage, base_names),
        ),
    )
    return tuple(fault for fault in found if fault[1])


def unpaired(tensors: AdapterTensors) -> tuple[str, ...]:
    """Modules that have A without B, or B without A."""
    return tuple(name for name, module in sorted(tensors.modules.items()) if not module.is_pair)


def without_magnitude(coverage: AdapterCoverage) -> tuple[str, ...]:
    """Modules that lack the vector which DoRA learns beside A and B."""
    pairs = coverage.tensors.pairs if coverage.config.use_dora else ()
    return tuple(module.name for module in pairs if module.magnitude is None)


def with_magnitude(coverage: AdapterCoverage) -> tuple[str, ...]:
    """Modules with DoRA's vector in an adapter that is none: PEFT drops it."""
    pairs = () if coverage.config.use_dora else coverage.tensors.pairs
    return tuple(module.name for module in pairs if module.magnitude is not None)


def odd_biases(coverage: AdapterCoverage) -> tuple[str, ...]:
    """Modules whose B has a bias that PEFT drops, or lacks one that PEFT makes."""
    if coverage.config.is_variant:
        return ()
    wanted = bool(coverage.config.lora_bias)
    return tuple(
        module.name
        for module in coverage.tensors.pairs
        if not module.is_embedding and (module.b_bias is not None) is not wanted
    )


def wrong_ranks(coverage: AdapterCoverage) -> tuple[str, ...]:
    """Modules whose matrices have another rank than the configuration, or differ in rank."""
    if coverage.config.is_variant:
        return ()
    pairs = coverage.tensors.pairs
    return tuple(module.name for module in pairs if not _rank_agrees(coverage.config, module))


def _rank_agrees(config: AdapterConfig, module: LoraModule) -> bool:
    rank, b = rank_of(config, module.name), module.b
    columns = b.shape[1] if b is not None and len(b.shape) > 1 else None
    return module.rank == columns and (rank is None or rank == module.rank)


def wrong_shapes(coverage: AdapterCoverage) -> tuple[str, ...]:
    """Modules whose matrices do not fit the base's, where the outline knows them."""
    if coverage.outline is None or coverage.config.is_variant:
        return ()
    shapes = {
        place_of(module.name): (module.out_features, module.in_features)
        for module in coverage.outline.language
    }
    return tuple(
        module.name
        for module in coverage.tensors.pairs
        if not module.is_embedding
        and (shape := shapes.get(module.place)) is not None
        and shape != (module.out_features, module.in_features)
    )


def unsaved(coverage: AdapterCoverage) -> tuple[str, ...]:
    """Names of `modules_to_save` of which the file holds no tensor."""
    names = dict.fromkeys(coverage.config.modules_to_save or ())
    absent = [name for name in names if not _is_saved(name, coverage.tensors)]
    if set(names) >= _CLASSIFIER_HEADS and len(_CLASSIFIER_HEADS & set(absent)) == 1:
        absent = [name for name in absent if name not in _CLASSIFIER_HEADS]
    return tuple(absent)


def lost_biases(coverage: AdapterCoverage, base_names: Collection[str]) -> tuple[str, ...]:
    """Modules with LoRA whose bias in the base was trained along, of which the file has none.

    PEFT 0.20 trains it and looks for it under a name that it does not have when it saves.
    """
    if coverage.config.bias not in _TRAINED_BIASES:
        return ()
    biased = {place_of(name.removesuffix(".bias")) for name in base_names if name.endswith(".bias")}
    saved = {place_of(name.removesuffix(".base_layer")) for name in coverage.tensors.full}
    return tuple(
        module.name
        for module in coverage.tensors.pairs
        if module.place.layer is not None and module.place in biased - saved
    )


def _is_saved(name: str, tensors: AdapterTensors) -> bool:
    return any(
        module == name or module.endswith(f".{name}") or f".{name}." in f".{module}."
        for module in tensors.full
    )


def faults_text(faults: tuple[Fault, ...]) -> str:
    """Say what is wrong with how many modules, and name the first of each."""
    return "; ".join(f"{len(names)} {what}: {listed(names, most=1)}" for what, names in faults)


def fix_of(faults: tuple[Fault, ...]) -> str | None:
    """What mends lost biases, where nothing else is wrong; None for the rule's own."""
    if len(faults) != 1 or not faults[0][0].startswith(_LOST_BIASES):
        return None
    return 'train again with `bias="none"`, or with `bias="all"`, whose biases PEFT saves.'


def unscaled_modules(config: AdapterConfig, tensors: AdapterTensors) -> tuple[str, ...] | None:
    """Return modules whose update is scaled by other than one; None where it cannot be told."""
    found: list[str] = []
    for name in sorted(tensors.modules):
        rank = rank_of(config, name)
        scale = None if rank is None else scaling_of(config, name, rank)
        if scale is None:
            return None
        if abs(scale - 1) > _SCALE_BAND:
            found.append(name)
    return tuple(found)


def scale_text(config: AdapterConfig, unscaled: tuple[str, ...]) -> str:
    """Say what the update is scaled by, and on which modules that is not one."""
    kind = " with use_rslora" if config.use_rslora else ""
    off = f"; {len(unscaled)} modules off: {listed(unscaled, most=1)}" if unscaled else ""
    return f"alpha {config.lora_alpha:g}, rank {config.r}{kind}{off}"


def unknown_layouts(tensors: AdapterTensors, *, judge_layers: bool) -> tuple[str, ...]:
    """Return names that cannot be loaded.

    Args:
        tensors: the adapter.
        judge_layers: whether the base is one whose names of the language model are known.
    """
    strangers = [*tensors.unprefixed, *tensors.nested, *tensors.mangled, *_unread(tensors)]
    if judge_layers:
        known = tuple(f"{prefix}layers." for prefix in language_prefixes())
        strangers += [
            name
            for name, module in tensors.modules.items()
            if module.place.tower == "language"
            and not name.startswith("base_model.")
            and not name.startswith(known)
        ]
    return tuple(strangers)


def _unread(tensors: AdapterTensors) -> Iterator[str]:
    """Yield LoRA's tensors whose names no loader reads, as those of another adapter name."""
    known = {*tensors.unprefixed, *tensors.nested}
    for module in tensors.modules.values():
        for entry in module.entries:
            if entry.name not in known and not any(read_name(one, entry.name) for one in LOADERS):
                yield entry.name
