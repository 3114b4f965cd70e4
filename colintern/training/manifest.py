"""`colintern_run.json`: what a run writes about itself, before the first step and at every save."""

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import torch
from PIL import Image
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.model.base_model import BaseModel, find_base
from colintern.artifacts.run.layout import RUN_MANIFEST, Folder
from colintern.artifacts.run.manifest import (
    SCHEMA,
    BaseRecord,
    DatasetRecord,
    GoldenTokens,
    HardwareRecord,
    LoraRecord,
    LossRecord,
    ProcessorRecord,
    RunManifest,
)
from colintern.artifacts.tensors.store import read_tensor_store
from colintern.artifacts.tensors.weights_hash import weights_sha256
from colintern.artifacts.writing import write_json
from colintern.diagnostics.weights.base_identity import layers_sha256
from colintern.model.lora import projection_matrix
from colintern.model.processing import AUGMENTATION_TOKENS, ColIntern3_5Processor
from colintern.model.versions import git_commit, installed_versions
from colintern.recipes.recipe import Recipe
from colintern.training.adapted_model import AdaptedModel

GOLDEN_QUERY: Final = "Which page names the total?"
GOLDEN_PAGE_SIZE: Final = (448, 448)
"""A blank page in pixels: one tile of a full-size model."""

Status = Literal["started", "interrupted", "completed"]


def run_manifest(
    recipe: Recipe,
    arguments: TrainingArguments,
    adapted: AdaptedModel,
    loss: Any,
    datasets: tuple[DatasetRecord, ...],
) -> RunManifest:
    """Describe a run that is about to start."""
    world_size = arguments.world_size
    per_device = arguments.per_device_train_batch_size
    accumulated = per_device * arguments.gradient_accumulation_steps
    return RunManifest(
        schema=SCHEMA,
        status="started",
        family=recipe.family,
        recipe=recipe.name,
        base=BaseRecord(
            id=recipe.base,
            projection_sha256=_sha256(projection_matrix(adapted.model)),
            layers_sha256=_layers_sha256(recipe.base),
        ),
        arguments=arguments.to_dict(),
        world_size=world_size,
        effective_batch_size=accumulated * world_size,
        contrastive_batch_size=per_device,
        candidates=per_device * world_size,
        loss=LossRecord(
            class_name=type(loss).__name__,
            temperature=loss.temperature,
            normalize_scores=loss.normalize_scores,
        ),
        lora=LoraRecord(
            target_modules=recipe.lora.target_modules,
            matched=adapted.coverage.matched,
            trainable_parameters=adapted.coverage.trainable_parameters,
        ),
        processor=processor_record(adapted.processor),
        datasets=datasets,
        versions=installed_versions(),
        hardware=hardware_record(adapted.model, adapted.attention),
        git_commit=git_commit(),
        started=_now(),
    )


def processor_record(processor: ColIntern3_5Processor) -> ProcessorRecord:
    """Describe how queries and pages become tokens, with a fingerprint to recognise it by."""
    query = processor.process_queries([GOLDEN_QUERY])["input_ids"][0].tolist()
    page = processor.process_images([Image.new("RGB", GOLDEN_PAGE_SIZE, "white")])["input_ids"]
    return ProcessorRecord(
        query_prefix=processor.query_prefix,
        query_suffix=processor.query_augmentation_token * AUGMENTATION_TOKENS,
        padding_side=processor.tokenizer.padding_side,
        max_num_visual_tokens=processor.max_num_visual_tokens,
        golden=GoldenTokens(query_token_ids=tuple(query), page_token_count=page.shape[1]),
    )


def hardware_record(model: nn.Module, attention: str) -> HardwareRecord:
    """Describe what the run runs on."""
    parameter = next(model.parameters())
    device = parameter.device.type
    return HardwareRecord(
        device=device,
        gpu=torch.cuda.get_device_name() if device == "cuda" else None,
        attention=attention,
        dtype=str(parameter.dtype).removeprefix("torch."),
    )


class ManifestWriter(TrainerCallback):
    """Keeps the manifest of a run on disk true."""

    def __init__(self, folder: Path, manifest: RunManifest) -> None:
        """Start with the description of the run."""
        self.folder = folder
        self.manifest = manifest

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Write before the first step, so that a killed run is still explained."""
        self.write()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Note the weights that were saved last; the checkpoint gets a copy, to be told apart."""
        del args, control
        checkpoint = self.folder / f"checkpoint-{state.global_step}"
        self._note_weights(checkpoint)
        self.write()
        write_json(checkpoint / RUN_MANIFEST, msgspec.to_builtins(self.manifest))

    def finish(self, status: Status) -> None:
        """Note how the run ended, and the final weights of one that was completed."""
        if status == "completed":
            self._note_weights(self.folder)
        self.manifest = msgspec.structs.replace(self.manifest, status=status, ended=_now())
        self.write()

    def write(self) -> None:
        """Write the manifest, atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / RUN_MANIFEST, msgspec.to_builtins(self.manifest))

    def _note_weights(self, folder: Path) -> None:
        digest = weights_sha256(Folder.read(folder), Enclosure.around(folder))
        self.manifest = msgspec.structs.replace(self.manifest, weights_sha256=digest)


def _sha256(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.float().cpu().contiguous().numpy().tobytes()).hexdigest()


def _layers_sha256(base: str) -> str | None:
    """Hash the base's layers from its files, as the audit will; None where it cannot be read."""
    folder = find_base(base, None, None, (Path.cwd(),)).folder
    model = BaseModel(folder, Enclosure.around(folder)) if folder else None
    if model is None or model.weights is None:
        return None
    with suppress(ArtifactError):
        return layers_sha256(read_tensor_store(model.weights, model.enclosure))
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
