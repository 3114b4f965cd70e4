"""Evidence of the judged adapter: what it was asked for, what it reached and how far it moved."""

from typing import Final

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.model.adapter_config import AdapterConfig, read_adapter_config
from colintern.artifacts.printable import printable
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
from colintern.engine.resolver import artifact, evidence
from colintern.engine.verdict import NoEvidence
from colintern.families.family import Family
from colintern.families.outline.modules import ModuleOutline

_READABLE: Final = (ADAPTER_WEIGHTS, MODEL_WEIGHTS, MODEL_INDEX)
_PICKLED: Final = (ADAPTER_PICKLE, MODEL_PICKLE, f"{MODEL_PICKLE}.index.json")


@artifact
def tensors(layout: RunLayout) -> TensorStore:
    """Names, types and shapes of the judged weights; values are read through it."""
    for name in _READABLE:
        path = layout.weights_folder.get(name)
        if path is not None:
            return read_tensor_store(path, layout.enclosure)
    needed_for = "what was trained"
    for name in _PICKLED:
        if layout.weights_folder.get(name) is not None:
            raise NoEvidence(
                f"{ADAPTER_WEIGHTS} or {MODEL_WEIGHTS} (there is only {name}, a pickle, which an "
                f"audit does not load; `save_pretrained` of a current version writes safetensors)",
                needed_for=needed_for,
            )
    if layout.weights_folder.get(ADAPTER_CONFIG) is not None:
        raise ArtifactError(
            layout.weights_folder.path,
            expected=f"{ADAPTER_WEIGHTS} beside {ADAPTER_CONFIG}",
            found="no weights",
            remedy="Save the adapter again, or copy its weights too.",
        )
    raise NoEvidence(f"{ADAPTER_WEIGHTS} or {MODEL_WEIGHTS}", needed_for=needed_for)


@artifact
def weight_statistics(tensors: TensorStore) -> WeightStatistics:
    """Finite or not, zero or not, and how large: of every tensor, in one pass."""
    if tensors.num_bytes > limits.WEIGHT_SCAN_BYTES:
        raise NoEvidence(
            f"a model of at most {limits.WEIGHT_SCAN_BYTES / limits.GIBIBYTE:.0f} GiB",
            needed_for="reading all its weights",
        )
    return measure_weights(tensors)


_MOST_TENSORS: Final = 50_000
"""Tensors of an adapter that is set against its configuration; a LoRA of a 72B model has 1,200."""


@artifact
def adapter(layout: RunLayout) -> AdapterConfig:
    """The configuration of the judged LoRA adapter."""
    path = layout.weights_folder.get(ADAPTER_CONFIG)
    if path is None:
        raise NoEvidence(layout.missing_adapter, needed_for="what LoRA was asked for")
    config = read_adapter_config(path, layout.enclosure)
    if not config.is_lora:
        raise NoEvidence(
            f"a LoRA adapter (this one is {printable(config.peft_type, limit=40)})",
            needed_for="judging what LoRA trained",
        )
    return config


@evidence
def adapter_tensors(layout: RunLayout, tensors: TensorStore) -> TensorStore:
    """The tensors of the judged adapter."""
    if tensors.path.name != ADAPTER_WEIGHTS:
        raise NoEvidence(ADAPTER_WEIGHTS, needed_for=f"what LoRA trained in {layout.path.name}")
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
            f"an adapter of at most {_MOST_TENSORS:,} tensors", needed_for="what LoRA reached"
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
    raise NoEvidence(f"{family.projection} in the weights", needed_for="the size of a vector")


@evidence
def updates(adapter_tensors: TensorStore, coverage: AdapterCoverage) -> LoraUpdates:
    """Size and spectrum of each module's update."""
    if adapter_tensors.num_bytes > limits.WEIGHT_SCAN_BYTES:
        raise NoEvidence("an adapter of a size that is read", needed_for="its updates")
    return measure_updates(adapter_tensors, coverage.tensors, coverage.config)


@evidence
def untrained(coverage: AdapterCoverage, weight_statistics: WeightStatistics) -> UntrainedParts:
    """Which parts of the adapter are still where they started."""
    if not coverage.tensors.pairs:
        raise NoEvidence("LoRA matrices A and B", needed_for="what moved in training")
    unmeasured = {tensor.name for tensor in weight_statistics.unmeasured}
    if any(
        module.b is not None and module.b.name in unmeasured for module in coverage.tensors.pairs
    ):
        raise NoEvidence("lora_B of a type that can be measured", needed_for="whether it moved")
    return untrained_parts(coverage.tensors, weight_statistics)
