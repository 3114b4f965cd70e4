import pytest

pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from colintern.training.distinct_pages import DistinctPages


def windows(sampler):
    rows = list(sampler)
    return [rows[start : start + sampler.window] for start in range(0, len(rows), sampler.window)]


@given(st.lists(st.integers(0, 12), min_size=2, max_size=120), st.integers(2, 9), st.integers(0, 3))
def test_no_page_is_twice_in_a_window(keys, window, epoch):
    if len(set(keys)) < window:
        with pytest.raises(ValueError, match="needs as many distinct pages"):
            DistinctPages(keys, window, seed=0)
        return
    sampler = DistinctPages(keys, window, seed=0)
    sampler.set_epoch(epoch)
    found = windows(sampler)
    assert len(found) == sampler.num_windows == len(sampler) // window
    assert all(len({keys[row] for row in rows}) == window for rows in found)
    chosen = [row for rows in found for row in rows]
    assert len(set(chosen)) == len(chosen) == len(sampler)


def test_distinct_pages_use_every_row():
    sampler = DistinctPages(range(64), 8, seed=0)
    assert sorted(sampler) == list(range(64))


def test_an_epoch_has_an_order_of_its_own_that_can_be_drawn_again():
    sampler = DistinctPages(range(64), 8, seed=0)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert list(DistinctPages(range(64), 8, seed=1)) != first


def test_rows_left_out_of_an_epoch_are_in_another():
    sampler = DistinctPages([0] * 8 + list(range(1, 9)), 4, seed=0)
    seen = set()
    for epoch in range(40):
        sampler.set_epoch(epoch)
        seen |= set(sampler)
    assert seen == set(range(16))
