import numpy as np
import pytest

from colintern.diagnostics.log.noise import (
    binned,
    decreasing_fit,
    finite_part,
    mann_kendall,
    noise_band,
    smoothed,
    step_noise,
    theil_sen,
)


def normal(count, seed=0):
    return np.random.default_rng(seed).normal(size=count)


def test_noise_ignores_trend_jump_and_spikes():
    rows = np.linspace(3, 1, 500) + 0.1 * normal(500)
    rows[250:] += 5
    rows[100] = 40
    assert step_noise(rows) == pytest.approx(0.1, rel=0.15)


@pytest.mark.parametrize("rows", [[], [1.0], [1.0, 2.0], [1.0, 1.0, 1.0]])
def test_noise_of_nothing_is_zero(rows):
    assert step_noise(np.array(rows)) == 0


def test_rounded_series_still_has_noise():
    rows = np.array([1.0] * 30 + [1.1] + [1.0] * 30)
    assert 0 < step_noise(rows) < 0.01


@pytest.mark.parametrize(("spread", "band"), [(0.0, 0.02), (0.1, 0.2)])
def test_band_is_at_least_one_per_cent(spread, band):
    assert noise_band(2 + spread * normal(2000)) == pytest.approx(band, rel=0.1)


def test_bins_are_means_of_equal_stretches():
    assert binned(np.arange(10.0), 3).tolist() == [1.0, 4.0, 7.5]
    assert binned(np.arange(3.0), 5).tolist() == [0.0, 1.0, 2.0]


def test_smoothed_bins_hold_four_rows():
    assert len(smoothed(np.arange(20.0))) == 5
    assert len(smoothed(np.arange(1000.0))) == 20
    assert len(smoothed(np.arange(3.0))) == 1


def test_finite_part_drops_nan_and_infinity():
    assert finite_part(np.array([1.0, np.nan, np.inf, -np.inf])).tolist() == [1.0]


# scipy.stats.kendalltau(range(n), y, method="exact", alternative=...) gave these.
@pytest.mark.parametrize(
    ("series", "tau", "p_rise"),
    [
        ([1.0, 2.0, 3.0, 4.0], 1.0, 1 / 24),
        ([4.0, 3.0, 2.0, 1.0], -1.0, 1.0),
        ([1.0, 3.0, 2.0, 4.0, 5.0], 0.8, 5 / 120),
        ([2.0, 1.0], -1.0, 1.0),
    ],
)
def test_short_trend_is_exact(series, tau, p_rise):
    trend = mann_kendall(np.array(series))
    assert trend.tau == pytest.approx(tau)
    assert trend.p_rise == pytest.approx(p_rise)


def test_ties_weaken_a_trend():
    steps = np.repeat(np.arange(5.0), 5)
    assert mann_kendall(steps).tau < mann_kendall(np.arange(25.0)).tau == pytest.approx(1)
    assert mann_kendall(np.ones(30)).p_rise == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_has_no_trend(seed):
    trend = mann_kendall(normal(200, seed))
    assert min(trend.p_rise, trend.p_fall) > 0.01


def test_theil_sen_ignores_outliers():
    rows = np.linspace(0, 1, 101)
    rows[50] = 1e6
    assert theil_sen(rows) == pytest.approx(1, rel=0.02)


def test_decreasing_fit_pools_rises():
    assert decreasing_fit(np.array([3.0, 1.0, 2.0, 0.0])).tolist() == [3.0, 1.5, 1.5, 0.0]
    assert decreasing_fit(np.array([1.0, 2.0, 3.0])).tolist() == [2.0, 2.0, 2.0]
