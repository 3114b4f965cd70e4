"""How each loader reads the name of a tensor in an adapter's file.

PEFT expects its prefix and puts the adapter's name in; on a model of transformers it also takes a
name of LoRA that lacks the prefix or says `default` already. transformers' `load_adapter`, which
colpali-engine and sentence-transformers go through when they open an adapter's folder, needs no
prefix, but would put a second `default` in. Source: peft 0.20, `set_peft_model_state_dict`;
transformers 5.24, `integrations/peft.py`.
"""

import re
from typing import Final, Literal, NamedTuple

from colintern.diagnostics.adapter.tensors import PREFIX

PEFT: Final = "PEFT"
TRANSFORMERS: Final = "transformers"
LOADERS: Final = (PEFT, TRANSFORMERS)
Loader = Literal["PEFT", "transformers"]

_DEFAULT: Final = "default"
_LORA: Final = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_(?:A|B|embedding_A|embedding_B|magnitude_vector))"
    r"(?:\.(?P<adapter>(?!weight$|bias$)[^.]+))?(?:\.(?P<kind>weight|bias))?",
    re.DOTALL,
)
_SAVED: Final = f".modules_to_save.{_DEFAULT}."
_MOVED: Final = "model.language_model.model."
"""Where the language model stood before transformers 4.52, as `load_adapter` renames it."""
MAGNITUDE: Final = "lora_magnitude_vector"


class Parameter(NamedTuple):
    """A tensor as a loader understands its name."""

    module: str
    name: str
    """Below the module, without the adapter's name: `lora_A.weight`, `base_layer.bias`."""

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def is_lora(self) -> bool:
        """Whether it belongs to LoRA, not to the module itself."""
        return self.name.startswith("lora_")


def read_name(loader: Loader, name: str) -> Parameter | None:
    """Return what `loader` takes the tensor `name` for; None where it finds nothing in it."""
    if loader == PEFT:
        return _read_by_peft(name)
    return _read_by_transformers(name)


def _read_by_peft(name: str) -> Parameter | None:
    short = name.removeprefix(PREFIX)
    match = _LORA.fullmatch(short)
    if match is None:
        return _own_parameter(short) if short != name else None
    if match["adapter"] not in {None, _DEFAULT}:
        return None
    return _lora_parameter(match)


def _read_by_transformers(name: str) -> Parameter | None:
    short = name.removeprefix(PREFIX)
    if short.startswith(_MOVED):
        short = f"language_model.{short.removeprefix(_MOVED)}"
    short = short.removeprefix("model.")
    match = _LORA.fullmatch(short)
    if match is None:
        return _own_parameter(short.replace(_SAVED, "."))
    if match["adapter"] is not None or match["part"] == MAGNITUDE:
        return None
    return _lora_parameter(match)


def _lora_parameter(match: re.Match[str]) -> Parameter | None:
    """PEFT's parameters end in `weight`, but for an embedding's matrices and DoRA's old vector."""
    part, kind = match["part"], match["kind"]
    if part == MAGNITUDE:
        return Parameter(match["module"], part) if kind != "bias" else None
    bare = part.startswith("lora_embedding")
    if bare is (kind is not None):
        return None
    return Parameter(match["module"], part if bare else f"{part}.{kind}")


def _own_parameter(name: str) -> Parameter | None:
    module, _, parameter = name.rpartition(".")
    for inner in ("base_layer", "original_module"):
        if module.endswith(f".{inner}"):
            return Parameter(module.removesuffix(f".{inner}"), f"{inner}.{parameter}")
    return Parameter(module, parameter) if module else None
