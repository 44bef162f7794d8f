"""Each detection is of the kind that its timeline shows, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_has.ops.segments import temporal_iou
from trainers.reports.segment_failures import (
    DETECTION_KINDS,
    TRUTH_KINDS,
    disjoint,
    overlap_in_time,
    seconds_in_common,
    shares_in_common,
    sort_segments,
)

TRUE = [(20, 30, 0), (40, 50, 0), (60, 70, 1)]


def truth(segments=TRUE, ambiguous=()):
    return {
        "segments": [each[:2] for each in segments],
        "segment_labels": [each[2] for each in segments],
        "ambiguous": ambiguous,
    }


def found(*segments):
    return {
        "segments": [each[:2] for each in segments],
        "labels": [each[2] for each in segments],
        "scores": [each[3] if len(each) > 3 else 1.0 for each in segments],
    }


@pytest.mark.parametrize(
    ("segment", "kind"),
    [
        ((20, 30, 0), "right"),
        ((24, 30, 0), "right"),  # IoU 0.6
        ((25, 30, 0), "short"),  # 0.5 is not above it
        ((22, 23, 0), "short"),
        # 6 s, of which 60 % lie in 10 s; then 3.5 of 6.
        ((17.6, 23.6, 0), "short"),
        ((17.5, 23.5, 0), "displaced"),
        # 7 s: the action is no 1.5 times as long, and IoU is 4.2 / 12.8.
        ((17.2, 24.2, 0), "displaced"),
        ((10, 39, 0), "long"),
        ((24, 40, 0), "long"),  # covers 6 of 10 s, and is 1.6 times as long
        ((24.1, 40, 0), "displaced"),
        ((20, 50, 0), "merged"),
        ((25, 45, 0), "merged"),  # just half of both
        ((25.1, 45, 0), "displaced"),  # 49 % of the first, and half of itself in none
        ((0, 20, 0), "background"),  # touches at a point, which is no time
        ((60, 70, 0), "wrong_class"),
        ((64, 66, 0), "wrong_class"),  # within another class, and touches none of its own
        ((66, 76, 0), "background"),  # 4 of 10 s in another class
        ((20, 30, 1), "wrong_class"),
        ((61, 63, 1), "short"),
        ((5, 6, 2), "background"),  # a class that the video does not show
    ],
)
def test_a_detection_is_of_the_first_kind_whose_rule_applies(segment, kind):
    assert sort_segments(truth(), found(segment), 0.5).detections == (kind,)


def test_the_iou_threshold_moves_detections_to_right():
    half = found((25, 30, 0), (24, 40, 0), (61, 65, 1))
    assert sort_segments(truth(), half, 0.5).detections == ("short", "long", "short")
    # IoU 0.5, 0.3 and 0.4: the second is not above 0.3, the third is.
    assert sort_segments(truth(), half, 0.3).detections == ("right", "long", "right")


def test_of_several_detections_of_one_action_the_highest_score_is_right():
    several = found((20, 26, 0, 0.2), (21, 30, 0, 0.9), (20, 30, 0, 0.5))
    result = sort_segments(truth(), several, 0.5)
    assert result.detections == ("duplicate", "right", "duplicate")
    assert result.truths == ("found", "missed", "missed")


def test_ambiguous_time_excuses_what_is_wrong_and_leaves_what_is_right():
    doubtful = [(0, 5), (28, 32)]
    result = sort_segments(
        truth(ambiguous=doubtful), found((20, 30, 0), (1, 2, 0), (30, 31, 1), (6, 7, 0)), 0.5
    )
    assert result.detections == ("right", "ambiguous", "ambiguous", "background")


def test_missed_actions_are_split_by_whether_a_detection_overlaps_them():
    result = sort_segments(truth(), found((20, 30, 0), (44, 45, 0), (62, 70, 0)), 0.5)
    assert result.truths == ("found", "overlapped", "missed")


def test_no_detections_and_no_true_segments_are_allowed():
    assert sort_segments(truth(), found(), 0.5).truths == ("missed",) * 3
    assert sort_segments(truth([]), found((1, 2, 0)), 0.5).detections == ("background",)
    empty = sort_segments(truth([]), found(), 0.5)
    assert (empty.detections, empty.truths) == ((), ())
    assert disjoint([]).shape == (0, 2)
    assert seconds_in_common([], [[0, 1]]) == 0
    assert np.isnan(overlap_in_time([], []))


def segments(number):
    return st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 12), st.integers(0, 1), st.integers(0, 3)).map(
            lambda each: (each[0], each[0] + each[1], *each[2:])
        ),
        max_size=number,
    )


@given(segments(4), segments(5), st.sampled_from([0.3, 0.5]))
def test_every_segment_is_of_one_kind_and_right_ones_have_their_own_action(true, given, bound):
    result = sort_segments(truth(true), found(*given), bound)
    assert set(result.detections) <= {kind.key for kind in DETECTION_KINDS}
    assert set(result.truths) <= {kind.key for kind in TRUTH_KINDS}
    assert len(result.detections) == len(given)
    assert result.detections.count("right") == result.truths.count("found")
    for (start, end, label, _), kind in zip(given, result.detections, strict=True):
        own = [each[:2] for each in true if each[2] == label]
        best = max(temporal_iou(own, (start, end)), default=0) if own else 0
        assert (best > bound) == (kind in ("right", "duplicate"))
        if kind == "background":
            assert best == 0


@given(segments(5), segments(5))
def test_time_in_common_is_what_counting_seconds_gives(ours, theirs):
    def seconds(those):
        return {second for start, end, *_ in those for second in range(start, end)}

    left, right = [each[:2] for each in ours], [each[:2] for each in theirs]
    assert seconds_in_common(left, right) == len(seconds(ours) & seconds(theirs))
    assert np.diff(disjoint(left)).sum() == len(seconds(ours))
    if ours or theirs:
        expected = len(seconds(ours) & seconds(theirs)) / len(seconds(ours) | seconds(theirs))
        assert overlap_in_time(left, right) == pytest.approx(expected)


def test_shares_compare_with_all_of_the_class_and_nothing_else():
    covered, inside = shares_in_common(
        truth(), found((15, 25, 0), (28, 44, 0), (62, 64, 1), (62, 64, 0))
    )
    assert covered == [0.7, 0.4, 0.2]
    assert inside == [0.5, 0.375, 1.0, 0.0]
