"""What a model is loaded from for the live rules: read by the audit's own readers before."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colintern.artifacts.adapter_config import AdapterConfig
from colintern.artifacts.base_model import BaseModel
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json_document import read_json_object
from colintern.artifacts.processor_config import ProcessorConfig, read_processor_config
from colintern.artifacts.run_layout import (
    MODEL_CONFIG,
    PREPROCESSOR_CONFIG,
    PROCESSOR_CONFIG,
)
from colintern.artifacts.tensor_store import TensorStore
from colintern.evaluation.checkpoint import Checkpoint
from pytest_colintern.evidence_registry import Resolver
from pytest_colintern.verdict import NoEvidence


@dataclass(frozen=True, slots=True)
class LiveSource:
    """A checkpoint, and everything that decides what loading it builds."""

    checkpoint: Checkpoint
    config: dict[str, Any]
    """config.json of the whole model, or of the base."""
    weights: TensorStore
    """Of the whole model, or of the base."""
    processor: ProcessorConfig
    adapter: AdapterConfig | None = None
    adapter_weights: TensorStore | None = None

    @property
    def folder(self) -> str:
        """Where the whole model, or the base, is."""
        return self.checkpoint.base or str(self.checkpoint.folder)


def live_source(checkpoint: Checkpoint, resolver: Resolver) -> LiveSource:
    """Read what the checkpoint is loaded from.

    Raises:
        NoEvidence: a part is not on this machine.
        ArtifactError: a part is malformed.
    """
    if not checkpoint.is_adapter:
        layout = checkpoint.layout
        path = layout.weights_folder.get(MODEL_CONFIG)
        return LiveSource(
            checkpoint,
            _config_in(path, layout.enclosure),
            weights=resolver.get("tensors"),
            processor=processor_in(checkpoint),
        )
    adapter = resolver.get("adapter")
    base: BaseModel = resolver.get("base")
    if resolver.get("base_reference").is_adapter:
        raise NoEvidence("a base that is no adapter itself", needed_for="running the model")
    return LiveSource(
        checkpoint,
        _config_in(base.config, base.enclosure),
        weights=resolver.get("base_tensors"),
        processor=processor_in(checkpoint),
        adapter=adapter,
        adapter_weights=resolver.get("adapter_tensors"),
    )


def _config_in(path: Path | None, enclosure: Enclosure) -> dict[str, Any]:
    if path is None:
        raise NoEvidence(f"{MODEL_CONFIG} beside the weights", needed_for="running the model")
    return read_json_object(path, enclosure)


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
