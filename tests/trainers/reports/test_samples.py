"""The sample is decided by the order of the data alone; the extremes are what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from trainers.reports.samples import (
    evenly,
    extremes,
    render_groups,
    sample_and_extremes,
    spread_over_classes,
)


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


def test_extremes_are_the_largest_positive_values_beyond_those_excluded():
    values = [0.5, np.nan, 0.9, -0.3, 0.9, 0.1, 0.0]
    assert extremes(values, 3) == [2, 4, 0]
    assert extremes(values, 9, excluded=[4, 0]) == [2, 5]


def test_of_eight_rows_four_are_a_sample_and_two_each_are_losses_and_gains():
    baseline, run = np.linspace(0.1, 0.9, 20), np.full(20, 0.5)
    groups = sample_and_extremes(np.arange(20), [baseline, run], 8, ["a", "b"], "the IoU")
    assert [title for title, _, _ in groups] == ["Sample", "Largest losses", "Largest gains"]
    assert [len(rows) for _, _, rows in groups] == [4, 2, 2]
    sample, losses, gains = (rows for _, _, rows in groups)
    assert losses == [row for row in (19, 18, 17) if row not in sample][:2]
    assert gains == [row for row in (0, 1, 2) if row not in sample][:2]
    assert "from a to b" in groups[1][1]


def test_without_a_baseline_the_extremes_are_the_lowest_and_the_highest_scores():
    score = np.linspace(0.1, 0.9, 20)
    groups = sample_and_extremes(np.zeros(20, int), [score], 4, ["a"], "the IoU")
    assert [rows for _, _, rows in groups] == [[0, 1], [2], [19]]


@pytest.mark.parametrize("scores", [[np.full(6, np.nan)], [np.full(6, np.nan)] * 2])
def test_without_any_score_all_rows_are_a_sample(scores):
    ((_, _, rows),) = sample_and_extremes(np.arange(6), scores, 4, ["a", "b"], "the IoU")
    assert len(rows) == 4


def test_examples_beyond_the_size_are_left_out_and_counted():
    sizes = {0: 40, 1: 80, 2: 50, 3: 20}

    def render(row):
        return Markup("<b>{}</b>").format(row), sizes[row]

    groups, left_out = render_groups([("a", "", [0, 1]), ("b", "", [2, 3])], render, 100)
    assert [list(group.entries) for group in groups] == [["<b>0</b>"], ["<b>2</b>"]]
    assert left_out == 2
