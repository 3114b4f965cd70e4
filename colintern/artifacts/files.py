"""Opening a file of an untrusted folder: a regular file, inside the folder, within its size limit."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.printable import printable

_LFS_PREFIX: Final = b"version https://git-lfs.github.com/spec/"
_KINDS: Final = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class Enclosure:
    """The folder that every file of a subject must lie in, after links are followed.

    For a snapshot of the Hub cache it is the model's `models--ORG--NAME` folder, because a snapshot
    is made of links to `blobs/` beside it.
    """

    root: Path
    """Absolute, links resolved."""

    @classmethod
    def around(cls, folder: Path) -> "Enclosure":
        """Enclose `folder`, or the whole cached model when `folder` is one of its snapshots."""
        real = folder.resolve()
        in_cache = real.parent.name == "snapshots" and real.parent.parent.name.startswith("models--")
        return cls(real.parent.parent if in_cache else real)

    def check(self, path: Path) -> Path:
        """Return the real path of `path`.

        Raises:
            ArtifactError: it leads outside, with `escapes` set; or its links form a loop.
        """
        try:
            real = Path(os.path.realpath(path, strict=True))
        except OSError as error:
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
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise _unreadable(path, error) from error
    stream = os.fdopen(descriptor, "rb", buffering=0, closefd=True) if _is_regular(descriptor) else None
    if stream is None:
        kind = _kind_of(descriptor)
        os.close(descriptor)
        raise ArtifactError(
            path,
            expected="a regular file",
            found=kind,
            remedy="Replace it by the file that the training run wrote.",
        )
    try:
        _check_content(path, descriptor, limit)
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
        content = bytearray()
        while len(content) <= limit and (piece := stream.read(min(1 << 20, limit + 1 - len(content)))):
            content += piece
    if len(content) > limit:
        raise _too_large(path, len(content), limit)
    return bytes(content)


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _kind_of(descriptor: int) -> str:
    mode = os.fstat(descriptor).st_mode
    return next((name for test, name in _KINDS if test(mode)), "something that is no file")


def _check_content(path: Path, descriptor: int, limit: int | None) -> None:
    size = os.fstat(descriptor).st_size
    if os.pread(descriptor, len(_LFS_PREFIX), 0) == _LFS_PREFIX:
        raise ArtifactError(
            path,
            expected="the file's content",
            found="a Git LFS pointer",
            remedy="Fetch the content with `git lfs pull`.",
        )
    if limit is not None and size > limit:
        raise _too_large(path, size, limit)


def _too_large(path: Path, size: int, limit: int) -> ArtifactError:
    return ArtifactError(
        path,
        expected=f"at most {limit:,} bytes",
        found=f"{size:,} bytes",
        remedy="Check that this is the file its name says; the audit reads no larger one.",
    )


def _unreadable(path: Path, error: OSError) -> ArtifactError:
    reasons = {
        errno.ELOOP: "a loop of symbolic links",
        errno.EACCES: "no permission to read it",
        errno.EPERM: "no permission to read it",
        errno.ENOENT: "a link to a file that does not exist",
        errno.ENXIO: "a named pipe or socket",
        errno.ENAMETOOLONG: "a path that is too long",
    }
    return ArtifactError(
        path,
        expected="a readable file",
        found=reasons.get(error.errno or 0, error.strerror or "an error of the file system"),
        remedy="Restore the file, or make it readable for the user who runs the audit.",
    )
