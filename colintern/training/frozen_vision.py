"""Remembers the features of a frozen vision tower between the two passes of a cached batch."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

_PARTS: Final = ("vision_tower", "multi_modal_projector")
_METHOD: Final = "get_image_features"


@dataclass(frozen=True, slots=True)
class _Features:
    """What InternVL's forward takes from the result of `get_image_features`."""

    pooler_output: torch.Tensor


class FrozenVision:
    """The visual features of a batch, if the tower that makes them is not trained.

    The tower does no backward pass, so it is about half of the work of a second forward pass; its
    features are a few megabytes a page. A tower that is trained, or that draws dropout, is run
    again instead.
    """

    def __init__(self, model: nn.Module) -> None:
        """Look at `model`, wrapped in any number of layers."""
        self._owner = _owner(model)
        self._features: deque[torch.Tensor] = deque()

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Keep the features that are made inside the block."""
        if self._owner is None:
            yield
            return
        original: Callable[..., Any] = getattr(self._owner, _METHOD)

        def remember(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            self._features.append(result.pooler_output.detach())
            return result

        with _replaced(self._owner, remember):
            yield

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Give the kept features out inside the block, in the order in which they were made."""
        if self._owner is None:
            yield
            return

        def recall(*_: Any, **__: Any) -> _Features:
            return _Features(self._features.popleft())

        with _replaced(self._owner, recall):
            yield


@contextmanager
def _replaced(owner: nn.Module, method: Callable[..., Any]) -> Iterator[None]:
    owner.__dict__[_METHOD] = method
    try:
        yield
    finally:
        del owner.__dict__[_METHOD]


def _owner(model: nn.Module) -> nn.Module | None:
    for module in model.modules():
        # Not hasattr: a PeftModel answers for the model inside it.
        children = dict(module.named_children())
        if hasattr(type(module), _METHOD) and all(name in children for name in _PARTS):
            return module if all(_is_fixed(children[name]) for name in _PARTS) else None
    return None


def _is_fixed(part: nn.Module) -> bool:
    draws = any(isinstance(module, nn.Dropout) and module.p > 0 for module in part.modules())
    config = getattr(part, "config", None)
    draws = draws or bool(getattr(config, "attention_dropout", 0.0))
    return not draws and not any(parameter.requires_grad for parameter in part.parameters())
