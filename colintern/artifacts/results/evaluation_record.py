"""`colintern_eval.json`: what our evaluation writes beside its results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import convert, read_json_object

EVALUATION_RECORD: Final = "colintern_eval.json"


class ResultRecord(Struct, frozen=True, kw_only=True):
    """What the evaluation wrote of one task."""

    sha256: Annotated[str, Meta(max_length=128)]
    """Hash of its figures, as `colintern.artifacts.results.task_result` defines it."""
    date: float | None = None
    """When it was evaluated, in seconds since 1970 UTC, as in the result."""


class EvaluatedBase(Struct, frozen=True, kw_only=True):
    """The base that was loaded below the adapter."""

    id: str | None = None
    """Hub id or path: as the adapter names it, or the folder that `--base` named instead."""
    by_option: bool = False
    """Whether `--base` named it."""
    layers_sha256: Annotated[str, Meta(max_length=128)] | None = None
    """Hash of a sample of its layers, as in the run manifest."""


class EvaluationRecord(Struct, frozen=True, kw_only=True):
    """How the results were made; what was not recorded is None."""

    weights_sha256: Annotated[str, Meta(max_length=128)] | None = None
    """Hash of the weights, as `colintern.artifacts.tensors.weights_hash` defines it."""
    base: EvaluatedBase | None = None
    """The base below an adapter; None for a whole model."""
    query_prefix: str | None = None
    """Text before each query."""
    query_suffix: str | None = None
    """Text after each query: the augmentation tokens."""
    padding_side: str | None = None
    """`left` or `right`."""
    max_num_visual_tokens: int | None = None
    """Budget of visual tokens a page."""
    most_visual_tokens: int | None = None
    """Visual tokens that the largest page becomes, by the processor's files."""
    attention: str | None = None
    """`flash_attention_2`, `sdpa` or `eager`."""
    dtype: str | None = None
    """Type of the weights, as `bfloat16`."""
    versions: dict[str, str | None] | None = None
    """Installed version by distribution name."""
    results: dict[str, ResultRecord] | None = None
    """What was written, by task."""
    started: str | None = None
    """ISO 8601, UTC."""
    ended: str | None = None
    """ISO 8601, UTC."""


def read_evaluation_record(path: Path, enclosure: Enclosure | None) -> EvaluationRecord:
    """Read `colintern_eval.json`.

    Raises:
        ArtifactError: unreadable, not JSON, or a field of the wrong type.
    """
    return convert(path, read_json_object(path, enclosure), EvaluationRecord)


def agreed_record(records: Sequence[EvaluationRecord]) -> EvaluationRecord:
    """Return what all of `records`, one at least, agree on; None where they do not."""
    first, *others = records
    same = {
        name: getattr(first, name)
        for name in EvaluationRecord.__struct_fields__
        if all(getattr(other, name) == getattr(first, name) for other in others)
    }
    return EvaluationRecord(**same)
