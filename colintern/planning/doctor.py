"""What of a machine keeps the guide's training from running, and what mends it."""

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.facts.versions import ENGINE, ENGINE_BOUNDS, Environment, version_pairs
from colintern.planning.architecture import Architecture
from colintern.planning.hyperparameters import propose
from colintern.planning.machine import TRAINING, Gpu, Machine
from colintern.planning.memory import GIBIBYTE
from colintern.planning.output import misfit_text

Status = Literal["ok", "note", "problem"]

LEAST_PYTHON: Final = (3, 11)
_GPU: Final = (16, 32)
_RAM: Final = (32, 64)
_DISK: Final = (100, 500)
"""GB, minimum and recommended: the guide's system requirements."""
_AMPERE: Final = (8, 0)
"""Compute capability from which a GPU has bf16 and flash attention 2."""
_TOLERANCE: Final = 0.9
"""A machine sold with 32 GB reports somewhat less: firmware and the kernel keep some."""
_INSTALL: Final = "uv pip install 'colintern[train]', or -e '.[train]' in a clone"


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    status: Status
    observed: str
    fix: str = ""
    """What to do; empty where nothing is to be done."""


def findings(machine: Machine, architecture: Architecture) -> tuple[Finding, ...]:
    """Look at everything that training `architecture` needs."""
    return (
        _python(machine),
        _packages(machine),
        *_versions(machine, architecture),
        *_torch(machine),
        *_gpus(machine, architecture),
        _size("RAM", machine.memory_bytes, _RAM, "use a machine with more memory"),
        _size(
            "disk",
            machine.free_disk_bytes,
            _DISK,
            f"free some space near {machine.folder}, or write elsewhere",
        ),
    )


def _python(machine: Machine) -> Finding:
    shown = ".".join(map(str, machine.python))
    if machine.python >= LEAST_PYTHON:
        return Finding("python", "ok", shown)
    return Finding("python", "problem", f"{shown}, needs 3.11", "uv venv --python 3.12")


def _packages(machine: Machine) -> Finding:
    missing = [name for name in TRAINING if name not in machine.versions]
    if not missing:
        return Finding("packages", "ok", "the training stack is installed")
    return Finding(
        "packages", "problem", f"{', '.join(missing)} missing; audits need none of it", _INSTALL
    )


def _versions(machine: Machine, architecture: Architecture) -> Iterator[Finding]:
    engine = machine.versions.get(ENGINE)
    if engine is None:
        return
    if engine not in ENGINE_BOUNDS:
        shown = printable(engine, limit=30)
        yield Finding("versions", "note", f"nothing is known of colpali-engine {shown}", _INSTALL)
    environment = Environment.of("this environment", machine.versions)
    pairs = version_pairs(environment, architecture.family)
    wrong = [pair for pair in pairs if not pair.compatible]
    for pair in wrong:
        fix = f"uv pip install '{pair.package}{pair.bounds}'"
        yield Finding("versions", "problem", str(pair), fix)
    if pairs and not wrong:
        # transformers is bound twice: by the engine and by the base's architecture.
        named = {pair.package: printable(pair.version, limit=30) for pair in pairs}
        shown = ", ".join(f"{package} {version}" for package, version in named.items())
        yield Finding("versions", "ok", f"{shown}: within each other's bounds")


def _torch(machine: Machine) -> Iterator[Finding]:
    report = machine.torch
    if report is None:
        return
    if report.error is not None:
        fix = "uv pip install --reinstall torch torchvision --torch-backend=auto"
        yield Finding("torch", "problem", f"cannot be imported: {printable(report.error)}", fix)
    elif machine.gpus and not report.available:
        build = f"built for CUDA {report.cuda}" if report.cuda else "a build for the CPU"
        fix = "uv pip install --reinstall torch torchvision --torch-backend=auto"
        yield Finding("torch", "problem", f"{build} does not see the GPU", fix)
    else:
        yield Finding("torch", "ok", f"CUDA {report.cuda}" if report.available else "on the CPU")


def _gpus(machine: Machine, architecture: Architecture) -> Iterator[Finding]:
    if not machine.gpus:
        fix = "train on a machine with one; `colintern train --recipe tiny` runs without"
        yield Finding("GPU", "problem", "none that nvidia-smi lists", fix)
    for index, gpu in enumerate(machine.gpus):
        label = f"GPU {index}"
        yield _size(f"{label} {gpu.name}", gpu.memory_bytes, _GPU, "use a larger GPU")
        yield _generation(label, gpu)
        yield _room(label, gpu, architecture)
    if any((gpu.capability or _AMPERE) >= _AMPERE for gpu in machine.gpus):
        yield _attention(machine)


def _generation(label: str, gpu: Gpu) -> Finding:
    if gpu.capability is None:
        return Finding(label, "note", "the driver does not say its generation", "update the driver")
    shown = ".".join(map(str, gpu.capability))
    if gpu.capability >= _AMPERE:
        return Finding(label, "ok", f"compute capability {shown}: bf16 and flash attention")
    fix = "use a GPU of the Ampere generation or newer"
    return Finding(label, "problem", f"compute capability {shown}: no bf16", fix)


def _room(label: str, gpu: Gpu, architecture: Architecture) -> Finding:
    proposal = propose(architecture, gpu.memory_bytes)
    name = printable(architecture.name)
    if not proposal.fits:
        return Finding(label, "problem", misfit_text(proposal), "train a smaller base")
    total, free = proposal.memory().total, gpu.memory_bytes - gpu.used_bytes
    planned = f"{name} in batches of {proposal.batch_size} takes {total / GIBIBYTE:.1f} GB"
    if free < total:
        observed = f"{planned}, but only {free / GIBIBYTE:.1f} GB are free"
        return Finding(label, "problem", observed, "end what else runs there: nvidia-smi lists it")
    return Finding(label, "ok", planned)


def _attention(machine: Machine) -> Finding:
    if "flash-attn" in machine.versions:
        shown = printable(machine.versions["flash-attn"], limit=30)
        return Finding("attention", "ok", f"flash-attn {shown}")
    fix = "uv pip install 'colintern[gpu]'"
    return Finding("attention", "note", "sdpa; flash-attn is not installed", fix)


def _size(name: str, size: int | None, bounds: tuple[int, int], fix: str) -> Finding:
    least, recommended = bounds
    if size is None:
        return Finding(name, "note", "the system does not say how much")
    shown = f"{size / GIBIBYTE:.0f} GB"
    if size < _TOLERANCE * least * GIBIBYTE:
        return Finding(name, "problem", f"{shown}, the guide's minimum is {least} GB", fix)
    if size < _TOLERANCE * recommended * GIBIBYTE:
        return Finding(name, "note", f"{shown}, the guide recommends {recommended} GB")
    return Finding(name, "ok", shown)
