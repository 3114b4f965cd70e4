import math

import pytest
from builders.training_log import write_training_log

from colintern.artifacts.logs.trainer_state import read_trainer_state
from colintern.facts.config_sources import recorded_config
from colintern.facts.peak_rate import logged_peak

PEAK = 7e-5


def log(folder, **changes):
    return read_trainer_state(write_training_log(folder, **changes), None)


def rate_of(folder, **changes):
    return recorded_config(None, None, log(folder, **changes), None).learning_rate


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("warmup", [0, 1, 5, 35, 100, 199])
@pytest.mark.parametrize("logging_steps", [1, 10, 50, 150])
def test_peak_lies_within_the_margin(tmp_path, schedule, warmup, logging_steps):
    changes = {"schedule": schedule, "warmup": warmup, "logging_steps": logging_steps}
    found = logged_peak(log(tmp_path, **changes))
    assert found.value <= PEAK * 1.001
    assert found.value + found.margin >= PEAK * 0.999


def test_rate_that_only_the_rows_state_is_a_rate(tmp_path):
    found = rate_of(tmp_path)
    assert found.value == pytest.approx(PEAK, rel=0.01)
    assert found.where == "trainer_state.json: largest learning_rate"
    assert (
        rate_of(tmp_path, steps=3, warmup=0, logging_steps=1, learning_rate=lambda *_: 5.0).value
        == 5
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 60, "max_steps": 600},
        {"logging_steps": 300, "warmup": 0, "schedule": "linear"},
        {"logging_steps": 600},
        {"learning_rate": lambda *_: 0.0},
        {"learning_rate": lambda *_: math.nan},
    ],
    ids=["still warming up", "rows too far apart", "one row", "never above zero", "no number"],
)
def test_rate_that_the_rows_leave_open_is_none(tmp_path, changes):
    assert rate_of(tmp_path, **changes) is None
