"""Values that training cannot have left in a matrix: none at all, constants, copies, extremes."""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Final

import numpy as np
from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.printable import listed
from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.weights.statistics import WeightStatistics

LARGEST_WEIGHT: Final = 1e3
"""Magnitude in a linear layer above which no model works: published ones stay below some 10 to 60
(sources M08: 1.9 in the largest of 22 public adapters, of a run at a rate of 0.01)."""
SMALLEST_WEIGHT: Final = 1e-6
"""Largest magnitude of a whole matrix below which it is none: bf16 rounds a sum with usual
activations to what it was without it."""

_HEAD_BYTES: Final = 4096
"""Read of each matrix to find constants and copies; most differ in the first few values."""
_MOST_COPIES: Final = 1_000
"""Matrices alike at the beginning that are compared to their end."""
_MATRIX: Final = 2


class ValueFault(Struct, frozen=True):
    """One thing that training cannot have left."""

    what: str
    names: tuple[str, ...]
    fix: str | None = None

    def __str__(self) -> str:
        return f"{len(self.names)} {self.what}: {listed(self.names, most=1)}"


class Matrices(Struct, frozen=True):
    """Some matrices of a file, with what one pass over their values has shown."""

    store: TensorStore
    statistics: WeightStatistics
    names: tuple[str, ...]

    def size(self, name: str) -> float | None:
        """Return the largest magnitude; None where it was not measured or is not finite."""
        measured = self.statistics.tensors.get(name)
        if measured is None or measured.num_non_finite or not measured.num_values:
            return None
        return measured.largest_magnitude

    def zero(self) -> tuple[str, ...]:
        """Matrices of zeros."""
        return tuple(name for name in self.names if self.size(name) == 0)

    def tiny(self) -> tuple[str, ...]:
        """Matrices of which not one value matters, zeros aside."""
        sizes = ((name, self.size(name)) for name in self.names)
        return tuple(name for name, size in sizes if size and size < SMALLEST_WEIGHT)

    def huge(self, largest: float = LARGEST_WEIGHT) -> tuple[str, ...]:
        """Matrices with values beyond `largest`."""
        return tuple(name for name in self.names if (self.size(name) or 0) > largest)

    def constant(self) -> tuple[str, ...]:
        """Matrices of one value, zeros aside."""
        return tuple(
            name for name, head in self._heads().items() if self.size(name) and _is_one_value(head)
        )

    def copies(self) -> tuple[tuple[str, str], ...]:
        """Pairs of matrices with the same values, zeros and constants aside."""
        groups: dict[tuple[object, ...], list[str]] = {}
        for name, head in self._heads(alike=True).items():
            entry = self.store.entries[name]
            if self.size(name) and not _is_one_value(head):
                groups.setdefault((entry.dtype, entry.shape, head), []).append(name)
        whole: dict[bytes, str] = {}
        found: list[tuple[str, str]] = []
        alike = [name for group in groups.values() if len(group) > 1 for name in group]
        for name in alike[:_MOST_COPIES]:
            digest = _digest(self.store.entries[name])
            if digest in whole:
                found.append((whole[digest], name))
            else:
                whole[digest] = name
        return tuple(found)

    def _heads(self, *, alike: bool = False) -> Mapping[str, bytes]:
        """Read the beginning of each matrix; with `alike` only of those that could be copies."""
        wanted = set(self.names)
        if alike:
            seen: dict[tuple[object, ...], list[str]] = {}
            for name in self.names:
                entry = self.store.entries[name]
                seen.setdefault((entry.dtype, entry.shape, self.size(name)), []).append(name)
            wanted = {name for group in seen.values() if len(group) > 1 for name in group}
        heads: dict[str, bytes] = {}
        for file in self.store.files:
            with closing(file.open()) as stream:
                for entry in file.entries.values():
                    if entry.name in wanted and entry.num_bytes:
                        stream.seek(entry.start)
                        heads[entry.name] = stream.read(min(entry.num_bytes, _HEAD_BYTES))
        return heads


def matrices_of(store: TensorStore, statistics: WeightStatistics, names: Iterable[str]) -> Matrices:
    """Take the matrices of `names` that a file has."""
    kept = (store.entries[name] for name in names if name in store.entries)
    return Matrices(
        store, statistics, tuple(entry.name for entry in kept if len(entry.shape) >= _MATRIX)
    )


def constant_rows(store: TensorStore, name: str) -> int:
    """Count the rows of a matrix that hold one value: each makes a number of every vector useless.

    Raises:
        ArtifactError: the matrix cannot be read.
    """
    entry = store.entries[name]
    if len(entry.shape) != _MATRIX or min(entry.shape) < _MATRIX:
        return 0
    if entry.num_values > limits.TENSOR_VALUES:
        return 0
    values = store.read_float32(name)
    return int(np.count_nonzero(values.max(axis=1) == values.min(axis=1)))


def _is_one_value(head: bytes) -> bool:
    """Whether the bytes repeat one value of 1, 2, 4 or 8 bytes."""
    return any(
        len(head) > width and len(head) % width == 0 and head == head[:width] * (len(head) // width)
        for width in (1, 2, 4, 8)
    )


def _digest(entry: TensorEntry) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{entry.dtype} {entry.shape}".encode())
    with closing(entry.file.open()) as stream:
        stream.seek(entry.start)
        left = entry.num_bytes
        while left and (piece := stream.read(min(left, limits.MEBIBYTE))):
            digest.update(piece)
            left -= len(piece)
    return digest.digest()
