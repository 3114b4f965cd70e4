"""Writes `colintern_resources.jsonl` while a run trains: what it uses, a row a logging step."""

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import msgspec
import psutil
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from colintern.artifacts import limits
from colintern.artifacts.logs.resource_log import ResourceRow
from colintern.artifacts.run.layout import RESOURCE_LOG
from colintern.artifacts.running.log import end_with_a_whole_line

logger = logging.getLogger(__name__)

_SAMPLE_SECONDS: Final = 1.0
"""NVML averages the utilisation over up to a second: asking more often tells nothing new."""

GpuSample = tuple[int, int, float]
"""Bytes used, bytes in total, utilisation in [0, 1]."""


class ResourceLogger(TrainerCallback):
    """Samples the machine at the end of steps, and writes a row wherever the Trainer logs."""

    def __init__(self, folder: Path, *, gpu: Callable[[], GpuSample | None] | None = None) -> None:
        """Write into `folder`; `gpu` measures, by default through NVML where there is a GPU."""
        self.path = folder / RESOURCE_LOG
        self.rows: list[ResourceRow] = []
        """What was written since the run began, or went on."""
        self._gpu = gpu or nvml_sampler()
        self._seconds: list[float] = []
        self._gpu_samples: list[GpuSample] = []
        self._cpu_samples: list[tuple[int, int]] = []
        self._step_began: float | None = None
        self._sampled = float("-inf")

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Begin the file, or go on with it behind its last whole line."""
        del args, control
        if state.is_world_process_zero:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            end_with_a_whole_line(self.path)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock of a step."""
        self._step_began = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stop the clock before evaluation and saving, and sample."""
        del args, control
        now = time.monotonic()
        if self._step_began is not None:
            self._seconds.append(now - self._step_began)
        if state.is_world_process_zero and now - self._sampled >= _SAMPLE_SECONDS:
            self._sampled = now
            self._sample()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Write the row of the steps since the last one."""
        del args, control
        if not state.is_world_process_zero or "loss" not in (more.get("logs") or {}):
            return
        if not self._cpu_samples:
            self._sample()
        row = self._row(state.global_step)
        if len(self.rows) < limits.RESOURCE_ROWS:
            self.rows.append(row)
            with self.path.open("ab") as file:
                file.write(msgspec.json.encode(row) + b"\n")
        self._seconds, self._gpu_samples, self._cpu_samples = [], [], []

    def _sample(self) -> None:
        memory = psutil.virtual_memory()
        self._cpu_samples.append((memory.total - memory.available, memory.total))
        sample = self._gpu()
        if sample is not None:
            self._gpu_samples.append(sample)

    def _row(self, step: int) -> ResourceRow:
        gpu = self._gpu_samples
        return ResourceRow(
            step=step,
            time=round(time.time(), 3),
            gpu_memory_used=max((used for used, _, _ in gpu), default=None),
            gpu_memory_total=gpu[-1][1] if gpu else None,
            gpu_utilisation=round(fmean(share for *_, share in gpu), 4) if gpu else None,
            cpu_memory_used=max(used for used, _ in self._cpu_samples),
            cpu_memory_total=self._cpu_samples[-1][1],
            step_seconds=round(fmean(self._seconds), 6) if self._seconds else None,
        )


def nvml_sampler() -> Callable[[], GpuSample | None]:
    """Return what measures this process's GPU; without a GPU or NVML it measures nothing."""
    if not torch.cuda.is_available():
        return _no_gpu
    try:
        import pynvml  # noqa: PLC0415 - absent where there is no GPU to ask

        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
        name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(name)
        pynvml.nvmlDeviceGetMemoryInfo(handle)
    except Exception as error:  # noqa: BLE001 - a driver's fault must not end a training run
        logger.warning("the resource log has no GPU: NVML says %s", error)
        return _no_gpu

    def sample() -> GpuSample | None:
        with contextlib.suppress(pynvml.NVMLError):
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            share = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
            return int(memory.used), int(memory.total), float(share)
        return None

    return sample


def _no_gpu() -> None:
    return None
