"""What LoRA is put on: the guide's targets, said so that PEFT understands. Free of torch."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

PROJECTION: Final = "custom_text_proj"

GUIDE_TARGETS: Final = (
    "language_model.layers.*.self_attn.q_proj",
    "language_model.layers.*.self_attn.k_proj",
    "language_model.layers.*.self_attn.v_proj",
    "language_model.layers.*.self_attn.o_proj",
    "language_model.layers.*.mlp.gate_proj",
    "language_model.layers.*.mlp.up_proj",
    "language_model.layers.*.mlp.down_proj",
    PROJECTION,
)
"""The guide's list, as written. PEFT does not read globs: `one_expression` makes it mean them."""


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """What LoRA is put on, and how strongly."""

    rank: int
    alpha: int
    """The guide keeps it equal to the rank."""
    dropout: float
    target_modules: str | tuple[str, ...]
    """One regular expression, or a list that PEFT matches by exact name or dotted suffix."""
    projection: Literal["lora", "full"] = "lora"
    """`lora`: the projection has an adapter when the targets name it. `full`: it is trained and
    saved whole, and is no LoRA target."""
    tolerate_unmatched: bool = False
    """Train although a target matches nothing: only to show what comes of it."""


def one_expression(globs: Iterable[str]) -> str:
    r"""Turn globs of module names into the one regular expression that PEFT reads as such.

    >>> one_expression(["layers.*.q_proj", "custom_text_proj"])
    'layers\\.[^.]+\\.q_proj|custom_text_proj'
    """
    return "|".join(r"[^.]+".join(map(re.escape, glob.split("*"))) for glob in globs)
