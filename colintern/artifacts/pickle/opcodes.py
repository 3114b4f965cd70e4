"""Every pickle opcode, protocols 0 to 5, as a step of the inert machine."""

import codecs
import struct
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from colintern.artifacts.pickle.machine import Machine
from colintern.artifacts.pickle.stand_ins import (
    BUFFER,
    BYTE_ARRAY,
    EXTENSION,
    FROZEN_SET,
    PERSISTENT,
    SET,
    Global,
    Pairs,
    PickleFault,
    StandIn,
)

Handler: TypeAlias = Callable[[Machine, int], int]
"""Takes the machine and the position behind the opcode; returns the position behind its operand."""


def value(make: Callable[[], Any]) -> Handler:
    """Handle an opcode that pushes what `make` returns."""

    def handle(machine: Machine, position: int) -> int:
        machine.push(make())
        return position

    return handle


def action(act: Callable[[Machine], Any]) -> Handler:
    """Handle an opcode without an operand."""

    def handle(machine: Machine, position: int) -> int:
        act(machine)
        return position

    return handle


def fixed(layout: str, act: Callable[[Machine, Any], Any]) -> Handler:
    """Handle an opcode with one number of fixed size behind it."""
    packed = struct.Struct(layout)

    def handle(machine: Machine, position: int) -> int:
        act(machine, packed.unpack_from(machine.content, position)[0])
        return position + packed.size

    return handle


def sized(layout: str, act: Callable[[Machine, bytes], Any]) -> Handler:
    """Handle an opcode with a length and as many bytes behind it."""
    packed = struct.Struct(layout)

    def handle(machine: Machine, position: int) -> int:
        (length,) = packed.unpack_from(machine.content, position)
        start = position + packed.size
        act(machine, machine.take(start, length))
        return int(start + length)

    return handle


def text(act: Callable[[Machine, bytes], Any]) -> Handler:
    """Handle an opcode with a line of text behind it."""

    def handle(machine: Machine, position: int) -> int:
        line, position = machine.line(position)
        act(machine, line)
        return position

    return handle


def two_lines(act: Callable[[Machine, Global], Any]) -> Handler:
    """Handle an opcode that is followed by a module and a name, a line each."""

    def handle(machine: Machine, position: int) -> int:
        module, position = machine.line(position)
        name, position = machine.line(position)
        act(machine, machine.load(module.decode(), name.decode()))
        return position

    return handle


def quoted(line: bytes) -> str:
    """Return a text of protocol 0 without its quotes."""
    line = line.strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in {b"'", b'"'}:  # noqa: PLR2004
        raise ValueError("quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")


def whole(line: bytes) -> int | bool:
    """Return a whole number of protocol 0, which writes the booleans as `00` and `01`."""
    if line in {b"00", b"01"}:
        return line == b"01"
    return int(line.rstrip(b"L"), 0)


def utf8(content: bytes) -> str:
    """Decode a text; pickles hold lone surrogates."""
    return content.decode("utf-8", "surrogatepass")


_STOP: Final = ord(".")
_BINPUT: Final = ord("q")
_LONG_BINPUT: Final = ord("r")
_BINGET: Final = ord("h")
_BININT1: Final = ord("K")
_MARK: Final = ord("(")
_FAULTS: Final = (IndexError, KeyError, ValueError, TypeError, OverflowError, struct.error)


def _made_set(machine: Machine, callee: Global, values: list[Any]) -> None:
    made = StandIn(callee)
    made.items = values
    machine.push(made)


def _pushed_dict(machine: Machine, values: list[Any]) -> None:
    made = Pairs()
    made.pairs.extend(zip(values[::2], values[1::2], strict=True))
    machine.push(made)


def _tuple(length: int) -> Handler:
    def act(machine: Machine) -> None:
        machine.push(tuple(reversed([machine.pop() for _ in range(length)])))

    return action(act)


def _stack_global(machine: Machine) -> None:
    name = machine.pop()
    machine.push(machine.load(machine.pop(), name))


def _reduce(machine: Machine) -> None:
    arguments = machine.pop()
    machine.call(machine.pop(), arguments, "call")


def _new(machine: Machine) -> None:
    arguments = machine.pop()
    machine.call(machine.pop(), arguments, "new")


def _new_with_keywords(machine: Machine) -> None:
    keywords, arguments = machine.pop(), machine.pop()
    machine.call(machine.pop(), (arguments, keywords), "new")


def _object(machine: Machine) -> None:
    values = machine.group()
    machine.call(values[0], tuple(values[1:]), "call")


def _instance(machine: Machine, callee: Global) -> None:
    machine.call(callee, tuple(machine.group()), "call")


def _extension(machine: Machine, code: int) -> None:
    machine.push(machine.load(EXTENSION, str(code)))


def _append(machine: Machine) -> None:
    value = machine.pop()
    machine.add(machine.top, [value])


def _appends(machine: Machine) -> None:
    values = machine.group()
    machine.add(machine.top, values)


def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.assign(machine.top, [key, value])


def _set_items(machine: Machine) -> None:
    values = machine.group()
    machine.assign(machine.top, values)


def _check_protocol(_machine: Machine, version: int) -> None:
    if version > 5:  # noqa: PLR2004 - the newest protocol
        raise ValueError(version)


