"""Evidence of the judged adapter: what it was asked for, what it reached and how far it moved."""

from typing import Final

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.model.adapter_config import AdapterConfig, read_adapter_config
from colintern.artifacts.printable import listed, printable
from colintern.artifacts.run.layout import (
    ADAPTER_CONFIG,
    ADAPTER_PICKLE,
    ADAPTER_WEIGHTS,
    MODEL_INDEX,
    MODEL_PICKLE,
    MODEL_WEIGHTS,
    RunLayout,
)
from colintern.artifacts.tensors.store import TensorStore, read_tensor_store
from colintern.diagnostics.adapter.coverage import AdapterCoverage, measure_coverage
from colintern.diagnostics.adapter.tensors import sort_adapter_tensors
from colintern.diagnostics.adapter.trained_parts import UntrainedParts, untrained_parts
from colintern.diagnostics.adapter.update import LoraUpdates, measure_updates
from colintern.diagnostics.weights.statistics import WeightStatistics, measure_weights
from colintern.engine.evidence import sources
from colintern.engine.missing import Source
from colintern.engine.resolver import artifact, evidence
from colintern.engine.verdict import NoEvidence
from colintern.families.family import Family
from colintern.families.outline.modules import ModuleOutline

_READABLE: Final = (ADAPTER_WEIGHTS, MODEL_WEIGHTS, MODEL_INDEX)
_TRAINED: Final = "the trained weights"
_PICKLED: Final = (ADAPTER_PICKLE, MODEL_PICKLE, f"{MODEL_PICKLE}.index.json")


@artifact
def tensors(layout: RunLayout) -> TensorStore:
    """Names, types and shapes of the judged weights; values are read through it."""
    for name in _READABLE:
        path = layout.weights_folder.get(name)
        if path is not None:
            return read_tensor_store(path, layout.enclosure)
    for name in _PICKLED:
        if layout.weights_folder.get(name) is not None:
            raise NoEvidence(
                sources.WEIGHTS,
                detail=f"found only {name}, a pickle, which an audit does not load",
                needed_for=_TRAINED,
                hint="Save them as safetensors: `save_pretrained` of a current version does.",
            )
    if layout.weights_folder.get(ADAPTER_CONFIG) is not None:
        raise ArtifactError(
            layout.weights_folder.path,
            expected=f"{ADAPTER_WEIGHTS} beside {ADAPTER_CONFIG}",
            found="no weights",
            remedy="Save the adapter again, or copy its weights too.",
        )
    raise NoEvidence(sources.WEIGHTS, needed_for=_TRAINED)


@artifact
def weight_statistics(tensors: TensorStore) -> WeightStatistics:
    """Finite or not, zero or not, and how large: of every tensor, in one pass."""
    if tensors.num_bytes > limits.WEIGHT_SCAN_BYTES:
        raise _too_large(sources.WEIGHTS, tensors, "reading all values")
    return measure_weights(tensors)


def _too_large(source: Source, tensors: TensorStore, needed_for: str) -> NoEvidence:
    return NoEvidence(
        source,
        what=f"at most {limits.WEIGHT_SCAN_BYTES / limits.GIBIBYTE:.0f} GiB",
        detail=f"found {tensors.num_bytes / limits.GIBIBYTE:,.0f} GiB",
        needed_for=needed_for,
    )


def no_adapter(layout: RunLayout, *, needed_for: str) -> NoEvidence:
    """Return what is missing where no adapter is: its configuration, unless it is further down."""
    below = layout.adapters_below
    return NoEvidence(
        sources.ADAPTER_CONFIG,
        detail=f"found one in {listed(below, most=2)}" if below else "",
        needed_for=needed_for,
        hint="Audit the folder that holds it." if below else None,
    )


_MOST_TENSORS: Final = 50_000
"""Tensors of an adapter that is set against its configuration; a LoRA of a 72B model has 1,200."""

_LORA: Final = "what LoRA trained"
_MOVED: Final = "the movement in training"


@artifact
def adapter_settings(layout: RunLayout) -> AdapterConfig:
    """The configuration of the judged adapter, of whatever kind it is."""
    path = layout.weights_folder.get(ADAPTER_CONFIG)
    if path is None:
        raise no_adapter(layout, needed_for="the LoRA settings")
    return read_adapter_config(path, layout.enclosure)


@artifact
def adapter(adapter_settings: AdapterConfig) -> AdapterConfig:
    """The configuration of the judged LoRA adapter."""
    if not adapter_settings.is_lora:
        raise NoEvidence(
            sources.ADAPTER_CONFIG,
            what="`peft_type` LORA",
            detail=f"found {printable(adapter_settings.peft_type, limit=40)}",
            needed_for=_LORA,
        )
    return adapter_settings


@evidence
def adapter_tensors(tensors: TensorStore) -> TensorStore:
    """The tensors of the judged adapter."""
    if tensors.path.name != ADAPTER_WEIGHTS:
        raise NoEvidence(sources.ADAPTER_WEIGHTS, needed_for=_LORA)
    return tensors


@evidence
def coverage(
    adapter: AdapterConfig,
    adapter_tensors: TensorStore,
    outline: ModuleOutline | None,
    family: Family | None,
) -> AdapterCoverage:
    """What LoRA was asked to reach and what it reached."""
    if len(adapter_tensors.entries) > _MOST_TENSORS:
        raise NoEvidence(
            sources.ADAPTER_WEIGHTS,
            what=f"at most {_MOST_TENSORS:,} tensors",
            detail=f"found {len(adapter_tensors.entries):,}",
            needed_for="comparing them with the settings",
        )
    projection = family.projection if family is not None else None
    return measure_coverage(adapter, adapter_tensors, outline, projection)


@evidence
def embedding_dimension(tensors: TensorStore, family: Family) -> int:
    """Output size of the projection, in an adapter or a merged model."""
    found = sort_adapter_tensors(tensors.entries)
    for name in (family.projection, f"model.{family.projection}"):
        matrix = found.full_matrix(name)
        if matrix is not None:
            return matrix.shape[0]
        module = found.modules.get(name)
        if module is not None and module.out_features is not None:
            return module.out_features
    raise NoEvidence(sources.WEIGHTS, what=family.projection, needed_for="the size of a vector")


@evidence
def updates(adapter_tensors: TensorStore, coverage: AdapterCoverage) -> LoraUpdates:
    """Size and spectrum of each module's update."""
    if adapter_tensors.num_bytes > limits.WEIGHT_SCAN_BYTES:
        raise _too_large(sources.ADAPTER_WEIGHTS, adapter_tensors, "measuring its updates")
    return measure_updates(adapter_tensors, coverage.tensors, coverage.config)


@evidence
def untrained(coverage: AdapterCoverage, weight_statistics: WeightStatistics) -> UntrainedParts:
    """Which parts of the adapter are still where they started."""
    if not coverage.tensors.pairs:
        raise NoEvidence(sources.ADAPTER_WEIGHTS, what="LoRA matrices A and B", needed_for=_MOVED)
    unmeasured = {tensor.name for tensor in weight_statistics.unmeasured}
    if any(
        module.b is not None and module.b.name in unmeasured for module in coverage.tensors.pairs
    ):
        raise NoEvidence(
            sources.ADAPTER_WEIGHTS, what="lora_B of a type that can be measured", needed_for=_MOVED
        )
    return untrained_parts(coverage.tensors, weight_statistics)
