"""Pages and queries on which the live rules run a model: the bundled ones, or the user's own."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from colintern.artifacts.printable import printable
from colintern.engine.evidence import sources
from colintern.engine.verdict import NoEvidence
from colintern.pages.facts import draw_facts
from colintern.pages.layout import Layout
from colintern.pages.page import Page
from colintern.pages.world import retrieval_task

MOST_PAGES: Final = 300
"""Pages that are run through the model; the first ones of a larger folder."""
PROBES: Final = 8
"""Pages and queries of every rule that does not score the whole benchmark."""
_LAYOUTS: Final[tuple[Layout, ...]] = ("card", "form", "table", "letter")
_SEED: Final = 0

_IMAGES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
_QUERIES: Final = ("total", "Which page names the total?", "What is the title of the second table?")
"""For a folder of images without queries."""


@dataclass(frozen=True, slots=True)
class LivePages:
    """Pages, and queries where they are known; the index of a query's one answer beside it."""

    images: tuple[Image.Image, ...]
    queries: tuple[str, ...]
    relevant: tuple[int, ...]
    """Empty where no answers are known."""
    generated: bool
    """Whether they are the bundled ones."""
    revision: str | None
    """Of the bundled ones, as in a result of the benchmark `pages`."""
    probes: tuple[Image.Image, ...]
    """Pages of several sizes, so that a batch of them has padding where the family pads pages."""


def bundled_pages() -> LivePages:
    """Draw the pages of the benchmark `pages`."""
    task = retrieval_task()
    images = tuple(Image.fromarray(page.pixels()) for page in task.pages)
    return LivePages(
        images,
        task.queries,
        task.relevant,
        generated=True,
        revision=task.revision,
        probes=tuple(_drawn_probes()),
    )


def _drawn_probes() -> Iterator[Image.Image]:
    """Draw pages of each layout, every second one in landscape format beside its neighbour."""
    facts = list(islice(draw_facts("eval", seed=_SEED), PROBES + 1))
    layouts = cycle(_LAYOUTS)
    drawn = [Page(each, next(layouts)).pixels() for each in facts]
    for number, (page, following) in enumerate(pairwise(drawn)):
        yield Image.fromarray(np.hstack([page, following]) if number % 2 else page)


def pages_in(folder: Path) -> LivePages:
    """Read a folder of images, or of `queries`, `corpus` and `qrels` as ViDoRe has them.

    Raises:
        NoEvidence: it holds neither.
    """
    try:
        if (folder / "corpus").is_dir():
            return _benchmark(folder)
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _IMAGES)
        images = tuple(Image.open(path).convert("RGB") for path in paths[:MOST_PAGES])
    except (OSError, ValueError, KeyError, UnidentifiedImageError) as error:
        raise _unreadable(folder, str(error)) from error
    if len(images) < 2:  # noqa: PLR2004 - a page has to differ from another
        raise _unreadable(folder, f"{len(images)} images")
    return LivePages(images, _QUERIES, (), generated=False, revision=None, probes=images[:PROBES])


def _benchmark(folder: Path) -> LivePages:
    corpus = _rows(folder / "corpus", MOST_PAGES)
    at = {str(row["corpus-id"]): number for number, row in enumerate(corpus)}
    answers: dict[str, list[int]] = {}
    for row in _rows(folder / "qrels", None):
        if row["score"] > 0 and str(row["corpus-id"]) in at:
            answers.setdefault(str(row["query-id"]), []).append(at[str(row["corpus-id"])])
    asked = [
        (str(row["query"]), answers[str(row["query-id"])][0])
        for row in _rows(folder / "queries", None)
        if len(answers.get(str(row["query-id"]), ())) == 1
    ][:MOST_PAGES]
    if len(corpus) < 2 or not asked:  # noqa: PLR2004 - as above
        raise _unreadable(folder, f"{len(corpus)} pages and {len(asked)} queries with one answer")
    images = tuple(Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB") for row in corpus)
    queries, relevant = zip(*asked, strict=True)
    return LivePages(
        images, queries, relevant, generated=False, revision=None, probes=images[:PROBES]
    )


def _rows(folder: Path, most: int | None) -> list[dict[str, Any]]:
    from pyarrow import parquet  # noqa: PLC0415 - only for a folder of this form

    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.parquet")):
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=MOST_PAGES):
                rows += batch.to_pylist()
                if most is not None and len(rows) >= most:
                    return rows[:most]
    return rows


def _unreadable(folder: Path, found: str) -> NoEvidence:
    return NoEvidence(
        sources.LIVE_PAGES,
        what="images or a ViDoRe set",
        detail=f"found {printable(found, limit=200)} in {printable(folder)}",
        needed_for="running the model on them",
    )
