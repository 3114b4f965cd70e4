"""The header of a safetensors file, checked before anything relies on it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular
from colintern.artifacts.printable import printable

DTYPE_BITS: Final = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
}
"""Bits of one value of each type of the format (safetensors crate 0.8, `Dtype::bitsize`)."""

_LENGTH_BYTES: Final = 8
_MOST_DIMENSIONS: Final = 32
"""Far above any model; keeps the product of the dimensions cheap."""
_MOST_VALUES: Final = 1 << 63
_MOST_COMMAS: Final = 16 * limits.SAFETENSORS_TENSORS
"""A tensor's entry holds about eight commas: more is no header, and would fill the memory."""
_MOST_ARRAYS: Final = 3 * limits.SAFETENSORS_TENSORS
_FIELDS: Final = frozenset({"dtype", "shape", "data_offsets"})
_METADATA: Final = "__metadata__"
_FETCH_AGAIN: Final = "Fetch or save the file again: it cannot be loaded as it is."


class TensorEntry(Struct, frozen=True):
    """What a header says of one tensor."""

    name: str
    dtype: str
    """A key of `DTYPE_BITS`."""
    shape: tuple[int, ...]
    start: int
    """Position of the first byte in the file."""
    num_bytes: int
    file: "SafetensorsFile"

    @property
    def num_values(self) -> int:
        """The product of the dimensions."""
        return self.num_bytes * 8 // DTYPE_BITS[self.dtype]


class SafetensorsFile(Struct, frozen=True, eq=False):
    """One file of weights whose header was found sound."""

    path: Path
    enclosure: Enclosure | None
    entries: dict[str, TensorEntry]
    """By name, in the order of the data."""
    metadata: dict[str, str]
    """`__metadata__`, as `{"format": "pt"}`."""

    def open(self) -> BinaryIO:
        """Open the file for reading, unbuffered.

        Raises:
            ArtifactError: it can no longer be opened.
        """
        return open_regular(self.path, self.enclosure, limit=None)


class _Fault(Exception):  # noqa: N818 - turned into an ArtifactError, which has the path
    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found


def read_safetensors_file(path: Path, enclosure: Enclosure | None) -> SafetensorsFile:
    """Read and check the header of a safetensors file.

    Raises:
        ArtifactError: the file is truncated, contradicts itself, or is beyond the limits.
    """
    with open_regular(path, enclosure, limit=None) as stream:
        file_bytes = os.fstat(stream.fileno()).st_size
        try:
            header = _header_bytes(stream, file_bytes)
            data_start = _LENGTH_BYTES + len(header)
            tensors, metadata = _parsed(header)
            del header
            file = SafetensorsFile(path, enclosure, {}, metadata)
            file.entries.update(_placed(file, tensors, data_start, file_bytes))
        except _Fault as fault:
            raise ArtifactError(
                path, expected=fault.expected, found=fault.found, remedy=_FETCH_AGAIN
            ) from None
    return file


def _header_bytes(stream: BinaryIO, file_bytes: int) -> bytes:
    prefix = stream.read(_LENGTH_BYTES)
    if len(prefix) < _LENGTH_BYTES:
        raise _Fault("an 8-byte header length at the start", f"a file of {file_bytes:,} bytes")
    length = int.from_bytes(prefix, "little")
    if length > limits.SAFETENSORS_HEADER_BYTES:
        limit = limits.SAFETENSORS_HEADER_BYTES
        raise _Fault(f"a header of at most {limit:,} bytes", f"a header length of {length:,} bytes")
    if _LENGTH_BYTES + length > file_bytes:
        raise _Fault(
            f"a file of at least {_LENGTH_BYTES + length:,} bytes, which its header length says",
            f"{file_bytes:,} bytes: the file is truncated inside its header",
        )
    header = bytearray()
    while len(header) < length and (piece := stream.read(length - len(header))):
        header += piece
    if len(header) < length:
        raise _Fault(f"a header of {length:,} bytes", f"{len(header):,} bytes")
    return bytes(header)


