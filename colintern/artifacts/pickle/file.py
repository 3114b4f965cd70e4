"""Files that hold pickles, plain or in torch's zip container, examined without unpickling."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular, read_up_to
from colintern.artifacts.pickle.machine import Machine
from colintern.artifacts.pickle.opcodes import interpret
from colintern.artifacts.pickle.stand_ins import Budget, Global, PickleFault
from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import TRAINING_ARGS

PICKLE_SUFFIXES: Final = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill"}
)
"""Names under which torch, pickle and joblib load a pickle."""

_TORCH_NAMES: Final = re.compile(
    r"training_args\.bin|adapter_model\.bin|pytorch_model[\w.-]*\.bin|optimizer\.(bin|pt)"
    r"|scheduler\.(bin|pt)|scaler\.(bin|pt)|rng_state[\w.-]*\.pth"
)
"""Files that a Trainer or PEFT writes: each is a pickle or broken."""

_ZIP: Final = b"PK\x03\x04"
_PICKLE: Final = re.compile(rb"\x80[\x00-\x05]")
_TRAILING: Final = "Restore the file that the training run wrote, or remove it."
_ENCRYPTED: Final = 0x1
_COMPRESSIONS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""What torch reads. The other methods can blow up one small block without bound."""


class PickledGlobal(Struct, frozen=True):
    """Something that a pickle would import."""

    module: str
    name: str
    uses: frozenset[str]
    """Of `call` (with arguments), `new` (made without its constructor), `state` (an instance is
    given state), `change` (its own attributes are set); empty when it is only referred to."""


class PickleReport(Struct, frozen=True):
    """What loading one file would do."""

    path: Path
    globals: tuple[PickledGlobal, ...]
    """Sorted by module and name."""
    attribute_reads: tuple[tuple[str, str], ...]
    """What it would read by `getattr`: `module.name` of the target, empty when computed, and the
    attribute's name."""
    computed_calls: bool
    """Whether it calls what another call returned."""
    fault: ArtifactError | None
    """Why the rest could not be examined; what came before the fault would still run."""
    is_over_limit: bool
    """The fault is a limit of ours, not one of the file. Never for training_args.bin: no healthy
    one comes near a limit."""


