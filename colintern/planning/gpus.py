"""The GPUs of this machine, as NVIDIA's own tool lists them: no torch, no driver library."""

import subprocess
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import printable

_QUERY: Final = "name,memory.total,memory.used,driver_version,compute_cap"
_SECONDS: Final = 20
"""The first call after a boot loads the driver, which takes some seconds."""
_MEBIBYTE: Final = 2**20
_MOST: Final = 64
"""GPUs of one machine; more lines than that are no list of GPUs."""


class Gpu(Struct, frozen=True):
    """One GPU."""

    name: str
    memory_bytes: int
    used_bytes: int
    driver: str
    capability: tuple[int, int] | None
    """As (8, 0) for Ampere; None when the driver does not say."""


def find_gpus() -> tuple[Gpu, ...]:
    """Return the GPUs that nvidia-smi lists; none when it is absent or fails."""
    command = ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_SECONDS)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ()
    return parse_gpus(done.stdout)


def parse_gpus(listing: str) -> tuple[Gpu, ...]:
    """Read nvidia-smi's rows; one that cannot be read (a MIG parent, say) is left out."""
    rows = (_gpu(line) for line in listing.splitlines()[:_MOST])
    return tuple(gpu for gpu in rows if gpu is not None)


def _gpu(line: str) -> Gpu | None:
    fields = [field.strip() for field in line.rsplit(",", 4)]
    try:
        name, total, used, driver, capability = fields
        return Gpu(
            printable(name, limit=80),
            int(total) * _MEBIBYTE,
            int(used) * _MEBIBYTE,
            printable(driver, limit=30),
            _capability(capability),
        )
    except ValueError:
        return None


def _capability(text: str) -> tuple[int, int] | None:
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None
