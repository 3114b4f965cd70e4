"""What loading a checkpoint may cost: its own files have to explain what they ask for.

A model is built as its configuration says, before a single weight is read. So the sizes are looked
at first; what is refused here costs neither memory nor time.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import psutil
import torch

from colintern.artifacts import limits
from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.processor_config import ImageProcessorConfig, ProcessorConfig, Size
from colintern.artifacts.printable import printable
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.safe_pattern import safe_pattern
from colintern.diagnostics.adapter.targets import TargetMatcher
from colintern.diagnostics.adapter.tensors import sort_adapter_tensors
from colintern.families.catalogue import visual_tokens_of

_LAYERS: Final = 1_000
"""Of one tower; a language model of 405B parameters has 126."""
_LABELS: Final = 100_000
"""transformers builds a dictionary of them; the largest classifiers have 21,843."""
_VALUES_A_BYTE: Final = 2
"""Of weights packed in four bits: the most parameters that a byte of a file can stand for."""
_UNSAVED: Final = 1 << 20
"""Parameters of a model that its files need not hold: a projection that is not there, buffers."""
_EDGE: Final = 8_192
"""Pixels along a page or a tile; 448 to 4,096 in public processors."""
_TILES: Final = 1_024
_TOKENS: Final = 16_384
"""Of one tile; 64 to 1,024 in public processors."""
_HEADROOM: Final = 1.2
"""Memory of a running model by that of its weights, on pages as small as ours."""


class UnboundedError(ValueError):
    """A checkpoint that asks for more than its files explain; the message is one sentence."""


class TooLargeError(ValueError):
    """A sound model that this machine has no room for."""


def refuse_unbounded_config(document: Mapping[str, Any]) -> None:
    """Refuse counts in config.json that take long to build, whatever the weights are.

    Raises:
        UnboundedError: too many layers or labels.
    """
    for key, value in _integers(document):
        words = key.lower()
        if "max_window" in words:
            continue
        limit = _LABELS if "labels" in words else _LAYERS
        if any(word in words for word in ("layers", "depth", "labels")) and value > limit:
            raise UnboundedError(
                f"config.json asks for {printable(key, limit=60)} = {value:,}, at most {limit:,} "
                "are built"
            )


def refuse_unbounded_adapter(config: AdapterConfig, tensors: TensorStore) -> None:
    """Refuse an adapter whose configuration asks for more than its tensors hold.

    Raises:
        UnboundedError: ranks without tensors, patterns that may take for ever, other libraries.
    """
    pairs = sort_adapter_tensors(tensors.entries).pairs
    held = max((pair.rank or 0 for pair in pairs), default=0)
    asked = max([config.r, *(config.rank_pattern or {}).values()])
    if asked > max(held, 1) * 2:
        raise UnboundedError(f"adapter_config.json has rank {asked:,}, the tensors have {held}")
    ranges = config.layer_replication or ()
    if sum(abs(each[-1] - each[0]) for each in ranges if each) > _LAYERS:
        raise UnboundedError(f"`layer_replication` stacks more than {_LAYERS:,} layers")
    patterns = [*(config.rank_pattern or ()), *(config.alpha_pattern or ())]
    layers = config.layers_pattern
    patterns += [layers] if isinstance(layers, str) else list(layers or ())
    problem = TargetMatcher(config).problem or next(
        (found for text in patterns if (found := safe_pattern(text).problem)), None
    )
    if problem:
        raise UnboundedError(f"adapter_config.json holds {problem}")
    if config.raw.get("megatron_config"):
        raise UnboundedError("`megatron_config` in adapter_config.json names a module to import")


def refuse_unbounded_processor(processor: ProcessorConfig) -> None:
    """Refuse a processor that makes a huge input of a small page.

    Raises:
        UnboundedError: an edge, a number of tiles or of tokens beyond any model's.
    """
    image = processor.image
    found = {
        "pixels along an edge": (max(_edges(image), default=0), _EDGE),
        "tiles": (max(image.max_patches or 0, image.min_patches or 0), _TILES),
        "tokens a tile": (
            max(
                processor.image_seq_length or 0,
                processor.image_seq_len or 0,
                image.image_seq_length or 0,
            ),
            _TOKENS,
        ),
    }
    for what, (value, limit) in found.items():
        if value > limit:
            raise UnboundedError(
                f"the processor asks for {value:,} {what}, at most {limit:,} are tried"
            )


def fitting_type(num_parameters: int, weights: TensorStore, device: torch.device) -> torch.dtype:
    """Return the type to load in: bfloat16 on a GPU, else float32 where it fits.

    Raises:
        UnboundedError: the configuration describes more parameters than the files can hold.
        TooLargeError: no type fits into this machine's memory.
    """
    most = _VALUES_A_BYTE * weights.num_bytes + _UNSAVED
    if num_parameters > most:
        raise UnboundedError(
            f"config.json describes {num_parameters:,} parameters, the {weights.num_bytes:,} bytes "
            f"of weights hold at most {most:,}"
        )
    on_gpu = device.type == "cuda"
    free = torch.cuda.mem_get_info(device)[0] if on_gpu else psutil.virtual_memory().available
    for kind in (torch.bfloat16,) if on_gpu else (torch.float32, torch.bfloat16):
        if num_parameters * kind.itemsize * _HEADROOM < free:
            return kind
    needed = num_parameters * torch.bfloat16.itemsize * _HEADROOM
    raise TooLargeError(
        f"{needed / limits.GIBIBYTE:.1f} GiB of memory ({free / limits.GIBIBYTE:.1f} are free)"
    )


def _edges(image: ImageProcessorConfig) -> Iterator[float]:
    """Yield the edges that a small page is enlarged to."""
    # By its own class: the processor's name is a stranger's word, and would lift the bound.
    counted = visual_tokens_of(image.image_processor_type or "")
    if counted is not None and counted.rule == "area":
        # Areas: a page is enlarged to the smallest, the largest is only a bound.
        least = image.size.get("shortest_edge") if isinstance(image.size, dict) else None
        yield max(least or 0, image.min_pixels or 0) ** 0.5
        return
    for size in (image.size, image.max_image_size):
        yield from _numbers(size)


def _numbers(size: Size | None) -> Iterator[int]:
    if isinstance(size, int):
        yield size
    elif isinstance(size, dict):
        yield from (value for value in size.values() if value)
    else:
        yield from size or ()


def _integers(document: Any, key: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(document, Mapping):
        for name, value in document.items():
            yield from _integers(value, str(name))
    elif isinstance(document, list):
        for value in document:
            yield from _integers(value, key)
    elif type(document) is int or (type(document) is float and math.isfinite(document)):
        yield key, int(document)
