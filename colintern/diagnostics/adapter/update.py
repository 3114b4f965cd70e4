"""How much LoRA changed each module: size and spectrum of s·B·A, without ever forming it.

With A Aᵀ = L Lᵀ (Cholesky) and G = Bᵀ B, all r x r, the squared singular values of B A are the
eigenvalues of Lᵀ G L: r²(m + n) operations instead of m n r.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.printable import printable
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.targets import scaling_of
from colintern.diagnostics.adapter.tensors import AdapterTensors, LoraModule
from colintern.diagnostics.log.noise import median
from colintern.families.module_name import Place

MIN_GROUP: Final = 8
"""Modules of one kind below which no outlier is looked for: a median of fewer says nothing."""

MAX_RANK: Final = 1_024
"""Modules of a higher rank are left out: their cores are no longer small (sources M08: 1,000)."""

_NORMAL_MAD: Final = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

Array = NDArray[np.float64]
Read = Callable[[str], NDArray[np.float32]]
"""Reads the tensor of a name."""

OUTLIER_Z: Final = 14.0
"""Robust standard deviations; of 393 public adapters about 5 % hold one (sources M10)."""

OUTLIER_RATIO: Final = 2.0
"""Times the trend, or its inverse: modules that agree closely would stand out by a few per cent."""


class ModuleUpdate(Struct, frozen=True):
    """The update of one module."""

    name: str
    place: Place
    rank: int
    norm: float
    """Frobenius norm of s·B·A; NaN when a value is not finite."""
    effective_rank: float
    """exp of the entropy of the singular values (Roy and Vetterli 2007): 1 to r; NaN for zero."""


class Outlier(Struct, frozen=True):
    """A module whose update stands out among its kind."""

    update: ModuleUpdate
    z: float
    """Robust standard deviations from the trend over depth."""
    ratio: float
    """Its norm over the trend's."""

    @property
    def is_suspect(self) -> bool:
        """Whether it stands out by more than healthy adapters show."""
        return self.z >= OUTLIER_Z and not 1 / OUTLIER_RATIO < self.ratio < OUTLIER_RATIO

    def __str__(self) -> str:
        name = printable(self.update.name, limit=160)
        return f"{name} at {self.ratio:.3g} times its kind, z {self.z:.0f}"


@dataclass(frozen=True)
class LoraUpdates:
    """The updates of all modules that have A and B."""

    path: Path
    modules: tuple[ModuleUpdate, ...]
    left_out: tuple[str, ...]
    """Modules not measured: a rank over `MAX_RANK`, matrices that do not fit, unknown scale."""

    @cached_property
    def outliers(self) -> tuple[Outlier, ...]:
        """Every module of a large enough kind, the one that stands out most first."""
        found = [outlier for group in self._groups.values() for outlier in _outliers(group)]
        return tuple(sorted(found, key=lambda outlier: -outlier.z))

    @property
    def suspects(self) -> tuple[Outlier, ...]:
        """Those that stand out too far."""
        return tuple(outlier for outlier in self.outliers if outlier.is_suspect)

    @property
    def moved(self) -> tuple[ModuleUpdate, ...]:
        """Modules whose update is not zero."""
        return tuple(update for update in self.modules if update.norm > 0)

    @cached_property
    def _groups(self) -> Mapping[tuple[str, str], list[ModuleUpdate]]:
        groups: dict[tuple[str, str], list[ModuleUpdate]] = {}
        for update in self.moved:
            if update.place.layer is not None and math.isfinite(update.norm):
                groups.setdefault((update.place.tower, update.place.kind), []).append(update)
        return {key: group for key, group in groups.items() if len(group) >= MIN_GROUP}


def measure_updates(
    store: TensorStore, tensors: AdapterTensors, config: AdapterConfig
) -> LoraUpdates:
    """Read every pair once and measure its update; memory holds one pair at a time.

    Raises:
        ArtifactError: a tensor can no longer be read, or is too large to be a LoRA matrix.
    """
    measured: list[ModuleUpdate] = []
    left_out: list[str] = []
    with store.opened() as read:
        for rank, group in _by_rank(tensors.pairs):
            scaled = [(module, scaling_of(config, module.name, rank)) for module in group]
            known = [(module, scale) for module, scale in scaled if scale is not None]
            left_out += [module.name for module, scale in scaled if scale is None]
            measured += _measure_group(read, known, rank)
    names = {update.name for update in measured} | set(left_out)
    left_out += [module.name for module in tensors.pairs if module.name not in names]
    return LoraUpdates(store.path, tuple(measured), tuple(sorted(left_out)))


def singular_values(a: NDArray[np.float32], b: NDArray[np.float32]) -> Array:
    """Return the singular values of b @ a, largest first."""
    values: Array = _spectra(_gram(a)[None], _gram(b.T)[None])[0]
    return values


def _by_rank(modules: Iterable[LoraModule]) -> Iterator[tuple[int, list[LoraModule]]]:
    groups: dict[int, list[LoraModule]] = {}
    for module in modules:
        rank = module.rank
        fits = module.b is not None and len(module.b.shape) > 1 and module.b.shape[1] == rank
        holds = all(entry.num_bytes for entry in module.entries)
        if rank is not None and 0 < rank <= MAX_RANK and fits and holds:
            groups.setdefault(rank, []).append(module)
    yield from groups.items()


