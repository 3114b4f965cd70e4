"""Whether the base that is here is the one that the run was trained on."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import ml_dtypes
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts.hub_cache import is_hub_id
from colintern.artifacts.model.base_model import BaseReference
from colintern.artifacts.printable import printable
from colintern.artifacts.run.manifest import BaseRecord
from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.artifacts.tensors.store import TensorStore, fill
from colintern.artifacts.tensors.values import as_float32
from colintern.diagnostics.weights.projection import entry_of_projection
from colintern.diagnostics.weights.tensor_names import key_of
from colintern.families.module_name import place_of

_SAMPLE_VALUES: Final = 64
"""Of each tensor: two models that share the first 64 values of every layer are one."""
_MOST_TENSORS: Final = 20_000

Values = NDArray[np.float32]


class BaseIdentity(Struct, frozen=True):
    """The base here beside the recorded one; None where one side does not tell."""

    projection_is_same: bool | None
    """By the hash of its matrix before the first step."""
    layers_are_same: bool | None
    """By the hash of a sample of every layer of the language model."""
    name_is_same: bool | None
    """By the Hub ids of the manifest and of the adapter's configuration."""
    names: str
    """Both names, for a person."""

    @property
    def weights_are_same(self) -> bool | None:
        """Whether everything of the weights that can be compared agrees."""
        known = [
            each for each in (self.projection_is_same, self.layers_are_same) if each is not None
        ]
        return all(known) if known else None

    def __str__(self) -> str:
        words = {
            "its projection": self.projection_is_same,
            "its layers": self.layers_are_same,
            f"its name ({self.names})": self.name_is_same,
        }
        other = [what for what, same in words.items() if same is False]
        same = [what for what, same in words.items() if same]
        return (
            f"other than in training: {', '.join(other)}" if other else f"same: {', '.join(same)}"
        )


def base_identity(
    record: BaseRecord, reference: BaseReference, base: TensorStore | None, projection: str
) -> BaseIdentity | None:
    """Compare what the manifest recorded with what is here; None when nothing can be compared."""
    recorded, named = record.id or "", reference.recorded or ""
    ids = is_hub_id(recorded) and is_hub_id(named) and not reference.by_option
    layers = layers_sha256(base) if base is not None and record.layers_sha256 else None
    found = BaseIdentity(
        projection_is_same=_same_projection(record.projection_sha256, base, projection),
        layers_are_same=None if layers is None else layers == record.layers_sha256,
        name_is_same=recorded.casefold() == named.casefold() if ids else None,
        names=f"{printable(recorded, limit=80)}, now {printable(named, limit=80)}",
    )
    known = (found.projection_is_same, found.layers_are_same, found.name_is_same)
    return found if any(each is not None for each in known) else None


def layers_sha256(base: TensorStore) -> str | None:
    """Hash the first values of every tensor in the layers of the language model.

    They are rounded to bfloat16 first, and named alike in all layouts: a base that was saved in
    another type or by another version is still the same. None where there are no such layers.
    """
    sampled = {
        key_of(name)[1]: entry
        for name, entry in list(base.entries.items())[:_MOST_TENSORS]
        if (place := place_of(name)).tower == "language" and place.layer is not None
    }
    digest = hashlib.sha256()
    for name, entry in sorted(sampled.items()):
        values = _first_values(entry)
        if values is None:
            return None
        digest.update(f"{name} {entry.shape} ".encode("utf-8", "replace"))
        digest.update(values.astype(ml_dtypes.bfloat16).tobytes())
    return digest.hexdigest() if sampled else None


def projection_hashes(matrix: Values) -> Iterator[str]:
    """Yield the hash of a projection as it is, and as it was loaded in a shorter type."""
    for kind in (np.float32, ml_dtypes.bfloat16, np.float16):
        with np.errstate(over="ignore"):
            rounded = matrix.astype(kind).astype(np.float32)
        yield hashlib.sha256(np.ascontiguousarray(rounded).tobytes()).hexdigest()


def _same_projection(sha256: str | None, base: TensorStore | None, name: str) -> bool | None:
    entry = entry_of_projection(base, name) if base is not None else None
    if sha256 is None or base is None or entry is None:
        return None
    return sha256 in projection_hashes(base.read_float32(entry.name))


def _first_values(entry: TensorEntry) -> Values | None:
    count = min(_SAMPLE_VALUES, entry.num_values)
    content = np.empty(count * entry.num_bytes // max(entry.num_values, 1), np.uint8)
    with closing(entry.file.open()) as stream:
        fill(entry, stream, entry.start, content)
    return as_float32(entry.dtype, content)
