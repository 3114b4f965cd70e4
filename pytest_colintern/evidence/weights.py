"""Evidence of the judged weights."""

from typing import Final

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.run_layout import (
    ADAPTER_CONFIG,
    ADAPTER_PICKLE,
    ADAPTER_WEIGHTS,
    MODEL_INDEX,
    MODEL_PICKLE,
    MODEL_WEIGHTS,
    RunLayout,
)
from colintern.artifacts.tensor_store import TensorStore, read_tensor_store
from colintern.diagnostics.weight_statistics import WeightStatistics, measure_weights
from pytest_colintern.evidence_registry import artifact
from pytest_colintern.verdict import NoEvidence

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
