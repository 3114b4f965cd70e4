"""Evidence of the base that an adapter belongs to."""

from pathlib import Path

from colintern.artifacts.files import Enclosure
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.base_model import BaseModel, BaseReference, find_base
from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import MODEL_WEIGHTS, RUN_MANIFEST, RunLayout
from colintern.artifacts.run.manifest import RunManifest
from colintern.artifacts.tensors.store import TensorStore, read_tensor_store
from colintern.diagnostics.weights.base_identity import BaseIdentity
from colintern.diagnostics.weights.base_identity import base_identity as compare_base
from colintern.engine.resolver import artifact, evidence
from colintern.engine.subjects import AuditOptions
from colintern.engine.verdict import NoEvidence
from colintern.families.family import USUAL_PROJECTION, Family


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
        named, revision = recorded_by(manifest)
        if named is None and options.base is None:
            raise NoEvidence(layout.missing_adapter, needed_for="which base it belongs to")
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
    named, revision = recorded_by(manifest)
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
    name = family.projection if family is not None else USUAL_PROJECTION
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


def recorded_by(manifest: RunManifest | None) -> tuple[str | None, str | None]:
    """Return name and revision of the base that the manifest names."""
    if manifest is None or manifest.base is None:
        return None, None
    return manifest.base.id, manifest.base.revision


def _starts(layout: RunLayout, options: AuditOptions) -> tuple[Path, ...]:
    """Where a relative path may start: where the audit was called, or beside the run."""
    return (options.invocation_dir, layout.path, layout.weights_folder.path)
