"""Evidence of the processor and the tokenizer, and of how queries and pages go through them."""

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.model.model_card import ModelCard
from colintern.artifacts.model.model_config import ModelConfig
from colintern.artifacts.model.processor_config import ProcessorConfig, read_processor_config
from colintern.artifacts.model.tokenizer_config import (
    TokenizerConfig,
    read_num_token_ids,
    read_tokenizer_config,
)
from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.run.layout import (
    ADAPTER_WEIGHTS,
    MODEL_INDEX,
    MODEL_WEIGHTS,
    PREPROCESSOR_CONFIG,
    PROCESSOR_CONFIG,
    RUN_MANIFEST,
    TOKENIZER,
    TOKENIZER_CONFIG,
    RunLayout,
)
from colintern.artifacts.run.manifest import RunManifest
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.processor.files import (
    PaddingSide,
    Vocabulary,
    embedding_rows,
    missing_processor_parts,
    padding_sides,
)
from colintern.diagnostics.processor.query_format import (
    AUGMENTATION_TOKENS,
    QueryFormat,
    evaluation_formats,
    training_format,
)
from colintern.engine.evidence import sources
from colintern.engine.resolver import artifact, evidence
from colintern.engine.verdict import NoEvidence
from colintern.families.family import Family

_WEIGHTS: Final = (ADAPTER_WEIGHTS, MODEL_WEIGHTS, MODEL_INDEX)
ENGINE: Final = "colpali-engine"


class ProcessorFiles(Struct, frozen=True):
    """Whether the final folder can rebuild its processor."""

    folder: Path
    missing: tuple[str, ...]
    """Files without which it cannot be loaded."""


class QueryFormats(Struct, frozen=True):
    """How queries were formatted in training and in evaluation."""

    trained: QueryFormat
    evaluated: tuple[QueryFormat, ...]
    """One entry for each way in which tasks were evaluated."""
    saved: QueryFormat | None = None
    """Of the saved processor, which whoever loads the model will use."""

    @property
    def agree(self) -> bool | None:
        """Whether all of them feed what was trained; None when nothing can be compared."""
        known = [
            agrees
            for evaluated in (*self.evaluated, *([self.saved] if self.saved else []))
            if (agrees := self.trained.agrees_with(evaluated)) is not None
        ]
        return all(known) if known else None


@artifact
def processor(layout: RunLayout) -> ProcessorConfig:
    """The saved processor of the judged weights."""
    whole = layout.beside_weights(PROCESSOR_CONFIG)
    image = layout.beside_weights(PREPROCESSOR_CONFIG)
    if whole is None and image is None:
        raise NoEvidence(sources.PROCESSOR, needed_for="the page preprocessing")
    return read_processor_config(whole, image, layout.enclosure)


@artifact
def tokenizer(layout: RunLayout) -> TokenizerConfig:
    """The saved tokenizer's configuration."""
    path = layout.beside_weights(TOKENIZER_CONFIG)
    if path is None:
        raise NoEvidence(sources.TOKENIZER_CONFIG, needed_for="the tokenizer's padding")
    return read_tokenizer_config(path, layout.enclosure)


@evidence
def processor_files(layout: RunLayout, processor: ProcessorConfig | None) -> ProcessorFiles:
    """What the final folder lacks of its processor."""
    names = layout.folder.names | layout.weights_folder.names
    has_image = processor is not None and processor.has_image_processor
    missing = tuple(missing_processor_parts(names, has_image_processor=has_image))
    is_final = not layout.is_checkpoint and layout.folder.has_any(_WEIGHTS)
    if missing and not is_final:
        raise NoEvidence(
            sources.FINAL_FOLDER, what="weights", needed_for="checking the processor next to them"
        )
    return ProcessorFiles(layout.folder.path, missing)


@evidence
def recorded_sides(
    family: Family,
    manifest: RunManifest | None,
    evaluation_record: EvaluationRecord | None,
    tokenizer: TokenizerConfig | None,
) -> tuple[PaddingSide, ...]:
    """Every side that is recorded on which queries and pages were padded."""
    sides = padding_sides(
        family,
        trained=manifest.processor.padding_side if manifest and manifest.processor else None,
        evaluated=evaluation_record.padding_side if evaluation_record else None,
        saved=tokenizer.padding_side if tokenizer else None,
    )
    if not sides:
        raise NoEvidence(
            sources.RECORDS_OR_TOKENIZER if family.padding_in_file else sources.RECORDS,
            what="`padding_side`",
            needed_for="comparing the padding sides",
        )
    return sides


@evidence
def query_formats(  # noqa: PLR0917 - the resolver calls it by name
    manifest: RunManifest | None,
    model_card: ModelCard | None,
    processor: ProcessorConfig | None,
    family: Family | None,
    evaluation_record: EvaluationRecord | None,
    task_results: TaskResults | None,
    model_meta: ModelMeta | None,
) -> QueryFormats:
    """How queries were formatted on both sides."""
    card = model_card.versions.get(ENGINE) if model_card else None
    versions = (manifest.versions or {}) if manifest else {}
    trained = training_format(
        manifest,
        processor_prefix=processor.query_prefix if processor else None,
        engine_version=versions.get(ENGINE) or card,
        family=family,
    )
    return QueryFormats(
        trained,
        evaluation_formats(evaluation_record, task_results, model_meta),
        # Without a manifest the saved one is where the trained format is from.
        _saved_format(processor) if trained.source == RUN_MANIFEST else None,
    )


def _saved_format(processor: ProcessorConfig | None) -> QueryFormat | None:
    """Return the format that the saved processor itself holds; colpali-engine's hold none."""
    if processor is None or processor.query_prefix is None:
        return None
    token = processor.query_augmentation_token
    suffix = None if token is None else token * AUGMENTATION_TOKENS
    return QueryFormat(processor.query_prefix, suffix, source="processor_config.json")


@artifact
def vocabulary(
    layout: RunLayout, tensors: TensorStore | None, model_config: ModelConfig | None
) -> Vocabulary:
    """The tokenizer's ids beside the embedding's rows."""
    shapes = {name: entry.shape for name, entry in tensors.entries.items()} if tensors else {}
    rows = embedding_rows(shapes) or (model_config.text.vocab_size if model_config else None)
    if rows is None:
        raise NoEvidence(sources.BASE, what="`vocab_size`", needed_for="the size of its embedding")
    path = layout.beside_weights(TOKENIZER)
    if path is None or not os.path.lexists(path):
        raise NoEvidence(sources.TOKENIZER, needed_for="the size of its vocabulary")
    return Vocabulary(path, read_num_token_ids(path, layout.enclosure), rows)
