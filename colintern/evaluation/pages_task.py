"""The generated world as a task of MTEB."""

from typing import Any

from datasets import Dataset, Features, Image, Value
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
from mteb.abstasks.task_metadata import TaskMetadata

from colintern.evaluation.pages import page_name, query_name
from colintern.pages.dataset_folder import png_bytes
from colintern.pages.world import TASK, RetrievalTask, retrieval_task

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
        {"id": pages, "image": files}, features=Features({"id": Value("string"), "image": Image()})
    )
    return RetrievalSplitData(
        corpus=corpus,
        queries=Dataset.from_dict({"id": queries, "text": list(world.queries)}),
        relevant_docs={
            query: {pages[page]: 1} for query, page in zip(queries, world.relevant, strict=True)
        },
        top_ranked=None,
    )
