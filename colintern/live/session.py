"""Runs a loaded model for the live rules, and returns plain numbers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from msgspec.structs import replace as replaced

from colintern.diagnostics.live_measurements import (
    BatchEffect,
    LoadReport,
    MergeEffect,
    Retrieval,
    Spread,
    VectorNorms,
    batch_effect,
    relative_change,
    spread_of,
    vector_norms,
)
from colintern.evaluation.checkpoint import classes_of
from colintern.evaluation.engine_repairs import with_prefix_attention
from colintern.evaluation.maxsim import maxsim_scores
from colintern.evaluation.ranking import ranking_metrics
from colintern.live.bounds import TooLargeError
from colintern.live.model import (
    load_live,
    projection_of,
    quiet_libraries,
    sentence_of,
)
from colintern.live.pages import PROBES, LivePages
from colintern.live.source import LiveSource

_BATCH: Final = 16
_SECONDS_BETWEEN: Final = 10.0
"""Between two lines of progress of one measurement."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Embedded:
    """A batch as the model returns it."""

    vectors: torch.Tensor
    """(B, N, D), padding included."""
    mask: torch.Tensor

    @property
    def rows(self) -> list[torch.Tensor]:
        """The vectors of each input without padding."""
        return [each[kept] for each, kept in zip(self.vectors, self.mask, strict=True)]


