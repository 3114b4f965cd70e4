"""Evidence of the Trainer's own arguments."""

from colintern.artifacts.run_layout import TRAINING_ARGS, RunLayout
from colintern.artifacts.training_args import TrainingArguments, read_training_args
from pytest_colintern.evidence_registry import artifact
from pytest_colintern.verdict import NoEvidence


@artifact
def training_args(layout: RunLayout) -> TrainingArguments:
    """What the Trainer was told."""
    path = layout.find(TRAINING_ARGS)
    if path is None:
        raise NoEvidence(TRAINING_ARGS, needed_for="the arguments of the Trainer")
    return read_training_args(path, layout.enclosure)
