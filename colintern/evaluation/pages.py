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
from PIL import Image

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.evaluation_record import EVALUATION_RECORD, read_evaluation_record
from colintern.artifacts.files import Enclosure
from colintern.artifacts.predictions import DEPTH
from colintern.artifacts.result_hash import written_result
from colintern.artifacts.run_layout import read_run_layout
from colintern.artifacts.weights_hash import weights_sha256
from colintern.artifacts.written_json import write_json
from colintern.evaluation.query_files import Answers, Rankings, write_queries
from colintern.evaluation.ranking import Scores, ranking_metrics
from colintern.model.loading import Loaded, load_checkpoint
from colintern.model.processing import AUGMENTATION_TOKENS, ColIntern3_5Processor
from colintern.pages.world import TASK, RetrievalTask, retrieval_task
from colintern.training.versions import installed_versions

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
