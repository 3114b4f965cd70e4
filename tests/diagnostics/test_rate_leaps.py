import numpy as np
import pytest

from colintern.diagnostics.log.rate_leaps import MOST_LEAPS, rate_leaps

ROWS = 60


def decay(start=1.0, rows=ROWS):
    return np.linspace(start, 0.0, rows)


def leaps(rates, **options):
    rates = np.asarray(rates, dtype=np.float64)
    steps = options.pop("steps", np.arange(1, len(rates) + 1) * 10)
    return [str(leap) for leap in rate_leaps(rates, steps, float(rates.max()), **options)]


def scaled(rates, place, factor):
    rates = np.array(rates)
    rates[place:] *= factor
    return rates


@pytest.mark.parametrize("factor", [0.3, 0.6, 0.85, 1.25, 1.9, 2.8])
@pytest.mark.parametrize("place", [10, 30])
def test_leap_of_a_decay_is_named_with_its_size(factor, place):
    rates = scaled(decay(), place, factor)
    measured = rates[place] / rates[place - 1]
    assert leaps(rates) == [f"the rate leaps x{measured:.3g} at step {place * 10 + 10}"]


@pytest.mark.parametrize("place", [10, 30])
def test_rounding_of_a_rate_is_no_leap(place):
    assert leaps(scaled(decay(), place, 1.02)) == []


@pytest.mark.parametrize(
    "rates",
    [
        np.repeat([1.0, 0.5, 0.25, 0.125], 15),
        np.repeat([1.0, 0.1], 30),
        np.concatenate((np.linspace(0.1, 1, 10), np.ones(50))),
        np.concatenate((np.linspace(0.1, 1, 10), np.ones(30), np.linspace(1, 0, 20))),
        1 / np.sqrt(np.arange(1, 61)),
        0.8 ** np.arange(60),
        np.tile(decay(rows=20), 3),
        np.tile(0.5 + 0.5 * np.cos(np.linspace(0, np.pi, 7, endpoint=False)), 6),
    ],
    ids=[
        "stairs",
        "one stair",
        "warm-up",
        "stable",
        "root",
        "powers",
        "restarts",
        "coarse restarts",
    ],
)
def test_schedule_has_no_leap(rates):
    assert leaps(rates) == []


def test_constant_rate_that_rises_is_a_leap():
    assert leaps([1.0] * 30 + [1.5] * 30) == ["the rate leaps x1.5 at step 310"]


def test_second_warm_up_is_called_one():
    half = np.concatenate((np.linspace(0.2, 1, 5), np.linspace(1, 0.5, 25)))
    (text,) = leaps(np.concatenate((half, half)))
    assert text == "the warm-up runs again from step 310 (0.5, then 0.2)"


def test_single_restart_that_is_named_by_its_scheduler_is_none():
    rates = np.concatenate((np.linspace(1, 0.4, 30), np.linspace(1, 0.4, 30)))
    assert leaps(rates) == ["the rate leaps x2.5 at step 310"]
    assert leaps(rates, restarts=True) == []


def test_missing_rows_are_no_leap():
    steps = np.concatenate((np.arange(1, 31), np.arange(200, 230)))
    assert leaps(1 - steps / 250, steps=steps) == []


def test_steps_that_go_back_are_not_judged_here():
    steps = np.concatenate((np.arange(1, 31), np.arange(15, 45)))
    assert leaps(1 - steps / 60, steps=steps) == []


def test_leaps_of_an_absurd_log_are_bounded():
    random = np.random.default_rng(0)
    assert len(leaps(random.uniform(0, 1, 5_000))) <= MOST_LEAPS
    assert leaps([1.0, 0.0, 1.0]) == []
    assert leaps(np.zeros(50)) == []
