"""Bytes of a tensor as numbers, without torch."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_NUMPY_NAMES: Final = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
}
_ML_DTYPES_NAMES: Final = {
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}


def as_float32(dtype: str, content: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Return the values as float32, flat; None for types that are no plain numbers (F4, C64).

    Values beyond float32's range become infinite.

    Args:
        dtype: as the safetensors header names it.
        content: the tensor's bytes, a whole number of values.
    """
    if dtype == "BF16":
        # A bfloat16 is the upper half of a float32.
        return (content.view("<u2").astype(np.uint32) << 16).view(np.float32)
    if dtype in _NUMPY_NAMES:
        numbers = content.view(_NUMPY_NAMES[dtype])
    elif dtype in _ML_DTYPES_NAMES:
        numbers = content.view(_ml_dtype(_ML_DTYPES_NAMES[dtype]))
    else:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.astype(np.float32, copy=False)


def _ml_dtype(name: str) -> Any:
    import ml_dtypes  # noqa: PLC0415 - 10 ms, and only float8 needs it

    return getattr(ml_dtypes, name)
