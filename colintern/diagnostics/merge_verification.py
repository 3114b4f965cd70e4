"""Whether a merged model is its base plus s·B·A, module by module, in memory of a few megabytes."""

import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts.adapter_config import AdapterConfig
from colintern.artifacts.safetensors_file import TensorEntry
from colintern.artifacts.tensor_store import TensorStore, fill
from colintern.artifacts.tensor_values import as_float32
from colintern.diagnostics.adapter_tensors import AdapterTensors, LoraModule
from colintern.diagnostics.module_name import Place, place_of
from colintern.diagnostics.target_matching import scaling_of

Cause = Literal["not applied", "applied twice", "wrong scale", "other base"]

_ROWS_VALUES: Final = 1 << 21
"""Values of a weight that are compared at once: 8 MB a copy."""

_RELATIVE_ROUNDING: Final[Mapping[str, float]] = {
    "BF16": 2**-8,
    "F16": 2**-11,
    "F32": 2**-20,
}
"""Size of the rounding of one merge in a type, relative to the weight: at most half a step for bf16
and f16 (failure-modes B15: |W| · 2⁻⁸); f32 leaves room for another order of summation."""

_FACTOR_TOLERANCE: Final = 0.05
"""A merge at 0.95 to 1.05 of its update passes: nobody scales by less on purpose."""

Values = NDArray[np.float32]


class MergedModule(Struct, frozen=True):
    """One module, compared."""

    name: str
    factor: float
    """How often the update is in the merged weight: least squares of (merged - base) on s·B·A."""
    factor_error: float
    """What rounding alone may move it by."""
    residual: float
    """Norm of (merged - base - factor · update) relative to the norm of the base's weight."""
    rounding: float
    """What rounding alone may leave of that."""

    @property
    def cause(self) -> Cause | None:
        """What went wrong, or None."""
        if not self.residual <= self.rounding:
            return "other base"
        if abs(self.factor - 1) <= _FACTOR_TOLERANCE + self.factor_error:
            return None
        if abs(self.factor) <= _FACTOR_TOLERANCE + self.factor_error:
            return "not applied"
        twice = abs(self.factor - 2) <= 2 * _FACTOR_TOLERANCE + self.factor_error
        return "applied twice" if twice else "wrong scale"


@dataclass(frozen=True)
class MergeVerification:
    """A merged model against base and adapter."""

    path: Path
    """The merged weights."""
    modules: tuple[MergedModule, ...]
    unverified: tuple[str, ...]
    """Modules with LoRA that base or merged model do not have in a comparable form."""

    @cached_property
    def wrong(self) -> tuple[MergedModule, ...]:
        """Modules that are not base + s·B·A."""
        return tuple(module for module in self.modules if module.cause is not None)

    @property
    def causes(self) -> dict[Cause, int]:
        """Number of wrong modules by cause, the most frequent first."""
        counts: dict[Cause, int] = {}
        for module in self.wrong:
            if module.cause is not None:
                counts[module.cause] = counts.get(module.cause, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))


def verify_merge(
    merged: TensorStore,
    base: TensorStore,
    adapter: TensorStore,
    *,
    config: AdapterConfig,
    tensors: AdapterTensors,
) -> MergeVerification:
    """Compare every adapted weight of `merged` with `base` plus the adapter's update.

    Raises:
        ArtifactError: weights can no longer be read.
    """
    merged_names, base_names = _weights(merged), _weights(base)
    modules: list[MergedModule] = []
    unverified: list[str] = []
    for module in tensors.pairs:
        places = merged_names.get(module.place), base_names.get(module.place)
        compared = _compare(module, places, adapter, config)
        if compared is None:
            unverified.append(module.name)
        else:
            modules.append(compared)
    return MergeVerification(merged.path, tuple(modules), tuple(unverified))


def _weights(store: TensorStore) -> dict[Place, TensorEntry]:
    return {
        place_of(name.removesuffix(".weight")): entry
        for name, entry in store.entries.items()
        if name.endswith(".weight") and len(entry.shape) == 2  # noqa: PLR2004 - a matrix
    }


def _compare(
    module: LoraModule,
    weights: tuple[TensorEntry | None, TensorEntry | None],
    adapter: TensorStore,
    config: AdapterConfig,
) -> MergedModule | None:
    after, before = weights
    if after is None or before is None or module.a is None or module.b is None:
        return None
    shape = (module.out_features, module.in_features)
    is_matrix = len(module.a.shape) == len(module.b.shape) == 2  # noqa: PLR2004 - as above
    scale = scaling_of(config, module.name, module.rank or 1)
    fits = is_matrix and after.shape == before.shape == shape and not module.is_embedding
    if not fits or scale is None or config.use_dora or config.fan_in_fan_out:
        return None
    if after.dtype not in _RELATIVE_ROUNDING or before.dtype not in _RELATIVE_ROUNDING:
        return None
    a = adapter.read_float32(module.a.name) * np.float32(scale)
    b = adapter.read_float32(module.b.name)
    sums = np.zeros(4)
    for rows, merged_rows, base_rows in _row_blocks(after, before):
        update = b[rows] @ a
        change = merged_rows - base_rows
        sums += [
            _dot(change, update),
            _dot(update, update),
            _dot(change, change),
            _dot(base_rows, base_rows),
        ]
    rounding = max(_RELATIVE_ROUNDING[after.dtype], _RELATIVE_ROUNDING[before.dtype] * 2**-12)
    return _fitted(module.name, sums, rounding, values=before.num_values)


def _fitted(name: str, sums: NDArray[np.float64], rounding: float, *, values: int) -> MergedModule:
    along, update, change, weight = (float(value) for value in sums)
    if update == 0:
        factor, error, rest = 1.0, math.inf, change
    else:
        factor = along / update
        # Rounding is independent of the update: of its size, one direction among all reaches it.
        error = 3 * rounding * math.sqrt(weight / max(values, 1) / update)
        rest = max(change - factor * along, 0.0)
    size = math.sqrt(weight) or 1.0
    return MergedModule(name, factor, error, math.sqrt(rest) / size, rounding)


def _row_blocks(after: TensorEntry, before: TensorEntry) -> Iterator[tuple[slice, Values, Values]]:
    rows, columns = after.shape
    step = max(_ROWS_VALUES // max(columns, 1), 1)
    with closing(after.file.open()) as merged, closing(before.file.open()) as base:
        for start in range(0, rows, step):
            block = slice(start, min(start + step, rows))
            yield block, _read(after, merged, block), _read(before, base, block)


def _read(entry: TensorEntry, stream: BinaryIO, block: slice) -> Values:
    row_bytes = entry.num_bytes // entry.shape[0]
    content = np.empty((block.stop - block.start) * row_bytes, np.uint8)
    fill(entry, stream, entry.start + block.start * row_bytes, content)
    values = as_float32(entry.dtype, content)
    if values is None:
        raise AssertionError("only float types are compared")
    return values.reshape(-1, entry.shape[1])


def _dot(left: Values, right: Values) -> float:
    return float(np.einsum("ij,ij->", left, right, dtype=np.float64))
