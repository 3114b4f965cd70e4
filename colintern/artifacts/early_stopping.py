"""What transformers' `EarlyStoppingCallback` left in `trainer_state.json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from colintern.artifacts.json_document import convert


class EarlyStopping(msgspec.Struct, frozen=True, kw_only=True):
    """State of transformers' `EarlyStoppingCallback`."""

    patience: int
    """Evaluations without improvement after which training stops."""
    counter: int
    """Evaluations without improvement so far."""

    @property
    def used_up(self) -> bool:
        """Whether the callback has stopped the run."""
        return self.counter >= self.patience > 0


class _Callback(msgspec.Struct, kw_only=True):
    args: dict[str, Any] = {}
    attributes: dict[str, Any] = {}


def read_early_stopping(path: Path, callbacks: Mapping[str, Any]) -> EarlyStopping | None:
    """Read the callback's state; several instances are a list, of which the first counts."""
    saved = callbacks.get("EarlyStoppingCallback")
    saved = saved[0] if isinstance(saved, list) and saved else saved
    if not isinstance(saved, dict):
        return None
    callback = convert(path, saved, _Callback)
    patience = callback.args.get("early_stopping_patience")
    counter = callback.attributes.get("early_stopping_patience_counter")
    if not (isinstance(patience, int) and isinstance(counter, int)):
        return None
    return EarlyStopping(patience=patience, counter=counter)