_TABLE: Final[dict[bytes, Handler]] = {
    b"N": value(lambda: None),
    b"\x88": value(lambda: True),
    b"\x89": value(lambda: False),
    b"]": value(list),
    b"}": value(Pairs),
    b")": value(tuple),
    b"\x8f": value(lambda: StandIn(SET)),
    b"\x97": value(lambda: StandIn(BUFFER)),
    b"\x98": action(lambda machine: machine.top),
    b"I": text(lambda machine, line: machine.push(whole(line))),
    b"L": text(lambda machine, line: machine.push(whole(line))),
    b"F": text(lambda machine, line: machine.push(float(line))),
    b"K": fixed("<B", Machine.push),
    b"M": fixed("<H", Machine.push),
    b"J": fixed("<i", Machine.push),
    b"G": fixed(">d", Machine.push),
    b"\x8a": sized("<B", lambda m, data: m.push(int.from_bytes(data, "little", signed=True))),
    b"\x8b": sized("<I", lambda m, data: m.push(int.from_bytes(data, "little", signed=True))),
    b"S": text(lambda machine, line: machine.push(quoted(line))),
    b"T": sized("<I", lambda machine, data: machine.push(data.decode("latin-1"))),
    b"U": sized("<B", lambda machine, data: machine.push(data.decode("latin-1"))),
    b"V": text(lambda machine, line: machine.push(line.decode("raw-unicode-escape"))),
    b"X": sized("<I", lambda machine, data: machine.push(utf8(data))),
    b"\x8c": sized("<B", lambda machine, data: machine.push(utf8(data))),
    b"\x8d": sized("<Q", lambda machine, data: machine.push(utf8(data))),
    b"B": sized("<I", Machine.push),
    b"C": sized("<B", Machine.push),
    b"\x8e": sized("<Q", Machine.push),
    b"\x96": sized("<Q", lambda machine, data: machine.push(StandIn(BYTE_ARRAY, (data,)))),
    b"(": action(Machine.mark),
    b"0": action(Machine.discard),
    b"1": action(Machine.group),
    b"2": action(lambda machine: machine.push(machine.top)),
    b"l": action(lambda machine: machine.push(machine.group())),
    b"d": action(lambda machine: _pushed_dict(machine, machine.group())),
    b"t": action(lambda machine: machine.push(tuple(machine.group()))),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"a": action(_append),
    b"e": action(_appends),
    b"\x90": action(_appends),
    b"s": action(_set_item),
    b"u": action(_set_items),
    b"\x91": action(lambda machine: _made_set(machine, FROZEN_SET, machine.group())),
    b"p": text(lambda machine, line: machine.remember(int(line))),
    b"q": fixed("<B", Machine.remember),
    b"r": fixed("<I", Machine.remember),
    b"\x94": action(Machine.remember_next),
    b"g": text(lambda machine, line: machine.recall(int(line))),
    b"h": fixed("<B", Machine.recall),
    b"j": fixed("<I", Machine.recall),
    b"c": two_lines(Machine.push),
    b"i": two_lines(_instance),
    b"\x93": action(_stack_global),
    b"o": action(_object),
    b"R": action(_reduce),
    b"\x81": action(_new),
    b"\x92": action(_new_with_keywords),
    b"b": action(lambda machine: machine.build(machine.pop())),
    b"\x82": fixed("<B", _extension),
    b"\x83": fixed("<H", _extension),
    b"\x84": fixed("<i", _extension),
    b"P": text(lambda machine, line: machine.push(StandIn(PERSISTENT, (line,)))),
    b"Q": action(lambda machine: machine.push(StandIn(PERSISTENT, (machine.pop(),)))),
    b"\x80": fixed("<B", _check_protocol),
    b"\x95": fixed("<Q", lambda *_: None),
}


def _unknown(_machine: Machine, position: int) -> int:
    raise ValueError(position)


_HANDLERS: Final[tuple[Handler, ...]] = tuple(
    _TABLE.get(bytes([code]), _unknown) for code in range(256)
)


def interpret(machine: Machine, position: int) -> tuple[Any, int]:
    """Interpret one pickle from `position`; return its value and the position behind it.

    Raises:
        PickleFault: an unknown opcode, missing operands, cut short, or beyond the budget.
    """
    machine.restart()
    start = position
    try:
        return _interpret(machine, position)
    except PickleFault:
        raise
    except _FAULTS as error:
        found = "a broken pickle" if machine.position > start else "other bytes"
        raise PickleFault("a pickle", f"{found}, from byte {machine.position:,} on") from error


def _interpret(machine: Machine, position: int) -> tuple[Any, int]:
    content, handlers = machine.content, _HANDLERS
    stack, marks, memo = machine.stack, machine.marks, machine.memo
    left = machine.budget.opcodes
    try:
        while left > 0:
            left -= 1
            code = content[position]
            # The commonest opcodes of optimiser states, here for speed: half the time of a scan.
            if code == _BINPUT:
                memo[content[position + 1]] = stack[-1]
                position += 2
            elif code == _BINGET:
                stack.append(memo[content[position + 1]])
                position += 2
            elif code == _LONG_BINPUT:
                memo[int.from_bytes(content[position + 1 : position + 5], "little")] = stack[-1]
                position += 5
            elif code == _BININT1:
                stack.append(content[position + 1])
                position += 2
            elif code == _MARK:
                marks.append(len(stack))
                position += 1
            elif code == _STOP:
                return stack.pop(), position + 1
            else:
                position = handlers[code](machine, position + 1)
    finally:
        machine.budget.opcodes = left
        machine.position = position
    raise PickleFault("a pickle of few enough opcodes", "more opcodes", is_limit=True)