_BATCH_VALUES: Final = 1 << 20
"""Values of the cores that are decomposed at once: 8 MB, however many modules there are."""


def _measure_group(
    read: Read, group: list[tuple[LoraModule, float]], rank: int
) -> Iterator[ModuleUpdate]:
    size = max(_BATCH_VALUES // (rank * rank), 1)
    for start in range(0, len(group), size):
        batch = group[start : start + size]
        cores = [_cores(read, module) for module, _ in batch]
        spectra = _spectra(
            np.stack([core for core, _ in cores]), np.stack([core for _, core in cores])
        )
        for (module, scale), spectrum in zip(batch, spectra, strict=True):
            yield _update(module, rank, spectrum * abs(scale))


def _cores(read: Read, module: LoraModule) -> tuple[Array, Array]:
    if module.a is None or module.b is None:
        raise AssertionError("only pairs are measured")
    a = read(module.a.name)
    b = read(module.b.name)
    return _gram(a.reshape(a.shape[0], -1)), _gram(b.reshape(b.shape[0], -1).T)


def _gram(rows: NDArray[np.float32]) -> Array:
    """Return rows @ rowsᵀ; values beyond 1e18 overflow and become infinite.

    Summed over pieces that are too small for the linear algebra library to share out: waking its
    threads costs up to a hundred times the product, and they spin against a busy machine.
    """
    rank, width = rows.shape
    step = max(_UNSHARED_PRODUCTS // (rank * rank), 1)
    gram: Array = np.zeros((rank, rank))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, width, step):
            piece = rows[:, start : start + step]
            gram += piece @ piece.T
    return gram


_UNSHARED_PRODUCTS: Final = 250_000
"""OpenBLAS shares a product out to threads from 262,144 multiplications on."""

_JITTER: Final = 1e-6
"""Of the mean diagonal: the rounding of float32 sums, which may leave A Aᵀ not quite positive."""


def _spectra(gram_a: Array, gram_b: Array) -> Array:
    """Return the singular values of each product; NaN where a core is not finite."""
    size_a, size_b = np.trace(gram_a, axis1=1, axis2=2), np.trace(gram_b, axis1=1, axis2=2)
    values: Array = np.zeros(gram_a.shape[:2])
    finite = np.isfinite(gram_a).all((1, 2)) & np.isfinite(gram_b).all((1, 2))
    values[~finite] = np.nan
    moved = np.flatnonzero(finite & (size_a > 0) & (size_b > 0))
    if moved.size:
        rank = gram_a.shape[1]
        jitter = (_JITTER / rank) * size_a[moved][:, None, None] * np.eye(rank)
        roots = np.linalg.cholesky(gram_a[moved] + jitter)
        squares = np.linalg.eigvalsh(roots.transpose(0, 2, 1) @ gram_b[moved] @ roots)
        values[moved] = np.sqrt(np.maximum(squares, 0))[:, ::-1]
    return values


def _update(module: LoraModule, rank: int, spectrum: Array) -> ModuleUpdate:
    norm = float(np.sqrt(np.square(spectrum).sum()))
    total = spectrum.sum()
    effective = math.nan
    if total > 0:
        shares = spectrum[spectrum > 0] / total
        effective = float(np.exp(-(shares * np.log(shares)).sum()))
    return ModuleUpdate(module.name, module.place, rank, norm, effective)


def _outliers(group: list[ModuleUpdate]) -> Iterator[Outlier]:
    """Compare log-norms with a line over depth (Theil-Sen), in median absolute deviations."""
    depths = np.array([float(update.place.layer or 0) for update in group])
    logs = np.log([update.norm for update in group])
    if len(group) > _THEIL_SEN_MOST:
        slope = 0.0
    else:
        rise, run = logs[:, None] - logs, depths[:, None] - depths
        slopes = rise[run > 0] / run[run > 0]
        slope = median(slopes) if slopes.size else 0.0
    residuals = logs - slope * depths
    residuals -= median(residuals)
    spread = max(median(np.abs(residuals)) * _NORMAL_MAD, _LEAST_SPREAD)
    for update, residual in zip(group, residuals, strict=True):
        yield Outlier(update, abs(float(residual)) / spread, math.exp(float(residual)))


_THEIL_SEN_MOST: Final = 1_000
"""Modules of one kind up to which all pairs are compared; no model has as many layers."""

_LEAST_SPREAD: Final = 0.02
"""Two per cent of the norm: below it modules agree to rounding, and any noise would stand out."""


class RankUse(Struct, frozen=True):
    """The effective rank of the updates beside the rank."""

    median: float
    """Effective rank by rank, of the module in the middle."""
    collapsed: int
    """Modules below the least share that was asked for."""
    compared: int
    """Modules whose rank is large enough to collapse."""

    @property
    def is_collapsed(self) -> bool:
        """Whether most modules are."""
        return self.collapsed * 2 > self.compared

    def __str__(self) -> str:
        return f"median effective rank is {self.median:.0%} of the rank; {self.collapsed} collapsed"


def rank_use(updates: LoraUpdates, least: float) -> RankUse | None:
    """Measure the effective ranks; None where one direction is already the share `least`."""
    moved = [update for update in updates.moved if update.rank * least > 1]
    if not moved:
        return None
    shares = sorted(one.effective_rank / one.rank for one in moved)
    collapsed = sum(one.effective_rank < least * one.rank for one in moved)
    return RankUse(shares[len(shares) // 2], collapsed, len(moved))
