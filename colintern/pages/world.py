"""The training pairs and the evaluation task of the generated world."""

import hashlib
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from colintern.pages.facts import draw_facts, draw_query, draw_unambiguous_query
from colintern.pages.layout import Layout
from colintern.pages.page import Page

TASK: Final = "ColInternPagesRetrieval"
"""The one task of the benchmark `pages`; `diagnostics.results.benchmarks` has the same name."""

CORPUS_SIZE: Final = 300
"""Pages of the task, each with one query; random NDCG@5 is 2.9485 / 300 = 0.0098."""

LAYOUT: Final[Layout] = "card"
"""Of every page that is searched. With the values at changing places, two layers of width 128 learn
the title of a page and nothing else in 500 steps: the loss stays above 2.9, NDCG@5 is 0.05."""

EVALUATION_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a page that answers it."""

    query: str
    page: Page


@dataclass(frozen=True, slots=True)
class RetrievalTask:
    """A corpus, its queries and which page answers which; the index is the identifier."""

    name: str
    pages: tuple[Page, ...]
    queries: tuple[str, ...]
    revision: str
    """Hash of everything a model sees: queries, pages and which answers which."""
    relevant: tuple[int, ...]
    """For each query, the index of the one page that answers it."""


def training_pairs(count: int, *, seed: int = 0) -> list[Pair]:
    """Make `count` pairs on distinct pages of the training split."""
    generator = random.Random(f"pairs/{seed}")
    facts = itertools.islice(draw_facts("train", seed=seed), count)
    return [Pair(draw_query(each, generator)[0], Page(each, LAYOUT)) for each in facts]


def held_out_pairs(count: int, *, seed: int = 1) -> list[Pair]:
    """Make `count` pairs for the evaluation loss: unseen pages, none of them in the task."""
    asked = {page.facts for page in retrieval_task().pages}
    generator = random.Random(f"held-out/{seed}")
    unseen = (facts for facts in draw_facts("eval", seed=seed + 100) if facts not in asked)
    return [
        Pair(draw_query(each, generator)[0], Page(each, LAYOUT))
        for each in itertools.islice(unseen, count)
    ]


def retrieval_task(*, size: int = CORPUS_SIZE) -> RetrievalTask:
    """Make the evaluation task: every query has exactly one answer among the pages."""
    facts = list(itertools.islice(draw_facts("eval", seed=EVALUATION_SEED), size))
    generator = random.Random(f"task/{EVALUATION_SEED}")
    queries = [
        (draw_unambiguous_query(each, facts, generator), index) for index, each in enumerate(facts)
    ]
    answerable = [(query, index) for query, index in queries if query is not None]
    pages = tuple(Page(each, LAYOUT) for each in facts)
    return RetrievalTask(
        name=TASK,
        pages=pages,
        queries=tuple(query for query, _ in answerable),
        relevant=tuple(index for _, index in answerable),
        revision=_revision(pages, answerable),
    )


def _revision(pages: Sequence[Page], answerable: Sequence[tuple[str, int]]) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    for page in pages:
        digest.update(page.pixels().tobytes())
    for query, index in answerable:
        digest.update(f"{index} {query}\n".encode())
    return digest.hexdigest()
