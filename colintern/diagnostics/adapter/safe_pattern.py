"""Regular expressions of a stranger, matched without the danger of catastrophic backtracking.

Python's `re` holds the interpreter while it backtracks, so no timeout can stop it. A pattern is
therefore looked at before it runs: the number of open-ended repeats that can follow one another
bounds the work on a name of n characters by n^k / k!, times the alternatives that can both match;
nested repeats have no such bound. What could be slow is refused, and the caller says that it could
not tell.
"""

import math
import re
import time
import warnings
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final, NamedTuple

PATTERN_CHARACTERS: Final = 4_000
"""The longest pattern of a public adapter has 330."""
INVALID: Final = "an invalid regular expression"
"""The problem of a pattern that nobody can try: PEFT cannot either."""
_REPEATS: Final = 5
"""Open-ended repeats in a row; colpali-engine's patterns have 4, unsloth's 5."""
_STEPS: Final = 40_000_000
"""Steps of backtracking for one name in the worst case: about half a second."""
_SECONDS: Final = 1.0
"""For all names of one pattern together."""
_SINGLE: Final = frozenset(
    {codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN, codes.CATEGORY, codes.RANGE}
)
_REPEAT: Final = frozenset({codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT})


class _Refused(Exception):  # noqa: N818 - a verdict on the pattern, caught here
    """The pattern's cost has no useful bound."""


class _Cost(NamedTuple):
    repeats: int
    """Open-ended repeats that can follow one another."""
    choices: int
    """Ways to choose among alternatives that can match at the same place."""


@dataclass
class SafePattern:
    """A pattern that may be tried, or the reason why not."""

    compiled: re.Pattern[str] | None
    """None when it is invalid or refused."""
    cost: _Cost
    problem: str | None
    """Why it is not tried, in words."""
    _spent: float = field(default=0.0, repr=False)

    def fullmatch(self, text: str) -> bool | None:
        """Whether the whole of `text` matches; None when it could not be tried in time."""
        if self.compiled is None or self._spent > _SECONDS or self._steps(len(text)) > _STEPS:
            return None
        start = time.perf_counter()
        matched = self.compiled.fullmatch(text) is not None
        self._spent += time.perf_counter() - start
        return matched

    def _steps(self, length: int) -> float:
        repeats, choices = self.cost
        return choices * float(length + 1) ** repeats / math.factorial(repeats)


_FREE: Final = _Cost(0, 1)


def fresh_pattern(text: str) -> SafePattern:
    """Look at the regular expression `text`, with a budget of time of its own."""
    return replace(safe_pattern(text), _spent=0.0)


@lru_cache(maxsize=512)
def safe_pattern(text: str) -> SafePattern:
    """Look at the regular expression `text`."""
    if len(text) > PATTERN_CHARACTERS:
        return SafePattern(None, _FREE, f"a regular expression of {len(text):,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cost = _sequence(parser.parse(text))
            if cost.repeats > _REPEATS or cost.choices > _STEPS:
                return SafePattern(None, cost, "a regular expression that backtracks too far")
            return SafePattern(re.compile(text), cost, None)
    except (re.error, RecursionError, OverflowError):
        return SafePattern(None, _FREE, INVALID)
    except _Refused as refused:
        return SafePattern(None, _FREE, str(refused))


def _sequence(parsed: Any) -> _Cost:
    """Add up what follows one another; raise `_Refused` for nested repeats."""
    total = _FREE
    for code, argument in parsed:
        cost = _cost(code, argument)
        total = _Cost(total.repeats + cost.repeats, min(total.choices * cost.choices, _STEPS + 1))
    return total


def _cost(code: Any, argument: Any) -> _Cost:
    if code in _SINGLE or code is codes.AT:
        return _FREE
    if code in _REPEAT:
        return _repeat(*argument)
    if code is codes.SUBPATTERN:
        return _sequence(argument[-1])
    if code is codes.ATOMIC_GROUP:
        return _sequence(argument)
    if code is codes.BRANCH:
        return _branch(argument[1])
    if code in {codes.ASSERT, codes.ASSERT_NOT}:
        return _sequence(argument[1])
    raise _Refused("a regular expression with back-references or conditions")


def _branch(branches: Any) -> _Cost:
    costs = [_sequence(branch) for branch in branches]
    worst = max(cost.repeats for cost in costs)
    words = [_literal(branch) for branch in branches]
    if None not in words and _exclusive([word for word in words if word is not None]):
        return _Cost(worst, max(cost.choices for cost in costs))
    return _Cost(worst, min(sum(cost.choices for cost in costs), _STEPS + 1))


def _literal(branch: Any) -> str | None:
    if all(code is codes.LITERAL for code, _ in branch):
        return "".join(chr(argument) for _, argument in branch)
    return None


def _exclusive(words: list[str]) -> bool:
    """Whether no word begins another, so that at most one can match at a place."""
    ordered = sorted(words)
    return not any(later.startswith(word) for word, later in pairwise(ordered))


def _repeat(_least: int, most: Any, body: Any) -> _Cost:
    inside = _sequence(body)
    if most == 1:
        return _Cost(inside.repeats, 1 + inside.choices)
    if len(body) == 1 and body[0][0] in _SINGLE:
        return _Cost(1, 1)
    raise _Refused("a regular expression with nested repeats")
