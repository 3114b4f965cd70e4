"""A small healthy run, every artefact in place and in agreement: the ground that cases change."""

from pathlib import Path

from builders.adapter import write_adapter
from builders.manifest import write_manifest
from builders.model_card import write_model_card
from builders.processor import write_processor
from builders.resources import write_resources
from builders.results import write_results
from builders.training_args import write_training_args
from builders.training_log import write_training_log


def write_healthy_run(run: Path) -> Path:
    """Write a ColIntern3.5 run on a tiny base beside it: two layers, rank 16, five epochs."""
    run.mkdir(parents=True)
    write_adapter(run)
    write_model_card(run)
    write_manifest(run)
    write_training_log(run)
    write_training_args(run)
    write_processor(run)
    write_resources(run)
    write_results(run)
    return run
