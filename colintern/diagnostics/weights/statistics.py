"""What one pass over the weights shows of each tensor: finite or not, zero or not, how large."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.artifacts.tensors.scan import scan
from colintern.artifacts.tensors.store import TensorStore
from colintern.artifacts.tensors.values import as_float32


class TensorStatistics(Struct, frozen=True):
    """One tensor."""

    name: str
    num_values: int
    num_non_finite: int
    """NaN and infinite values."""
    first_non_finite: int | None
    """Flat index of the first of them."""
    largest_magnitude: float | None
    """Of the finite values; None without any, and for types of which it is not told."""

    @property
    def is_zero(self) -> bool:
        """Whether there are values and every one is zero (of either sign)."""
        return self.largest_magnitude == 0 and not self.num_non_finite

    @property
    def is_measured(self) -> bool:
        """Whether it is known how large its values are, where it has any that are finite."""
        return self.largest_magnitude is not None or self.num_non_finite >= self.num_values


@dataclass(frozen=True)
class WeightStatistics:
    """All tensors of the judged weights."""

    path: Path
    tensors: Mapping[str, TensorStatistics]
    """By name, in the order of the data."""

    @cached_property
    def unmeasured(self) -> tuple[TensorStatistics, ...]:
        """The tensors whose size is not told: of a packed type, which has no NaN either."""
        return tuple(tensor for tensor in self.tensors.values() if not tensor.is_measured)

    @cached_property
    def non_finite(self) -> tuple[TensorStatistics, ...]:
        """The tensors that hold NaN or infinity."""
        return tuple(tensor for tensor in self.tensors.values() if tensor.num_non_finite)


class _Layout(NamedTuple):
    """How the bits of a floating-point type are ordered: by magnitude, below the sign."""

    signed: str
    unsigned: str
    largest_finite: int
    """Bits of the largest finite magnitude; above are infinity and NaN."""


_FLOATS: Final = {
    "BF16": _Layout("<i2", "<u2", 0x7F7F),
    "F16": _Layout("<i2", "<u2", 0x7BFF),
    "F32": _Layout("<i4", "<u4", 0x7F7F_FFFF),
    "F64": _Layout("<i8", "<u8", 0x7FEF_FFFF_FFFF_FFFF),
    "C64": _Layout("<i4", "<u4", 0x7F7F_FFFF),
    "F8_E4M3": _Layout("i1", "u1", 0x7E),
    "F8_E5M2": _Layout("i1", "u1", 0x7B),
}
_ONE_NAN: Final = {"F8_E8M0": 0xFF, "F8_E4M3FNUZ": 0x80, "F8_E5M2FNUZ": 0x80}
"""Types of one byte without infinity and with a single NaN, whose bits these are."""

WITHOUT_NAN: Final = frozenset({"F4", "F6_E2M3", "F6_E3M2"})
"""Packed types that have bits for neither NaN nor infinity (OCP Microscaling Formats 1.0, 5.3)."""

_INTEGERS: Final = {
    "BOOL": "u1",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
}


class _Piece(NamedTuple):
    magnitude: int
    """Bits of the largest finite magnitude, or an integer's magnitude; -1 for none."""
    num_non_finite: int
    first_non_finite: int
    """Flat index in the tensor; meaningless without non-finite values."""


def measure_weights(store: TensorStore) -> WeightStatistics:
    """Read all weights once and measure each tensor.

    Raises:
        ArtifactError: a file can no longer be read to its end.
    """
    measured = scan(store, _measured, _merged)
    tensors = {
        name: _statistics(entry, measured.get(name)) for name, entry in store.entries.items()
    }
    return WeightStatistics(store.path, tensors)


def _measured(entry: TensorEntry, start: int, piece: NDArray[np.uint8]) -> _Piece:
    layout = _FLOATS.get(entry.dtype)
    if layout is not None:
        return _measured_floats(layout, start, piece)
    nan = _ONE_NAN.get(entry.dtype)
    if nan is not None:
        return _measured_bytes(entry.dtype, nan, start, piece)
    integer = _INTEGERS.get(entry.dtype)
    if integer is None:
        return _Piece(-1, 0, 0)
    values = piece.view(integer)
    return _Piece(max(int(values.max()), -int(values.min())), 0, 0)


def _measured_floats(layout: _Layout, start: int, piece: NDArray[np.uint8]) -> _Piece:
    """Two integer maxima instead of isfinite and abs, which would write whole temporaries.

    Seen as signed integers the positive values are the largest and in order of magnitude; seen as
    unsigned integers the negative ones are.
    """
    signed, unsigned = piece.view(layout.signed), piece.view(layout.unsigned)
    sign_bit = 1 << (8 * signed.itemsize - 1)
    positive, negative = max(int(signed.max()), 0), int(unsigned.max())
    magnitude = max(positive, negative - sign_bit)
    if magnitude <= layout.largest_finite:
        return _Piece(magnitude, 0, 0)
    magnitudes = unsigned & unsigned.dtype.type(sign_bit - 1)
    non_finite = magnitudes > layout.largest_finite
    finite = magnitudes[~non_finite]
    first = start // signed.itemsize + int(non_finite.argmax())
    return _Piece(int(finite.max()) if finite.size else -1, int(non_finite.sum()), first)


def _measured_bytes(dtype: str, nan: int, start: int, piece: NDArray[np.uint8]) -> _Piece:
    """Measure a type of one byte with a single NaN; E8M0 has no sign, the others have one."""
    non_finite = piece == nan
    finite = piece[~non_finite] & (0xFF if dtype == "F8_E8M0" else 0x7F)
    return _Piece(
        int(finite.max()) if finite.size else -1,
        int(non_finite.sum()),
        start + int(non_finite.argmax()),
    )


def _merged(one: _Piece, other: _Piece) -> _Piece:
    earlier = min(
        (piece.first_non_finite for piece in (one, other) if piece.num_non_finite), default=0
    )
    return _Piece(
        max(one.magnitude, other.magnitude), one.num_non_finite + other.num_non_finite, earlier
    )


def _statistics(entry: TensorEntry, measured: _Piece | None) -> TensorStatistics:
    known = measured or _Piece(-1, 0, 0)
    return TensorStatistics(
        name=entry.name,
        num_values=entry.num_values,
        num_non_finite=known.num_non_finite,
        first_non_finite=known.first_non_finite if known.num_non_finite else None,
        largest_magnitude=None if known.magnitude < 0 else _number(entry.dtype, known.magnitude),
    )


def _number(dtype: str, magnitude: int) -> float:
    if dtype in _INTEGERS:
        return float(magnitude)
    layout = _FLOATS.get(dtype)
    bits = np.array([magnitude], layout.unsigned if layout else "u1")
    if dtype == "F64":
        return float(bits.view("<f8")[0])
    values = as_float32("F32" if dtype == "C64" else dtype, bits.view(np.uint8))
    return float("nan") if values is None else float(values[0])
