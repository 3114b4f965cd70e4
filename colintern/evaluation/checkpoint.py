"""A checkpoint that is to be evaluated: where its parts are, and what tells it from others.

It is found and told apart as the audit does, so both speak of the same weights.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, read_bytes
from colintern.artifacts.hub_cache import is_hub_id
from colintern.artifacts.json.document import read_json_object
from colintern.artifacts.limits import TOKENIZER_JSON_BYTES
from colintern.artifacts.model.base_model import BaseReference
from colintern.artifacts.model.processor_config import ProcessorConfig, read_processor_config
from colintern.artifacts.printable import printable
from colintern.artifacts.results.evaluation_record import EvaluatedBase
from colintern.artifacts.run.layout import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    MODEL_CONFIG,
    MODEL_INDEX,
    MODEL_WEIGHTS,
    PREPROCESSOR_CONFIG,
    PROCESSOR_CONFIG,
    TOKENIZER,
    TOKENIZER_CONFIG,
    RunLayout,
)
from colintern.artifacts.run.manifest import RunManifest
from colintern.artifacts.tensors.store import TensorStore
from colintern.artifacts.tensors.weights_hash import weights_sha256
from colintern.diagnostics.processor.query_format import QueryFormat
from colintern.diagnostics.weights.base_identity import layers_sha256
from colintern.engine.providers import shipped_providers
from colintern.engine.resolver import Resolver
from colintern.engine.subjects import AuditOptions, Subject, SubjectError, find_subjects
from colintern.engine.verdict import NoEvidence
from colintern.families.family import Family

_DOWNLOADED: Final = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "README.md")
"""Files of a Hub repository that loading needs; never a pickle, never code."""

_OF_THE_WEIGHTS: Final = (ADAPTER_CONFIG, MODEL_CONFIG)
_PLACE_OF_BASE: Final = "base_model_name_or_path"
"""May change with the machine: what is in the base is hashed on its own."""
_OF_THE_PROCESSOR: Final = (PROCESSOR_CONFIG, PREPROCESSOR_CONFIG, TOKENIZER, TOKENIZER_CONFIG)


class CheckpointError(ValueError):
    """A checkpoint that cannot be evaluated; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is evaluated."""

    layout: RunLayout
    family: Family
    name: str
    """As the audit looks for its results: `RUN`, `RUN__checkpoint-N` or `ORG__NAME`."""
    base: str | None
    """Folder or Hub id of the base below an adapter; None for a whole model."""
    base_name: str | None
    """The base as the adapter records it."""
    evaluated_base: EvaluatedBase | None
    """The base that is really loaded below an adapter, which `--base` may have named."""
    processor: Path
    """The folder that the processor is loaded from."""
    manifest: RunManifest | None
    trained_format: QueryFormat | None
    """How queries were formatted in training, as far as the checkpoint tells."""
    weights_sha256: str
    settings_sha256: str
    """Of what else decides the scores: the base, and the files of model and processor."""

    @property
    def folder(self) -> Path:
        """The folder of the weights."""
        return self.layout.weights_folder.path

    @property
    def is_ours(self) -> bool:
        """Whether its classes are this project's, not colpali-engine's."""
        return self.family.is_ours

    @property
    def is_adapter(self) -> bool:
        """Whether the weights are an adapter's."""
        return ADAPTER_CONFIG in self.layout.weights_folder.names


def find_checkpoint(
    argument: str, *, base: str | None = None, family: str | None = None
) -> Checkpoint:
    """Find what `argument` names: a run, checkpoint, adapter, merged model, cached Hub id or demo.

    Args:
        argument: as `colintern audit` takes it.
        base: folder of the base, where the adapter's own name for it does not lead to it.
        family: name of the family, where it cannot be told.

    Raises:
        CheckpointError: it is not there, or is no model of a known family.
    """
    here = Path.cwd()
    try:
        (subject,) = _subjects(argument, here)
        option = Path(base).expanduser().absolute() if base else None
        if option is not None and not option.is_dir():
            raise CheckpointError(f"--base {printable(base or '')}: no such folder")
        options = AuditOptions(base=option, family=family, invocation_dir=here)
        resolver = Resolver(shipped_providers(), {"subject": subject, "options": options})
        return checkpoint_of(resolver)
    except SubjectError as error:
        raise CheckpointError(str(error).replace("--checkpoint ", "")) from error
    except (ArtifactError, NoEvidence) as error:
        raise CheckpointError(f"{printable(argument)}: {error}") from error


