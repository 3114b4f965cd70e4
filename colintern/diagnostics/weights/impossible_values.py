"""What an adapter or a whole model holds that training cannot have left, part by part."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.adapter.targets import scaling_of
from colintern.diagnostics.adapter.tensors import LoraModule
from colintern.diagnostics.weights.statistics import WeightStatistics
from colintern.diagnostics.weights.tensor_names import is_dropped
from colintern.diagnostics.weights.tensor_values import (
    Matrices,
    ValueFault,
    constant_rows,
    matrices_of,
)
from colintern.families.module_name import place_of

LARGEST_LORA: Final = 100.0
"""Magnitude in A or B that no training leaves; 1.9 is the largest in 22 public adapters, of a run
that collapsed at a rate of 0.01 (sources M08)."""
LOST_UPDATE: Final = 1e-6
"""Largest possible value of s·B·A below which the update is lost: bf16 knows a weight of 0.02 to
6e-5, and Adam's first step at the smallest rate of a warm-up leaves some 1e-5."""

_INTEGERS: Final = frozenset({"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"})
_TOWERS: Final = frozenset({"language", "vision"})
_FIX_OF_COPIES: Final = (
    "find out what wrote one part over the other: take the weights from a checkpoint before it."
)
_FIX_OF_LOSS: Final = (
    "check the learning rate that was used, its unit and its schedule, and that no code scaled the "
    "weights before they were saved; train again."
)
_FIX_OF_TYPE: Final = "save the weights in bfloat16 or float32; integers hold none of them."


def adapter_values(
    coverage: AdapterCoverage, store: TensorStore, statistics: WeightStatistics
) -> tuple[ValueFault, ...]:
    """List what the matrices of an adapter cannot be; zeros in B and in the projection aside."""
    pairs = [module for module in coverage.tensors.pairs if not module.is_embedding]
    lora = _matrices(store, statistics, pairs, lambda m: (m.a, m.b))
    first = _matrices(store, statistics, pairs, lambda m: (m.a,))
    second = _matrices(store, statistics, pairs, lambda m: (m.b,))
    projection = [
        entry.name
        for name in coverage.tensors.full
        if coverage.is_projection(name)
        and (entry := coverage.tensors.full_matrix(name)) is not None
    ]
    head = matrices_of(store, statistics, projection)
    zero = first.zero() if coverage.config.b_starts_at_zero else ()
    return _kept(
        ValueFault("lora_A of zeros, which starts at random", zero, _FIX_OF_LOSS),
        ValueFault(f"with values above {LARGEST_LORA:g}", lora.huge(LARGEST_LORA), _FIX_OF_LOSS),
        ValueFault("parts whose update is lost in bf16", _lost(coverage, lora), _FIX_OF_LOSS),
        ValueFault("matrices of one value", lora.constant()),
        ValueFault("copies of another module's lora_B", _copied(second), _FIX_OF_COPIES),
        ValueFault("of integers", _whole_numbers(store, lora.names), _FIX_OF_TYPE),
        *_head_faults(head, zeros=False),
    )


def model_values(
    store: TensorStore,
    statistics: WeightStatistics,
    projections: frozenset[str],
    *,
    judge_norms: bool,
) -> tuple[ValueFault, ...]:
    """List what the linear layers and the projection of a whole model cannot be.

    Args:
        store: the weights.
        statistics: of their values.
        projections: names of the projection.
        judge_norms: whether a norm's weight multiplies as it is. Gemma's is added to one, so that
            zeros are where it starts.
    """
    heads = [name for name in store.entries if _is_projection(name, projections)]
    layers = [
        entry.name
        for entry in store.entries.values()
        if entry.name.endswith(".weight")
        and len(entry.shape) == 2  # noqa: PLR2004 - a matrix
        and place_of(entry.name).layer is not None
        and not is_dropped(entry.name)
    ]
    linear = matrices_of(store, statistics, layers)
    weights = (
        name
        for name, entry in store.entries.items()
        if name.endswith(".weight")
        and not is_dropped(name)
        and (judge_norms or len(entry.shape) > 1)
    )
    zero = (name for name in weights if name not in heads and statistics.tensors[name].is_zero)
    packed = _packed(store.entries)
    plain = [name for name in linear.names if name.rpartition(".")[0] not in packed]
    return _kept(
        *_head_faults(matrices_of(store, statistics, heads), zeros=True),
        ValueFault("weights of zeros", tuple(zero)),
        ValueFault("linear layers without a value above 1e-6", linear.tiny(), _FIX_OF_LOSS),
        ValueFault("linear layers with values above 1,000", linear.huge(), _FIX_OF_LOSS),
        ValueFault("linear layers of one value", linear.constant()),
        ValueFault("linear layers that are copies", _copied(linear), _FIX_OF_COPIES),
        ValueFault(
            "linear layers of integers without a scale",
            _whole_numbers(store, plain),
            _FIX_OF_TYPE,
        ),
    )


