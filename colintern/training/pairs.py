"""colpali-engine's collator, with hard negatives of any number and any tiling."""

from typing import Any

from colpali_engine.collators import VisualRetrieverCollator
from colpali_engine.data.dataset import ColPaliEngineDataset
from PIL import Image
from torch.utils.data import Dataset

from colintern.pages.world import Pair


class PagePairs(Dataset[dict[str, Any]]):
    """Pairs whose pages are drawn when they are asked for."""

    def __init__(self, pairs: list[Pair]) -> None:
        """Wrap `pairs`."""
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        pair = self.pairs[index]
        return {"query": pair.query, "pos_target": Image.fromarray(pair.page.pixels())}


def pair_dataset(pairs: list[Pair]) -> ColPaliEngineDataset:
    """Return `pairs` in the form that colpali-engine's collator reads."""
    return ColPaliEngineDataset(PagePairs(pairs))


class RetrievalCollator(VisualRetrieverCollator):
    """Gives hard negatives one row a page: pixel rows are tiles, and pages differ in their number.

    The columns of queries and pages are colpali-engine's own.
    """

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Collate rows of `query`, `pos_target` and, for all of them or none, `neg_target`.

        Raises:
            ValueError: rows have different numbers of hard negatives.
        """
        negatives = [_pages(example.get("neg_target")) for example in examples]
        counts = {len(pages) for pages in negatives}
        if len(counts) > 1:
            raise ValueError(
                "every row of a batch must have the same number of hard negatives, but they have "
                f"{', '.join(map(str, sorted(counts)))}; set num_negatives in the data settings"
            )
        batch = super().__call__([{**example, "neg_target": None} for example in examples])
        flat = [page for pages in negatives for page in pages]
        return batch | self.auto_collate(flat, key_prefix=self.neg_doc_prefix) if flat else batch


def _pages(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
