"""A run of InternVL3.5-1B at the guide's settings, full size: for the peers' faults and benchmarks."""

import json
from pathlib import Path

from builders.full_size_lora import write_full_size_lora
from builders.training_log import write_training_log

OPTIMISER_STEPS = 9_235
"""118,195 pairs / 64, times five epochs."""


def write_full_size_run(run: Path, *, num_log_rows: int = 923) -> Path:
    """Write adapter, log, arguments, results and manifest of a healthy run that used the guide's recipe."""
    run.mkdir(parents=True)
    write_full_size_lora(run)
    return run