class _Examined:
    """Collects what the pickles of one file show."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.globals: dict[Global, set[str]] = {}
        self.attribute_reads: set[tuple[str, str]] = set()
        self.computed_calls = False

    def add(self, machine: Machine) -> None:
        for found, uses in machine.globals.items():
            self.globals.setdefault(found, set()).update(uses)
        self.attribute_reads |= machine.attribute_reads
        self.computed_calls |= machine.computed_calls

    def report(self, path: Path, fault: PickleFault | None) -> PickleReport:
        return PickleReport(
            path=path,
            globals=tuple(
                PickledGlobal(found.module, found.name, frozenset(uses))
                for found, uses in sorted(
                    self.globals.items(), key=lambda item: (item[0].module, item[0].name)
                )
            ),
            attribute_reads=tuple(sorted(self.attribute_reads)),
            computed_calls=self.computed_calls,
            fault=None if fault is None else _error(path, fault),
            is_over_limit=fault is not None and fault.is_limit and path.name != TRAINING_ARGS,
        )


def examine_pickle_file(
    path: Path, enclosure: Enclosure | None, budget: Budget
) -> PickleReport | None:
    """Report what loading `path` would import and call; None when it holds no pickle.

    Raises:
        ArtifactError: the file cannot be opened.
    """
    examined = _Examined(budget)
    fault: PickleFault | None = None
    with open_regular(path, enclosure, limit=None) as stream:
        try:
            for _ in _values(path, stream, examined):
                pass
        except PickleFault as error:
            fault = error
    nothing_seen = not examined.globals
    if fault is not None and not fault.is_limit and nothing_seen and not is_torch_file(path):
        return None
    return examined.report(path, fault)


def is_torch_file(path: Path) -> bool:
    """Whether a file of this name is written by torch.save in a training run."""
    return _TORCH_NAMES.fullmatch(path.name) is not None


def starts_like_pickle(content: bytes) -> bool:
    """Whether a file that starts with `content` may be a pickle or an archive of one."""
    return content.startswith(_ZIP) or _PICKLE.match(content) is not None


def read_pickled_value(path: Path, enclosure: Enclosure | None) -> Any:
    """Return the first value of a small pickle file, made of stand-ins.

    Raises:
        ArtifactError: it is no pickle, broken, or beyond the limits.
    """
    with open_regular(path, enclosure, limit=limits.TRAINING_ARGS_BYTES) as stream:
        try:
            return next(_values(path, stream, _Examined(Budget())))
        except PickleFault as fault:
            raise _error(path, fault) from None


def _error(path: Path, fault: PickleFault) -> ArtifactError:
    return ArtifactError(path, expected=fault.expected, found=fault.found, remedy=_TRAILING)


def _values(path: Path, stream: BinaryIO, examined: _Examined) -> Iterator[Any]:
    prefix = read_up_to(path, stream, len(_ZIP))
    stream.seek(0)
    if prefix == _ZIP:
        for content in _archived(stream):
            yield from _sequence(content, examined)
    elif prefix:
        yield from _sequence(read_up_to(path, stream, limits.PICKLE_BYTES), examined)
    else:
        raise PickleFault("a pickle", "an empty file")


def _sequence(content: bytes, examined: _Examined) -> Iterator[Any]:
    """Yield the values of the pickles that follow each other at the start of `content`."""
    machine = Machine(content, examined.budget)
    position = 0
    for number in range(limits.PICKLES_IN_FILE):
        try:
            value, position = interpret(machine, position)
        except PickleFault as fault:
            # Behind the pickles of torch's oldest format lie the tensors themselves.
            if number and not fault.is_limit and not _PICKLE.match(content, position):
                return
            raise
        finally:
            examined.add(machine)
        yield value
        if position >= len(content):
            return


class _Bounded(io.RawIOBase):
    """Refuses one read of a size that only a hostile archive asks for."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        limit = limits.ZIP_DIRECTORY_BYTES
        content = self._stream.read(limit + 1 if size < 0 else min(size, limit + 1))
        if len(content) > limit:
            expected = f"an archive whose list of members has at most {limit:,} bytes"
            raise PickleFault(expected, "more", is_limit=True)
        return content


_ZIP_FAULTS: Final = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    NotImplementedError,  # zipfile's, of a compression that it does not know
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
    OverflowError,
    KeyError,
    IndexError,
)


def _archived(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the members of the archive that are pickles, never touching the disk."""
    try:
        with zipfile.ZipFile(_Bounded(stream)) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".pkl")]
            if len(members) > limits.PICKLES_IN_FILE:
                expected = f"at most {limits.PICKLES_IN_FILE} pickles in the archive"
                raise PickleFault(expected, f"{len(members):,}")
            if not members:
                raise PickleFault("a pickle in the archive", "none")
            for info in members:
                yield _member(archive, info)
    except _ZIP_FAULTS as error:
        found = printable(error, limit=120) or type(error).__name__
        raise PickleFault("a sound zip archive", found) from error


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    name = printable(info.filename, limit=80)
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _COMPRESSIONS:
        raise PickleFault(f"`{name}` stored as torch stores it", "encryption or another method")
    if info.file_size > limits.PICKLE_BYTES:
        expected = f"at most {limits.PICKLE_BYTES:,} bytes in `{name}`"
        raise PickleFault(expected, f"{info.file_size:,} bytes", is_limit=True)
    with archive.open(info) as member:
        content = member.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise PickleFault(f"{info.file_size:,} bytes in `{name}`", f"{len(content):,} bytes")
    return content
