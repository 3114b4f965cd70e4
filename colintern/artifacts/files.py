"""Opening a file of an untrusted folder: regular, inside the folder, within its size limit."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.printable import printable

_LFS_PREFIX: Final = b"version https://git-lfs.github.com/spec/"
_REASONS: Final = {
    errno.ELOOP: "a loop of symbolic links",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ENOENT: "a link to a file that does not exist",
    errno.ENOTDIR: "a path through a file that is no folder",
    errno.ENXIO: "a named pipe or socket",
    errno.ENAMETOOLONG: "a path that is too long",
}
_OPEN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
"""Not blocking: a named pipe without a writer would hold the audit for ever."""
_READ_BYTES: Final = 1 << 20
_KINDS: Final = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class Enclosure(Struct, frozen=True):
    """The folder that every file of a subject must lie in, after links are followed.

    For a snapshot of the Hub cache it is the model's `models--ORG--NAME` folder, because a snapshot
    is made of links to `blobs/` beside it.
    """

    root: Path
    """Absolute, links resolved."""

    @classmethod
    def around(cls, folder: Path) -> "Enclosure":
        """Enclose `folder`, or the whole cached model when `folder` is one of its snapshots."""
        # Not strict: a loop of links is found, and named, when the folder is listed.
        real = Path(os.path.realpath(folder))
        model = real.parent.parent
        in_cache = real.parent.name == "snapshots" and model.name.startswith("models--")
        return cls(model if in_cache else real)

    def holds(self, path: Path) -> bool:
        """Whether `path` lies inside after links are followed, as far as they lead anywhere."""
        try:
            return Path(os.path.realpath(path)).is_relative_to(self.root)
        except (OSError, ValueError):
            return False

    def check(self, path: Path) -> Path:
        """Return the real path of `path`.

        Raises:
            ArtifactError: it leads outside, with `escapes` set; or its links form a loop.
        """
        try:
            real = Path(os.path.realpath(path, strict=True))
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error
        if not real.is_relative_to(self.root):
            raise ArtifactError(
                path,
                expected="a file inside the audited folder",
                found=f"a link or path that leads to {printable(real)}",
                remedy="Copy the file into the folder.",
                escapes=True,
            )
        return real


def open_regular(path: Path, enclosure: Enclosure | None, *, limit: int | None) -> BinaryIO:
    """Open `path` for reading, unbuffered; it never blocks on a pipe and never leaves `enclosure`.

    Args:
        path: the file to open.
        enclosure: the folder that it must lie in, or None for a file that the user named.
        limit: the most bytes that it may hold, or None for weights, which are read in pieces.

    Raises:
        ArtifactError: it is no regular file, too large, unreadable, outside, or a Git LFS pointer.
    """
    real = path if enclosure is None else enclosure.check(path)
    try:
        descriptor = os.open(real, _OPEN_FLAGS)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    try:
        _check_regular(path, descriptor, limit)
        stream = os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise
    try:
        _check_content(path, stream)
    except ArtifactError:
        stream.close()
        raise
    return stream


def read_bytes(path: Path, enclosure: Enclosure | None, *, limit: int) -> bytes:
    """Read a whole small file.

    Raises:
        ArtifactError: as `open_regular`; or the file grew beyond `limit` while it was read.
    """
    with open_regular(path, enclosure, limit=limit) as stream:
        content = read_up_to(path, stream, limit + 1)
    if len(content) > limit:
        raise _too_large(path, len(content), limit)
    return content


def read_up_to(path: Path, stream: BinaryIO, num_bytes: int) -> bytes:
    """Read `num_bytes` from an unbuffered stream of `path`, or what is left of it.

    Raises:
        ArtifactError: the file system cannot deliver them.
    """
    content = bytearray()
    try:
        while len(content) < num_bytes and (
            piece := stream.read(min(_READ_BYTES, num_bytes - len(content)))
        ):
            content += piece
    except OSError as error:
        raise _unreadable(path, error) from error
    return bytes(content)


def _check_regular(path: Path, descriptor: int, limit: int | None) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ArtifactError(
            path,
            expected="a regular file",
            found=next((name for test, name in _KINDS if test(status.st_mode)), "something else"),
            remedy="Replace it by the file that the training run wrote.",
        )
    if limit is not None and status.st_size > limit:
        raise _too_large(path, status.st_size, limit)


def _check_content(path: Path, stream: BinaryIO) -> None:
    prefix = read_up_to(path, stream, len(_LFS_PREFIX))
    stream.seek(0)
    if prefix == _LFS_PREFIX:
        raise ArtifactError(
            path,
            expected="the file's content",
            found="a Git LFS pointer",
            remedy="Fetch the content with `git lfs pull`.",
        )


def _too_large(path: Path, size: int, limit: int) -> ArtifactError:
    return ArtifactError(
        path,
        expected=f"at most {limit:,} bytes",
        found=f"{size:,} bytes",
        remedy="Check that this is the file its name says; the audit reads no larger one.",
    )


def reason_of(error: OSError | ValueError) -> str:
    """Say what a failed call of the file system means for the file."""
    if isinstance(error, OSError):
        return _REASONS.get(error.errno or 0, error.strerror or "an error of the file system")
    return "a name that no file can have"


def _unreadable(path: Path, error: OSError | ValueError) -> ArtifactError:
    return ArtifactError(
        path,
        expected="a readable file",
        found=reason_of(error),
        remedy="Restore the file, or make it readable for the user who runs the audit.",
    )
