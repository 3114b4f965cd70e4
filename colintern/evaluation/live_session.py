"""Runs a loaded model for the live rules, and returns plain numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from colintern.diagnostics.live_measurements import (
    BatchEffect,
    LoadReport,
    Retrieval,
    Spread,
    VectorNorms,
    batch_effect,
    relative_change,
    spread_of,
    vector_norms,
)
from colintern.evaluation.checkpoint import Checkpoint, classes_of
from colintern.evaluation.live_model import LiveModel, load_live, projection_of
from colintern.evaluation.live_pages import PROBES, LivePages
from colintern.evaluation.maxsim import maxsim_scores
from colintern.evaluation.ranking import ranking_metrics
from colintern.evaluation.retriever import AUGMENTATION_TOKENS

_BATCH = 16


class LiveSession:
    """One model and the pages that it is shown."""

    def __init__(self, checkpoint: Checkpoint, pages: LivePages) -> None:
        """Load the model and its processor.

        Raises:
            OSError, ValueError: the processor cannot be loaded.
        """
        self.checkpoint = checkpoint
        self.pages = pages
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._live = load_live(checkpoint, seed=1, device=self._device)
        self._processor = classes_of(checkpoint.family)[1].from_pretrained(checkpoint.processor)
        trained = checkpoint.trained_format
        prefix = trained.prefix if trained else None
        self._prefix = self._processor.query_prefix if prefix is None else prefix
        self._images = pages.images[:PROBES]
        self._queries = [
            f"{query} {query}" if n % 2 else query for n, query in enumerate(pages.queries[:PROBES])
        ]

    @property
    def report(self) -> LoadReport:
        """What became of every tensor."""
        return self._live.report

    @property
    def is_adapter(self) -> bool:
        """Whether there is an adapter to switch off."""
        return self._live.is_adapter

    def norms(self) -> VectorNorms:
        """Measure all vectors of the probes, padding included."""
        batches = (self._page_features(self._images), self._query_features(self._queries))
        vectors, real = [], []
        for features in batches:
            found = self._run(self._live.model, features).float().cpu()
            vectors.append(found.reshape(-1, found.shape[-1]).numpy())
            real.append(features["attention_mask"].bool().cpu().numpy().ravel())
        return vector_norms(np.concatenate(vectors), np.concatenate(real))

    def repeat_difference(self) -> float:
        """Return the largest difference of two passes over the same inputs; 0 is equal bits."""
        features = self._page_features(self._images)
        one, other = (self._run(self._live.model, features) for _ in range(2))
        return _difference(one, other)

    def adapter_effect(self) -> float:
        """Return the largest change that the adapter makes to a vector's number."""
        features = self._query_features(self._queries)
        with_it = self._run(self._live.model, features)
        with self._live.model.disable_adapter():
            without = self._run(self._live.model, features)
        return _difference(with_it, without)

    def load_difference(self) -> float:
        """Return the largest difference of the projection in two loads."""
        other = load_live(self.checkpoint, seed=2, device=torch.device("cpu"))
        name = self.checkpoint.family.projection
        return _difference(projection_of(self._live, name).cpu(), projection_of(other, name))

    def batch_effect(self) -> BatchEffect:
        """Embed the probes one by one and together."""
        model = self._live.model
        pages = [self._page_vectors(model, [image])[0] for image in self._images]
        queries = [self._query_vectors(model, [query])[0] for query in self._queries]
        all_pages = self._page_vectors(model, self._images)
        all_queries = self._query_vectors(model, self._queries)
        return batch_effect(
            [each.numpy() for each in (*pages, *queries)],
            [each.numpy() for each in (*all_pages, *all_queries)],
            (self._scores(queries, pages), self._scores(all_queries, all_pages)),
        )

    def spread(self) -> Spread:
        """Measure how different the probes are for the model."""
        pages = self._page_vectors(self._live.model, self._images)
        queries = self._query_vectors(self._live.model, self._queries)
        return spread_of([page.numpy() for page in pages], self._scores(queries, pages))

    def retrieval(self) -> Retrieval:
        """Rank all pages for all queries."""
        model, images, texts = self._live.model, self.pages.images, self.pages.queries
        pages = [
            page
            for at in range(0, len(images), _BATCH)
            for page in self._page_vectors(model, images[at : at + _BATCH])
        ]
        queries = [
            query
            for at in range(0, len(texts), _BATCH)
            for query in self._query_vectors(model, texts[at : at + _BATCH])
        ]
        answers = [frozenset({page}) for page in self.pages.relevant]
        found = ranking_metrics(self._scores(queries, pages), answers)
        return Retrieval(found["ndcg_at_5"], len(images), len(texts))

    def merge_change(self, merged: Checkpoint | None) -> float:
        """Return the largest relative change of a score by merging.

        Args:
            merged: a merged model; None merges here, which uses the adapter up.
        """
        before = self._probe_scores(self._live.model)
        if merged is not None:
            other: Any = load_live(merged, seed=1, device=self._device).model
        else:
            fresh: LiveModel = load_live(self.checkpoint, seed=1, device=self._device)
            other = fresh.model.merge_and_unload()
        return relative_change(before, self._probe_scores(other))

    def _probe_scores(self, model: Any) -> Any:
        pages = self._page_vectors(model, self._images)
        return self._scores(self._query_vectors(model, self._queries), pages)

    def _scores(self, queries: Sequence[torch.Tensor], pages: Sequence[torch.Tensor]) -> Any:
        return maxsim_scores(queries, pages, self._device).numpy()

    def _page_vectors(self, model: Any, images: Sequence[Any]) -> list[torch.Tensor]:
        return self._vectors(model, self._page_features(images))

    def _query_vectors(self, model: Any, texts: Sequence[str]) -> list[torch.Tensor]:
        return self._vectors(model, self._query_features(texts))

    def _page_features(self, images: Sequence[Any]) -> Any:
        return self._processor.process_images(list(images)).to(self._device)

    def _query_features(self, texts: Sequence[str]) -> Any:
        suffix = self._processor.query_augmentation_token * AUGMENTATION_TOKENS
        formatted = [f"{self._prefix}{text}{suffix}" for text in texts]
        return self._processor.process_texts(formatted).to(self._device)

    def _vectors(self, model: Any, features: Any) -> list[torch.Tensor]:
        found = self._run(model, features).float().cpu()
        masks = features["attention_mask"].bool().cpu()
        return [vectors[mask] for vectors, mask in zip(found, masks, strict=True)]

    def _run(self, model: Any, features: Any) -> torch.Tensor:
        values = dict(features)
        if "pixel_values" in values:
            kind = next(model.parameters()).dtype
            values["pixel_values"] = values["pixel_values"].to(kind)
        with torch.inference_mode():
            found: torch.Tensor = model(**values)
        return found


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one.float() - other.float()).abs().max())
