"""Asks PEFT, transformers and colpali-engine's kind of class what they do with a folder."""

import re
import warnings
from dataclasses import dataclass, field

import torch
from peft import PeftConfig, PeftModel
from transformers import AutoModel

from colintern.live.model import quiet_libraries
from colintern.model.modeling import ColIntern3_5

PREFIX = "base_model.model."
INPUT = torch.tensor([[5, 9, 17, 23, 31, 40, 7, 12]])


@dataclass
class Answer:
    """What one loader did; names are without PEFT's prefix and the adapter's name."""

    missing: set = field(default_factory=set)
    unexpected: set = field(default_factory=set)
    error: str = ""
    output: torch.Tensor | None = None


def plain(name):
    """The same name for what a file, a plan and a loader call one tensor."""
    name = name.replace(PREFIX, "")
    name = re.sub(r"model\.language_model\.(model\.)+", "model.language_model.", name)
    name = name.replace(".default", "").replace(".modules_to_save", "")
    return re.sub(r"magnitude_vector\.weight$", "magnitude_vector", name)


def ask_peft(base, folder):
    return _ask(lambda: _peft(base, folder))


def ask_transformers(base, folder):
    return _ask(lambda: _transformers(base, folder))


def ask_family_class(folder):
    return _ask(lambda: _whole(ColIntern3_5, folder))


def ask_plain_class(folder):
    return _ask(lambda: _whole(AutoModel, folder))


def _peft(base, folder):
    config = PeftConfig.from_pretrained(folder)
    config.task_type = None
    model = PeftModel(ColIntern3_5.from_pretrained(base), config)
    return model, model.load_adapter(folder, "default")


def _transformers(base, folder):
    model = ColIntern3_5.from_pretrained(base)
    return model, model.load_adapter(str(folder))


def _whole(kind, folder):
    model, found = kind.from_pretrained(folder, output_loading_info=True)
    return model, type("Info", (), found)


def _ask(load):
    torch.manual_seed(0)
    with quiet_libraries(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            model, found = load()
        except Exception as error:  # noqa: BLE001 - whatever a loader raises is its answer
            return Answer(error=f"{type(error).__name__}: {error}")
        model.eval()
        output = model(input_ids=INPUT, attention_mask=torch.ones_like(INPUT))
    if not isinstance(output, torch.Tensor):
        output = output.last_hidden_state
    names = ({plain(name) for name in keys} for keys in (found.missing_keys, found.unexpected_keys))
    return Answer(*names, output=output.float())
