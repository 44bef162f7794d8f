"""Each failure is of the kind that its picture shows, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_has.ops.boxes import box_iou
from trainers.reports.box_failures import KINDS, failure_kind, shares_in_common
from trainers.reports.failure_kinds import count_kinds

TRUE = [20, 20, 60, 60]  # 1,600 pixels


@pytest.mark.parametrize(
    ("box", "true_boxes", "kind"),
    [
        ([20, 20, 60, 60], [TRUE], "right"),
        ([20, 20, 60, 41], [TRUE], "right"),  # IoU 0.525
        ([20, 20, 60, 40], [TRUE], "part"),  # IoU 0.5 is not above it
        ([30, 30, 40, 40], [TRUE], "part"),
        # 400 pixels, of which 60 % (12 of 20 columns) lie inside; then 11 of 20.
        ([48, 30, 68, 50], [TRUE], "part"),
        ([49, 30, 69, 50], [TRUE], "displaced"),
        ([0, 0, 100, 100], [TRUE], "context"),
        # Contains 24 of 40 columns, 60 %, and has 2 times the area; then 23 of 40.
        ([36, 20, 116, 60], [TRUE], "context"),
        ([37, 20, 117, 60], [TRUE], "displaced"),
        ([70, 70, 110, 110], [TRUE], "displaced"),  # elsewhere
        ([40, 20, 80, 60], [TRUE], "displaced"),  # as large, half off it
        ([0, 0, 100, 50], [[0, 10, 30, 40], [60, 10, 90, 40]], "merged"),
        # Covers the first and just half of the second; then less.
        ([0, 0, 100, 50], [[0, 10, 30, 40], [85, 10, 115, 40]], "merged"),
        ([0, 0, 99, 50], [[0, 10, 30, 40], [85, 10, 115, 40]], "context"),
        ([0, 0, 32, 42], [[0, 10, 30, 40], [85, 10, 115, 40]], "right"),
        ([np.nan] * 4, [TRUE], "no_box"),
    ],
)
def test_a_box_is_of_the_first_kind_whose_rule_applies(box, true_boxes, kind):
    assert failure_kind(box, true_boxes) == kind


def test_a_wrong_class_comes_before_any_box_except_a_missing_one():
    assert failure_kind(TRUE, [TRUE], class_is_right=False) == "wrong_class"
    assert failure_kind([0, 0, 100, 100], [TRUE], class_is_right=False) == "wrong_class"
    assert failure_kind([np.nan] * 4, [TRUE], class_is_right=False) == "no_box"


def test_an_image_without_a_true_box_is_refused():
    with pytest.raises(ValueError, match="true_boxes"):
        failure_kind(TRUE, np.zeros((0, 4)))


def boxes(number):
    corner = st.integers(0, 40)
    side = st.integers(1, 40)
    box = st.tuples(corner, corner, side, side).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    )
    return st.lists(box, min_size=1, max_size=number)


@given(boxes(1), boxes(3))
def test_right_is_an_overlap_above_one_half_and_every_other_box_fails(box, true_boxes):
    kind = failure_kind(box[0], true_boxes)
    assert (kind == "right") == (box_iou(true_boxes, box[0]).max() > 0.5)
    assert kind in {one.key for one in KINDS}
    if kind == "part":
        assert any((t[2] - t[0]) * (t[3] - t[1]) > area(box[0]) for t in true_boxes)
    if kind == "context":
        assert any((t[2] - t[0]) * (t[3] - t[1]) < area(box[0]) for t in true_boxes)


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def test_kinds_are_counted_in_their_order_zeros_included():
    counts = count_kinds(["part", "right", "part"], KINDS)
    assert list(counts) == [kind.key for kind in KINDS]
    assert counts["part"] == 2
    assert counts["right"] == 1
    assert sum(counts.values()) == 3


def test_shares_are_of_the_true_box_that_the_box_fits_best():
    near, far = [0, 0, 20, 10], [12, 0, 112, 100]
    # Of the 20 x 10 pixels 10 x 10 are covered, and 10 x 10 of 16 x 10 lie on it.
    assert shares_in_common([10, 0, 26, 10], [far, near]) == (0.5, 0.625)
    assert shares_in_common([200, 200, 210, 210], [near]) == (0.0, 0.0)
