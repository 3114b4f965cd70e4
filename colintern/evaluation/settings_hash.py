"""What beside the weights decides a checkpoint's scores: its settings, and the base below it."""

import hashlib
import json
from pathlib import Path
from typing import Final

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, read_bytes
from colintern.artifacts.json.document import read_json_object
from colintern.artifacts.limits import TOKENIZER_JSON_BYTES
from colintern.artifacts.model.base_model import BaseReference
from colintern.artifacts.run.layout import (
    ADAPTER_CONFIG,
    MODEL_CONFIG,
    PREPROCESSOR_CONFIG,
    PROCESSOR_CONFIG,
    TOKENIZER,
    TOKENIZER_CONFIG,
)
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.weights.base_identity import layers_sha256

_OF_THE_WEIGHTS: Final = (ADAPTER_CONFIG, MODEL_CONFIG)
_PLACE_OF_BASE: Final = "base_model_name_or_path"
"""May change with the machine: what is in the base is hashed on its own."""
_OF_THE_PROCESSOR: Final = (PROCESSOR_CONFIG, PREPROCESSOR_CONFIG, TOKENIZER, TOKENIZER_CONFIG)


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
