"""Evidence of the adapter, its base, and what family they are of."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.adapter_config import AdapterConfig, read_adapter_config
from colintern.artifacts.base_model import BaseModel, BaseReference, find_base
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular
from colintern.artifacts.json_document import read_json_object
from colintern.artifacts.model_config import ModelConfig, read_model_config
from colintern.artifacts.printable import printable
from colintern.artifacts.run_layout import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    MODEL_CONFIG,
    MODEL_INDEX,
    MODEL_WEIGHTS,
    PREPROCESSOR_CONFIG,
    PROCESSOR_CONFIG,
    RUN_MANIFEST,
    TOKENIZER_CONFIG,
    RunLayout,
)
from colintern.artifacts.run_manifest import RunManifest
from colintern.artifacts.tensor_store import TensorStore, read_tensor_store
from colintern.diagnostics.adapter_coverage import AdapterCoverage, measure_coverage
from colintern.diagnostics.adapter_tensors import sort_adapter_tensors
from colintern.diagnostics.base_identity import BaseIdentity
from colintern.diagnostics.base_identity import base_identity as compare_base
from colintern.diagnostics.lora_update import LoraUpdates, measure_updates
from colintern.diagnostics.merge_verification import MergeVerification, verify_merge
from colintern.diagnostics.module_outline import BUILT_IN, ModuleOutline, outline_of
from colintern.diagnostics.untrained_parts import UntrainedParts, untrained_parts
from colintern.diagnostics.weight_statistics import WeightStatistics
from colintern.families import COLINTERN, FAMILIES, Family, family_named
from colintern.family_traces import FamilyTraces, tell_family
from pytest_colintern.evidence_registry import artifact, evidence
from pytest_colintern.subject import AuditOptions
from pytest_colintern.verdict import NoEvidence

_PROCESSOR_FILES: Final = (PROCESSOR_CONFIG, PREPROCESSOR_CONFIG, TOKENIZER_CONFIG)
_MOST_COMPARED: Final = 50
"""Checkpoints of a run whose adapters are compared, the newest ones."""
_MOST_TENSORS: Final = 50_000
"""Tensors of an adapter that is set against its configuration; a LoRA of a 72B model has 1,200."""
_PIECE_BYTES: Final = limits.MEBIBYTE
_RESTACKED: Final = "comparing with it (layer_replication stacks its layers anew)"


@artifact
def adapter(layout: RunLayout) -> AdapterConfig:
    """The configuration of the judged LoRA adapter."""
    path = layout.weights_folder.get(ADAPTER_CONFIG)
    if path is None:
        raise NoEvidence(ADAPTER_CONFIG, needed_for="what LoRA was asked for")
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
def base_reference(
    layout: RunLayout,
    options: AuditOptions,
    adapter: AdapterConfig | None,
    manifest: RunManifest | None,
) -> BaseReference:
    """What the adapter records of its base, and where that is on this machine."""
    if adapter is not None:
        named, revision = adapter.base_model_name_or_path, adapter.revision
    else:
        named, revision = _recorded_by(manifest)
        if named is None and options.base is None:
            raise NoEvidence(ADAPTER_CONFIG, needed_for="which base it belongs to")
    return find_base(named, revision, options.base, _starts(layout, options))


@evidence
def base(
    layout: RunLayout,
    options: AuditOptions,
    base_reference: BaseReference,
    manifest: RunManifest | None,
) -> BaseModel:
    """The base model on this machine: what the adapter names, else what the manifest names."""
    folder = base_reference.folder
    named, revision = _recorded_by(manifest)
    if folder is None and named is not None:
        folder = find_base(named, revision, None, _starts(layout, options)).folder
    if folder is None:
        name = printable(base_reference.recorded or "base model", limit=120)
        raise NoEvidence(f"{name} (--base DIR names it)", needed_for="comparing with the base")
    return BaseModel(folder, Enclosure.around(folder))


@evidence
def base_identity(
    base_reference: BaseReference,
    base_tensors: TensorStore | None,
    manifest: RunManifest | None,
    family: Family | None,
) -> BaseIdentity:
    """Whether the base here is the one that the run was trained on."""
    record = manifest.base if manifest is not None else None
    name = family.projection if family is not None else COLINTERN.projection
    found = compare_base(record, base_reference, base_tensors, name) if record else None
    if found is None:
        raise NoEvidence(
            f"`base` in {RUN_MANIFEST}, and that base", needed_for="whether it is the same base"
        )
    return found


@artifact
def base_tensors(base: BaseModel) -> TensorStore:
    """Names, types and shapes of the base's weights."""
    if base.weights is None:
        raise NoEvidence(f"{MODEL_WEIGHTS} of the base", needed_for="comparing with its weights")
    return read_tensor_store(base.weights, base.enclosure)


@artifact
def model_config(
    layout: RunLayout,
    base: BaseModel | None,
    base_reference: BaseReference | None,
    manifest: RunManifest | None,
) -> ModelConfig:
    """The sizes of the base model, or of a merged one."""
    own = layout.weights_folder.get(MODEL_CONFIG)
    if own is not None:
        return read_model_config(own, layout.enclosure)
    if base is not None and base.config is not None:
        return read_model_config(base.config, base.enclosure)
    built_in = BUILT_IN.get(_base_id(base_reference, manifest) or "")
    if built_in is None:
        raise NoEvidence(f"{MODEL_CONFIG} of the base (--base DIR)", needed_for="its modules")
    return built_in


