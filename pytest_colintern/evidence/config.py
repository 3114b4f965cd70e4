"""Evidence of how the run was configured."""

from colintern.artifacts.model_card import ModelCard, read_model_card
from colintern.artifacts.run_layout import MODEL_CARD, RUN_MANIFEST, RunLayout
from colintern.artifacts.run_manifest import RunManifest, read_run_manifest
from pytest_colintern.evidence_registry import artifact
from pytest_colintern.verdict import NoEvidence


@artifact
def manifest(layout: RunLayout) -> RunManifest:
    """What the training run wrote about itself."""
    path = layout.find(RUN_MANIFEST)
    if path is None:
        raise NoEvidence(RUN_MANIFEST, needed_for="what the run recorded about itself")
    return read_run_manifest(path, layout.enclosure)


@artifact
def model_card(layout: RunLayout) -> ModelCard:
    """What README.md says about the training."""
    path = layout.find(MODEL_CARD)
    if path is None:
        raise NoEvidence(MODEL_CARD, needed_for="the hyperparameters of the model card")
    return read_model_card(path, layout.enclosure)
