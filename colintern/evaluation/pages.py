"""The benchmark `pages`: embeds the generated pages, scores them and writes the results.

The results have the form of MTEB's files. The loop is our own: it is small enough to read, and
MTEB is not needed for it.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from datasets import Dataset, Features, Value
from datasets import Image as ImageFeature
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
from mteb.abstasks.task_metadata import TaskMetadata
from PIL import Image

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.evaluation_record import EVALUATION_RECORD, read_evaluation_record
from colintern.artifacts.results.predictions import DEPTH
from colintern.artifacts.results.task_result import written_result
from colintern.artifacts.run.layout import read_run_layout
from colintern.artifacts.tensors.weights_hash import weights_sha256
from colintern.artifacts.writing import write_json
from colintern.evaluation.query_files import Answers, Rankings, write_queries
from colintern.evaluation.ranking import Scores, ranking_metrics
from colintern.model.loading import Loaded, load_checkpoint
from colintern.model.processing import AUGMENTATION_TOKENS, ColIntern3_5Processor
from colintern.model.versions import installed_versions
from colintern.pages.dataset_folder import png_bytes
from colintern.pages.world import TASK, RetrievalTask, retrieval_task

BATCH_SIZE: Final = 64
HARNESS: Final = "colintern-pages/1"
"""Stands where MTEB puts its version: these figures are not MTEB's."""


def evaluate_pages(checkpoint: Path, results: Path, *, base: str | None = None) -> float:
    """Evaluate `checkpoint` on the benchmark `pages` and write `results`.

    Returns:
        NDCG@5.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    loaded = load_checkpoint(checkpoint, base=base)
    task = retrieval_task()
    scores_QP = score_task(loaded, task)  # noqa: N806
    metrics = ranking_metrics(scores_QP, [frozenset({page}) for page in task.relevant])
    results.mkdir(parents=True, exist_ok=True)
    sha256 = _weights_sha256(checkpoint)
    write_queries(
        results,
        task.name,
        subset="default",
        split="test",
        rankings=_rankings(scores_QP),
        answers=_answers(task),
        model={"model_name": checkpoint.resolve().name, "revision": sha256},
    )
    main_score = metrics["ndcg_at_5"]
    entry = {"main_score": main_score, "hf_subset": "default", "languages": ["eng-Latn"]}
    result = {
        "task_name": task.name,
        "dataset_revision": task.revision,
        "mteb_version": HARNESS,
        "scores": {"test": [{**metrics, **entry}]},
        "evaluation_time": round(time.monotonic() - clock, 2),
        "kg_co2_emissions": None,
        "date": started.timestamp(),
    }
    write_json(results / f"{task.name}.json", result)
    written = {"results": written_result(results / f"{task.name}.json")}
    write_json(results / EVALUATION_RECORD, _record(loaded, sha256, started) | written)
    return main_score


def is_evaluated(checkpoint: Path, results: Path) -> bool:
    """Whether `results` has the figures of the weights that `checkpoint` holds now."""
    try:
        record = read_evaluation_record(results / EVALUATION_RECORD, None)
    except ArtifactError:
        return False
    has_scores = (results / f"{TASK}.json").is_file()
    return has_scores and record.weights_sha256 == _weights_sha256(checkpoint)


def score_task(loaded: Loaded, task: RetrievalTask) -> Scores:
    """Embed the queries and pages of `task`, and score every query with every page."""
    processor = loaded.processor
    images = [Image.fromarray(page.pixels()) for page in task.pages]
    pages = embed(loaded.model, processor.process_images, images)
    queries = embed(loaded.model, processor.process_queries, task.queries)
    scores_QP: Scores = processor.score(queries, pages, device="cpu").numpy()  # noqa: N806
    return scores_QP


def page_name(number: int) -> str:
    """Name a page. Of one width: MTEB breaks ties by the text of the name, we by the number."""
    return f"page-{number:06d}"


def query_name(number: int) -> str:
    """Name a query."""
    return f"query-{number:06d}"


def _answers(task: RetrievalTask) -> Answers:
    return {query_name(query): {page_name(page): 1} for query, page in enumerate(task.relevant)}


def _rankings(scores_QP: Scores) -> Rankings:  # noqa: N803
    """Keep as many pages as are read again, in single precision's own digits."""
    best_QP = np.argsort(scores_QP, axis=1, kind="stable")[:, ::-1][:, :DEPTH]  # noqa: N806
    return {
        query_name(query): {page_name(page): float(str(scores[page])) for page in best}
        for query, (scores, best) in enumerate(zip(scores_QP, best_QP, strict=True))
    }


