"""The floor of a pass: a green verdict that rests on nothing about the model is worth nothing."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.rule_fields import Floor

_PARTS: Final[dict[str, tuple[Floor, ...]]] = {
    "weights": ("finite", "trained"),
    "learning": ("learned",),
}
FLOOR_PARTS: Final = tuple(_PARTS)
"""What `pass-floor` may name."""
_MERGED: Final = "merged"
"""Kind of a subject that holds whole matrices: training has left no update to look at."""

_SHOWN: Final = 3
"""Sources that one line names."""
JUDGED: Final = frozenset(
    {Outcome.PASSED, Outcome.FAILED, Outcome.WARNED, Outcome.NOTED, Outcome.WAIVED, Outcome.ERROR}
)
"""Outcomes of rules that came to a verdict."""


class Gap(Struct, frozen=True):
    """A part of the floor that nothing was judged of."""

    part: str
    rules: tuple[str, ...]
    """Which would have judged it."""
    sources: tuple[str, ...]
    """What they lack, the most wanted first."""


def gaps_in(
    results: Sequence[CheckResult], parts: Iterable[str], kind: str | None
) -> tuple[Gap, ...]:
    """Return the parts of the floor that are not met.

    A part is met when, of everything that it asks for, at least one rule came to a verdict. What no
    selected rule shows is not asked for: a selection of rules narrows the floor.

    Args:
        results: of one subject.
        parts: out of `FLOOR_PARTS`, as the policy names them.
        kind: of the subject; a merged model shows a head where an adapter shows updates.
    """
    gaps = []
    for part in parts:
        asked = [_asked(floor, kind) for floor in _PARTS[part]]
        rules = [[result for result in results if result.floor == floor] for floor in asked]
        lacking = [group for group in rules if group and not _any_judged(group)]
        if lacking:
            gaps.append(_gap(part, [result for group in lacking for result in group]))
    return tuple(gaps)


def is_narrowed(results: Iterable[CheckResult], parts: Iterable[str], kind: str | None) -> bool:
    """Whether some of the floor was not selected, so that a pass does not speak of it."""
    shown = {result.floor for result in results}
    return any(_asked(floor, kind) not in shown for part in parts for floor in _PARTS[part])


def gaps_text(gaps: Iterable[Gap]) -> str:
    """Say what nothing was judged of, and what would settle it.

    >>> gaps_text([Gap("weights", ("TEAM001",), ("adapter_model.safetensors",))])
    'nothing judged the weights (needs adapter_model.safetensors)'
    """
    told = []
    for gap in gaps:
        needs = f" (needs {' or '.join(gap.sources[:_SHOWN])})" if gap.sources else ""
        told.append(f"nothing judged the {gap.part}{needs}")
    return ", ".join(told)


def _asked(floor: Floor, kind: str | None) -> Floor:
    return "head" if floor == "trained" and kind == _MERGED else floor


def _any_judged(results: Iterable[CheckResult]) -> bool:
    return any(result.outcome in JUDGED for result in results)


def _gap(part: str, results: Sequence[CheckResult]) -> Gap:
    missing = (result.missing for result in results if result.missing is not None)
    sources = dict.fromkeys(each.source for each in missing if not each.is_option)
    return Gap(part, tuple(result.rule for result in results), tuple(sources))
