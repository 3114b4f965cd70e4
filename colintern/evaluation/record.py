"""How the results of an evaluation are made: `colintern_eval.json`."""

from datetime import UTC, datetime
from typing import Any

from colintern.artifacts.errors import ArtifactError
from colintern.diagnostics.visual_tokens import visual_tokens
from colintern.evaluation.checkpoint import Checkpoint
from colintern.evaluation.live_source import processor_in
from colintern.evaluation.retriever import Retriever
from colintern.training.versions import installed_versions


def evaluation_record(retriever: Retriever) -> dict[str, Any]:
    """Describe how the results are made: `colintern_eval.json`, not yet ended."""
    processor = retriever.processor
    return {
        "weights_sha256": retriever.checkpoint.weights_sha256,
        "settings_sha256": retriever.checkpoint.settings_sha256,
        "query_prefix": retriever.query_prefix,
        "query_suffix": retriever.query_suffix,
        "padding_side": processor.tokenizer.padding_side,
        "max_num_visual_tokens": getattr(processor, "max_num_visual_tokens", None),
        "most_visual_tokens": _most_visual_tokens(retriever.checkpoint),
        "attention": retriever.attention,
        "dtype": str(retriever.dtype).removeprefix("torch."),
        "device": _device_name(retriever),
        "versions": installed_versions() | {"mteb": _mteb_version()},
        "started": now(),
        "ended": None,
    }


def _most_visual_tokens(checkpoint: Checkpoint) -> int | None:
    try:
        found = visual_tokens(processor_in(checkpoint))
    except ArtifactError:
        return None
    return found.most if found else None


def _device_name(retriever: Retriever) -> str:
    import torch  # noqa: PLC0415 - a name only

    device = retriever.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _mteb_version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - a name only

    return version("mteb")


def now() -> str:
    """Return the time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat()