def _head_faults(head: Matrices, *, zeros: bool) -> Iterator[ValueFault]:
    if zeros:
        yield ValueFault("projection of zeros: all vectors are alike", head.zero())
    yield ValueFault("projection without a value above 1e-6", head.tiny(), _FIX_OF_LOSS)
    yield ValueFault("projection with values above 1,000", head.huge(), _FIX_OF_LOSS)
    judged = [name for name in head.names if head.size(name)]
    rows = {name: constant_rows(head.store, name) for name in judged}
    for name, count in rows.items():
        text = f"projection with {count} rows of one value, so that as many numbers say nothing"
        yield ValueFault(text, (name,) if count else ())


def _lost(coverage: AdapterCoverage, lora: Matrices) -> tuple[str, ...]:
    """Name the parts whose every module has an update too small to be kept; zeros aside."""
    bounds = {
        module.name: bound
        for module in coverage.tensors.pairs
        if (bound := _bound(coverage.config, module, lora)) is not None
    }
    small = {name for name, bound in bounds.items() if bound < LOST_UPDATE}
    if small and len(small) == len(bounds):
        return ("the whole adapter",)
    groups: dict[str, list[bool]] = {}
    for name in bounds:
        for part in _parts(name):
            groups.setdefault(part, []).append(name in small)
    return tuple(part for part, lost in groups.items() if len(lost) > 1 and all(lost))


def _bound(config: AdapterConfig, module: LoraModule, lora: Matrices) -> float | None:
    """Return the most that a value of s·B·A can be; None without it, or where B is zero."""
    if module.a is None or module.b is None or module.rank is None:
        return None
    scale = scaling_of(config, module.name, module.rank) if module.rank else None
    sizes = [lora.size(entry.name) for entry in (module.a, module.b)]
    if scale is None or not all(sizes):
        return None
    a, b = (size or 0.0 for size in sizes)
    return abs(scale) * module.rank * a * b


def _parts(name: str) -> Iterator[str]:
    place = place_of(name)
    if place.tower in _TOWERS and place.layer is not None:
        yield f"the {place.tower} tower"
        yield f"{place.tower} layer {place.layer}"
        yield f"{place.kind} of every {place.tower} layer"


def _matrices(
    store: TensorStore,
    statistics: WeightStatistics,
    modules: Iterable[LoraModule],
    parts: Callable[[LoraModule], tuple[TensorEntry | None, ...]],
) -> Matrices:
    found = (entry.name for module in modules for entry in parts(module) if entry is not None)
    return matrices_of(store, statistics, found)


def _copied(matrices: Matrices) -> tuple[str, ...]:
    return tuple(f"{other} = {one}" for one, other in matrices.copies())


def _whole_numbers(store: TensorStore, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if store.entries[name].dtype in _INTEGERS)


def _packed(entries: Mapping[str, TensorEntry]) -> frozenset[str]:
    """Modules whose weight is quantised: it stands beside its scale."""
    known = {"weight", "bias"}
    return frozenset(
        module
        for name in entries
        for module, _, part in (name.rpartition("."),)
        if part not in known
    ) | frozenset(name.partition(".weight.")[0] for name in entries if ".weight." in name)


def _is_projection(name: str, projections: frozenset[str]) -> bool:
    module, _, part = name.rpartition(".")
    return part == "weight" and module.removeprefix("model.") in projections


def _kept(*faults: ValueFault) -> tuple[ValueFault, ...]:
    return tuple(fault for fault in faults if fault.names)
