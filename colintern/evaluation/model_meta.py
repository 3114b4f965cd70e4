"""What MTEB is told about a model, counted and hashed instead of copied."""

import re
from pathlib import PurePath
from typing import Any, Final

from mteb.models.model_meta import ModelMeta, ScoringFunction

from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.results.model_meta_faults import TASK_OF_TRAINING_SET
from colintern.evaluation.retriever import Retriever
from colintern.pages.world import TASK

_COLPALI_TRAINING: Final = (
    "VidoreDocVQARetrieval",
    "VidoreInfoVQARetrieval",
    "VidoreTatdqaRetrieval",
    "VidoreArxivQARetrieval",
)
"""The tasks of MTEB whose training sets `vidore/colpali_train_set` is made from, as MTEB's own
entries for colpali-engine's models say."""

_TASKS_OF: Final = {
    "vidore/colpali_train_set": _COLPALI_TRAINING,
    "colintern/pages": (TASK,),
}
_NO_LIMIT: Final = 1_000_000
"""transformers writes 1e30 for a tokenizer that has no limit."""


def model_meta_of(retriever: Retriever, loader: Any) -> ModelMeta:
    """Describe a loaded model.

    Args:
        retriever: the model.
        loader: the class that loads it, by whose name MTEB records how it was run.
    """
    checkpoint = retriever.checkpoint
    parameters = list(retriever.model.parameters())
    max_tokens = getattr(retriever.processor.tokenizer, "model_max_length", None)
    return ModelMeta(
        loader=loader,
        name=mteb_name(checkpoint.name, checkpoint.layout.path),
        revision=checkpoint.weights_sha256,
        release_date=None,
        languages=None,
        n_parameters=sum(parameter.numel() for parameter in parameters),
        n_embedding_parameters=_embedding_parameters(retriever.model),
        memory_usage_mb=round(sum(p.numel() * p.element_size() for p in parameters) / 2**20, 1),
        max_tokens=max_tokens if max_tokens and max_tokens < _NO_LIMIT else None,
        embed_dim=retriever.embedding_dimension,
        license=None,
        open_weights=True,
        public_training_code=None,
        public_training_data=None,
        framework=["ColPali", "safetensors"],
        similarity_fn_name=ScoringFunction.MAX_SIM,
        use_instructions=bool(retriever.query_prefix),
        training_datasets=training_tasks(checkpoint.manifest),
        adapted_from=checkpoint.base_name,
        modalities=["image", "text"],
        model_type=["late-interaction"],
    )


def mteb_name(results_name: str, path: PurePath) -> str:
    """Return a name of the form ORG/NAME, which MTEB demands."""
    organisation, joint, name = results_name.partition("__")
    if joint and not re.fullmatch(r"checkpoint-\d+", name):
        return f"{organisation}/{name}"
    return f"{path.parent.name or 'local'}/{results_name}"


def training_tasks(manifest: RunManifest | None) -> set[str] | None:
    """Return the training sets by MTEB's names, or None when nothing is recorded.

    A set that MTEB has no task for keeps its own name.
    """
    if manifest is None or not manifest.datasets:
        return None
    names = [dataset.name for dataset in manifest.datasets if dataset.name]
    return {task for name in names for task in _tasks_of(name)}


def _tasks_of(name: str) -> tuple[str, ...]:
    if name in _TASKS_OF:
        return _TASKS_OF[name]
    plain = re.sub(r"[\W_]", "", name.rpartition("/")[2]).lower()
    return (TASK_OF_TRAINING_SET.get(plain, name),)


def _embedding_parameters(model: Any) -> int | None:
    """Count the parameters of the token embedding; None, as MTEB writes what is not known."""
    try:
        embedding = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):  # transformers', of a model without one
        return None
    return sum(parameter.numel() for parameter in embedding.parameters())
