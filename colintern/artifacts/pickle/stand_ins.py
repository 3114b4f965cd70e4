"""What an interpreted pickle is made of: inert stand-ins that import, call and hash nothing."""

from typing import Any, Final

from msgspec import Struct

from colintern.artifacts import limits


class Global(Struct, frozen=True):
    """Something that the pickle asks to import."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class StandIn:
    """In place of an object that the pickle asks to make; compared and hashed by identity."""

    __slots__ = ("arguments", "callee", "items", "pairs", "state")

    def __init__(self, callee: Any, arguments: Any = ()) -> None:
        self.callee = callee
        """What would have been called: a `Global`, or what another call would have returned."""
        self.arguments = arguments
        self.state: Any = None
        """What `__setstate__` or `__dict__.update` would have been given."""
        self.items: list[Any] = []
        self.pairs: list[tuple[Any, Any]] = []


class Pairs:
    """In place of a dict. A list, because hashing hostile keys can take for ever."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []


PERSISTENT: Final = Global("pickle", "persistent_load")
"""The callee of storages that the container's other members hold."""
BUFFER: Final = Global("pickle", "PickleBuffer")
SET: Final = Global("builtins", "set")
FROZEN_SET: Final = Global("builtins", "frozenset")
BYTE_ARRAY: Final = Global("builtins", "bytearray")
EXTENSION: Final = "copyreg._extension_registry"


class PickleFault(Exception):  # noqa: N818 - turned into an ArtifactError, which has the path
    """The bytes are no pickle, or one beyond the limits."""

    def __init__(self, expected: str, found: str, *, is_limit: bool = False) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found
        self.is_limit = is_limit


class Budget:
    """Opcodes that may still be interpreted, shared by all pickles of a folder."""

    def __init__(self, opcodes: int = limits.PICKLE_OPCODES) -> None:
        self.opcodes = opcodes
