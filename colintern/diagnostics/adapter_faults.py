"""Contradictions of an adapter, each with the modules that it is in."""

from typing import Final

from colintern.artifacts.adapter_config import AdapterConfig
from colintern.artifacts.printable import listed
from colintern.diagnostics.adapter_coverage import AdapterCoverage
from colintern.diagnostics.adapter_tensors import AdapterTensors
from colintern.diagnostics.module_name import LANGUAGE_PREFIXES
from colintern.diagnostics.target_matching import rank_of, scaling_of

_SAME: Final = 1e-6
Fault = tuple[str, tuple[str, ...]]


def disagreements(coverage: AdapterCoverage) -> tuple[Fault, ...]:
    """List how tensors and configuration disagree, as (what, names), the gravest first."""
    found: tuple[Fault, ...] = (
        ("without their A or B", coverage.unpaired),
        (f"of another rank than {coverage.config.r}", coverage.wrong_ranks),
        ("of another shape than the base", coverage.wrong_shapes),
        ("targeted but without tensors", coverage.missing),
        ("with tensors but not targeted", coverage.undeclared),
        ("of modules_to_save without a tensor", coverage.unsaved),
    )
    return tuple(fault for fault in found if fault[1])


def faults_text(faults: tuple[Fault, ...]) -> str:
    """Say what is wrong with how many modules, and name the first of each."""
    return "; ".join(f"{len(names)} {what}: {listed(names, most=1)}" for what, names in faults)


def unscaled_modules(config: AdapterConfig, tensors: AdapterTensors) -> tuple[str, ...] | None:
    """Return modules whose update is scaled by other than one; None where it cannot be told."""
    found: list[str] = []
    for name in sorted(tensors.modules):
        rank = rank_of(config, name)
        scale = None if rank is None else scaling_of(config, name, rank)
        if scale is None:
            return None
        if abs(scale - 1) > _SAME:
            found.append(name)
    return tuple(found)


def unknown_layouts(tensors: AdapterTensors, *, judge_layers: bool) -> tuple[str, ...]:
    """Return names that cannot be loaded.

    Args:
        tensors: the adapter.
        judge_layers: whether the base is one whose names of the language model are known.
    """
    strangers = [*tensors.unprefixed, *tensors.nested]
    if judge_layers:
        strangers += [
            name
            for name, module in tensors.modules.items()
            if module.place.tower == "language"
            and not name.startswith("base_model.")
            and not name.startswith(tuple(f"{prefix}layers." for prefix in LANGUAGE_PREFIXES))
        ]
    return tuple(strangers)
