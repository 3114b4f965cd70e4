"""How much memory and time a run used, over all rows of its resource log."""

from collections.abc import Iterable
from statistics import fmean, median
from typing import Final

from msgspec import Struct

from colintern.artifacts.logs.resource_log import ResourceLog, ResourceRow

MIN_RESOURCE_ROWS: Final = 3
"""Rows below which nothing is said of time and utilisation: the first includes the start."""


class MemoryPeak(Struct, frozen=True):
    """The row in which most of a memory was used."""

    ratio: float
    """Used of total, in [0, 1] where the two agree."""
    used: int
    """Bytes."""
    total: int
    """Bytes."""
    step: int
    """Optimiser step of the row."""

    def __str__(self) -> str:
        gibibyte = 2**30
        return (
            f"{self.used / gibibyte:.1f} of {self.total / gibibyte:.1f} GiB "
            f"({self.ratio:.0%}) at step {self.step:,}"
        )


class ResourceUse(Struct, frozen=True):
    """What a run used. A field is None where no row, or too few, could tell."""

    rows: int
    gpu_memory: MemoryPeak | None
    cpu_memory: MemoryPeak | None
    gpu_utilisation: float | None
    """Mean, in [0, 1], without the first row."""
    step_seconds: float | None
    """Median over rows, without the first."""


def resource_use(log: ResourceLog) -> ResourceUse:
    """Measure `log`."""
    settled = log.rows[1:]
    utilisation = _values(row.gpu_utilisation for row in settled)
    seconds = _values(row.step_seconds for row in settled)
    least = MIN_RESOURCE_ROWS - 1
    return ResourceUse(
        rows=len(log.rows),
        gpu_memory=_peak(log.rows, "gpu"),
        cpu_memory=_peak(log.rows, "cpu"),
        gpu_utilisation=fmean(utilisation) if len(utilisation) >= least else None,
        step_seconds=median(seconds) if len(seconds) >= least else None,
    )


def _values(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _peak(rows: Iterable[ResourceRow], kind: str) -> MemoryPeak | None:
    peaks = []
    for row in rows:
        used, total = getattr(row, f"{kind}_memory_used"), getattr(row, f"{kind}_memory_total")
        if used is not None and total:
            peaks.append(MemoryPeak(used / total, used, total, row.step))
    return max(peaks, key=lambda peak: peak.ratio, default=None)
