"""Where the projection's matrix is kept, whether it moved, and how large its vectors should be."""

from typing import Final, NamedTuple

import numpy as np

from colintern.artifacts.base_model import BaseReference
from colintern.artifacts.model_config import ModelConfig
from colintern.artifacts.model_meta import ModelMeta
from colintern.artifacts.printable import printable
from colintern.artifacts.run_manifest import RunManifest
from colintern.artifacts.safetensors_file import TensorEntry
from colintern.artifacts.tensor_store import TensorStore
from colintern.diagnostics.adapter_coverage import AdapterCoverage
from colintern.diagnostics.weight_statistics import WeightStatistics
from colintern.families import Family

DEFAULT_DIMENSION: Final = 128
"""Of ColQwen3.5, whose class takes `config.dim` and else this (modeling_colqwen3_5.py)."""


class Finding(NamedTuple):
    """Whether something was found, and in words what was."""

    found: bool
    text: str


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
    if manifest is not None and manifest.base is not None and manifest.base.projection_sha256:
        return Finding(found=True, text=f"the manifest records the hash of the base's {name}")
    if base is not None:
        held = _in_base(base, name) is not None
        text = f"the base holds {name}" if held else f"the base does not hold {name}; {adapter}"
        return Finding(found=held, text=text)
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
) -> Finding | None:
    """Say whether the projection moved; None when its start is needed and is not here."""
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
    start = None if base is None else _in_base(base, name)
    if base is None or start is None:
        return None
    same = start.shape == saved.shape and np.array_equal(
        adapter.read_float32(saved.name), base.read_float32(start.name)
    )
    return Finding(found=not same, text=f"{name} is {'equal to' if same else 'not'} the base's")


def vector_sizes(
    family: Family, config: ModelConfig | None, meta: ModelMeta | None
) -> dict[str, int]:
    """Return the sizes that a vector should have, by where that is said."""
    own = config.dim if config is not None else None
    sizes = {family.name: family.dimension or own or DEFAULT_DIMENSION}
    claimed = meta.embed_dim if meta is not None else None
    if isinstance(claimed, int | float) and claimed > 0:
        sizes["model_meta.json"] = int(claimed)
    return sizes


def _in_base(base: TensorStore, name: str) -> TensorEntry | None:
    names = (f"{form}.weight" for form in _forms(name))
    return next((base.entries[form] for form in names if form in base.entries), None)


def _forms(name: str) -> tuple[str, str]:
    return name, f"model.{name}"
