"""Generated pairs as a dataset or a folder of images, with hard negatives on request."""

import json

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


def write_image_folder(folder, count, *, pages=None, negatives=0):
    """Write PNG files with a JSONL of queries; `pages` fewer than `count` are asked for twice."""
    folder.mkdir(parents=True)
    pages = pages or count
    rows = PairRows(count)
    for number in range(pages):
        rows.page(number).save(folder / f"{number}.png")
    lines = []
    for number in range(count):
        others = [f"{(number + 1 + more) % pages}.png" for more in range(negatives)]
        line = {"query": rows.pairs[number].query, "image": f"{number % pages}.png"}
        lines.append({**line, "others": others} if others else line)
    (folder / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