def embed(model: torch.nn.Module, process: Any, inputs: Sequence[Any]) -> list[torch.Tensor]:
    """Embed `inputs` in batches; each result is (tokens, dimension) without padding."""
    device = next(model.parameters()).device
    embeddings: list[torch.Tensor] = []
    for batch in _batches(inputs):
        features = process(batch).to(device)
        with torch.inference_mode():
            vectors_BND = model(**features).float().cpu()  # noqa: N806
        mask_BN = features["attention_mask"].bool().cpu()  # noqa: N806
        embeddings += [vectors[mask] for vectors, mask in zip(vectors_BND, mask_BN, strict=True)]
    return embeddings


def _batches(inputs: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(inputs), BATCH_SIZE):
        yield list(inputs[start : start + BATCH_SIZE])


def _record(loaded: Loaded, sha256: str | None, started: datetime) -> dict[str, Any]:
    processor: ColIntern3_5Processor = loaded.processor
    return {
        "weights_sha256": sha256,
        "query_prefix": processor.query_prefix,
        "query_suffix": processor.query_augmentation_token * AUGMENTATION_TOKENS,
        "padding_side": processor.tokenizer.padding_side,
        "max_num_visual_tokens": processor.max_num_visual_tokens,
        "attention": loaded.attention,
        "dtype": str(next(loaded.model.parameters()).dtype).removeprefix("torch."),
        "versions": installed_versions(),
        "started": started.isoformat(),
        "ended": datetime.now(UTC).isoformat(),
    }


def _weights_sha256(checkpoint: Path) -> str | None:
    layout = read_run_layout(checkpoint)
    return weights_sha256(layout.weights_folder, Enclosure.around(checkpoint))


_SPLIT = "test"


class ColInternPagesRetrieval(AbsTaskRetrieval):
    """Pages and questions that are drawn anew, the same on every machine; nothing is downloaded."""

    metadata = TaskMetadata(
        name=TASK,
        description="Retrieve the generated page that a question about its facts asks for.",
        reference=None,
        dataset={"path": "colintern/pages", "revision": "generated"},
        type="DocumentUnderstanding",
        category="t2i",
        eval_splits=[_SPLIT],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_5",
        date=("2026-01-01", "2026-12-31"),
        domains=["Written"],
        task_subtypes=["Image Text Retrieval"],
        license="not specified",
        annotations_creators="derived",
        dialect=[],
        modalities=["text", "image"],
        sample_creation="created",
        bibtex_citation="",
    )

    def __init__(self, **options: Any) -> None:
        """Draw the world, whose hash is the revision of the data."""
        self._world = retrieval_task()
        dataset = {"path": "colintern/pages", "revision": self._world.revision}
        self.metadata = type(self).metadata.model_copy(update={"dataset": dataset})
        super().__init__(**options)

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:
        """Draw the pages as PNG files."""
        del num_proc
        self.dataset = {"default": {_SPLIT: _split(self._world)}}
        self.data_loaded = True


def _split(world: RetrievalTask) -> RetrievalSplitData:
    pages = [page_name(number) for number in range(len(world.pages))]
    queries = [query_name(number) for number in range(len(world.queries))]
    files = [{"bytes": png_bytes(page), "path": page.name} for page in world.pages]
    corpus = Dataset.from_dict(
        {"id": pages, "image": files},
        features=Features({"id": Value("string"), "image": ImageFeature()}),
    )
    return RetrievalSplitData(
        corpus=corpus,
        queries=Dataset.from_dict({"id": queries, "text": list(world.queries)}),
        relevant_docs={
            query: {pages[page]: 1} for query, page in zip(queries, world.relevant, strict=True)
        },
        top_ranked=None,
    )
