"""The hash by which a result names the weights that it was made with.

It is the SHA-256 of the weights file itself, so `sha256sum adapter_model.safetensors` prints it;
of a sharded model it is that of all shards one after the other in the order of their names,
as `cat model-*.safetensors | sha256sum` prints it. The base under an adapter is not part of it.
"""

import hashlib
import re
from pathlib import Path
from typing import Final

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular
from colintern.artifacts.run import layout as run_layout

_SINGLE: Final = (
    run_layout.ADAPTER_WEIGHTS,
    run_layout.ADAPTER_PICKLE,
    run_layout.MODEL_WEIGHTS,
)
_SHARD: Final = re.compile(r"model-\d{1,6}-of-\d{1,6}\.safetensors")
_PIECE_BYTES: Final = limits.MEBIBYTE


def weights_files(folder: run_layout.Folder) -> tuple[Path, ...]:
    """Return the files that the hash is of: the adapter, else the model, else its shards."""
    for name in _SINGLE:
        if path := folder.get(name):
            return (path,)
    shards = sorted(name for name in folder.names if _SHARD.fullmatch(name))
    return tuple(folder.path / name for name in shards[: limits.SHARDS])


def weights_sha256(folder: run_layout.Folder, enclosure: Enclosure | None) -> str | None:
    """Hash the weights in `folder` piece by piece; None when it holds none.

    Raises:
        ArtifactError: a weights file cannot be read.
    """
    files = weights_files(folder)
    digest = hashlib.sha256()
    buffer = bytearray(_PIECE_BYTES)
    for path in files:
        with open_regular(path, enclosure, limit=None) as stream:
            try:
                while count := stream.readinto(buffer):  # type: ignore[attr-defined]
                    digest.update(memoryview(buffer)[:count])
            except OSError as error:
                raise ArtifactError(
                    path, expected="a readable file", found=error.strerror or "a read error"
                ) from error
    return digest.hexdigest() if files else None