def _subjects(argument: str, here: Path) -> list[Subject]:
    """A Hub id that is not cached is downloaded, unless HF_HUB_OFFLINE forbids it."""
    try:
        return find_subjects([argument], here)
    except SubjectError:
        from huggingface_hub import constants  # noqa: PLC0415 - rarely needed

        if constants.HF_HUB_OFFLINE or not is_hub_id(argument):
            raise
        _download(argument)
        return find_subjects([argument], here)


def _download(hub_id: str) -> None:
    from huggingface_hub import errors, snapshot_download  # noqa: PLC0415 - rarely needed

    try:
        snapshot_download(hub_id, allow_patterns=_DOWNLOADED)
    except (OSError, errors.HfHubHTTPError) as error:
        raise CheckpointError(
            f"{hub_id}: no folder, not in the local cache, and not to be downloaded: {error}"
        ) from error


def classes_of(family: Family) -> tuple[Any, Any]:
    """Import the model class and the processor class of a family.

    Raises:
        CheckpointError: it has none, or the installed library does not.
    """
    model, processor = _paths_of(family)
    return _class(model, family), _class(processor, family)


def _paths_of(family: Family) -> tuple[str, str]:
    """Return the dotted paths of both classes."""
    if family.model_class is None or family.processor_class is None:
        raise CheckpointError(
            f"no class here runs {family.name}, so it can be audited and not evaluated"
        )
    return family.model_class, family.processor_class


def _class(path: str, family: Family) -> Any:
    module, _, attribute = path.rpartition(".")
    found = getattr(import_module(module), attribute, None)
    if found is None:
        raise CheckpointError(
            f"{family.name} is run by {attribute}, which the installed {module.partition('.')[0]} "
            "does not have; install the version that this project asks for"
        )
    return found


def checkpoint_of(resolver: Resolver) -> Checkpoint:
    """Put together what the audit's evidence says of a subject.

    Raises:
        CheckpointError: a part that loading needs is not there.
        NoEvidence, ArtifactError: the evidence cannot be had.
    """
    layout: RunLayout = resolver.get("layout")
    _refuse_without_weights(layout)
    is_adapter = ADAPTER_CONFIG in layout.weights_folder.names
    reference: BaseReference | None = resolver.get("base_reference") if is_adapter else None
    sha256 = weights_sha256(layout.weights_folder, layout.enclosure)
    family: Family = resolver.get("family")
    _paths_of(family)
    formats = _or_none(resolver, "query_formats")
    processor = _processor_folder(layout, reference)
    base = _or_none(resolver, "base_tensors") if is_adapter else None
    return Checkpoint(
        layout=layout,
        family=family,
        name=results_name(layout),
        base=_base_to_load(reference) if reference else None,
        base_name=reference.recorded if reference else None,
        evaluated_base=_evaluated_base(reference, base) if reference else None,
        processor=processor,
        manifest=_or_none(resolver, "manifest"),
        # Our processor is saved with its format; the engine's leaves it to its version.
        trained_format=formats.trained if formats and not family.is_ours else None,
        weights_sha256=sha256 or "",
        settings_sha256=settings_sha256(layout.weights_folder.path, processor, reference, base),
    )


def results_name(layout: RunLayout) -> str:
    """Return the name of the folder of results that the audit takes for this subject's."""
    path = layout.path
    if layout.is_checkpoint:
        return f"{path.parent.name}__{path.name}"
    if path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--"):
        return path.parent.parent.name.removeprefix("models--").replace("--", "__")
    return path.name


