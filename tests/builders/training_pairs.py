"""Generated pairs as a dataset whose pages can be told apart, with hard negatives on request."""

from PIL import Image

from colintern.pages.world import training_pairs


class PairRows:
    """Rows of colpali-engine's collator; `page_keys` as the batch sampler reads them."""

    def __init__(self, count, *, negatives=0, repeats=1):
        self.pairs = training_pairs(count)
        self.negatives = negatives
        self.page_keys = [index // repeats for index in range(count)]

    def __len__(self):
        return len(self.pairs)

    def page(self, index):
        return Image.fromarray(self.pairs[index % len(self.pairs)].page.pixels())

    def __getitem__(self, index):
        negatives = [self.page(index + 1 + number) for number in range(self.negatives)]
        return {
            "query": self.pairs[index].query,
            "pos_target": [self.page(index)],
            "neg_target": negatives or None,
        }
