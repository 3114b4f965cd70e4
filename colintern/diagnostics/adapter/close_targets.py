"""Entries of `target_modules` that are a slip of the pen: the module that was meant."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import listed, printable
from colintern.diagnostics.adapter.coverage import AdapterCoverage

_PLAIN: Final = re.compile(r"[\w.]{3,100}", re.ASCII)
"""A name: the slip in a glob or an expression is another one."""
_CLOSE: Final = 0.75
"""Likeness from which a name is offered: `v_prj` for `v_proj` is 0.91, `q_proj` for `v_proj` 0.83,
`fc1` for `q_proj` 0."""
_MOST_ENTRIES: Final = 20
_MOST_NAMES: Final = 20_000


class CloseTarget(Struct, frozen=True):
    """An entry that matches nothing, and the name that it is close to."""

    entry: str
    meant: str
    has_tensors: bool
    """Whether the adapter has LoRA on modules of that name, which no entry matches."""

    @property
    def fix(self) -> str:
        """What to do."""
        change = (
            f"write `{printable(self.meant, limit=80)}` for `{printable(self.entry, limit=80)}`"
        )
        if self.has_tensors:
            return f"{change}: its modules have LoRA here, so the list was edited after training."
        return f"{change}, and train again: a list is matched by exact name or dotted suffix."


def close_targets(coverage: AdapterCoverage) -> tuple[CloseTarget, ...]:
    """Name, for each entry that matches nothing, the one module name that it is close to."""
    return tuple(_close(coverage))


def _close(coverage: AdapterCoverage) -> Iterator[CloseTarget]:
    entries = [entry for entry in coverage.unmatched if _PLAIN.fullmatch(entry)]
    if not entries or isinstance(coverage.config.target_modules, str):
        return
    taken = {*coverage.entries} - {*coverage.unmatched}
    undeclared = _tails(coverage.undeclared, 1)
    for entry in entries[:_MOST_ENTRIES]:
        names = _tails(coverage.module_names, entry.count(".") + 1) - taken
        if meant := get_close_matches(entry, sorted(names), n=1, cutoff=_CLOSE):
            has_tensors = meant[0].rpartition(".")[2] in undeclared
            yield CloseTarget(entry, meant[0], has_tensors)


def _tails(names: tuple[str, ...], segments: int) -> frozenset[str]:
    return frozenset(".".join(name.split(".")[-segments:]) for name in islice(names, _MOST_NAMES))


def targets_text(coverage: AdapterCoverage, close: tuple[CloseTarget, ...]) -> str:
    """Say which entries match nothing, what was meant, and how far LoRA reached."""
    count = len(coverage.tensors.modules)
    reached = f"LoRA reached {count} module{'s' * (count != 1)}"
    if not coverage.unmatched:
        return f"every entry matches; {reached}"
    meant = {one.entry: f"{one.entry} (meant: {one.meant})" for one in close}
    shown = listed([meant.get(entry, entry) for entry in coverage.unmatched], most=2)
    guilty = f"{len(coverage.unmatched)} of {len(coverage.entries)} entries match nothing: {shown}"
    return f"{guilty}; {reached}"
