"""Pickles of classes that need not exist, byte by byte as protocol 2 writes them."""

import struct
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Name:
    """A global."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """A reduced object: the callee called with the arguments."""

    callee: object
    arguments: tuple = ()


@dataclass(frozen=True)
class Instance:
    """A new-style object: made without its constructor, then given its state."""

    callee: Name
    state: dict = field(default_factory=dict)


def enum(module, name, value):
    return Call(Name(module, name), (value,))


def pickled(value):
    """The bytes of a pickle; `Name`, `Call` and `Instance` stand for what they describe."""
    return b"\x80\x02" + _encoded(value) + b"."


def _integer(value):
    length = value.bit_length() // 8 + 1
    head = b"\x8a" + bytes([length]) if length < 256 else b"\x8b" + struct.pack("<i", length)
    return head + value.to_bytes(length, "little", signed=True)


def _text(value):
    content = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def _items(values):
    return b"".join(_encoded(value) for value in values)


_ENCODERS = {
    type(None): lambda _: b"N",
    bool: lambda value: b"\x88" if value else b"\x89",
    int: _integer,
    float: lambda value: b"G" + struct.pack(">d", value),
    str: _text,
    bytes: lambda value: b"B" + struct.pack("<I", len(value)) + value,
    list: lambda value: b"](" + _items(value) + b"e",
    tuple: lambda value: b"(" + _items(value) + b"t",
    dict: lambda value: b"}(" + _items(part for item in value.items() for part in item) + b"u",
    Name: lambda value: f"c{value.module}\n{value.name}\n".encode(),
    Call: lambda value: _encoded(value.callee) + _encoded(value.arguments) + b"R",
    Instance: lambda value: _encoded(value.callee) + b")\x81" + _encoded(value.state) + b"b",
}


def _encoded(value):
    return _ENCODERS[type(value)](value)
