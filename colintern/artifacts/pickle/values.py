"""Stand-ins of a pickle as plain values that a person can read, bounded in number and depth."""

import math
from typing import Any, Final

from colintern.artifacts import limits
from colintern.artifacts.pickle.stand_ins import Global, Pairs, PickleFault, StandIn
from colintern.artifacts.printable import printable

_PATHS: Final = frozenset({"Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"})
_SEQUENCES: Final = frozenset({"set", "frozenset", "deque", "list", "tuple"})
_LONGEST_INTEGER: Final = 128
"""Bits; longer ones are no setting, and slow to write out."""


class Readable:
    """Makes values readable; one instance for one pickle, so that their number stays bounded."""

    def __init__(self) -> None:
        self._left = limits.PICKLE_VALUES

    def value(self, value: Any, depth: int = limits.PICKLE_DEPTH) -> Any:
        """Return numbers, texts, lists and dicts in place of `value`.

        Raises:
            PickleFault: more values or deeper nesting than any settings have.
        """
        self._left -= 1
        if self._left < 0 or depth < 0:
            expected = f"at most {limits.PICKLE_VALUES:,} values, nested {limits.PICKLE_DEPTH} deep"
            raise PickleFault(expected, "more", is_limit=True)
        if isinstance(value, list | tuple):
            return [self.value(item, depth - 1) for item in value]
        if isinstance(value, Pairs):
            return self.mapping(value.pairs, depth)
        if isinstance(value, StandIn):
            return self._stand_in(value, depth)
        if isinstance(value, bytes):
            return printable(value[:100].decode("latin-1"))
        if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER:
            return math.inf if value > 0 else -math.inf
        return str(value) if isinstance(value, Global) else value

    def mapping(self, pairs: list[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        """Return a dict; keys that are no text are written out, as JSON would."""
        return {
            key if isinstance(key, str) else printable(self.value(key, 1)): self.value(
                item, depth - 1
            )
            for key, item in pairs
        }

    def _stand_in(self, made: StandIn, depth: int) -> Any:
        name = made.callee.name if isinstance(made.callee, Global) else ""
        arguments = made.arguments if isinstance(made.arguments, tuple) else ()
        if name == "timedelta":
            return self._seconds(arguments)
        if name in _SEQUENCES:
            return [self.value(item, depth - 1) for item in made.items]
        pairs = made.state.pairs if isinstance(made.state, Pairs) else made.pairs
        if pairs:
            return self.mapping(pairs, depth)
        return self._called(name, arguments) or f"<{made.callee if name else 'a computed object'}>"

    def _called(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Read a class called with simple values: a device, a path, a member of an enum."""
        if name == "getattr" and len(arguments) == 2 and isinstance(arguments[1], str):  # noqa: PLR2004
            # Old enums: the member's name, in upper case, is its value.
            return arguments[1].lower()
        if name == "device":
            return ":".join(str(self.value(part, 0)) for part in arguments)
        if name in _PATHS:
            return "/".join(str(self.value(part, 0)) for part in arguments).replace("//", "/")
        is_enum = len(arguments) == 1 and isinstance(arguments[0], str | int | float)
        return self.value(arguments[0], 0) if is_enum else None

    def _seconds(self, arguments: tuple[Any, ...]) -> float | str:
        parts = [self.value(part, 0) for part in arguments]
        if len(parts) != 3 or not all(isinstance(part, int) for part in parts):  # noqa: PLR2004
            return "<datetime.timedelta>"
        days, seconds, microseconds = parts
        return float(days * 86_400 + seconds + microseconds / 1e6)
