import pytest

from colintern.artifacts.model.model_card import ModelCard
from colintern.artifacts.run.manifest import LossRecord, RunManifest
from colintern.facts.batch_size import batch_size
from colintern.facts.config_sources import ConfigSource, merged_config
from colintern.facts.loss_kind import told_loss_kind


def batch(**values):
    return batch_size(merged_config([ConfigSource("training_args.bin", values)]))


def manifest(class_name, *, engine="0.3.18", candidates=None, **loss):
    return RunManifest(
        schema="colintern.run/1",
        loss=LossRecord(class_name=class_name, **loss),
        versions={"colpali-engine": engine},
        candidates=candidates,
    )


TWO_BY_FOUR = {
    "per_device_train_batch_size": 16,
    "gradient_accumulation_steps": 4,
    "world_size": 2,
}


@pytest.mark.parametrize(
    ("class_name", "kind"),
    [
        ("ColbertLoss", "contrastive"),
        ("colpali_engine.loss.ColbertLoss", "contrastive"),
        ("ColbertPairwiseCELoss", "pairwise"),
        ("MatryoshkaLoss", "other"),
        ("MyLoss", "unknown"),
    ],
)
def test_class_of_the_manifest(class_name, kind):
    assert told_loss_kind(manifest(class_name), None, None).kind == kind


def test_own_class_that_counts_candidates():
    assert told_loss_kind(manifest("MyLoss", candidates=16), None, None).kind == "contrastive"


@pytest.mark.parametrize(
    ("class_name", "engine", "temperature", "normalised", "bad"),
    [
        ("ColbertPairwiseCELoss", "0.3.18", 1.0, True, False),
        ("ColbertPairwiseCELoss", "0.3.10", 1.0, False, False),
        ("ColbertPairwiseCELoss", "odd", None, None, False),
        ("ColbertLoss", "0.3.11", 0.02, True, False),
        ("ColbertSigmoidLoss", "0.3.13", 0.02, True, True),
        ("ColbertSigmoidLoss", "0.3.14", 0.02, True, False),
    ],
)
def test_defaults_of_the_engine(class_name, engine, temperature, normalised, bad):
    loss = told_loss_kind(manifest(class_name, engine=engine), None, None)
    assert (loss.temperature, loss.normalize_scores) == (temperature, normalised)
    assert loss.is_known_bad is bad


def test_recorded_temperature_beats_the_default():
    loss = told_loss_kind(manifest("ColbertLoss", temperature=1.0), None, None)
    assert (loss.temperature, loss.normalize_scores) == (1.0, True)


@pytest.mark.parametrize(
    ("losses", "kind"),
    [
        (("MultipleNegativesRankingLoss",), "contrastive"),
        (("TripletLoss",), "other"),
        (("MatryoshkaLoss", "MultipleNegativesRankingLoss"), "other"),
        ((), "unknown"),
    ],
)
def test_losses_of_a_card(losses, kind):
    assert told_loss_kind(None, ModelCard(losses=losses), None).kind == kind


def test_family_is_contrastive_by_default():
    assert told_loss_kind(None, None, None, family="ColPali").kind == "contrastive"
    assert told_loss_kind(None, None, None).kind == "unknown"


def test_candidates_of_one_process_and_of_many():
    card = ModelCard(losses=("MultipleNegativesRankingLoss",))
    assert told_loss_kind(None, card, batch(**TWO_BY_FOUR)).candidates == 16
    mixed = told_loss_kind(manifest("ColbertLoss"), None, batch(**TWO_BY_FOUR))
    assert mixed.candidates is None
    gathered = batch(**{**TWO_BY_FOUR, "gradient_accumulation_steps": 1})
    assert told_loss_kind(manifest("ColbertLoss"), None, gathered).candidates == 32
    recorded = batch(**TWO_BY_FOUR, candidates=32)
    assert told_loss_kind(manifest("ColbertLoss"), None, recorded).candidates == 32
