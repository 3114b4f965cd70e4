"""All tensors of a model or adapter by name, whether in one safetensors file or in many shards."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import read_json_object
from colintern.artifacts.printable import listed, printable
from colintern.artifacts.tensors.safetensors_file import (
    SafetensorsFile,
    TensorEntry,
    read_safetensors_file,
)
from colintern.artifacts.tensors.values import as_float32

PIECE_BYTES: Final = 2 * limits.MEBIBYTE
"""Large, because threads wait for the interpreter's lock between pieces: with pieces of 512 KiB the
scan took 2.5 times the time of reading, with these 1.6 (`tests/benchmarks/bench_weight_scan.py`).
Small enough to stay in the last cache while a piece is reduced."""

Bytes = NDArray[np.uint8]


class TensorStore(Struct, frozen=True):
    """Weights on disk: headers are read and checked, values are read when asked for."""

    path: Path
    """The safetensors file, or the index of the shards."""
    entries: Mapping[str, TensorEntry]
    """By name, file after file in the order of the data."""
    files: tuple[SafetensorsFile, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(entry.num_bytes for entry in self.entries.values())

    def read_float32(self, name: str) -> NDArray[np.float32]:
        """Read one tensor whole.

        Raises:
            ArtifactError: over `limits.TENSOR_VALUES`, of no numeric dtype, or cut short.
        """
        with self.opened() as read:
            return read(name)

    @contextmanager
    def opened(self) -> Iterator[Callable[[str], NDArray[np.float32]]]:
        """Give a `read_float32` that keeps the files open: for reading many tensors."""
        with ExitStack() as stack:

            @cache
            def stream_of(file: SafetensorsFile) -> BinaryIO:
                return stack.enter_context(closing(file.open()))

            yield lambda name: self._read(name, stream_of)

    def _read(
        self, name: str, stream_of: Callable[[SafetensorsFile], BinaryIO]
    ) -> NDArray[np.float32]:
        entry = self.entries[name]
        if entry.num_values > limits.TENSOR_VALUES:
            raise ArtifactError(
                entry.file.path,
                expected=f"at most {limits.TENSOR_VALUES:,} values in `{printable(name)}`",
                found=f"{entry.num_values:,} values",
            )
        content: Bytes = np.empty(entry.num_bytes, np.uint8)
        fill(entry, stream_of(entry.file), entry.start, content)
        values = as_float32(entry.dtype, content)
        if values is None:
            raise ArtifactError(
                entry.file.path,
                expected=f"numbers that can be read in `{printable(name)}`",
                found=f"the dtype {entry.dtype}",
            )
        return values.reshape(entry.shape)

    def pieces(self, name: str) -> Iterator[Bytes]:
        """Yield the bytes of one tensor piece by piece, each in the same reused buffer.

        Raises:
            ArtifactError: the file can no longer be read to its end.
        """
        entry = self.entries[name]
        with closing(entry.file.open()) as stream:
            buffer = new_buffer()
            yield from read_pieces(entry, stream, (0, entry.num_bytes), buffer)


def new_buffer() -> Bytes:
    """Make a buffer for one piece."""
    return np.empty(PIECE_BYTES, np.uint8)


def read_pieces(
    entry: TensorEntry, stream: BinaryIO, span: tuple[int, int], buffer: Bytes
) -> Iterator[Bytes]:
    """Yield the bytes of a tensor from `span[0]` to `span[1]`, piece by piece in `buffer`."""
    for position in range(span[0], span[1], buffer.size):
        piece = buffer[: min(buffer.size, span[1] - position)]
        fill(entry, stream, entry.start + position, piece)
        yield piece


def fill(entry: TensorEntry, stream: BinaryIO, position: int, buffer: Bytes) -> None:
    """Fill `buffer` with the bytes of `entry` from `position` of its file on.

    Raises:
        ArtifactError: the file ends before, or cannot be read.
    """
    done = 0
    try:
        stream.seek(position)
        while done < buffer.size and (count := stream.readinto(buffer[done:].data)):  # type: ignore[attr-defined]
            done += count
    except OSError as error:
        found = error.strerror or "an error of the file system"
        raise ArtifactError(entry.file.path, expected="a readable file", found=found) from error
    if done < buffer.size:
        raise ArtifactError(
            entry.file.path,
            expected=f"tensor `{printable(entry.name)}` to byte {position + buffer.size:,}",
            found=f"the end of the file at {position + done:,}",
        )


def read_tensor_store(path: Path, enclosure: Enclosure | None) -> TensorStore:
    """Read the headers of a safetensors file, or of all shards that an index names.

    Raises:
        ArtifactError: a header is unsound; a shard is missing or lies outside; the index and the
            shards disagree.
    """
    if path.suffix != ".json":
        file = read_safetensors_file(path, enclosure)
        return TensorStore(path, file.entries, (file,))
    weight_map = _weight_map(path, enclosure)
    files: dict[str, SafetensorsFile] = {}
    entries: dict[str, TensorEntry] = {}
    for name in sorted(set(weight_map.values())):
        files[name] = _shard(path, name, enclosure)
        twice = entries.keys() & files[name].entries.keys()
        if twice:
            raise _disagreement(path, f"{_names(twice)} in one shard", f"a copy in {_text(name)}")
        entries.update(files[name].entries)
        if len(entries) > limits.SAFETENSORS_TENSORS:
            raise _disagreement(path, f"at most {limits.SAFETENSORS_TENSORS:,} tensors", "more")
    _check_agreement(path, weight_map, entries)
    return TensorStore(path, entries, tuple(files.values()))


def _weight_map(path: Path, enclosure: Enclosure | None) -> dict[str, str]:
    index = read_json_object(path, enclosure, limit=limits.INDEX_BYTES)
    weight_map: Any = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise _disagreement(path, "`weight_map`: tensor name to file name", "no such object")
    if not all(isinstance(name, str) for name in weight_map.values()):
        raise _disagreement(path, "file names in `weight_map`", "a value that is no string")
    num_files = len(set(weight_map.values()))
    if num_files > limits.SHARDS:
        raise _disagreement(path, f"at most {limits.SHARDS:,} shards", f"{num_files:,}")
    return weight_map


def _shard(index: Path, name: str, enclosure: Enclosure | None) -> SafetensorsFile:
    shard = index.parent / name
    if "/" in name or "\\" in name or name in {"", ".", ".."} or not name.isprintable():
        raise ArtifactError(
            index,
            expected="shards beside the index, by plain file name",
            found=f"`{_text(name)}`",
            remedy="Save the model again; an index must not lead out of its folder.",
            escapes=index.parent not in Path(os.path.normpath(shard)).parents,
        )
    if not os.path.lexists(shard):
        raise _disagreement(index, f"the shard {_text(name)} beside the index", "no such file")
    return read_safetensors_file(shard, enclosure)


def _check_agreement(
    path: Path, weight_map: dict[str, str], entries: Mapping[str, TensorEntry]
) -> None:
    absent = weight_map.keys() - entries.keys()
    if absent:
        raise _disagreement(path, f"{_names(absent)} in a shard", "it in none")
    moved = {name for name, file in weight_map.items() if entries[name].file.path.name != file}
    if moved:
        raise _disagreement(path, f"{_names(moved)} in the shard of the index", "it in another one")
    unnamed = entries.keys() - weight_map.keys()
    if unnamed:
        raise _disagreement(path, "every tensor of the shards", f"nothing of {_names(unnamed)}")


def _disagreement(path: Path, expected: str, found: str) -> ArtifactError:
    remedy = "Fetch or save index and shards again, together."
    return ArtifactError(path, expected=expected, found=found, remedy=remedy)


def _names(names: "set[str] | Any") -> str:
    return listed(set(names), most=2)


def _text(name: str) -> str:
    return printable(name, limit=100)
