"""Orders rows so that no page is twice in a batch, where it would be its own negative."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler


class DistinctPages(Sampler[int]):
    """Rows in random order, each window of one global batch without a page twice.

    Rows are laid out page by page and dealt to the windows in turn, like cards: a page with no more
    rows than there are windows is in no window twice. Rows of a page beyond that, and the rows of
    the last incomplete window, wait for another epoch, in which other rows are left out.
    """

    def __init__(self, keys: Sequence[Hashable], window: int, *, seed: int) -> None:
        """Plan the order.

        Args:
            keys: for each row, what tells its page from others.
            window: rows of a batch of all processes together.
            seed: of the first epoch.

        Raises:
            ValueError: there are too few pages to fill one batch.
        """
        groups: defaultdict[Hashable, list[int]] = defaultdict(list)
        for row, key in enumerate(keys):
            groups[key].append(row)
        self.groups = list(groups.values())
        self.window = window
        self.seed = seed
        self.epoch = 0
        self.num_windows = _windows([len(rows) for rows in self.groups], window)
        if self.num_windows == 0:
            raise ValueError(
                f"a batch of {window} needs as many distinct pages, but the data has "
                f"{len(self.groups)}; lower the batch size or add pages"
            )

    def __len__(self) -> int:
        return self.num_windows * self.window

    def set_epoch(self, epoch: int) -> None:
        """Draw another order, the same for the same `epoch` in every process."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        dealt: list[list[int]] = [[] for _ in range(self.num_windows)]
        position = 0
        for group in torch.randperm(len(self.groups), generator=generator).tolist():
            rows = self.groups[group]
            order = torch.randperm(len(rows), generator=generator).tolist()
            for index in order[: self.num_windows]:
                dealt[position % self.num_windows].append(rows[index])
                position += 1
        for number in torch.randperm(self.num_windows, generator=generator).tolist():
            rows = dealt[number]
            order = torch.randperm(len(rows), generator=generator).tolist()
            yield from (rows[index] for index in order[: self.window])


def page_keys(dataset: Any) -> Sequence[Hashable] | None:
    """Return what tells the pages of `dataset` apart, row by row; None if it does not say."""
    return getattr(dataset, "page_keys", None)


def _windows(sizes: Sequence[int], window: int) -> int:
    """Return the most windows that can be filled with at most one row a page each."""
    count = sum(sizes) // window
    while count and sum(min(size, count) for size in sizes) < count * window:
        count = min(count - 1, sum(min(size, count) for size in sizes) // window)
    return count
