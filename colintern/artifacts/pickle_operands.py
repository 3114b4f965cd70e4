"""How the operands behind a pickle's opcodes are read, as steps of the inert machine."""

import codecs
import struct
from collections.abc import Callable
from typing import Any, TypeAlias

from colintern.artifacts.pickle_machine import Machine
from colintern.artifacts.pickle_stand_ins import Global

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
