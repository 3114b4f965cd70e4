"""The pickle virtual machine over inert stand-ins: nothing is imported, called or copied."""

from typing import Any, Final

from colintern.artifacts.pickle.stand_ins import Budget, Global, Pairs, StandIn

MOST_MEMO: Final = 1 << 32
"""Memo numbers are 32 bits wide; larger ones, written as text, could collide on purpose."""


class Machine:
    """The pickle virtual machine. What was seen before a fault stays known: it would have run."""

    def __init__(self, content: bytes, budget: Budget) -> None:
        self.content = content
        self.position = 0
        """Where interpretation stopped."""
        self.budget = budget
        self.globals: dict[Global, set[str]] = {}
        """Each global and its uses: `call`, `new`, `state` (of an instance), `change` (its own)."""
        self.attribute_reads: set[tuple[str, str]] = set()
        """What `getattr` would read: the global or an empty text, and the attribute's name."""
        self.computed_calls = False
        """Whether the result of a call is called."""
        self.stack: list[Any] = []
        self.marks: list[int] = []
        """Heights of the stack at which groups begin."""
        self.memo: dict[int, Any] = {}

    def restart(self) -> None:
        """Forget values, keep what was seen: the next pickle of the same file begins."""
        self.stack.clear()
        self.marks.clear()
        self.memo.clear()

    def take(self, position: int, length: int) -> bytes:
        """Return the next `length` bytes."""
        piece = self.content[position : position + length]
        if len(piece) != length:
            raise IndexError(length)
        return piece

    def line(self, position: int) -> tuple[bytes, int]:
        """Return the bytes up to the next newline, and the position behind it."""
        end = self.content.index(b"\n", position)
        return self.content[position:end], end + 1

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the top of the stack."""
        return self.stack.pop()

    @property
    def top(self) -> Any:
        """The value that the next `pop` returns."""
        return self.stack[-1]

    def mark(self) -> None:
        """Begin a group of values."""
        self.marks.append(len(self.stack))

    def group(self) -> list[Any]:
        """Take the values since the last mark."""
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def discard(self) -> None:
        """Drop the top value, or the mark when nothing lies above it."""
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def remember(self, index: int) -> None:
        """Keep the top of the stack under a number."""
        if not 0 <= index < MOST_MEMO:
            raise ValueError(index)
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        """Push what is kept under a number: the same object, never a copy."""
        self.stack.append(self.memo[index])

    def remember_next(self) -> None:
        """Keep the top of the stack under the next free number."""
        self.memo[len(self.memo)] = self.stack[-1]

    def load(self, module: Any, name: Any) -> Global:
        """Note a global."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError(name)
        found = Global(module, name)
        self.globals.setdefault(found, set())
        return found

    def use(self, callee: Any, how: str) -> None:
        """Note what is done with a value, when it is a global or made by a call."""
        if isinstance(callee, Global):
            self.globals.setdefault(callee, set()).add(how)
        elif how in {"call", "new"}:
            self.computed_calls = True

    def call(self, callee: Any, arguments: Any, how: str) -> None:
        """Push a stand-in for the result of a call."""
        self.use(callee, how)
        if isinstance(callee, Global) and callee.name == "getattr":
            self.attribute_reads.add(_attribute_read(arguments))
        self.stack.append(StandIn(callee, arguments))

    def add(self, target: Any, values: list[Any]) -> None:
        """Append to a list, a set or a stand-in of either."""
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, StandIn):
            target.items.extend(values)
            self.use(target.callee, "state")
        else:
            raise TypeError("append")

    def assign(self, target: Any, values: list[Any]) -> None:
        """Set the items of a dict or of a stand-in of one."""
        if not isinstance(target, Pairs | StandIn):
            raise TypeError("item")
        if isinstance(target, StandIn):
            self.use(target.callee, "state")
        target.pairs.extend(zip(values[::2], values[1::2], strict=True))

    def build(self, state: Any) -> None:
        """Give the top of the stack its state."""
        target = self.stack[-1]
        if isinstance(target, StandIn):
            target.state = state
            self.use(target.callee, "state")
        else:
            self.use(target, "change")


def _attribute_read(arguments: Any) -> tuple[str, str]:
    target, name, *_ = (*arguments, "", "") if isinstance(arguments, tuple) else ("", "")
    return (
        str(target) if isinstance(target, Global) else "",
        name if isinstance(name, str) else "",
    )