class LiveSession:
    """One model and the pages that it is shown."""

    def __init__(self, source: LiveSource, pages: LivePages, say: Say) -> None:
        """Load the model and its processor, and embed the probes.

        What goes wrong with the checkpoint is in `report`.

        Raises:
            TooLargeError, ImportError: nothing to do with the checkpoint.
        """
        self.checkpoint = source.checkpoint
        self.pages = pages
        self._source = source
        self._say = say
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._queries = [
            f"{query} {query}" if n % 2 else query for n, query in enumerate(pages.queries[:PROBES])
        ]
        say(f"loading {source.weights.num_bytes / 1e6:,.0f} MB to {self._device.type}")
        self._live = load_live(source, seed=1, device=self._device)
        self.report: LoadReport = self._live.report
        if self.report.ok:
            self._try_out()

    def _try_out(self) -> None:
        """Load the processor and embed the probes; a failure becomes the report's."""
        self._say(f"embedding {len(self.pages.probes)} pages and {len(self._queries)} queries")
        what = "its processor cannot be loaded"
        try:
            with quiet_libraries():
                self._processor = self._load_processor()
            what = "it cannot embed a page"
            _ = self._probe_pages
            what = "it cannot embed a query"
            _ = self._probe_queries
        except (TooLargeError, ImportError):
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's files can raise anything
            self.report = replaced(self.report, error=f"{what}: {sentence_of(error)}")

    def _load_processor(self) -> Any:
        checkpoint = self.checkpoint
        processor = classes_of(checkpoint.family)[1].from_pretrained(
            checkpoint.processor, trust_remote_code=False, local_files_only=True
        )
        trained = checkpoint.trained_format
        prefix = trained.prefix if trained else None
        self._prefix = processor.query_prefix if prefix is None else prefix
        self._suffix = (
            processor.query_augmentation_token * checkpoint.family.num_augmentation_tokens
        )
        return processor

    @property
    def is_adapter(self) -> bool:
        """Whether there is an adapter to switch off."""
        return self._live.is_adapter

    @cached_property
    def is_finite(self) -> bool:
        """Whether no vector of a real token is NaN or infinite."""
        rows = (*self._probe_pages.rows, *self._probe_queries.rows)
        return all(bool(torch.isfinite(row).all()) for row in rows)

    def norms(self) -> VectorNorms:
        """Measure all vectors of the probes, padding included."""
        batches = (self._probe_pages, self._probe_queries)
        vectors = [batch.vectors.reshape(-1, batch.vectors.shape[-1]).numpy() for batch in batches]
        real = [batch.mask.numpy().ravel() for batch in batches]
        return vector_norms(np.concatenate(vectors), np.concatenate(real))

    def repeat_difference(self) -> float:
        """Return the largest difference of two passes over the same pages and queries."""
        again = self._page_batch(self._live.model, self.pages.probes)
        asked = self._query_batch(self._live.model, self._queries)
        return max(_difference(self._probe_pages, again), _difference(self._probe_queries, asked))

    def adapter_effect(self) -> float:
        """Return the largest change that the adapter makes to a vector's number."""
        with self._live.model.disable_adapter():
            pages = self._page_batch(self._live.model, self.pages.probes)
            queries = self._query_batch(self._live.model, self._queries)
        return max(_difference(self._probe_pages, pages), _difference(self._probe_queries, queries))

    def load_difference(self) -> float:
        """Return the largest difference of the projection in two loads."""
        self._say("loading it a second time")
        other = load_live(self._source, seed=2, device=torch.device("cpu"))
        if not other.report.ok:
            raise TooLargeError(f"a second load ({other.report.text})")
        name = self.checkpoint.family.projection
        one = projection_of(self._live, name).cpu()
        return float((one - projection_of(other, name)).abs().max())

    def batch_effect(self) -> BatchEffect:
        """Embed the probes one by one, beside the same in one batch."""
        model = self._live.model
        self._say("embedding the same one by one")
        pages = [self._page_batch(model, [image]).rows[0] for image in self.pages.probes]
        queries = [self._query_batch(model, [query]).rows[0] for query in self._queries]
        together = (self._probe_pages.rows, self._probe_queries.rows)
        return batch_effect(
            [each.numpy() for each in (*pages, *queries)],
            [each.numpy() for rows in together for each in rows],
            (self._scores(queries, pages), self._scores(together[1], together[0])),
        )

    def spread(self) -> Spread:
        """Measure how different the probes are for the model."""
        pages, queries = self._probe_pages.rows, self._probe_queries.rows
        return spread_of([page.numpy() for page in pages], self._scores(queries, pages))

    def retrieval(self) -> Retrieval:
        """Rank all pages for all queries."""
        model = self._live.model
        pages = self._all("pages", self.pages.images, lambda each: self._page_batch(model, each))
        queries = self._all(
            "queries", self.pages.queries, lambda each: self._query_batch(model, each)
        )
        answers = [frozenset({page}) for page in self.pages.relevant]
        found = ranking_metrics(self._scores(queries, pages), answers)
        return Retrieval(found["ndcg_at_5"], len(pages), len(queries))

    def merge_effect(self, merged: LiveSource | None) -> MergeEffect:
        """Compare the scores of the probes before and after merging.

        Args:
            merged: a merged model; None merges here, in a copy.
        """
        self._say("loading the merged model" if merged else "merging a copy")
        other = load_live(merged or self._source, seed=1, device=self._device)
        if not other.report.ok:
            return MergeEffect(error=other.report.text)
        model = other.model if merged is not None else other.model.merge_and_unload()
        pages = self._page_batch(model, self.pages.probes).rows
        queries = self._query_batch(model, self._queries).rows
        before = self._scores(self._probe_queries.rows, self._probe_pages.rows)
        return MergeEffect(relative_change(before, self._scores(queries, pages)))

    @cached_property
    def _probe_pages(self) -> _Embedded:
        return self._page_batch(self._live.model, self.pages.probes)

    @cached_property
    def _probe_queries(self) -> _Embedded:
        return self._query_batch(self._live.model, self._queries)

    def _all(
        self, what: str, inputs: Sequence[Any], embed: Callable[[Sequence[Any]], _Embedded]
    ) -> list[torch.Tensor]:
        rows: list[torch.Tensor] = []
        started = said = time.monotonic()
        self._say(f"embedding {len(inputs)} {what}")
        for at in range(0, len(inputs), _BATCH):
            rows += embed(inputs[at : at + _BATCH]).rows
            now = time.monotonic()
            if now - said > _SECONDS_BETWEEN:
                said, left = now, (now - started) * (len(inputs) / len(rows) - 1)
                self._say(f"{len(rows)} of {len(inputs)} {what}, {left:,.0f} s left")
        return rows

    def _scores(self, queries: Sequence[torch.Tensor], pages: Sequence[torch.Tensor]) -> Any:
        return maxsim_scores(queries, pages, self._device).numpy()

    def _page_batch(self, model: Any, images: Sequence[Any]) -> _Embedded:
        return self._run(model, self._processor.process_images(list(images)))

    def _query_batch(self, model: Any, texts: Sequence[str]) -> _Embedded:
        formatted = [f"{self._prefix}{text}{self._suffix}" for text in texts]
        return self._run(model, self._processor.process_texts(formatted))

    def _run(self, model: Any, features: Any) -> _Embedded:
        values = dict(with_prefix_attention(self.checkpoint.family, features).to(self._device))
        if "pixel_values" in values:
            kind = next(model.parameters()).dtype
            values["pixel_values"] = values["pixel_values"].to(kind)
        try:
            with torch.inference_mode():
                found: torch.Tensor = model(**values)
        except torch.OutOfMemoryError as error:
            raise TooLargeError("more memory for a batch of pages") from error
        return _Embedded(found.float().cpu(), values["attention_mask"].bool().cpu())


def _difference(one: _Embedded, other: _Embedded) -> float:
    pairs = zip(one.rows, other.rows, strict=True)
    return max(float((left - right).abs().max()) for left, right in pairs)
