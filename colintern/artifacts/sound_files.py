"""Files that no rule happens to need, opened once to find those that are broken."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular
from colintern.artifacts.run_layout import KNOWN_NAMES
from colintern.artifacts.tensor_store import TensorStore, read_tensor_store

_INDEX_SUFFIX: Final = ".safetensors.index.json"
_MOST_FAULTS: Final = 8
"""Enough to see what happened; reading on would only take time."""


def unsound_files(
    paths: Collection[Path], enclosure: Enclosure | None, known: Collection[Path]
) -> Iterator[ArtifactError]:
    """Yield the fault of each file that cannot be what its name says.

    Headers of all weights are read, shards through their index; of other files only that they are
    there, regular, and no Git LFS pointer.

    Args:
        paths: all files of the subject.
        enclosure: where they must lie.
        known: files whose faults are known already.
    """
    done = set(known)
    faults, tensors_left = 0, limits.SAFETENSORS_TENSORS
    # An index comes before the shards that it accounts for.
    for path in sorted(paths, key=lambda path: (not path.name.endswith(_INDEX_SUFFIX), path)):
        if path in done or tensors_left < 0 or faults >= _MOST_FAULTS:
            continue
        try:
            if path.name.endswith((_INDEX_SUFFIX, ".safetensors")):
                store = read_tensor_store(path, enclosure)
                tensors_left -= len(store.entries)
                done.update(_files(store))
            elif path.name in KNOWN_NAMES:
                open_regular(path, enclosure, limit=None).close()
        except ArtifactError as error:
            faults += 1
            yield error.with_traceback(None)


def _files(store: TensorStore) -> Iterator[Path]:
    yield from (file.path for file in store.files)
