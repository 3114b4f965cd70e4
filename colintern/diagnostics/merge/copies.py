"""What a merge must not change: tensors that are the base's, or the adapter's own copies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.diagnostics.adapter.tensors import AdapterTensors
from colintern.diagnostics.merge.agreement import Agreement, agreement, compares
from colintern.diagnostics.weights.tensor_names import (
    Key,
    TensorNames,
    is_dropped,
    is_embedding,
    key_of,
)
from colintern.families.module_name import place_of

Held = Agreement | Literal["another shape"]
CopyCause = Literal[
    "missing",
    "all zero",
    "not finite",
    "of another shape",
    "the base's instead of the adapter's",
    "unlike the adapter's",
    "unlike the base's",
]

_CAUSES: Final[dict[Held, CopyCause]] = {
    "zero": "all zero",
    "not finite": "not finite",
    "another shape": "of another shape",
}


_Likeness = tuple[str, int | str]


class WrongCopy(Struct, frozen=True):
    """One tensor of the merged model that is not the copy that it should be."""

    name: str
    cause: CopyCause


@dataclass(slots=True)
class MergedCopies:
    """The tensors of a merged model that have no LoRA, compared."""

    compared: int = 0
    wrong: list[WrongCopy] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)
    """Tensors that one side has, or both in a form that does not compare."""


class _Expected(NamedTuple):
    """What the merged model should hold under a name."""

    name: str
    origins: tuple[TensorEntry, ...]
    """It should equal one of them: some adapters hold a copy more than once."""
    by_adapter: bool = True
    before: TensorEntry | None = None
    """The base's, where the adapter has a copy of its own."""


def compare_copies(
    merged: TensorNames,
    base: TensorNames,
    tensors: AdapterTensors,
    *,
    absent: Sequence[TensorEntry],
    with_bias: bool,
    num_bytes: int,
) -> MergedCopies:
    """Compare every tensor without LoRA with the adapter's copy of it, else with the base's.

    Reads both models once, in pieces.

    Args:
        merged: the merged model.
        base: the base.
        tensors: the adapter.
        absent: weights with LoRA that the base has and the merged model does not.
        with_bias: whether the biases beside LoRA are changed too.
        num_bytes: the most to read of the merged model; what is beyond stays unverified.

    Raises:
        ArtifactError: a file can no longer be read to its end.
    """
    copies = _own_copies(tensors)
    touched = frozenset(key_of(name) for name in (*tensors.modules, *_changed_otherwise(tensors)))
    strangers = _strangers(merged, base, copies, touched)
    found = MergedCopies(unverified=[entry.name for entry in strangers])
    renamed = frozenset(likeness for entry in strangers for likeness in _likenesses(entry))
    missing = (_Expected(entry.name, (entry,)) for entry in absent)
    others = _expectations(base, copies, touched, with_bias=with_bias)
    for expected in chain(missing, others):
        copy = merged.find(expected.name)
        if copy is None:
            if not is_dropped(expected.name):
                is_renamed = not renamed.isdisjoint(_likenesses(expected.origins[0]))
                _note_absent(found, expected.name, is_renamed=is_renamed)
        elif copy.num_bytes > num_bytes or not _comparable(copy, expected):
            found.unverified.append(expected.name)
        else:
            num_bytes -= copy.num_bytes
            found.compared += 1
            if cause := _cause(copy, expected):
                found.wrong.append(WrongCopy(expected.name, cause))
    return found


def _note_absent(found: MergedCopies, name: str, *, is_renamed: bool) -> None:
    if is_renamed:
        found.unverified.append(name)
    else:
        found.wrong.append(WrongCopy(name, "missing"))


def _comparable(copy: TensorEntry, expected: _Expected) -> bool:
    return all(compares(copy, origin) for origin in expected.origins)


def _strangers(
    merged: TensorNames, base: TensorNames, copies: dict[Key, _Expected], touched: frozenset[Key]
) -> list[TensorEntry]:
    """Tensors that only the merged model has."""
    return [
        entry
        for entry in merged
        if base.find(entry.name) is None
        and key_of(entry.name) not in copies
        and key_of(entry.name.rpartition(".")[0]) not in touched
        and not is_dropped(entry.name)
    ]


def _likenesses(entry: TensorEntry) -> set[_Likeness]:
    """What a tensor and the same one under a new name share, if it is not cut up otherwise."""
    tower = key_of(entry.name)[0]
    layered = place_of(entry.name).layer is not None
    return {(tower, entry.num_values)} | ({(tower, "layers")} if layered else set())


def _own_copies(tensors: AdapterTensors) -> dict[Key, _Expected]:
    """What an adapter saves in full, by key: `modules_to_save`, biases, resized embeddings."""
    copies: dict[Key, _Expected] = {}
    for module, entries in tensors.full.items():
        for entry in entries:
            kind = entry.name.rpartition(".")[2]
            if kind in _KINDS and (kind == "bias" or module not in tensors.modules):
                name = f"{module}.{kind}"
                known = copies.get(key_of(name), _Expected(name, ()))
                copies[key_of(name)] = _Expected(name, (*known.origins, entry))
    return copies


_KINDS: Final = frozenset({"weight", "bias"})


def _changed_otherwise(tensors: AdapterTensors) -> Iterator[str]:
    """Modules that an adapter changes by tensors of another kind: some rows of an embedding."""
    for module, entries in tensors.full.items():
        if any(entry.name.rpartition(".")[2] not in _KINDS for entry in entries):
            yield module.rpartition(".token_adapter.")[0] or module


def _expectations(
    base: TensorNames, copies: dict[Key, _Expected], touched: frozenset[Key], *, with_bias: bool
) -> Iterator[_Expected]:
    for expected in copies.values():
        yield expected._replace(before=base.find(expected.name))
    for entry in base:
        owner, _, kind = entry.name.rpartition(".")
        is_touched = key_of(owner) in touched and (with_bias or kind != "bias")
        if key_of(entry.name) not in copies and not is_touched:
            yield _Expected(entry.name, (entry,), by_adapter=False)


def _cause(copy: TensorEntry, expected: _Expected) -> CopyCause | None:
    results = [_held(copy, origin) for origin in expected.origins]
    if "same" in results:
        return None
    if results[0] in _CAUSES:
        return _CAUSES[results[0]]
    if not expected.by_adapter:
        return "unlike the base's"
    is_base = expected.before is not None and _held(copy, expected.before) == "same"
    return "the base's instead of the adapter's" if is_base else "unlike the adapter's"


def _held(copy: TensorEntry, origin: TensorEntry) -> Held:
    """More rows of an embedding are tokens that were added: the others are compared."""
    resized = is_embedding(copy.name) and copy.shape[1:] == origin.shape[1:]
    if copy.num_values != origin.num_values and not resized:
        return "another shape"
    return agreement(copy, origin)
