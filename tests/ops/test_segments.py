"""Runs in time, temporal IoU and matching in turn, against loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_has.ops.matching import match_in_turn
from keras_has.ops.segments import runs_above, temporal_iou

levels = st.lists(st.integers(0, 3), max_size=12)


@given(levels)
def test_runs_are_what_a_loop_finds(values):
    runs, start = [], None
    for step, value in enumerate([*values, 0]):
        if value > 1 and start is None:
            start = step
        if value <= 1 and start is not None:
            runs.append((start, step))
            start = None
    found = runs_above(np.array(values, float), 1)
    assert list(zip(*found, strict=True)) == runs


def test_runs_of_many_maps_with_levels_of_their_own_do_not_join():
    values = [[[5, 1, 6]], [[np.nan, 9, 9]]]
    found = runs_above(values, [[[4]], [[8]]])
    assert np.column_stack(found).tolist() == [[0, 0, 0, 1], [0, 0, 2, 3], [1, 0, 1, 3]]


segment = st.tuples(st.integers(0, 12), st.integers(0, 12))


@given(segment, segment)
def test_iou_counts_unit_intervals(a, b):
    first, second = set(range(*a)), set(range(*b))
    union = first | second
    expected = len(first & second) / len(union) if union else 0
    assert temporal_iou(a, b) == pytest.approx(expected)


def test_iou_of_nan_is_0_and_other_shapes_are_named():
    assert temporal_iou([np.nan, 3], [0, 3]) == 0
    with pytest.raises(ValueError, match="`others`"):
        temporal_iou([0, 1], [0, 1, 2])


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 3)),
        max_size=25,
        unique_by=lambda pair: pair[:2],
    )
)
def test_matching_all_at_once_is_matching_one_after_the_other(pairs):
    left = set(range(5))
    expected = []
    for chooser in range(6):
        wishes = sorted((cost, what) for who, what, cost in pairs if who == chooser)
        free = [what for _, what in wishes if what in left]
        expected.append(free[0] if free else -1)
        left -= set(free[:1])
    columns = np.array(pairs, int).reshape(-1, 3).T
    assert match_in_turn(*columns, num_choosers=6, num_chosen=5).tolist() == expected
