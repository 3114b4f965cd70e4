"""What `model_meta.json` claims beside what the files show."""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from colintern.artifacts.printable import printable
from colintern.artifacts.results.model_meta import ModelMeta

PARAMETER_TOLERANCE: Final = 0.02
"""Share by which a claimed parameter count may differ (sources J03)."""

_MATRIX: Final = 2
"""Axes of a weight matrix."""

_REVISION: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""A commit of the Hub, or a SHA-256 of the weights."""

TASK_OF_TRAINING_SET: Final[Mapping[str, str]] = {
    "docvqa": "VidoreDocVQARetrieval",
    "infovqa": "VidoreInfoVQARetrieval",
    "infographicvqa": "VidoreInfoVQARetrieval",
    "tatdqa": "VidoreTatdqaRetrieval",
    "arxivqa": "VidoreArxivQARetrieval",
    "tabfquad": "VidoreTabfquadRetrieval",
    "vdrmultilingual": "VDRMultilingualRetrieval",
    "hotpotqa": "HotpotQA",
    "msmarco": "MSMARCO",
    "fever": "FEVER",
}
"""Training set, lower case without marks, to the name under which MTEB looks for it."""


def unmatched_training_sets(meta: ModelMeta) -> dict[str, str]:
    """Return training sets under a name that MTEB does not know, and the name that it knows.

    A set that MTEB has no task for is no fault, and neither is a second name beside the right one.
    """
    names = frozenset(meta.training_names)
    return {
        name: task
        for name in meta.training_names
        if (task := TASK_OF_TRAINING_SET.get(re.sub(r"[\W_]", "", name).lower()))
        and task not in names
    }


def meta_faults(
    meta: ModelMeta,
    shapes: Mapping[str, Sequence[int]],
    *,
    projection: str | None,
    whole_model: bool,
) -> tuple[str, ...]:
    """Return each wrong claim in a few words.

    Args:
        meta: the claims.
        shapes: of the judged weights by name; empty when they are not here.
        projection: the name of the projection whose size is compared; None to leave it out.
        whole_model: whether the weights are all of the model, not an adapter.
    """
    counts = parameter_counts_of(shapes) if whole_model and shapes else ()
    dimension = embedding_dimension_of(shapes, projection) if projection is not None else None
    return tuple(_faults(meta, dimension, counts))


def _faults(
    meta: ModelMeta, embedding_dimension: int | None, parameter_counts: Collection[int]
) -> Iterator[str]:
    yield from _revision_faults(meta)
    claimed = meta.embed_dim
    single = claimed if isinstance(claimed, int | float) else None
    if embedding_dimension and single is not None and single != embedding_dimension:
        yield f"embed_dim {single:.0f}, the projection gives {embedding_dimension}"
    claim = meta.n_parameters
    if claim and parameter_counts and not any(_close(claim, count) for count in parameter_counts):
        yield f"n_parameters {claim:,.0f}, the weights have {min(parameter_counts):,}"
    for name, task in unmatched_training_sets(meta).items():
        yield f"training set {printable(name, limit=60)}, which MTEB knows as {task}"


def embedding_dimension_of(shapes: Mapping[str, Sequence[int]], projection: str) -> int | None:
    """Return the size of a vector: the rows of the projection, or of LoRA's B on it."""
    name = re.compile(
        rf"(?:.*\.)?{re.escape(projection)}"
        r"(?:\.(?:modules_to_save|base_layer|original_module))?(?:\.lora_B)?(?:\.default)?\.weight"
    )
    rows = {
        shape[0] for key, shape in shapes.items() if len(shape) == _MATRIX and name.fullmatch(key)
    }
    return rows.pop() if len(rows) == 1 else None


def parameter_counts_of(shapes: Mapping[str, Sequence[int]]) -> frozenset[int]:
    """Count the parameters with and without an output layer, which may be tied."""
    total = sum(math.prod(shape) for shape in shapes.values())
    sizes = {key: math.prod(shape) for key, shape in shapes.items() if len(shape) == _MATRIX}
    embedding = max((size for key, size in sizes.items() if "embed_tokens" in key), default=0)
    output = max((size for key, size in sizes.items() if "lm_head" in key), default=0)
    return frozenset({total, total + embedding, total - output})


def _close(claim: float, count: int) -> bool:
    return abs(claim - count) <= PARAMETER_TOLERANCE * count


def _revision_faults(meta: ModelMeta) -> Iterator[str]:
    """Models without open weights, or without weights at all, have no commit to name."""
    folder_name = meta.path.parent.name
    if meta.open_weights is False or not meta.n_parameters:
        return
    if meta.revision is None or not _REVISION.fullmatch(meta.revision):
        yield f"revision {printable(meta.revision, limit=60)} is no commit or hash"
    elif _REVISION.fullmatch(folder_name) and folder_name != meta.revision:
        yield f"revision {meta.revision[:12]}, the folder is {folder_name[:12]}"
