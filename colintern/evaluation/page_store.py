"""Embedded pages on disk, in half precision and with their true lengths, block by block.

What is here after a kill need not be embedded again, and neither is the corpus that the language
subsets of a task share.
"""

import contextlib
import hashlib
import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from datasets import Dataset
from datasets import Image as ImageFeature
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from colintern.evaluation.retriever import Retriever

BLOCK_BATCHES: Final = 4
"""Batches of a block: what a kill can cost."""
_LAYOUT: Final = 2
"""Which pages are in which block: a store of another layout is not gone on with."""
_HALF: Final = (torch.bfloat16, torch.float16)


Batch = tuple[int, ...]
"""Row numbers of pages that are embedded at once."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The pages of a task, not yet decoded, in the order in which they are embedded."""

    dataset: Dataset
    identifiers: tuple[str, ...]
    blocks: tuple[tuple[Batch, ...], ...]
    """Row numbers in batches, the longest pages first: if the memory does not suffice, that shows
    at once."""
    fingerprint: str
    """Of the pages' bytes, their order and the size of a batch."""

    def rows(self, number: int) -> tuple[int, ...]:
        """Return the row numbers of a block."""
        return tuple(row for batch in self.blocks[number] for row in batch)

    def image(self, row: int) -> Image.Image:
        """Decode a page."""
        return _decoded(self.dataset[row]["image"])


def survey(dataset: Dataset, retriever: Retriever, batch_size: int) -> Corpus:
    """Read the size of every page, without decoding it, and sort the pages by it."""
    if isinstance(dataset.features["image"], ImageFeature):
        dataset = dataset.cast_column("image", ImageFeature(decode=False))
    digest = hashlib.sha256(f"{_LAYOUT} {batch_size}".encode())
    lengths = []
    for row in dataset.select_columns("image"):
        page = row["image"]
        image = _decoded(page)
        digest.update(hashlib.sha256(_bytes(page, image)).digest())
        lengths.append(page_tokens(retriever.processor, *image.size))
    batches = list(batches_of(lengths, batch_size))
    return Corpus(
        dataset=dataset,
        identifiers=tuple(str(identifier) for identifier in dataset["id"]),
        blocks=tuple(
            tuple(batches[at : at + BLOCK_BATCHES]) for at in range(0, len(batches), BLOCK_BATCHES)
        ),
        fingerprint=digest.hexdigest(),
    )


def page_tokens(processor: Any, width: int, height: int) -> int:
    """Return a figure in proportion to the tokens of a page, whatever its size in pixels.

    A processor that cannot tell makes all pages alike.
    """
    if (count := getattr(processor, "num_visual_tokens", None)) is not None:
        return int(count((height, width)))
    images = getattr(processor, "image_processor", None)
    if (count := getattr(images, "get_number_of_image_patches", None)) is None:
        return 1
    patches = count(height, width)
    return int(patches[0] if isinstance(patches, tuple) else patches)


def batches_of(lengths: Sequence[int], batch_size: int) -> Iterator[Batch]:
    """Put pages of like lengths together, the longest first.

    A batch has at most `batch_size` pages, and no more tokens than that many pages have on average:
    a few pages that are much longer than the others must not decide how much memory is needed.
    """
    order = sorted(range(len(lengths)), key=lambda number: (-lengths[number], number))
    budget = batch_size * sum(lengths) / max(1, len(lengths))
    start = 0
    while start < len(order):
        longest = max(1, lengths[order[start]])
        count = min(batch_size, max(1, int(budget / longest)))
        yield tuple(order[start : start + count])
        start += count


class PageStore:
    """The blocks of one corpus, embedded by one model."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        """Keep the blocks in `folder`, in the model's own half precision or else float16."""
        self.folder = folder
        self._dtype = dtype if dtype in _HALF else torch.float16

    def has(self, number: int) -> bool:
        """Whether a block is here, whole."""
        try:
            self.read(number)
        except (OSError, KeyError, SafetensorError):
            return False
        return True

    def write(self, number: int, pages: Sequence[torch.Tensor]) -> None:
        """Write a block: a reader sees all of it or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self._path(number).with_suffix(".partial")
        vectors = torch.cat([page.to("cpu", self._dtype) for page in pages])
        lengths = torch.tensor([len(page) for page in pages])
        save_file({"vectors": vectors, "lengths": lengths}, partial)
        partial.replace(self._path(number))

    def read(self, number: int) -> tuple[torch.Tensor, ...]:
        """Return the pages of a block, each (tokens, dimension)."""
        block = load_file(self._path(number))
        return torch.split(block["vectors"], block["lengths"].tolist())

    def remove(self) -> None:
        """Remove all blocks."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # other corpora are being embedded
            self.folder.parent.rmdir()

    def _path(self, number: int) -> Path:
        return self.folder / f"block-{number:06d}.safetensors"


def _decoded(page: Any) -> Image.Image:
    """Open a page; PIL reads the pixels when they are asked for."""
    if isinstance(page, Image.Image):
        return page
    return Image.open(io.BytesIO(page["bytes"]) if page["bytes"] is not None else page["path"])


def _bytes(page: Any, image: Image.Image) -> bytes:
    if isinstance(page, Image.Image):
        return image.tobytes()
    content: bytes | None = page["bytes"]
    return content if content is not None else Path(page["path"]).read_bytes()
