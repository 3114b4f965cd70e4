"""NDCG@5 of a model in training, over the rows that are held out for evaluation.

The evaluation loss cannot rank trials: its chance level is the logarithm of the batch. Here every
held-out query is asked of all held-out pages, whatever the batch is. The benchmark that a model is
reported on is not looked at.

Shape letters: Q queries, P pages.
"""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import TrainingArguments

from colintern.evaluation.ranking import ranking_metrics
from colintern.training.distinct_pages import page_keys
from colintern.training.faults import NotFiniteError

METRIC = "ndcg_at_5"


class HeldOutRetrieval:
    """Asks each held-out query of all held-out pages."""

    def __init__(self, rows: Any, processor: Any, arguments: TrainingArguments) -> None:
        """Prepare `rows`: a dataset with `query` and `pos_target`."""
        self._rows = rows
        self._processor = processor
        self._arguments = arguments
        keys = page_keys(rows)
        numbers: dict[Any, int] = {}
        pages = [
            numbers.setdefault(key, len(numbers))
            for key in (range(len(rows)) if keys is None else keys)
        ]
        first: dict[int, int] = {}
        for row, page in enumerate(pages):
            first.setdefault(page, row)
        self._page_of_row = pages
        self._first_row = list(first.values())

    def ndcg_at_5(self, model: nn.Module) -> float:
        """Embed queries and pages as they are in training, and rank.

        Raises:
            NotFiniteError: the model's scores are no numbers.
        """
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad(), self._precision(model):
                return self._measured(model)
        finally:
            model.train(was_training)

    def _measured(self, model: nn.Module) -> float:
        queries: list[torch.Tensor] = []
        texts: list[str] = []
        pages: list[torch.Tensor | None] = [None] * len(self._first_row)
        wanted = set(self._first_row)
        for start in self._starts():
            numbers = range(start, min(start + self._batch_size, len(self._rows)))
            rows = [self._rows[number] for number in numbers]
            texts += [row["query"] for row in rows]
            queries += self._embedded(model, self._processor.process_queries, texts[start:])
            new = [number for number in numbers if number in wanted]
            images = [_only(rows[number - start]["pos_target"]) for number in new]
            if images:
                embedded = self._embedded(model, self._processor.process_images, images)
                for number, vectors in zip(new, embedded, strict=True):
                    pages[self._page_of_row[number]] = vectors
        found = [page for page in pages if page is not None]
        scores_QP = self._processor.score(queries, found, device=_device(model))  # noqa: N806
        if not torch.isfinite(scores_QP).all():
            raise NotFiniteError("the scores of the held-out rows must be finite, but are not")
        return ranking_metrics(scores_QP.float().cpu().numpy(), self._relevant(texts))[METRIC]

    def _starts(self) -> Iterable[int]:
        """Return where each batch of rows begins, behind a bar that leaves nothing."""
        return tqdm(
            range(0, len(self._rows), self._batch_size),
            desc="NDCG@5",
            leave=False,
            disable=bool(self._arguments.disable_tqdm),
        )

    def _relevant(self, texts: Sequence[str]) -> list[frozenset[int]]:
        """Return the pages that answer each query: those of all rows that ask the same."""
        answers: dict[str, set[int]] = {}
        for text, page in zip(texts, self._page_of_row, strict=True):
            answers.setdefault(text, set()).add(page)
        return [frozenset(answers[text]) for text in texts]

    def _embedded(self, model: nn.Module, process: Any, inputs: list[Any]) -> list[torch.Tensor]:
        features = process(inputs).to(_device(model))
        vectors_BND = model(**features).float().cpu()  # noqa: N806
        mask_BN = features["attention_mask"].bool().cpu()  # noqa: N806
        return [vectors[mask] for vectors, mask in zip(vectors_BND, mask_BN, strict=True)]

    @property
    def _batch_size(self) -> int:
        return int(self._arguments.per_device_eval_batch_size)

    def _precision(self, model: nn.Module) -> Any:
        if not (self._arguments.bf16 or self._arguments.fp16):
            return nullcontext()
        dtype = torch.bfloat16 if self._arguments.bf16 else torch.float16
        return torch.autocast(_device(model).type, dtype=dtype)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _only(page: Any) -> Any:
    return page[0] if isinstance(page, list) else page
