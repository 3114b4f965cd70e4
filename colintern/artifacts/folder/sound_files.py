"""Files that no rule happens to need, opened once to find those that are broken."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular, read_up_to
from colintern.artifacts.json.document import read_json_object
from colintern.artifacts.run.layout import KNOWN_NAMES
from colintern.artifacts.tensors.store import TensorStore, read_tensor_store

_INDEX_SUFFIX: Final = ".safetensors.index.json"
_JSON_BYTES: Final = 4 * limits.MEBIBYTE
"""Parsed of all these files together, some 30 ms: 200 checkpoints' configurations."""
_LOOK_BYTES: Final = 256
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_MOST_FAULTS: Final = 8
"""Enough to see what happened; reading on would only take time."""


def unsound_files(
    paths: Collection[Path], enclosure: Enclosure | None, known: Collection[Path]
) -> Iterator[ArtifactError]:
    """Yield the fault of each file that cannot be what its name says.

    Headers of all weights are read, shards through their index. JSON that training writes is parsed
    as far as `_JSON_BYTES` go; of the rest, and of longer files, only how they begin and end: an
    object, and no Git LFS pointer. Of others only that they are there and regular.

    Args:
        paths: all files of the subject.
        enclosure: where they must lie.
        known: files whose faults are known already.
    """
    done = set(known)
    faults, tensors_left, json_left = 0, limits.SAFETENSORS_TENSORS, _JSON_BYTES
    # An index comes before the shards that it accounts for.
    for path in sorted(paths, key=lambda path: (not path.name.endswith(_INDEX_SUFFIX), path)):
        if path in done or tensors_left < 0 or faults >= _MOST_FAULTS:
            continue
        try:
            if path.name.endswith((_INDEX_SUFFIX, ".safetensors")):
                store = read_tensor_store(path, enclosure)
                tensors_left -= len(store.entries)
                done.update(_files(store))
            elif path.name in KNOWN_NAMES and path.suffix == ".json":
                json_left -= _check_json(path, enclosure, json_left)
            elif path.name in KNOWN_NAMES:
                open_regular(path, enclosure, limit=None).close()
        except ArtifactError as error:
            faults += 1
            yield error.with_traceback(None)


def _check_json(path: Path, enclosure: Enclosure | None, budget: int) -> int:
    """Return how many bytes of a JSON object were parsed: all, or none of a file beyond `budget`.

    Raises:
        ArtifactError: it is no JSON object, as far as that was looked at.
    """
    with open_regular(path, enclosure, limit=None) as stream:
        size = stream.seek(0, os.SEEK_END)
        if size > budget:
            _check_ends(path, stream, size)
            return 0
    read_json_object(path, enclosure, limit=budget)
    return size


def _check_ends(path: Path, stream: BinaryIO, size: int) -> None:
    """Refuse what does not begin and end as an object: a file that was cut off, or another kind.

    Where all that was looked at is blank, nothing is told.
    """
    stream.seek(0)
    first = read_up_to(path, stream, _LOOK_BYTES).removeprefix(_BYTE_ORDER_MARK).lstrip()
    stream.seek(max(0, size - _LOOK_BYTES))
    last = read_up_to(path, stream, _LOOK_BYTES).rstrip()
    if (first and not first.startswith(b"{")) or (last and not last.endswith(b"}")):
        raise ArtifactError(
            path,
            expected="a JSON object from its first to its last byte",
            found="another beginning" if last.endswith(b"}") else "an end that was cut off",
            remedy="Restore the file that the library wrote.",
        )


def _files(store: TensorStore) -> Iterator[Path]:
    yield from (file.path for file in store.files)
