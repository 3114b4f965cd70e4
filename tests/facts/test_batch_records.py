import pytest

from colintern.artifacts.run.manifest import DatasetRecord
from colintern.facts.batch_records import asked_facts, effective_batch_fact, epoch_steps_fact
from colintern.facts.batch_size import batch_size, shares_batches
from colintern.facts.config_sources import ConfigSource, merged_config

ARGUMENTS = {
    "per_device_train_batch_size": 16,
    "gradient_accumulation_steps": 4,
    "num_train_epochs": 5,
}
MANIFEST = {**ARGUMENTS, "world_size": 1, "effective_batch_size": 64}
LOG = {
    "logged_epochs": 5,
    "total_steps": 600,
    "global_step": 600,
    "epoch": 5.0,
    "train_samples_per_second": 25.6,
    "train_steps_per_second": 0.4,
    "train_runtime": 1500.0,
}


def configs(manifest=MANIFEST, arguments=ARGUMENTS, log=LOG, card=None):
    said = {
        "colintern_run.json": manifest,
        "training_args.bin": arguments,
        "trainer_state.json": log,
        "README.md": card or {},
    }
    sources = [ConfigSource(name, values) for name, values in said.items()]
    stated = {each.name: merged_config([each]) for each in sources if "state" not in each.name}
    return merged_config(sources), stated


def asked(**said):
    _, stated = configs(**said)
    return [fact.name for fact in asked_facts(stated) if fact and not fact.agreed]


def batch_agrees(**said):
    config, stated = configs(**said)
    fact = effective_batch_fact(config, batch_size(config), stated)
    return fact.agreed if fact.is_compared else None


def steps_agree(rows, *, split="train", **said):
    config, _ = configs(**said)
    datasets = [DatasetRecord(name="a", split=split, rows=rows)]
    fact = epoch_steps_fact(config, batch_size(config), datasets)
    return fact.agreed if fact else None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, []),
        ({"per_device_train_batch_size": 8}, ["per-device batch"]),
        ({"gradient_accumulation_steps": 1}, ["accumulation"]),
        ({"num_train_epochs": 5.0}, []),
        ({"num_train_epochs": 1}, ["epochs"]),
        ({"num_train_epochs": 1, "max_steps": 600}, []),
        ({"world_size": 2}, ["processes"]),
    ],
)
def test_two_files_that_ask_for_different_things_are_named(change, named):
    assert asked(arguments={**ARGUMENTS, **change}) == named


@pytest.mark.parametrize(
    ("measured", "agree"),
    [(63.92, True), (64.0, True), (66.7, True), (80.0, True), (32.0, False), (128.0, False)],
)
def test_measured_samples_a_step_decide_within_their_rounding(measured, agree):
    log = {**LOG, "train_samples_per_second": round(measured * 0.4, 3)}
    assert batch_agrees(log=log) is agree


def test_rates_of_a_slow_run_round_away_what_they_say():
    slow = {"train_samples_per_second": 0.064, "train_steps_per_second": 0.001}
    assert batch_agrees(log={**LOG, **slow, "train_runtime": 600_000.0}) is True


@pytest.mark.parametrize(
    ("manifest", "agree"),
    [
        ({}, True),
        ({"effective_batch_size": 32}, False),
        # More than its parts give is set aside before, and named by another rule.
        ({"effective_batch_size": 128}, True),
        ({"world_size": 2, "effective_batch_size": 128}, False),
    ],
)
def test_counted_batch_is_set_against_its_parts(manifest, agree):
    assert batch_agrees(manifest={**MANIFEST, **manifest}) is agree


def test_total_of_a_card_is_a_witness():
    assert batch_agrees(card={"total_train_batch_size": 64}) is True
    assert batch_agrees(card={"total_train_batch_size": 256}) is False


@pytest.mark.parametrize(
    ("rows", "agree"),
    [
        (7680, True),
        (7680 + 63, True),
        (7680 - 63, True),
        (9000, True),  # a sampler that left rows out
        (76_800, False),
        (768, False),
        (3840, False),
    ],
)
def test_rows_by_batch_are_the_steps_of_an_epoch(rows, agree):
    assert steps_agree(rows) is agree


def test_rows_that_are_not_trained_on_are_not_counted():
    assert steps_agree(76_800, split="validation") is None
    assert steps_agree(None) is None


def test_epoch_of_a_run_that_stopped_early_is_rounded():
    log = {"total_steps": 600, "global_step": 3, "epoch": 0.03}
    asked_for = {**MANIFEST, "num_train_epochs": 5, "max_steps": 600}
    assert steps_agree(7680, manifest=asked_for, arguments={}, log=log) is True


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, False),
        ({"accelerator_config": {"split_batches": False}}, False),
        ({"accelerator_config": {"split_batches": True}}, True),
        ({"multi_dataset_batch_sampler": "round_robin"}, True),
        ({"multi_dataset_batch_sampler": "MultiDatasetBatchSamplers.ROUND_ROBIN"}, True),
        ({"multi_dataset_batch_sampler": "proportional"}, False),
    ],
)
def test_samplers_that_fill_a_step_otherwise_are_known(arguments, expected):
    assert shares_batches(arguments) is expected
