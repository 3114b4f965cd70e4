"""What a GPU can do, told from its name."""

import re
from typing import Final

_AMPERE_OR_NEWER: Final = re.compile(
    r"\b(?:A(?:2|10G?|16|30|40|100|800)|L(?:2|4|20|40S?)|H(?:20|100|200|800)|GH200"
    r"|B(?:100|200|300)|GB(?:10|200|300)|RTX (?:30|40|50)\d0|RTX A\d{4}|RTX \d{4} Ada"
    r"|RTX PRO \d{4})\b",
    re.IGNORECASE,
)
_TURING_OR_OLDER: Final = re.compile(
    r"\b(?:T4G?|V100S?|P(?:4|40|100)|K(?:20|40|80)|M(?:40|60)|GTX|TITAN|RTX 20\d0|"
    r"Quadro|T(?:400|600|1000|2000)|[KMP]\d{3,4})\b",
    re.IGNORECASE,
)
"""Compute capability below 8.0, where the name would else look newer."""


def has_bfloat16_and_flash(gpu: str | None) -> bool | None:
    """Whether the GPU multiplies bfloat16 natively and runs flash attention 2; None when unknown.

    Both need compute capability 8.0, NVIDIA's Ampere generation of 2020.
    """
    if gpu is None:
        return None
    name = gpu[:200]
    if _TURING_OR_OLDER.search(name):
        return False
    return True if _AMPERE_OR_NEWER.search(name) else None
