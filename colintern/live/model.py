"""A checkpoint loaded as transformers and PEFT load it, faults and all, for the live rules.

`retriever.py` refuses what is wrong; here it is loaded and reported. The checkpoint is a
stranger's: its sizes are looked at before it is built, only safetensors are read, and no code of
its own or of the Hub is run.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from torch import nn
from transformers.utils import logging as transformers_logging

from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import ADAPTER_WEIGHTS
from colintern.diagnostics.live_measurements import LoadReport
from colintern.diagnostics.weights.tensor_names import is_dropped, key_of
from colintern.evaluation.checkpoint import classes_of
from colintern.evaluation.engine_repairs import tie_output_layer
from colintern.live.bounds import (
    TooLargeError,
    fitting_type,
    refuse_unbounded_adapter,
    refuse_unbounded_config,
    refuse_unbounded_processor,
)
from colintern.live.source import LiveSource
from colintern.model.loading import choose_attention

_MOST_NAMED: Final = 20
"""Tensors that a report names."""
_SENTENCE_CHARACTERS: Final = 240
"""Of an error that a library raised."""
_PREFIX: Final = "base_model.model."
"""PEFT's, before the name of every adapted module."""


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A loaded model, not merged."""

    model: Any
    report: LoadReport

    @property
    def is_adapter(self) -> bool:
        """Whether an adapter can be switched off."""
        return isinstance(self.model, PeftModel)


def load_live(source: LiveSource, *, seed: int, device: torch.device) -> LiveModel:
    """Load a checkpoint; what no file holds is drawn from `seed`.

    An error while loading is reported, not raised.

    Raises:
        TooLargeError: this machine has no room for the model.
        ImportError: a library that it needs is not installed.
    """
    try:
        with quiet_libraries():
            kind = _checked_type(source, device)
            torch.manual_seed(seed)
            return _load(source, kind, device)
    except (TooLargeError, ImportError):
        raise
    except Exception as error:  # noqa: BLE001 - a stranger's files can raise anything
        return LiveModel(nn.Identity(), LoadReport(num_tensors=0, error=sentence_of(error)))


def sentence_of(error: Exception) -> str:
    """Say in one line what a library raised."""
    lines = (line.strip() for line in str(error).splitlines())
    first = next((line for line in lines if line), "no reason given")
    return printable(f"{type(error).__name__}: {first}", limit=_SENTENCE_CHARACTERS)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what the libraries would print about a load: the report says it."""
    level = transformers_logging.get_verbosity()
    had_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(transformers_logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(level)
        if had_bars:
            transformers_logging.enable_progress_bar()


def projection_of(live: LiveModel, name: str) -> torch.Tensor:
    """Return the projection's matrix as it acts: base, or saved copy, plus update."""
    base: Any = live.model.get_base_model() if live.is_adapter else live.model
    layer = getattr(base, name)
    inner = layer.get_base_layer() if hasattr(layer, "get_base_layer") else layer
    if hasattr(inner, "modules_to_save"):
        inner = inner.modules_to_save["default"]
    weight: torch.Tensor = inner.weight.detach().float()
    if hasattr(layer, "get_delta_weight"):
        weight = weight + layer.get_delta_weight("default").detach().float()
    return weight


def _checked_type(source: LiveSource, device: torch.device) -> torch.dtype:
    """Refuse what cannot be built in reasonable time and memory; return the type to load in."""
    refuse_unbounded_config(source.config)
    refuse_unbounded_processor(source.processor)
    if source.adapter is not None and source.adapter_weights is not None:
        refuse_unbounded_adapter(source.adapter, source.adapter_weights)
    model_class, _ = classes_of(source.checkpoint.family)
    config = model_class.config_class.from_pretrained(
        source.folder, attn_implementation="sdpa", trust_remote_code=False
    )
    with torch.device("meta"):
        outline = model_class(config)
    return fitting_type(sum(each.numel() for each in outline.parameters()), source.weights, device)


def _load(source: LiveSource, kind: torch.dtype, device: torch.device) -> LiveModel:
    checkpoint = source.checkpoint
    model_class, _ = classes_of(checkpoint.family)
    model, information = model_class.from_pretrained(
        source.folder,
        dtype=kind,
        attn_implementation=choose_attention(device),
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    tie_output_layer(checkpoint.family, model)
    projection = f"{checkpoint.family.projection}."
    missing = information["missing_keys"]
    # An adapter may bring the projection; the rule on two loads finds out.
    brought = [name for name in missing if checkpoint.is_adapter and name.startswith(projection)]
    lost = [name for name in missing if name not in brought and not is_dropped(name)]
    left = [name for name in information["unexpected_keys"] if not is_dropped(name)]
    mismatched = [str(each[0]) for each in information.get("mismatched_keys", ())]
    report = LoadReport(
        num_tensors=len(model.state_dict()),
        missing=_some([*lost, *mismatched]),
        # Only a whole model's own tensors: a base also holds what a retriever has no use for.
        unexpected=() if checkpoint.is_adapter else _some(left),
    )
    if checkpoint.is_adapter:
        model, report = _adapted(model, source, report)
    return LiveModel(model.eval().to(device), report)


def _adapted(
    model: nn.Module, source: LiveSource, report: LoadReport
) -> tuple[PeftModel, LoadReport]:
    folder = source.checkpoint.folder
    config = LoraConfig.from_pretrained(folder)
    # PEFT's wrapper of another task would ask for methods that a retriever does not have.
    config.task_type = None
    adapted = PeftModel.from_pretrained(model, folder, config=config, use_safetensors=True)
    # "auto" would ask the Hub whether the base's vocabulary was resized.
    expected = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    loaded = {name.replace(".default.", "."): value for name, value in adapted.state_dict().items()}
    # Names of other layouts of the same model, which PEFT maps while it loads.
    by_key = {_key(name): name for name in expected}
    used, unused = set(), []
    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as file:
        names = sorted(file.keys())
        for name in names:
            known = name if name in expected else by_key.get(_key(name), name)
            there = expected.get(known, loaded.get(known))
            if there is None or not _equal(there, file.get_tensor(name)):
                unused.append(name)
            used.add(known)
    return adapted, LoadReport(
        num_tensors=len(names),
        missing=report.missing,
        unused=_some(unused),
        absent=_some([name for name in expected if name not in used]),
    )


def _key(name: str) -> tuple[str, str]:
    return key_of(name.removeprefix(_PREFIX))


def _equal(loaded: torch.Tensor, saved: torch.Tensor) -> bool:
    same_shape = loaded.shape == saved.shape
    other = saved.to(loaded.dtype)
    return same_shape and bool(torch.allclose(loaded.cpu(), other, rtol=0, atol=0, equal_nan=True))


def _some(names: list[str]) -> tuple[str, ...]:
    return tuple(sorted(names)[:_MOST_NAMED])
