"""The sample is decided by the order of the data alone; the extremes are what they say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainers.reports.image_sample import evenly, extremes, spread_over_classes


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 30))
def test_a_sample_has_no_image_twice_and_classes_differ_by_one_at_most(labels, count):
    rows = spread_over_classes(labels, count)
    assert len(rows) == len(set(rows)) == min(count, len(labels))
    shown = np.bincount([labels[row] for row in rows], minlength=6)
    there = np.bincount(np.array(labels, int), minlength=6)
    # A class that still has images is never two behind another.
    assert all(shown[i] >= shown.max() - 1 for i in range(6) if shown[i] < there[i])


def test_few_of_many_classes_are_spread_evenly():
    assert spread_over_classes(np.arange(9), 3) == [0, 4, 8]


def test_evenly_takes_the_first_and_the_last():
    assert evenly(list(range(100)), 4) == [0, 33, 66, 99]
    assert evenly([7, 8], 4) == [7, 8]


def test_extremes_are_the_largest_positive_values_beyond_those_left_out():
    values = [0.5, np.nan, 0.9, -0.3, 0.9, 0.1, 0.0]
    assert extremes(values, 3) == [2, 4, 0]
    assert extremes(values, 9, leave_out=[4, 0]) == [2, 5]
