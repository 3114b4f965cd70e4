"""The saved processor: `processor_config.json` and `preprocessor_config.json` as one record.

transformers 5 writes the image processor inside `processor_config.json`; older versions write it to
a file of its own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from msgspec.structs import asdict

from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import convert, read_json_object

_LARGEST: Final = 10**9
"""Beyond any number of pixels or tokens; keeps products finite."""

Count = Annotated[int, Meta(ge=0, le=_LARGEST)]
Size = Count | dict[str, Count | None] | list[Count]


class ImageProcessorConfig(Struct, frozen=True, kw_only=True):
    """How a page image becomes tiles or patches, under the library's names."""

    image_processor_type: str | None = None
    """The class, as `GotOcr2ImageProcessor`."""
    processor_class: str | None = None
    """The processor that it belongs to."""
    size: Size | None = None
    """Pixels: `height` and `width`, or `longest_edge` (for Qwen: an area)."""
    max_image_size: Size | None = None
    """Idefics 3: edge of a tile in pixels, under `longest_edge`."""
    crop_to_patches: bool | None = None
    """InternVL: whether a page is cut into tiles."""
    min_patches: Count | None = None
    """InternVL: fewest tiles."""
    max_patches: Count | None = None
    """InternVL: most tiles, the thumbnail not counted."""
    min_pixels: Count | None = None
    """Qwen: smallest area of a page."""
    max_pixels: Count | None = None
    """Qwen: largest area of a page."""
    patch_size: Size | None = None
    """Edge of a vision patch in pixels."""
    merge_size: Count | None = None
    """Qwen: vision patches along the edge of one token."""
    do_image_splitting: bool | None = None
    """Idefics 3: whether a page is cut into tiles."""
    image_seq_length: Count | None = None
    """PaliGemma: tokens of a page."""


class ProcessorConfig(Struct, frozen=True, kw_only=True):
    """The processor that queries and pages go through."""

    path: Path
    """The file that names the processor."""
    image: ImageProcessorConfig
    """How pages are cut and scaled; all None where no file says."""
    has_image_processor: bool
    """Whether a file holds the image processor."""
    processor_class: str | None = None
    """As `ColIntern3_5Processor`."""
    image_seq_length: Count | None = None
    """Tokens of one tile, InternVL and Gemma 3."""
    image_seq_len: Count | None = None
    """Tokens of one tile, Idefics 3."""
    max_num_visual_tokens: Count | None = None
    """Budget of visual tokens a page."""
    query_prefix: str | None = None
    """Text before each query."""
    query_augmentation_token: str | None = None
    """Appended to each query ten times."""


class _Processor(Struct, frozen=True, kw_only=True):
    processor_class: str | None = None
    image_seq_length: Count | None = None
    image_seq_len: Count | None = None
    max_num_visual_tokens: Count | None = None
    query_prefix: str | None = None
    query_augmentation_token: str | None = None


def read_processor_config(
    processor: Path | None, preprocessor: Path | None, enclosure: Enclosure | None
) -> ProcessorConfig:
    """Read the files that are there; at least one of them must be.

    Raises:
        ArtifactError: unreadable, not JSON, or a field of the wrong type.
    """
    document = read_json_object(processor, enclosure) if processor else {}
    nested = document.get("image_processor")
    source = preprocessor or processor
    if source is None:
        raise ValueError("one of the two files must be given")
    if isinstance(nested, Mapping):
        image: Mapping[str, Any] = nested
    else:
        image = read_json_object(preprocessor, enclosure) if preprocessor else {}
    recorded = convert(processor or source, document, _Processor)
    pixels = convert(source, image, ImageProcessorConfig)
    values = asdict(recorded)
    values["processor_class"] = recorded.processor_class or pixels.processor_class
    return ProcessorConfig(
        path=processor or source, image=pixels, has_image_processor=bool(image), **values
    )