def _refuse_without_weights(layout: RunLayout) -> None:
    folder = layout.weights_folder
    if not folder.has_any((ADAPTER_WEIGHTS, MODEL_WEIGHTS, MODEL_INDEX)):
        raise CheckpointError(
            f"{printable(folder.path)}: expected {ADAPTER_WEIGHTS} or {MODEL_WEIGHTS}, found "
            "neither; a pickle of weights is not loaded: save them as safetensors"
        )


def _base_to_load(reference: BaseReference) -> str:
    if reference.folder is not None:
        return str(reference.folder)
    if reference.recorded is None or not reference.is_hub_id:
        raise CheckpointError(
            f"its base {printable(reference.recorded or '(not recorded)')} is not on this machine; "
            "--base DIR names it"
        )
    return reference.recorded


def _evaluated_base(reference: BaseReference, base: TensorStore | None) -> EvaluatedBase:
    is_other = reference.by_option or reference.recorded is None
    named = str(reference.folder) if is_other else reference.recorded
    return EvaluatedBase(id=named, by_option=reference.by_option, layers_sha256=_layers(base))


def _processor_folder(layout: RunLayout, reference: BaseReference | None) -> Path:
    for folder in (layout.weights_folder, layout.folder):
        if folder.has_any((PROCESSOR_CONFIG, PREPROCESSOR_CONFIG)):
            return folder.path
    base = reference.folder if reference else None
    names = (PROCESSOR_CONFIG, PREPROCESSOR_CONFIG)
    if base is not None and any((base / name).is_file() for name in names):
        return base
    raise CheckpointError(
        f"{printable(layout.path)}: expected {PROCESSOR_CONFIG}, found none here or in the base; "
        "save the processor beside the weights: processor.save_pretrained(FOLDER)"
    )


def _or_none(resolver: Resolver, name: str) -> Any:
    try:
        return resolver.get(name)
    except (NoEvidence, ArtifactError):
        return None


def processor_in(checkpoint: Checkpoint) -> ProcessorConfig:
    """Read the processor's files where the checkpoint's processor is loaded from.

    Raises:
        ArtifactError: a file is malformed.
    """
    folder = checkpoint.processor
    paths = [folder / name for name in (PROCESSOR_CONFIG, PREPROCESSOR_CONFIG)]
    is_own = folder.is_relative_to(checkpoint.layout.path)
    enclosure = checkpoint.layout.enclosure if is_own else Enclosure.around(folder)
    whole, image = (path if path.exists() else None for path in paths)
    return read_processor_config(whole, image, enclosure)


def settings_sha256(
    weights: Path, processor: Path, reference: BaseReference | None, base: TensorStore | None
) -> str:
    """Hash the files that say how the weights are used, and the base that an adapter is added to.

    Args:
        weights: folder of the weights.
        processor: folder that the processor is loaded from.
        reference: the base below an adapter.
        base: its tensors, where they are on this machine.
    """
    digest = hashlib.sha256()
    for folder, names in ((weights, _OF_THE_WEIGHTS), (processor, _OF_THE_PROCESSOR)):
        for name in names:
            digest.update(f"{name} {_content(folder / name)}\n".encode())
    if reference is not None:
        digest.update(f"base {_layers(base) or reference.recorded}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def _content(path: Path) -> str:
    """Hash a file; what cannot be read is told when the model is loaded."""
    enclosure = Enclosure.around(path.parent)
    try:
        if path.name == ADAPTER_CONFIG:
            content = _adapter_settings(path, enclosure)
        else:
            content = read_bytes(path, enclosure, limit=TOKENIZER_JSON_BYTES)
    except ArtifactError:
        return "absent"
    return hashlib.sha256(content).hexdigest()


def _adapter_settings(path: Path, enclosure: Enclosure) -> bytes:
    settings = dict(read_json_object(path, enclosure))
    settings.pop(_PLACE_OF_BASE, None)
    return json.dumps(settings, sort_keys=True).encode("utf-8", "surrogatepass")


def _layers(base: TensorStore | None) -> str | None:
    """Tell bases apart by what is in them: one that was moved is still the same."""
    try:
        return layers_sha256(base) if base is not None else None
    except (ArtifactError, OSError):
        return None
