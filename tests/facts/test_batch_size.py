import math

import pytest

from colintern.facts.batch_size import batch_size
from colintern.facts.config_sources import ConfigSource, merged_config


def batch(**values):
    return batch_size(merged_config([ConfigSource("training_args.bin", values)]))


ONE = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 4}


def rates(effective, steps_per_second, *, runtime=None, steps=None):
    values = {
        "train_samples_per_second": round(effective * steps_per_second, 3),
        "train_steps_per_second": round(steps_per_second, 3),
    }
    return values | ({"train_runtime": runtime, "total_steps": steps} if runtime else {})


@pytest.mark.parametrize(
    ("values", "effective", "candidates"),
    [
        ({**ONE, "world_size": 1}, 64, 16),
        ({**ONE, "world_size": 4}, 256, 64),
        ({**ONE, "world_size": 1, "n_gpu": 4}, 256, 64),
        ({**ONE, "world_size": 1, "train_batch_size": 32}, 128, 32),
        ({**ONE, "world_size": 1, "n_gpu": 1, "train_batch_size": 8}, 64, 16),
        (
            {
                **ONE,
                "world_size": 1,
                "n_gpu": 1,
                "train_batch_size": 8,
                "auto_find_batch_size": True,
            },
            32,
            8,
        ),
        ({"effective_batch_size": 64, "candidates": 64, "per_device_train_batch_size": 4}, 64, 64),
        # 63.92 for 64: the last step of an epoch is not full.
        ({**ONE, **rates(63.92, 0.8)}, 64, 16),
        ({**ONE, **rates(127.5, 0.8)}, 128, 32),
        # One step in 30 seconds: the rounded rate alone is off by 1.5 %.
        ({**ONE, **rates(64, 1 / 30)}, 64, 16),
    ],
)
def test_effective_batch(values, effective, candidates):
    found = batch(**values)
    assert (found.effective, found.candidates) == (effective, candidates)


def test_parts_beat_the_total_of_a_card():
    assert batch(**ONE, world_size=2, total_train_batch_size=64).effective == 128
    assert batch(per_device_train_batch_size=16, total_train_batch_size=64).effective == 64


def test_ratio_alone_has_an_error():
    found = batch(**rates(63.92, 0.8))
    assert found.effective_low < 63.92 < found.effective_high
    assert found.error == pytest.approx(0.04, abs=0.01)
    assert found.candidates is None


def test_slow_run_has_a_large_error():
    found = batch(**rates(64, 0.004))
    assert found.effective_high - found.effective_low > 10
    assert found.effective_low < 64 < found.effective_high


def test_counted_steps_sharpen_a_slow_rate():
    vague, sharp = (
        batch(**rates(64, 0.0131)),
        batch(**rates(64, 0.0131, runtime=600 / 0.0131, steps=600)),
    )
    assert sharp.error < vague.error / 10
    assert sharp.effective_low < 64 < sharp.effective_high


def test_steps_that_disagree_with_the_row_do_not_count():
    resumed = batch(**rates(64, 0.8, runtime=100.0, steps=600))
    assert resumed.error < 0.1


def test_unknown_processes_leave_a_lower_bound():
    found = batch(**ONE)
    assert (found.effective_low, found.effective_high) == (64, math.inf)
    assert found.effective is None
    assert found.least_candidates == 16
    assert str(found) == "at least 64"


def test_ratio_of_something_else_counts_no_processes():
    assert batch(**ONE, **rates(96, 0.8)).world_size is None
    assert batch(**ONE, **rates(5, 0.8)).world_size is None


def test_zero_rates_say_nothing():
    still = {"train_samples_per_second": 0.0, "train_steps_per_second": 0.0}
    assert batch(**still).effective_low is None
    assert batch().effective_low is None


@pytest.mark.parametrize(
    "values",
    [
        # 0.7616 samples a second are shown as 0.762: more than 64 a step.
        rates(64, 0.0119, runtime=600 / 0.0119, steps=600),
        # 0.0134 steps a second are shown as 0.013: 66 a step.
        rates(64, 0.0134),
        # Every epoch drops a remainder of 60: 70 of its samples a step are counted.
        {**rates(70, 0.8), "total_steps": 50, "num_train_epochs": 5},
    ],
)
def test_rounding_up_is_no_larger_batch(values):
    found = batch(**values)
    assert found.effective_low <= 64 < found.effective_high
    assert found.reaches(65) is not True


WRITTEN = {"effective_batch_size": 4096, "candidates": 4096}
AS_64 = rates(64, 0.8)
CACHED_IN_STEPS = {"contrastive_batch_size": 1024, "max_steps": 600}


@pytest.mark.parametrize(
    ("values", "effective", "candidates", "named"),
    [
        ({**ONE, "world_size": 1, **WRITTEN}, 64, 16, ["effective_batch_size", "candidates"]),
        ({**ONE, "world_size": 1, "candidates": 65}, 64, 16, ["candidates"]),
        ({**ONE, "world_size": 1, "effective_batch_size": 65}, 64, 16, ["effective_batch_size"]),
        ({**ONE, "world_size": 1, "candidates": 64}, 64, 64, []),
        # Accelerate splits one batch over all processes on request: less is no contradiction.
        ({**ONE, "world_size": 4, "effective_batch_size": 64}, 64, 64, []),
        ({**ONE, **WRITTEN}, 4096, 4096, []),
        # A batch that is cached, and one that is only said to be.
        ({**ONE, "world_size": 1, **WRITTEN, "contrastive_batch_size": 1024}, 4096, 4096, []),
        (
            {**ONE, "world_size": 1, **WRITTEN, "contrastive_batch_size": 1024, **AS_64},
            64,
            16,
            ["effective_batch_size", "candidates"],
        ),
        # Of a run planned in steps, Trainer multiplies the samples out of the same settings.
        ({**ONE, "world_size": 1, **WRITTEN, **CACHED_IN_STEPS, **AS_64}, 4096, 4096, []),
        ({**ONE, "world_size": 1, **WRITTEN, **rates(4096, 0.8)}, 4096, 4096, []),
        # Pages of mined negatives come on top of the batch's own.
        (
            {**ONE, "world_size": 1, "candidates": 128, "loss_class": "ColbertNegativeCELoss"},
            64,
            128,
            [],
        ),
        (
            {**ONE, "world_size": 1, "candidates": 128, "loss_class": "a.ColbertLoss"},
            64,
            16,
            ["candidates"],
        ),
    ],
)
def test_total_that_its_parts_cannot_give(values, effective, candidates, named):
    found = batch(**values)
    assert (found.effective, found.candidates) == (effective, candidates)
    assert [one.recorded.key for one in found.overstated] == named
