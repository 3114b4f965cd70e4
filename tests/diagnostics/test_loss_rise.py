"""Blow-ups, late rises and leaps of the loss, in logs of any length."""

import numpy as np
import pytest
from support.log_tables import table

from colintern.diagnostics.log.loss_leaps import loss_leaps
from colintern.diagnostics.log.loss_trajectory import MIN_ROWS, loss_trajectory


def noisy(level, seed=0, spread=0.03):
    level = np.asarray(level, dtype=np.float64)
    return level + np.random.default_rng(seed).normal(0, spread, len(level))


def diverged(losses, **options):
    return loss_trajectory(table(losses, **options)).diverged(None)


@pytest.mark.parametrize("climb", [1, 3, 6])
@pytest.mark.parametrize("rows", [10, 16, 40, 200, 2_000])
def test_blow_up_in_the_first_steps_is_divergence(rows, climb):
    climb = min(climb, rows // 4)
    up = np.geomspace(0.33, 19, climb + 1)
    losses = np.concatenate((up, np.linspace(19, 7, rows - len(up))))
    found = loss_trajectory(table(noisy(losses)))
    if rows // 10 >= climb:
        assert found.blown_up
        assert "never back there" in found.course_text()
    assert found.diverged(None)


@pytest.mark.parametrize("back_at", [0.5, 0.9])
def test_loss_that_comes_back_to_its_start_has_not_blown_up(back_at):
    losses = np.full(200, 6.0)
    losses[0] = 0.33
    losses[int(200 * back_at) :] = 0.2
    assert not loss_trajectory(table(losses)).blown_up


@pytest.mark.parametrize("seed", range(5))
def test_single_examples_that_scatter_have_not_blown_up(seed):
    random = np.random.default_rng(seed)
    losses = np.concatenate(([0.2], random.lognormal(0.3, 0.8, 60)))
    assert not diverged(losses)


def test_row_of_the_first_step_alone_is_no_start():
    losses = noisy(np.linspace(2.4, 1.6, 40))
    losses[0] = 0.4
    steps = np.concatenate(([1], np.arange(1, 40) * 20))
    assert not diverged(losses, step=steps)
    assert loss_trajectory(table([0.4, 0.4, *(losses[2:] * 5)], step=steps)).blown_up
    assert diverged(losses + np.arange(40) * 0.2, step=steps)


@pytest.mark.parametrize(("factor", "is_divergence"), [(1.3, False), (2.0, False), (3.0, True)])
def test_threefold_rise_in_the_last_tenth_is_divergence(factor, is_divergence):
    level = 0.3 + 2.1 * np.exp(-np.linspace(0, 8, 200))
    level[-20:] *= factor
    assert diverged(noisy(level, spread=0.02)) is is_divergence


def test_tripling_of_next_to_nothing_is_none():
    level = 0.002 + 2.4 * np.exp(-np.linspace(0, 12, 200))
    level[-20:] *= 3
    assert not diverged(level)


def test_end_above_the_start_is_divergence_also_while_it_falls():
    level = np.concatenate((np.linspace(2.4, 0.5, 60), np.linspace(9, 4, 60)))
    assert diverged(noisy(level))


@pytest.mark.parametrize("seed", range(20))
def test_short_warm_start_that_wanders_is_healthy(seed):
    random = np.random.default_rng(seed)
    assert not diverged(random.uniform(0.17, 0.23, 12))
    assert not diverged(np.sort(random.uniform(0.17, 0.23, 12)))


@pytest.mark.parametrize("rows", range(MIN_ROWS, 20))
def test_short_log_that_rises_beyond_doubt_diverges(rows):
    rising = np.concatenate((np.linspace(2.4, 1.8, rows // 2), np.full(rows - rows // 2, 9.0)))
    assert diverged(rising)
    assert not diverged(rising[::-1])


def test_four_rows_are_no_course():
    assert loss_trajectory(table(np.full(MIN_ROWS - 1, 2.0))) is None


def leap_texts(losses, **options):
    found = loss_leaps(table(losses), **options)
    return None if found is None else [str(leap) for leap in found.found]


@pytest.mark.parametrize("rows", [10, 14, 40, 400])
def test_leap_in_the_middle_is_named_by_its_step(rows):
    level = np.where(np.arange(rows) < rows // 2, 0.8, 2.0)
    (text,) = leap_texts(noisy(level, spread=0.02))
    assert f"from step {(rows // 2 + 1) * 10:,} on (2.5x)" in text


@pytest.mark.parametrize("shape", ["ramp", "sine", "steps", "spike", "data change", "fall", "tiny"])
def test_what_is_no_leap(shape):
    level = np.full(200, 1.0)
    rise = {
        "ramp": np.linspace(0, 3, 200),
        "sine": 0.6 + 0.8 * np.sin(np.arange(200) / 8),
        "steps": np.clip(np.arange(200) - 100, 0, 6) / 3,
        "spike": np.where(np.arange(200) % 50 == 40, 5.0, 0.0),
        "data change": np.where(np.arange(200) < 90, 0.0, 0.3),
        "fall": np.where(np.arange(200) < 90, 2.0, 0.0),
        "tiny": np.where(np.arange(200) < 20, 3.0, -0.999) + 0.002 * (np.arange(200) > 100),
    }
    spread = 0.0001 if shape == "tiny" else 0.03
    assert leap_texts(noisy(level + rise[shape], spread=spread)) == []


@pytest.mark.parametrize("seed", range(10))
def test_single_examples_do_not_leap(seed):
    losses = np.random.default_rng(seed).lognormal(0, 0.8, 3_000)
    assert leap_texts(losses) == []


def test_leap_of_a_resumption_is_told_elsewhere():
    level = noisy(np.where(np.arange(40) < 20, 0.8, 2.0), spread=0.02)
    assert len(leap_texts(level)) == 1
    assert leap_texts(level, told=[210]) == []


def test_nine_rows_are_too_few_to_leap():
    assert leap_texts(np.ones(9)) is None