def _parsed(header: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    if not header.startswith(b"{"):
        start = printable(header[:16].decode("latin-1")) if header else "an empty header"
        raise _Fault("a header that is a JSON object", start)
    if header.count(b",") > _MOST_COMMAS or header.count(b"[") > _MOST_ARRAYS:
        raise _too_many()
    try:
        document = json.loads(header.decode(), object_pairs_hook=_Counted())
    except UnicodeDecodeError as error:
        raise _Fault("a header of UTF-8 text", f"another byte at {error.start:,}") from None
    except RecursionError:
        raise _Fault("a header of flat JSON", "deeply nested JSON") from None
    except ValueError as error:
        raise _Fault("a header of valid JSON", printable(error, limit=120)) from None
    metadata = document.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise _Fault(f"`{_METADATA}` of strings", f"`{_METADATA}` with other values")
    return document, metadata


class _Counted:
    """Makes each JSON object; refuses repeated keys, which readers resolve differently."""

    def __init__(self) -> None:
        self.left = limits.SAFETENSORS_TENSORS + 2

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self.left -= 1
        if self.left < 0:
            raise _too_many()
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise _Fault("every name once in the header", f"{_shown(twice)} twice")
        return made


def _too_many() -> _Fault:
    return _Fault(f"at most {limits.SAFETENSORS_TENSORS:,} tensors in a file", "more")


def _placed(
    file: SafetensorsFile, tensors: dict[str, Any], data_start: int, file_bytes: int
) -> Iterator[tuple[str, TensorEntry]]:
    """Yield the entries in the order of the data, which must fill the file without a gap."""
    checked = [_checked(name, description) for name, description in tensors.items()]
    checked.sort(key=lambda item: (item[3], item[4]))
    position = 0
    for name, dtype, shape, start, stop in checked:
        if start != position:
            fault = (
                "overlaps the tensor before it" if start < position else "leaves a gap before it"
            )
            raise _Fault(
                f"tensor {_shown(name)} at offset {position:,}", f"offset {start:,}, which {fault}"
            )
        position = stop
        yield name, TensorEntry(name, dtype, shape, data_start + start, stop - start, file)
    if data_start + position != file_bytes:
        fault = "truncated" if data_start + position > file_bytes else "followed by other bytes"
        raise _Fault(
            f"a file of {data_start + position:,} bytes, where the last tensor ends",
            f"{file_bytes:,} bytes: the data are {fault}",
        )


def _checked(name: str, description: Any) -> tuple[str, str, tuple[int, ...], int, int]:
    if not isinstance(description, dict) or not description.keys() >= _FIELDS:
        raise _Fault(f"dtype, shape and data_offsets for tensor {_shown(name)}", "something else")
    dtype, shape, offsets = (description[key] for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        found = printable(dtype, limit=40) if isinstance(dtype, str) else "no string"
        raise _Fault(f"a dtype of the format for tensor {_shown(name)}", found)
    if not _is_counts(shape) or len(shape) > _MOST_DIMENSIONS:
        found = "other values" if isinstance(shape, list) else "no list"
        raise _Fault(f"a shape of up to {_MOST_DIMENSIONS} sizes for tensor {_shown(name)}", found)
    if not _is_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:  # noqa: PLR2004
        raise _Fault(f"data_offsets [start, end] for tensor {_shown(name)}", "other values")
    num_values = 1
    for size in shape:
        num_values *= size
    num_bytes, rest = divmod(num_values * DTYPE_BITS[dtype], 8)
    if rest or num_values >= _MOST_VALUES or offsets[1] - offsets[0] != num_bytes:
        shown = ", ".join(str(size) for size in shape)
        raise _Fault(
            f"{_figure(num_bytes)} bytes for tensor {_shown(name)}, {dtype} of shape [{shown}]",
            f"{offsets[1] - offsets[0]:,} bytes between its offsets",
        )
    return name, dtype, tuple(shape), offsets[0], offsets[1]


def _is_counts(value: Any) -> bool:
    """Whether `value` is a list of integers that a 64-bit reader can hold (a bool is none)."""
    return isinstance(value, list) and all(
        type(size) is int and 0 <= size < _MOST_VALUES for size in value
    )


def _figure(count: int) -> str:
    return f"{count:,}" if count < _MOST_VALUES else "more than 2^63"


def _shown(name: str) -> str:
    return f"`{printable(name, limit=100)}`"
