"""`colintern_run.json`: what a training run of ours writes about itself, the preferred evidence."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import convert, read_json_object
from colintern.artifacts.printable import printable

SCHEMA: Final = "colintern.run/1"

Count = Annotated[int, Meta(ge=0)]
Size = Annotated[int, Meta(ge=1)]


class BaseRecord(Struct, frozen=True, kw_only=True):
    """The model that the run started from."""

    id: str | None = None
    """Hub id or path, as it was loaded."""
    revision: str | None = None
    """Commit of the base on the Hub."""
    projection_sha256: str | None = None
    """Hash of the projection's matrix before the first step."""
    layers_sha256: str | None = None
    """Hash of a sample of the language model's layers, as `diagnostics.weights.base_identity`
    defines it."""


class LossRecord(Struct, frozen=True, kw_only=True):
    """The training loss."""

    class_name: str | None = field(name="class", default=None)
    """Its class, as `ColbertLoss`."""
    temperature: float | None = None
    """Divisor of the scores."""
    normalize_scores: bool | None = None
    """Whether scores are divided by the number of query tokens."""


class LoraRecord(Struct, frozen=True, kw_only=True):
    """What LoRA was put on."""

    target_modules: str | tuple[str, ...] | None = None
    """As given to PEFT: one regular expression, or a list."""
    matched: tuple[str, ...] | None = None
    """Names of the modules that got an adapter."""
    trainable_parameters: Count | None = None
    """Elements of all tensors that require a gradient."""


class GoldenTokens(Struct, frozen=True, kw_only=True):
    """What the processor made of a fixed query and a fixed page, to recognise it later."""

    query_token_ids: tuple[int, ...] | None = None
    """Token ids of the fixed query."""
    page_token_count: Count | None = None
    """Tokens of the fixed page."""


class ProcessorRecord(Struct, frozen=True, kw_only=True):
    """How queries and pages became tokens in training."""

    query_prefix: str | None = None
    """Text before each query."""
    query_suffix: str | None = None
    """Text after each query: the augmentation tokens."""
    padding_side: str | None = None
    """`left` or `right`."""
    max_num_visual_tokens: Count | None = None
    """Budget of visual tokens a page."""
    golden: GoldenTokens | None = None
    """A fingerprint of the processor."""


class DatasetRecord(Struct, frozen=True, kw_only=True):
    """One training dataset."""

    name: str | None = None
    """Hub id or path."""
    revision: str | None = None
    """Commit of the dataset on the Hub."""
    split: str | None = None
    """As `train`."""
    rows: Count | None = None
    """Rows used."""
    rows_sha256: str | None = None
    """Hash of which rows are trained on: their numbers and queries, and where their pages are."""


class HardwareRecord(Struct, frozen=True, kw_only=True):
    """What the run ran on."""

    device: str | None = None
    """`cuda`, `cpu`, `mps`."""
    gpu: str | None = None
    """Name of the first GPU, as the driver gives it."""
    attention: str | None = None
    """`flash_attention_2`, `sdpa` or `eager`."""
    dtype: str | None = None
    """Type of the base weights in training, as `bfloat16`."""


class RunManifest(Struct, frozen=True, kw_only=True):
    """The whole manifest; a field that the run could not tell is None."""

    schema: str
    """`colintern.run/1`."""
    status: Literal["started", "interrupted", "completed"] | None = None
    """How far the run came."""
    family: str | None = None
    """The retriever family, as `ColIntern3.5`."""
    recipe: str | None = None
    """The recipe's name."""
    base: BaseRecord | None = None
    """The model that the run started from."""
    arguments: dict[str, Any] | None = None
    """Every field of TrainingArguments, under Trainer's names."""
    world_size: Size | None = None
    """Processes that trained together."""
    effective_batch_size: Size | None = None
    """Queries an optimiser step, over all processes."""
    contrastive_batch_size: Size | None = None
    """Queries that one process compares at once; above the per-device batch when it is cached."""
    candidates: Size | None = None
    """Pages that each query is compared with, its own included."""
    loss: LossRecord | None = None
    """The training loss."""
    lora: LoraRecord | None = None
    """What LoRA was put on."""
    processor: ProcessorRecord | None = None
    """How queries and pages became tokens."""
    datasets: tuple[DatasetRecord, ...] | None = None
    """The training data."""
    versions: dict[str, str | None] | None = None
    """Installed version by distribution name, as `colpali-engine`."""
    hardware: HardwareRecord | None = None
    """What the run ran on."""
    git_commit: str | None = None
    """Commit of the training code."""
    weights_sha256: str | None = None
    """Hash of the saved weights."""
    started: str | None = None
    """ISO 8601, UTC."""
    ended: str | None = None
    """ISO 8601, UTC."""


def read_run_manifest(path: Path, enclosure: Enclosure | None) -> RunManifest:
    """Read `colintern_run.json`; keys that this version does not know are ignored.

    Raises:
        ArtifactError: not readable, of another schema, or a field of the wrong type.
    """
    document = read_json_object(path, enclosure)
    schema = document.get("schema")
    if schema != SCHEMA:
        found = "no schema" if schema is None else f'"schema": "{printable(schema, limit=60)}"'
        raise ArtifactError(
            path,
            expected=f'"schema": "{SCHEMA}"',
            found=found,
            remedy="Audit the run with the version of colintern that trained it.",
        )
    return convert(path, document, RunManifest)
