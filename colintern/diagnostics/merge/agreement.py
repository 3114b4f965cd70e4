"""Whether two tensors hold the same values, up to what saving in another type rounds away."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from colintern.artifacts.tensors.safetensors_file import DTYPE_BITS, TensorEntry
from colintern.artifacts.tensors.store import Bytes, fill
from colintern.artifacts.tensors.values import as_float32

Agreement = Literal["same", "zero", "not finite", "other values"]
"""What the copy holds; the last three are of the first place where the two differ."""

ROUNDED_TYPES: Final = ("BF16", "F16", "F32")
"""Types that a model is loaded, merged and saved in."""

_PIECE_VALUES: Final = 1 << 18
"""Values compared at once: with their copies they stay in the second-level cache."""

Values = NDArray[np.float32]


def compares(copy: TensorEntry, origin: TensorEntry) -> bool:
    """Whether the values of the two types can be told to be the same."""
    known = {copy.dtype, origin.dtype} <= set(ROUNDED_TYPES)
    return known or (copy.dtype == origin.dtype and DTYPE_BITS[copy.dtype] % 8 == 0)


def agreement(copy: TensorEntry, origin: TensorEntry) -> Agreement:
    """Compare the values that both have, in their order, up to the first that differ.

    Raises:
        ArtifactError: a file can no longer be read to its end.
    """
    for copied, original in _pieces(copy, origin):
        if copy.dtype == origin.dtype and np.array_equal(copied, original):
            continue
        one, other = as_float32(copy.dtype, copied), as_float32(origin.dtype, original)
        if one is None or other is None:
            return "other values"
        if not _is_rounding(one, other, copy.dtype):
            return _kind(one)
    return "same"


def rounded(values: Values, dtype: str) -> Values:
    """Return `values` as they are after being saved as `dtype`."""
    if dtype == "F32":
        return values
    with np.errstate(over="ignore"):
        return values.astype(_numpy_type(dtype)).astype(np.float32)


def _is_rounding(copied: Values, original: Values, dtype: str) -> bool:
    """Whether a model that was loaded in some type and saved as `dtype` gives these values."""
    return any(
        np.array_equal(copied, rounded(rounded(original, loaded), dtype), equal_nan=True)
        for loaded in (dtype, *ROUNDED_TYPES)
        if dtype in ROUNDED_TYPES
    )


def _kind(values: Values) -> Agreement:
    if not np.isfinite(values).all():
        return "not finite"
    return "other values" if values.any() else "zero"


def _pieces(copy: TensorEntry, origin: TensorEntry) -> Iterator[tuple[Bytes, Bytes]]:
    sizes = DTYPE_BITS[copy.dtype] // 8, DTYPE_BITS[origin.dtype] // 8
    count = min(copy.num_values, origin.num_values)
    buffers = tuple(np.empty(_PIECE_VALUES * size, np.uint8) for size in sizes)
    with closing(copy.file.open()) as one, closing(origin.file.open()) as other:
        for start in range(0, count, _PIECE_VALUES):
            values = min(_PIECE_VALUES, count - start)
            left, right = (
                buffer[: values * size] for buffer, size in zip(buffers, sizes, strict=True)
            )
            fill(copy, one, copy.start + start * sizes[0], left)
            fill(origin, other, origin.start + start * sizes[1], right)
            yield left, right


def _numpy_type(dtype: str) -> np.dtype[np.generic]:
    if dtype == "F16":
        return np.dtype(np.float16)
    import ml_dtypes  # noqa: PLC0415 - 10 ms, and only a change of type needs it

    return np.dtype(ml_dtypes.bfloat16)  # type: ignore[no-any-return]
