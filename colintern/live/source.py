"""What a model is loaded from for the live rules: read by the audit's own readers before."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import read_json_object
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.base_model import BaseModel
from colintern.artifacts.model.processor_config import ProcessorConfig
from colintern.artifacts.run.layout import (
    MODEL_CONFIG,
)
from colintern.artifacts.tensors.store import TensorStore
from colintern.engine.evidence import sources
from colintern.engine.resolver import Resolver
from colintern.engine.verdict import NoEvidence
from colintern.evaluation.checkpoint import Checkpoint, processor_in

_RUNNING: Final = "running the model"


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
        raise NoEvidence(
            sources.BASE, what="a whole model", detail="it is an adapter", needed_for=_RUNNING
        )
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
        raise NoEvidence(sources.MODEL_CONFIG, needed_for=_RUNNING)
    return read_json_object(path, enclosure)
