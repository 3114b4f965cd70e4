"""Evidence of the model: its sizes, its modules, and the retriever family that it is of."""

from typing import Final

from colintern.artifacts.json.document import read_json_object
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.base_model import BaseModel, BaseReference
from colintern.artifacts.model.model_config import ModelConfig, read_model_config
from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import (
    MODEL_CONFIG,
    PREPROCESSOR_CONFIG,
    PROCESSOR_CONFIG,
    TOKENIZER_CONFIG,
    RunLayout,
)
from colintern.artifacts.run.manifest import RunManifest
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.tensors import sort_adapter_tensors
from colintern.engine.evidence import sources
from colintern.engine.evidence.base import recorded_by
from colintern.engine.resolver import artifact, evidence
from colintern.engine.subjects import AuditOptions
from colintern.engine.verdict import NoEvidence
from colintern.families.catalogue import families, family_named, published_base
from colintern.families.family import Family
from colintern.families.outline.modules import ModuleOutline, outline_of
from colintern.families.traces import FamilyTraces, tell_family

_PROCESSOR_FILES: Final = (PROCESSOR_CONFIG, PREPROCESSOR_CONFIG, TOKENIZER_CONFIG)
_FIGURES: Final = "its projection, padding side and learning rates"
_MODULES: Final = "the names of its modules"


def restacked(*, needed_for: str) -> NoEvidence:
    """Return what is missing where an adapter has layers that its base does not have."""
    return NoEvidence(
        sources.BASE,
        what="the adapter's own layers",
        detail="`layer_replication` stacks the base's layers anew",
        needed_for=needed_for,
        hint="",
    )


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
    published = published_base(_base_id(base_reference, manifest) or "")
    if published is None:
        raise NoEvidence(sources.BASE, what=MODEL_CONFIG, needed_for=_MODULES)
    return published.config


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
    raise NoEvidence(
        sources.PROCESSOR, what="`processor_class`", needed_for="telling the retriever family"
    )


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
        names = ", ".join(known.name for known in families())
        raise NoEvidence(
            sources.FAMILY, detail=f"{options.family} is none of {names}", needed_for=_FIGURES
        )
    found = tell_family(family_traces)
    if found is None:
        raise NoEvidence(sources.FAMILY, needed_for=_FIGURES)
    return found


@evidence
def outline(model_config: ModelConfig, adapter: AdapterConfig | None) -> ModuleOutline:
    """Names and shapes of the base's linear modules, where the adapter leaves them in place."""
    if adapter is not None and adapter.layer_replication:
        raise restacked(needed_for=_MODULES)
    drawn = outline_of(model_config)
    if drawn is None:
        kind = printable(model_config.model_type or "no `model_type`", limit=60)
        raise NoEvidence(
            sources.MODEL_CONFIG,
            what="a known architecture",
            detail=f"found {kind}",
            needed_for=_MODULES,
        )
    return drawn


def _base_id(reference: BaseReference | None, manifest: RunManifest | None) -> str | None:
    if reference is not None and reference.recorded:
        return reference.recorded
    return recorded_by(manifest)[0]
