import math

import pytest

from colintern.facts.config_sources import ConfigSource, merged_config
from colintern.facts.run_config import Recorded


def config(**values):
    return merged_config([ConfigSource("training_args.bin", values)])


def test_earlier_source_is_taken():
    merged = merged_config(
        [
            ConfigSource("colintern_run.json", {"learning_rate": 7e-5, "bf16": None}),
            ConfigSource("training_args.bin", {"learning_rate": 1.0, "bf16": True}),
        ]
    )
    assert merged.learning_rate == Recorded(7e-5, "colintern_run.json", "learning_rate")
    assert merged.bf16 == Recorded(True, "training_args.bin", "bf16")
    assert merged.learning_rate.where == "colintern_run.json: learning_rate"


@pytest.mark.parametrize(
    "value", ["5", [5], {}, True, math.nan, math.inf, -1, 10**400, object(), None, 2.5]
)
def test_unusable_values_are_not_recorded(value):
    assert config(gradient_accumulation_steps=value).gradient_accumulation_steps is None


def test_whole_float_is_a_count():
    assert config(gradient_accumulation_steps=4.0).gradient_accumulation_steps.value == 4


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"eval_strategy": "no"}, "no"),
        ({"evaluation_strategy": "IntervalStrategy.STEPS"}, "steps"),
        ({"evaluate_during_training": True}, "steps"),
        ({"evaluate_during_training": False}, "no"),
        ({"eval_strategy": "epoch", "evaluation_strategy": "no"}, "epoch"),
    ],
)
def test_old_names_of_the_evaluation_strategy(values, expected):
    assert config(**values).eval_strategy.value == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"warmup_steps": 100, "warmup_ratio": 0.5}, 100),
        ({"warmup_steps": 0, "warmup_ratio": 0.1}, 60),
        ({"warmup_ratio": 0.1, "warmup_steps": None}, 60),
        ({"warmup_steps": 0.1}, 60),
        ({"warmup_steps": 0.0}, 0),
        ({"warmup_steps": 0, "warmup_ratio": 0.0}, 0),
        ({"warmup_steps": 150.7}, 150),
    ],
)
def test_every_spelling_of_warmup(values, expected):
    assert config(total_steps=600, **values).planned_warmup_steps.value == expected


def test_warmup_share_of_an_unknown_run():
    assert config(warmup_ratio=0.1, warmup_steps=0).planned_warmup_steps is None
    assert config(warmup_ratio=0.0, warmup_steps=0).planned_warmup_steps.value == 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"num_train_epochs": 5.0, "max_steps": -1}, 5),
        # Asked for 0.05 epochs; the log shows one.
        ({"logged_epochs": 1, "total_steps": 328, "global_step": 328, "epoch": 0.05}, 0.05),
        # A remainder of each epoch is dropped.
        ({"logged_epochs": 5, "total_steps": 95, "global_step": 95, "epoch": 4.948}, 5),
        # Stopped early: planned is what counts.
        ({"logged_epochs": 5, "total_steps": 600, "global_step": 240, "epoch": 2.0}, 5),
        ({"num_train_epochs": 3.0, "max_steps": 60, "global_step": 60, "epoch": 0.5}, 0.5),
    ],
)
def test_planned_epochs(values, expected):
    assert config(**values).planned_epochs.value == pytest.approx(expected)


def test_max_steps_without_a_log_hides_the_epochs():
    assert config(num_train_epochs=3.0, max_steps=60).planned_epochs is None


def test_epochs_and_max_steps_come_from_one_file():
    merged = merged_config(
        [
            ConfigSource("colintern_run.json", {"num_train_epochs": 5}),
            ConfigSource("training_args.bin", {"max_steps": 10, "num_train_epochs": 3}),
        ]
    )
    assert merged.max_steps is None
    assert merged.planned_epochs.value == 5


def test_clipping_can_be_recorded_as_none():
    assert config(max_grad_norm=None).max_grad_norm.value == 0
    assert config().max_grad_norm is None


def test_new_name_of_checkpointing():
    new = config(activation_checkpointing=True, activation_checkpointing_kwargs={"a": 1})
    assert new.gradient_checkpointing.value is True
    assert new.gradient_checkpointing_kwargs.value == {"a": 1}
    assert config(gradient_checkpointing_kwargs=None).gradient_checkpointing_kwargs.value == {}
