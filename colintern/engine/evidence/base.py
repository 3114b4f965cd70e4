"""Evidence of the base that an adapter belongs to."""

from pathlib import Path
from typing import Final

from colintern.artifacts.files import Enclosure
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.base_model import BaseModel, BaseReference, find_base
from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import MODEL_WEIGHTS, RunLayout
from colintern.artifacts.run.manifest import RunManifest
from colintern.artifacts.tensors.store import TensorStore, read_tensor_store
from colintern.diagnostics.weights.base_identity import BaseIdentity
from colintern.diagnostics.weights.base_identity import base_identity as compare_base
from colintern.engine.evidence import sources
from colintern.engine.evidence.adapter import no_adapter
from colintern.engine.resolver import artifact, evidence
from colintern.engine.subjects import AuditOptions
from colintern.engine.verdict import NoEvidence
from colintern.families.family import USUAL_PROJECTION, Family

_SAME: Final = "comparing the base of the run with the one here"


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
            raise no_adapter(layout, needed_for="the name of its base")
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
        name = printable(base_reference.recorded or "", limit=120)
        raise NoEvidence(
            sources.BASE,
            detail=f"found only its name, {name}" if name else "",
            needed_for="comparing with it",
        )
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
    if found is not None:
        return found
    if record is None or not (record.projection_sha256 or record.layers_sha256):
        raise NoEvidence(sources.MANIFEST, what="hashes of the base", needed_for=_SAME)
    here = "the weights that the run hashed" if base_tensors is not None else ""
    raise NoEvidence(sources.BASE, what=here, needed_for=_SAME)


@artifact
def base_tensors(base: BaseModel) -> TensorStore:
    """Names, types and shapes of the base's weights."""
    if base.weights is None:
        raise NoEvidence(sources.BASE, what=MODEL_WEIGHTS, needed_for="comparing with its weights")
    return read_tensor_store(base.weights, base.enclosure)


def recorded_by(manifest: RunManifest | None) -> tuple[str | None, str | None]:
    """Return name and revision of the base that the manifest names."""
    if manifest is None or manifest.base is None:
        return None, None
    return manifest.base.id, manifest.base.revision


def _starts(layout: RunLayout, options: AuditOptions) -> tuple[Path, ...]:
    """Where a relative path may start: where the audit was called, or beside the run."""
    return (options.invocation_dir, layout.path, layout.weights_folder.path)