@artifact
def processor_class(layout: RunLayout) -> str:
    """The class that loading the processor would build."""
    for name in _PROCESSOR_FILES:
        path = layout.beside_weights(name)
        if path is None:
            continue
        named = read_json_object(path, layout.enclosure).get("processor_class")
        if isinstance(named, str) and named:
            return named
    raise NoEvidence("`processor_class` in a processor's file", needed_for="the family")


@evidence
def family_traces(  # noqa: PLR0917 - the resolver calls it by name
    options: AuditOptions,
    manifest: RunManifest | None,
    processor_class: str | None,
    model_config: ModelConfig | None,
    base_reference: BaseReference | None,
    adapter: AdapterConfig | None,
    tensors: TensorStore | None,
) -> FamilyTraces:
    """What the files show of the retriever family."""
    sorted_tensors = sort_adapter_tensors(tensors.entries) if tensors is not None else None
    modules = {*sorted_tensors.modules, *sorted_tensors.full} if sorted_tensors else set()
    return FamilyTraces(
        option=options.family,
        manifest=manifest.family if manifest is not None else None,
        processor_class=processor_class,
        architectures=tuple(model_config.architectures or ()) if model_config else (),
        model_type=model_config.model_type if model_config else None,
        base_id=_base_id(base_reference, manifest),
        adapter=adapter,
        modules=frozenset(modules),
    )


@evidence
def family(options: AuditOptions, family_traces: FamilyTraces) -> Family:
    """The retriever family."""
    if options.family and family_named(options.family) is None:
        names = ", ".join(known.name for known in FAMILIES)
        raise NoEvidence(f"a family called {options.family} ({names})", needed_for="the family")
    found = tell_family(family_traces)
    if found is None:
        raise NoEvidence("the retriever family (--family NAME tells it)", needed_for="its figures")
    return found


@evidence
def outline(model_config: ModelConfig, adapter: AdapterConfig | None) -> ModuleOutline:
    """Names and shapes of the base's linear modules, where the adapter leaves them in place."""
    if adapter is not None and adapter.layer_replication:
        raise NoEvidence("a base of the adapter's own layers", needed_for=_RESTACKED)
    drawn = outline_of(model_config)
    if drawn is None:
        kind = printable(model_config.model_type or "of no type", limit=60)
        raise NoEvidence(f"a known architecture (this one is {kind})", needed_for="its modules")
    return drawn


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


@evidence
def merge(
    options: AuditOptions,
    coverage: AdapterCoverage,
    adapter_tensors: TensorStore,
    base_tensors: TensorStore,
) -> MergeVerification:
    """The merged model of `--merged` against base and adapter."""
    if options.merged is None:
        raise NoEvidence("--merged DIR", needed_for="verifying a merge")
    if coverage.config.layer_replication:
        raise NoEvidence("a base of the adapter's own layers", needed_for=_RESTACKED)
    folder = options.merged
    paths = (folder / name for name in (MODEL_WEIGHTS, MODEL_INDEX))
    path = next(filter(os.path.lexists, paths), None)
    if path is None:
        raise NoEvidence(f"{MODEL_WEIGHTS} in {printable(folder)}", needed_for="verifying a merge")
    return verify_merge(
        read_tensor_store(path, Enclosure.around(folder)),
        base_tensors,
        adapter_tensors,
        config=coverage.config,
        tensors=coverage.tensors,
    )


class RepeatedCheckpoints(Struct, frozen=True):
    """Consecutive checkpoints of a run, compared."""

    folder: Path
    num_compared: int
    """Checkpoints with an adapter."""
    identical: tuple[tuple[int, int], ...]
    """Steps of neighbours that hold the same bytes."""


@evidence
def repeated_checkpoints(layout: RunLayout) -> RepeatedCheckpoints:
    """Whether the adapter changed from one checkpoint to the next."""
    saved = [
        (checkpoint.step, path)
        for checkpoint in layout.checkpoints[-_MOST_COMPARED:]
        if (path := checkpoint.folder.get(ADAPTER_WEIGHTS)) is not None
    ]
    if len(saved) < 2:  # noqa: PLR2004 - a pair
        raise NoEvidence("two checkpoints with adapters", needed_for="how they changed")
    identical = tuple(
        (one[0], other[0])
        for one, other in pairwise(saved)
        if _same_bytes(one[1], other[1], layout.enclosure)
    )
    return RepeatedCheckpoints(layout.path, len(saved), identical)


def _starts(layout: RunLayout, options: AuditOptions) -> tuple[Path, ...]:
    """Where a relative path may start: where the audit was called, or beside the run."""
    return (options.invocation_dir, layout.path, layout.weights_folder.path)


def _recorded_by(manifest: RunManifest | None) -> tuple[str | None, str | None]:
    if manifest is None or manifest.base is None:
        return None, None
    return manifest.base.id, manifest.base.revision


def _base_id(reference: BaseReference | None, manifest: RunManifest | None) -> str | None:
    if reference is not None and reference.recorded:
        return reference.recorded
    return _recorded_by(manifest)[0]


def _same_bytes(one: Path, other: Path, enclosure: Enclosure) -> bool:
    """Compare two files; those that differ do so early, so this reads little."""
    try:
        with (
            open_regular(one, enclosure, limit=None) as left,
            open_regular(other, enclosure, limit=None) as right,
        ):
            while (piece := left.read(_PIECE_BYTES)) == right.read(_PIECE_BYTES):
                if not piece:
                    return True
    except ArtifactError:
        return False
    return False
