"""The streaming evaluator: MTEB's tasks and metrics, our own search.

MTEB's search embeds a whole corpus, pads it to its longest page and then scores it. Here pages are
embedded longest first, in batches of about as many tokens each, kept without padding in half
precision on disk, and scored block by block.

Shape letters: Q queries, P pages, K best pages.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tqdm.auto import tqdm

from colintern.evaluation.maxsim import maxsim_scores
from colintern.evaluation.model_meta import model_meta_of
from colintern.evaluation.page_store import Batch, Corpus, PageStore, survey
from colintern.evaluation.processes import Processes
from colintern.evaluation.retriever import NotFiniteError, Retriever
from colintern.evaluation.wrapper import ColIntern3_5Wrapper


class StreamingSearch:
    """A model that MTEB asks to search, not to embed."""

    def __init__(self, retriever: Retriever, work: Path, processes: Processes) -> None:
        """Keep embedded pages below `work`."""
        self.retriever = retriever
        self.mteb_model_meta = model_meta_of(retriever, ColIntern3_5Wrapper)
        self._work = work
        self._processes = processes
        self._corpus: Corpus | None = None
        self._store: PageStore | None = None

    def index(self, corpus: Dataset, *, encode_kwargs: Any, **_: Any) -> None:
        """Embed this process's share of the pages that are not embedded yet."""
        batch_size = int(encode_kwargs.get("batch_size", 16))
        with self._processes.together():
            self._corpus = survey(corpus, self.retriever, batch_size)
            self._store = PageStore(self._work / self._key(), self.retriever.dtype)
            missing = self._missing()
            total = sum(len(self._corpus.rows(number)) for number in missing)
            with tqdm(
                total=total, desc="Embedding pages", disable=not self._processes.is_first
            ) as bar:
                for number in missing:
                    self._store.write(number, self._embedded(self._corpus.blocks[number], bar))

    def search(
        self, queries: Dataset, *, top_k: int, encode_kwargs: Any, **_: Any
    ) -> dict[str, dict[str, float]]:
        """Return for every query its best pages and their scores."""
        with self._processes.together():
            texts = list(queries["text"])
            size = int(encode_kwargs.get("batch_size", 16))
            vectors = [
                each.cpu()
                for at in range(0, len(texts), size)
                for each in self.retriever.embed_queries(texts[at : at + size])
            ]
            best = _merged(self._block_bests(vectors, top_k), top_k)
        scores_QK, rows_QK = _merged(self._processes.gather(best), top_k)  # noqa: N806
        identifiers = self._current()[0].identifiers
        return {
            query: {identifiers[row]: score for row, score in zip(rows, scores, strict=True)}
            for query, rows, scores in zip(
                queries["id"], rows_QK.tolist(), scores_QK.tolist(), strict=True
            )
        }

    def forget(self) -> None:
        """Remove the pages of a task that is finished."""
        if self._store is not None and self._processes.is_first:
            self._store.remove()

    def _current(self) -> tuple[Corpus, PageStore]:
        if self._corpus is None or self._store is None:
            raise RuntimeError("the corpus must be indexed before it is searched")
        return self._corpus, self._store

    def _key(self) -> str:
        """Name the blocks by everything that decides what is in them."""
        corpus = self._corpus
        parts = [
            self.retriever.checkpoint.weights_sha256,
            self.retriever.checkpoint.settings_sha256,
            str(self.retriever.dtype),
            repr(self.retriever.processor),
            corpus.fingerprint if corpus else "",
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    def _missing(self) -> list[int]:
        corpus, store = self._current()
        shared = [n for n in range(len(corpus.blocks)) if self._processes.share(n)]
        return [number for number in shared if not store.has(number)]

    def _embedded(self, batches: Sequence[Batch], bar: Any) -> list[torch.Tensor]:
        """Embed pages; a thread prepares the next batch meanwhile."""
        corpus, _ = self._current()
        embedded: list[torch.Tensor] = []
        with ThreadPoolExecutor(1) as ahead:
            pending = ahead.submit(self._prepared, corpus, batches[0])
            for number, batch in enumerate(batches):
                features = pending.result()
                if number + 1 < len(batches):
                    pending = ahead.submit(self._prepared, corpus, batches[number + 1])
                embedded += [page.cpu() for page in self.retriever.embed(features)]
                bar.update(len(batch))
        return embedded

    def _prepared(self, corpus: Corpus, rows: Sequence[int]) -> Any:
        return self.retriever.prepare_pages([corpus.image(row) for row in rows])

    def _block_bests(
        self, queries: Sequence[torch.Tensor], top_k: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the best pages of each of this process's blocks: scores and row numbers."""
        corpus, store = self._current()
        for number in range(len(corpus.blocks)):
            if not self._processes.share(number):
                continue
            rows = corpus.rows(number)
            scores_QP = maxsim_scores(queries, store.read(number), self.retriever.device)  # noqa: N806
            if not torch.isfinite(scores_QP).all():
                raise NotFiniteError("every score must be finite, but some are NaN or infinite")
            scores_QK, at_QK = scores_QP.topk(min(top_k, len(rows)), dim=1)  # noqa: N806
            yield scores_QK, torch.tensor(rows)[at_QK]


def _merged(parts: Any, top_k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the best of several lists of best pages."""
    best_QK, rows_QK = torch.empty(0, 0), torch.empty(0, 0, dtype=torch.int64)  # noqa: N806
    for scores, rows in parts:
        if best_QK.numel():
            scores, rows = torch.cat([best_QK, scores], 1), torch.cat([rows_QK, rows], 1)  # noqa: PLW2901
        best_QK, at = scores.topk(min(top_k, scores.shape[1]), dim=1)  # noqa: N806
        rows_QK = rows.gather(1, at)  # noqa: N806
    return best_QK, rows_QK
