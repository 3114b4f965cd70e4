"""Where the projection's matrix is kept, whether it moved, and how large its vectors should be."""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from colintern.artifacts.model.base_model import BaseReference
from colintern.artifacts.model.model_config import ModelConfig
from colintern.artifacts.printable import printable
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.run.manifest import RunManifest
from colintern.artifacts.tensors.safetensors_file import TensorEntry
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.weights.statistics import WeightStatistics
from colintern.families.family import Family

_UNRELATED: Final = 0.1
"""Cosine of a trained projection with its start; 0.997 after training at 2e-3, and 0.003 or less
between two draws of 128 x 1,024 values (sources M15)."""


_FIX_OF_ZEROS: Final = (
    "take the weights of the last checkpoint whose projection is not zero; if all are, it was "
    "never filled when the model was built or saved (a meta device, or a shard that was not "
    "gathered): save the whole matrix, and train again."
)


class Finding(NamedTuple):
    """Whether something was found, and in words what was."""

    found: bool
    text: str
    fix: str | None = None
    """What mends this very fault; None for the rule's own."""


def projection_home(
    coverage: AdapterCoverage,
    family: Family,
    reference: BaseReference,
    base: TensorStore | None,
    *,
    manifest: RunManifest | None,
) -> Finding | None:
    """Say where the projection's matrix is; None when the base could have it and is not here."""
    name = family.projection
    has_change = coverage.projection_module is not None
    adapter = "the adapter has only its change" if has_change else "neither has the adapter"
    if coverage.projection_saved:
        return Finding(found=True, text=f"{name} is saved in full")
    if base is not None:
        held = entry_of_projection(base, name) is not None
        text = f"the base holds {name}" if held else f"the base does not hold {name}; {adapter}"
        return Finding(found=held, text=text)
    # A hash is no matrix: it counts only while the base that has it may be elsewhere.
    if manifest is not None and manifest.base is not None and manifest.base.projection_sha256:
        return Finding(found=True, text=f"the manifest records the hash of the base's {name}")
    recorded = reference.recorded or ""
    shown = printable(recorded, limit=100)
    if family.is_raw_base(recorded):
        return Finding(found=False, text=f"{shown} has no {name}; {adapter}")
    if family.saved_bases.fullmatch(recorded.rpartition("/")[2]):
        return Finding(found=True, text=f"{shown} is a base that ships its {name}")
    return None


def projection_training(
    coverage: AdapterCoverage,
    statistics: WeightStatistics,
    adapter: TensorStore,
    base: TensorStore | None,
    *,
    began_at_base: bool = False,
) -> Finding | None:
    """Say whether the projection moved; None when its start is needed and is not here.

    Args:
        coverage: of the adapter.
        statistics: of its tensors.
        adapter: its tensors.
        base: the base's tensors.
        began_at_base: the run recorded that the base's matrix is where the projection began.
    """
    name = coverage.projection or ""
    module = coverage.projection_module
    if module is not None and module.b is not None:
        measured = statistics.tensors[module.b.name]
        if not measured.is_measured:
            return None
        zero = measured.is_zero
        state = "is zero" if zero else "moved away from zero"
        return Finding(found=not zero, text=f"lora_B of {name} {state}")
    saved = next(
        (entry for form in _forms(name) if (entry := coverage.tensors.full_matrix(form))), None
    )
    if saved is None:
        return Finding(found=False, text=f"{name} has neither LoRA nor a saved matrix")
    if statistics.tensors[saved.name].is_zero:
        text = f"{name} is saved as zeros: all vectors would be alike"
        return Finding(found=False, text=text, fix=_FIX_OF_ZEROS)
    start = None if base is None else entry_of_projection(base, name)
    if base is None or start is None:
        return None
    return _moved(name, (adapter, saved), (base, start), began_at_base=began_at_base)


def _moved(
    name: str,
    saved: tuple[TensorStore, TensorEntry],
    start: tuple[TensorStore, TensorEntry],
    *,
    began_at_base: bool,
) -> Finding:
    """Compare a projection that is saved in full with the base's."""
    if start[1].shape != saved[1].shape:
        return Finding(found=True, text=f"{name} is not the base's")
    now, before = (store.read_float32(entry.name) for store, entry in (saved, start))
    if np.array_equal(now, before):
        return Finding(found=False, text=f"{name} is equal to the base's")
    kept = _cosine(now, before)
    if began_at_base and abs(kept) < _UNRELATED:
        text = f"{name} has nothing of the base's that it began from (cosine {kept:.3f})"
        return Finding(found=False, text=f"{text}: it was drawn again")
    return Finding(found=True, text=f"{name} moved from the base's (cosine {kept:.3f})")


def vector_sizes(
    family: Family, config: ModelConfig | None, meta: ModelMeta | None
) -> dict[str, int]:
    """Return the sizes that a vector should have, by where that is said."""
    sizes = {family.name: family.dimension_in(config)}
    claimed = meta.embed_dim if meta is not None else None
    if isinstance(claimed, int | float) and claimed > 0:
        sizes["model_meta.json"] = int(claimed)
    return sizes


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the cosine of two matrices; 1 where it cannot be told."""
    with np.errstate(all="ignore"):
        norms = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
        product = float(np.einsum("ij,ij->", one, other, dtype=np.float64))
        cosine = product / norms if norms else 1.0
    return cosine if math.isfinite(cosine) else 1.0


def entry_of_projection(base: TensorStore, name: str) -> TensorEntry | None:
    """Find the matrix of the projection `name` in a base."""
    names = (f"{form}.weight" for form in _forms(name))
    return next((base.entries[form] for form in names if form in base.entries), None)


def _forms(name: str) -> tuple[str, str]:
    return name, f"model.{name}"
