"""What this machine has: packages, GPUs, memory, disk. torch is asked in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from colintern.artifacts.printable import printable

_QUERY: Final = "name,memory.total,memory.used,driver_version,compute_cap"
_ANSWER_SECONDS: Final = 20
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
        done = subprocess.run(  # noqa: S603 - fixed words
            command, capture_output=True, text=True, check=True, timeout=_ANSWER_SECONDS
        )
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


TRAINING: Final = (
    "torch",
    "torchvision",
    "transformers",
    "peft",
    "colpali-engine",
    "accelerate",
    "datasets",
    "pillow",
    "psutil",
)
"""What the extra `train` installs."""
OPTIONAL: Final = ("mteb", "optuna", "flash-attn", "late-interaction-kernels", "nvidia-ml-py")

_SECONDS: Final = 120
"""The first import of torch after an installation takes some tens of seconds."""
_PROBE: Final = """
import json, torch
found = {"cuda": torch.version.cuda, "available": torch.cuda.is_available(), "error": None}
try:
    import torchvision
except Exception as error:
    found["error"] = f"{type(error).__name__}: {error}"
print("\\n" + json.dumps(found))
"""
_CGROUP: Final = Path("/sys/fs/cgroup/memory.max")


class TorchReport(Struct, frozen=True):
    """What torch says of itself, in a process of its own."""

    cuda: str | None
    """CUDA of the build; None for a CPU build."""
    available: bool
    """Whether it can use a GPU now."""
    error: str | None
    """Why torch or torchvision could not be imported."""


class Machine(Struct, frozen=True, kw_only=True):
    """What the doctor looks at."""

    python: tuple[int, int]
    versions: Mapping[str, str]
    """Installed version by distribution."""
    torch: TorchReport | None
    """None when torch is not installed."""
    gpus: tuple[Gpu, ...]
    memory_bytes: int | None
    """Of the machine or its container; None when the system does not say."""
    free_disk_bytes: int
    folder: str
    """Where the disk was looked at."""


def this_machine(folder: Path) -> Machine:
    """Look at this machine; `folder` is where a run would be written."""
    names = (*TRAINING, *OPTIONAL)
    versions = {name: found for name in names if (found := _version(name)) is not None}
    return Machine(
        python=sys.version_info[:2],
        versions=versions,
        torch=ask_torch(sys.executable) if "torch" in versions else None,
        gpus=find_gpus(),
        memory_bytes=_memory(),
        free_disk_bytes=shutil.disk_usage(_existing(folder)).free,
        folder=printable(folder),
    )


def ask_torch(python: str) -> TorchReport:
    """Import torch and torchvision with `python`; a hang or a crash is a report too."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [python, "-c", _PROBE], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
        return msgspec.convert(json.loads(done.stdout.splitlines()[-1]), TorchReport)
    except subprocess.TimeoutExpired:
        return TorchReport(None, available=False, error=f"no answer in {_SECONDS} s")
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or "").strip().splitlines()
        last = lines[-1] if lines else f"exit code {error.returncode}"
        return TorchReport(None, available=False, error=printable(last))
    except (OSError, ValueError, IndexError) as error:
        return TorchReport(None, available=False, error=printable(error))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _memory() -> int | None:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not a POSIX system
        return None
    try:
        limit = _CGROUP.read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total


def _existing(folder: Path) -> Path:
    path = folder.expanduser().resolve()
    while not path.exists():
        path = path.parent
    return path
