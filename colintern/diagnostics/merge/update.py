"""How often an adapter's update is in a merged weight, and what is left beside it."""

import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import BinaryIO, Final, Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.artifacts.tensors.store import TensorStore, fill
from colintern.artifacts.tensors.values import as_float32
from colintern.diagnostics.adapter.targets import scaling_of
from colintern.diagnostics.adapter.tensors import LoraModule
from colintern.diagnostics.merge.agreement import ROUNDED_TYPES, rounded

Cause = Literal[
    "not applied", "applied twice", "wrong scale", "other base", "all zero", "not finite"
]

_ROWS_VALUES: Final = 1 << 21
"""Values of a weight that are compared at once: 8 MB a copy."""

_RELATIVE_ROUNDING: Final[Mapping[str, float]] = {
    "BF16": 2**-8,
    "F16": 2**-11,
    "F32": 2**-20,
}
"""Size of the rounding of one merge in a type, relative to the weight: at most half a step for bf16
and f16 (sources B15: |W| · 2⁻⁸); f32 leaves room for another order of summation."""

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
    """Norm of (merged - base - factor · update) relative to what was rounded: weight and update."""
    rounding: float
    """What rounding alone may leave of that."""
    is_zero: bool = False
    """Whether the merged weight is zero throughout, and the base's is not."""

    @property
    def cause(self) -> Cause | None:
        """What went wrong, or None."""
        if self.is_zero:
            return "all zero"
        if math.isnan(self.residual):
            return "not finite"
        if self.residual > self.rounding:
            return "other base"
        if abs(self.factor - 1) <= _FACTOR_TOLERANCE + self.factor_error:
            return None
        if abs(self.factor) <= _FACTOR_TOLERANCE + self.factor_error:
            return "not applied"
        twice = abs(self.factor - 2) <= 2 * _FACTOR_TOLERANCE + self.factor_error
        return "applied twice" if twice else "wrong scale"


def compare_update(
    module: LoraModule,
    weights: tuple[TensorEntry | None, TensorEntry | None],
    adapter: TensorStore,
    config: AdapterConfig,
) -> MergedModule | None:
    """Compare one merged weight with the base's and s·B·A; None where they do not compare.

    Args:
        module: its A and B.
        weights: merged and base.
        adapter: where A and B are read from.
        config: tells the scale.

    Raises:
        ArtifactError: weights can no longer be read.
    """
    after, before = weights
    if after is None or before is None or module.a is None or module.b is None:
        return None
    shape = (module.out_features, module.in_features)
    is_matrix = len(module.a.shape) == len(module.b.shape) == 2  # noqa: PLR2004 - as above
    scale = scaling_of(config, module.name, module.rank or 1)
    fits = is_matrix and after.shape == before.shape == shape and not module.is_embedding
    if not fits or scale is None or not config.merges_plainly:
        return None
    if after.dtype not in _RELATIVE_ROUNDING or before.dtype not in _RELATIVE_ROUNDING:
        return None
    a = adapter.read_float32(module.a.name) * np.float32(scale)
    b = adapter.read_float32(module.b.name)
    sums = np.zeros(4)
    types = set() if after.dtype == "BF16" else set(ROUNDED_TYPES)
    is_zero = True
    for rows, merged_rows, base_rows in _row_blocks(after, before):
        types = {kind for kind in types if np.array_equal(rounded(merged_rows, kind), merged_rows)}
        is_zero = is_zero and not merged_rows.any()
        update = b[rows] @ a
        change = merged_rows - base_rows
        sums += [
            _dot(change, update),
            _dot(update, update),
            _dot(change, change),
            _dot(base_rows, base_rows),
        ]
    # Values that all fit a coarser type were merged in it, whatever they were saved as since.
    rounding = max(_RELATIVE_ROUNDING[kind] for kind in (after.dtype, *types))
    fitted = _fitted(module.name, sums, rounding, values=before.num_values)
    return replace(fitted, is_zero=is_zero and bool(sums[3]))


def _fitted(name: str, sums: NDArray[np.float64], rounding: float, *, values: int) -> MergedModule:
    along, update, change, weight = (float(value) for value in sums)
    if update == 0:
        factor, error, rest = 1.0, math.inf, change
    else:
        factor = along / update
        # Rounding is independent of the update: of its size, one direction among all reaches it.
        error = 3 * rounding * math.sqrt(weight / max(values, 1) / update)
        rest = max(change - factor * along, 0.0)
    # What is rounded is the weight, and with it the update: once alone, once in the sum.
    size = math.sqrt(weight) + 2 * abs(factor) * math.sqrt(update) or 1.0
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
