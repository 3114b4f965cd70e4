"""A late-interaction model that is ready to embed, whichever family it is of.

Shape letters: B batch, N tokens, D embedding dimension.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from peft import PeftModel
from peft.tuners.lora import Linear
from PIL import Image
from torch import nn

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.printable import printable
from colintern.evaluation.checkpoint import (
    Checkpoint,
    CheckpointError,
    classes_of,
    find_checkpoint,
)
from colintern.evaluation.engine_repairs import tie_output_layer, with_prefix_attention
from colintern.model.loading import LoadError, choose_attention, load_checkpoint

_PROBE_SEED: Final = 0
_MERGE_SLACK: Final = 4.0
"""Roundings of the weight's type: once in the sum and once in the cast, doubled."""


class NotFiniteError(ArithmeticError):
    """An embedding is NaN or infinite: every ranking with it is meaningless."""


@dataclass(frozen=True, slots=True)
class Retriever:
    """A loaded model and everything that decides its embeddings."""

    checkpoint: Checkpoint
    model: nn.Module
    """Merged where it came from an adapter, in evaluation mode."""
    processor: Any
    query_prefix: str
    query_suffix: str
    attention: str

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return next(self.model.parameters()).dtype

    @property
    def embedding_dimension(self) -> int:
        """Width of a vector."""
        projection: Any = getattr(self.model, self.checkpoint.family.projection)
        return int(projection.weight.shape[0])

    def prepare_pages(self, images: Sequence[Image.Image]) -> Any:
        """Make the model's input of a batch of pages; this uses no GPU."""
        return self.processor.process_images(list(images))

    def embed_pages(self, images: Sequence[Image.Image]) -> list[torch.Tensor]:
        """Embed a batch of pages: each (tokens, dimension), without padding, on the device."""
        return self.embed(self.prepare_pages(images))

    def embed_queries(self, texts: Sequence[str]) -> list[torch.Tensor]:
        """Embed a batch of queries in the checkpoint's own format."""
        formatted = [f"{self.query_prefix}{text}{self.query_suffix}" for text in texts]
        return self.embed(self.processor.process_texts(formatted))

    def num_tokens(self, width: int, height: int) -> int:
        """Return a figure by which pages sort like their numbers of tokens."""
        count = getattr(self.processor, "num_visual_tokens", None)
        return int(count((height, width))) if count is not None else width * height

    def embed(self, features: Any) -> list[torch.Tensor]:
        """Embed a prepared batch.

        Raises:
            NotFiniteError: a vector is NaN or infinite.
        """
        features = with_prefix_attention(self.checkpoint.family, features).to(self.device)
        if "pixel_values" in features:
            features["pixel_values"] = features["pixel_values"].to(self.dtype)
        with torch.inference_mode():
            vectors_BND = self.model(**features)  # noqa: N806
        if not torch.isfinite(vectors_BND).all():
            raise NotFiniteError(
                "every embedding must be finite, but the model gave NaN or infinity; "
                "`colintern audit` names the tensor"
            )
        mask_BN = features["attention_mask"].bool()  # noqa: N806
        return [vectors[mask] for vectors, mask in zip(vectors_BND, mask_BN, strict=True)]


