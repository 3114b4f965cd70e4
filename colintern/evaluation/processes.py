"""The processes of one evaluation: alone, or as many as torchrun started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import torch
from torch import distributed

_PATIENCE: Final = timedelta(hours=24)
"""How long a process waits for the slowest: as long as a share of the largest corpus may take."""


class OtherProcessError(RuntimeError):
    """Another process failed, so this one cannot go on."""


@dataclass(frozen=True, slots=True)
class Processes:
    """Which of how many processes this one is."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the results."""
        return self.rank == 0

    def share(self, number: int) -> bool:
        """Whether piece `number` of the work is this process's."""
        return number % self.count == self.rank

    def gather(self, value: Any) -> list[Any]:
        """Return the value of every process, by rank."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def first_says(self, value: Any) -> Any:
        """Return the first process's value."""
        return self.gather(value)[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Wait at the end for all; when one failed, all fail.

        Raises:
            OtherProcessError: another process failed.
        """
        try:
            yield
        except Exception as error:
            self.gather(f"{type(error).__name__}: {error}")
            raise
        failed = [f"process {rank}: {e}" for rank, e in enumerate(self.gather(None)) if e]
        if failed:
            raise OtherProcessError("; ".join(failed))


@contextmanager
def started_processes() -> Iterator[Processes]:
    """Join the processes that torchrun started, if it did, until the end."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    # Gloo also on GPUs: only small Python objects are exchanged.
    distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield Processes(distributed.get_rank(), count)
    finally:
        distributed.destroy_process_group()
