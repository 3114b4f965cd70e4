"""Generated pairs as a dataset of colpali-engine."""

from typing import Any

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