def load_retriever(
    checkpoint: Checkpoint,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    merge: bool = True,
) -> Retriever:
    """Load a checkpoint whole, or not at all.

    Args:
        checkpoint: what to load.
        device: by default a GPU when there is one.
        dtype: of the weights; by default bfloat16 on a GPU and float32 elsewhere.
        merge: fold an adapter into the base, and verify that it was.

    Raises:
        CheckpointError: a part cannot be loaded, or does not fit the others.
    """
    place = _place(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    kind = dtype or (torch.bfloat16 if place.type == "cuda" else torch.float32)
    attention = choose_attention(place)
    _, processor_class = classes_of(checkpoint.family)
    try:
        processor = processor_class.from_pretrained(checkpoint.processor)
        model = _load_model(checkpoint, kind, attention)
        if merge and checkpoint.is_adapter:
            model = merge_verified(model)
    except (LoadError, ArtifactError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{checkpoint.layout.path}: {error}") from error
    suffix = processor.query_augmentation_token * checkpoint.family.num_augmentation_tokens
    trained = checkpoint.trained_format
    return Retriever(
        checkpoint=_settled(checkpoint),
        model=model.eval().to(place),
        processor=processor,
        query_prefix=_known(trained.prefix if trained else None, processor.query_prefix),
        query_suffix=_known(trained.suffix if trained else None, suffix),
        attention=attention,
    )


def _settled(checkpoint: Checkpoint) -> Checkpoint:
    """Hash the settings anew where loading has fetched the base, as the next look will see it."""
    if checkpoint.base is None or Path(checkpoint.base).is_dir():
        return checkpoint
    again = find_checkpoint(str(checkpoint.layout.path), family=checkpoint.family.name)
    return replace(checkpoint, settings_sha256=again.settings_sha256)


def _place(name: str | torch.device) -> torch.device:
    """Return a device that torch can really use here."""
    try:
        place = torch.device(name)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:  # a build without CUDA asserts
        count = torch.cuda.device_count()
        there = ", ".join(["cpu", *(f"cuda:{number}" for number in range(count))])
        reason = printable(str(error).strip().partition("\n")[0], limit=200)
        raise CheckpointError(
            f"device {printable(name)}: cannot be used ({reason}); there is {there}"
        ) from error
    return place


def _known(recorded: str | None, default: str) -> str:
    return default if recorded is None else recorded


def _load_model(checkpoint: Checkpoint, dtype: torch.dtype, attention: str) -> nn.Module:
    if checkpoint.is_ours and checkpoint.processor == checkpoint.folder:
        return load_checkpoint(checkpoint.folder, base=checkpoint.base, dtype=dtype).model
    return load_engine_model(checkpoint, dtype, attention)


def load_engine_model(checkpoint: Checkpoint, dtype: torch.dtype, attention: str) -> nn.Module:
    """Load a checkpoint by the class of its family, not merged.

    Raises:
        LoadError: it would not be whole, or the installed libraries cannot build it.
    """
    model_class, _ = classes_of(checkpoint.family)
    try:
        model, information = model_class.from_pretrained(
            checkpoint.base or str(checkpoint.folder),
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            output_loading_info=True,
        )
    except AttributeError as error:
        raise LoadError(
            f"{model_class.__name__} of the installed colpali-engine cannot be built by the "
            f"installed transformers ({error})"
        ) from error
    projection = checkpoint.family.projection
    missing = set(information["missing_keys"])
    in_trunk = {name for name in missing if not name.startswith(f"{projection}.")}
    if in_trunk or (missing and not checkpoint.is_adapter):
        raise LoadError(f"{len(missing)} tensors are missing: {_some(in_trunk or missing)}")
    tie_output_layer(checkpoint.family, model)
    if not checkpoint.is_adapter:
        return model
    adapted, brought = _adapted(model, checkpoint)
    lost = {name for name in missing if not _is_brought(name, brought)}
    if lost:
        raise LoadError(f"neither adapter nor base holds {_some(lost)}: it would be random")
    return adapted


def _adapted(model: nn.Module, checkpoint: Checkpoint) -> tuple[nn.Module, frozenset[str]]:
    from peft import PeftModel  # noqa: PLC0415 - not needed for a merged model
    from safetensors import safe_open  # noqa: PLC0415 - as above

    adapted = PeftModel.from_pretrained(model, checkpoint.folder, use_safetensors=True)
    with safe_open(checkpoint.folder / "adapter_model.safetensors", framework="pt") as file:
        brought = frozenset(file.keys())
    held = {name.replace(".default.", ".") for name in adapted.state_dict()}
    unused = {name for name in brought if not _is_held(name, held)}
    if unused:
        raise LoadError(f"{len(unused)} tensors of the adapter fit no module: {_some(unused)}")
    return adapted, brought


def _is_held(name: str, held: set[str]) -> bool:
    parent, _, parameter = name.rpartition(".")
    return name in held or f"{parent}.modules_to_save.{parameter}" in held


def _is_brought(name: str, brought: frozenset[str]) -> bool:
    parent, _, parameter = name.rpartition(".")
    root = f"base_model.model.{parent}"
    forms = (root, f"{root}.base_layer", f"{root}.modules_to_save")
    return any(f"{form}.{parameter}" in brought for form in forms)


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:5])


class MergeError(ValueError):
    """The merged weights are not base + s·B·A."""


def merge_verified(model: Any) -> nn.Module:
    """Return the merged model, with proof that it was merged.

    A merge that was skipped, done twice or scaled otherwise raises nothing and scores like another
    model. So every adapted matrix is multiplied by a fixed vector before and after.

    Raises:
        MergeError: a merged matrix is not its base plus its update, beyond rounding.
    """
    adapted: PeftModel = model
    expected = {
        name: _expected(module)
        for name, module in adapted.get_base_model().named_modules()
        if isinstance(module, Linear)
    }
    merged: nn.Module = adapted.merge_and_unload(safe_merge=True)
    wrong = [name for name, product in expected.items() if not _agrees(merged, name, product)]
    left = [name for name, _ in merged.named_parameters() if ".lora_" in name]
    if wrong or left:
        named = ", ".join((wrong or left)[:3])
        raise MergeError(
            f"every merged matrix must be base + s·B·A, but {len(wrong or left)} are not: {named}"
        )
    return merged


def _expected(module: Any) -> torch.Tensor:
    """Multiply base + s·B·A of every active adapter by the fixed vector."""
    weight = module.get_base_layer().weight.detach().float()
    for adapter in module.active_adapters:
        weight = weight + module.get_delta_weight(adapter).detach().float()
    return weight @ _probe(weight)


def _agrees(merged: nn.Module, name: str, product: torch.Tensor) -> bool:
    module: Any = merged.get_submodule(name)
    weight = module.weight.detach()
    probe = _probe(weight)
    precision = torch.finfo(weight.dtype).eps
    bound = weight.float().abs() @ probe.abs() * precision * _MERGE_SLACK
    return bool(((weight.float() @ probe - product).abs() <= bound + precision).all())


def _probe(weight: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(_PROBE_SEED)
    return torch.randn(weight.shape[1], generator=generator).to(weight.device)
