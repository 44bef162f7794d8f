"""What the metrics ask of each image agrees with NumPy and with the definitions."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_has.metrics.image_outcomes import (
    as_boxes,
    as_probabilities,
    box_iou,
    box_is_right,
    counts,
    is_box,
    true_class_is_among,
)
from keras_has.ops import boxes as boxes_in_numpy

pytestmark = pytest.mark.backends

tensor = keras.ops.convert_to_tensor
corners = st.integers(-3, 12).map(float) | st.sampled_from([np.nan, np.inf, -np.inf])
boxes = hnp.arrays(np.float32, (6, 4), elements=corners)
levels = st.sampled_from([0.0, 0.125, 0.25, 0.5, float("nan")])


@given(boxes, boxes)
def test_iou_of_tensors_equals_iou_of_arrays(boxes_a, boxes_b):
    np.testing.assert_allclose(
        np.asarray(box_iou(tensor(boxes_a), tensor(boxes_b))),
        boxes_in_numpy.box_iou(boxes_a, boxes_b),
        rtol=1e-6,
    )


def test_a_box_is_finite_and_has_an_area():
    rows = [
        [0, 0, 1, 1],
        [-1] * 4,
        [0, 0, 0, 5],
        [0, 5, 5, 0],
        [0, 0, np.nan, 1],
        [0, 0, np.inf, 1],
    ]
    assert np.asarray(is_box(tensor(np.float32(rows)))).tolist() == [True] + [False] * 5


def test_an_iou_at_the_threshold_is_not_above_it():
    true = tensor(np.float32([[[0, 0, 10, 10]]]))
    candidates = tensor(np.float32([[[0, 0, 10, 5], [0, 0, 10, 7], [0, 0, 10, 6]]]))
    assert np.asarray(box_is_right(true, candidates, 0.5)).tolist() == [[False, True, True]]
    assert np.asarray(box_is_right(true, candidates, 0.7)).tolist() == [[False, False, False]]
    assert np.asarray(box_is_right(true, candidates, 0.6)).tolist() == [[False, True, False]]


def test_any_of_several_true_boxes_counts():
    true = tensor(np.float32([[[0, 0, 4, 4], [10, 10, 20, 20], [-1] * 4]] * 2))
    candidates = tensor(np.float32([[[10, 10, 20, 19]], [[4, 4, 10, 10]]]))
    assert np.asarray(box_is_right(true, candidates, 0.5)).tolist() == [[True], [False]]


@given(
    hnp.arrays(np.float32, (5, 6), elements=levels),
    hnp.arrays(np.int64, (5,), elements=st.integers(-1, 6)),
)
def test_the_first_class_is_that_of_argmax_and_nan_is_never_right(probabilities, label):
    for top in (1, 2, 5):
        first = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        expected = (first == label[:, None]).any(axis=1) & ~np.isnan(probabilities).any(axis=1)
        found = true_class_is_among(tensor(label), tensor(probabilities), top)
        np.testing.assert_array_equal(np.asarray(found), expected)


def test_logits_of_minus_infinity_can_be_ranked():
    logits = np.float32([[-np.inf, 0, -np.inf], [-np.inf] * 3])
    assert np.asarray(true_class_is_among(tensor([1, 0]), tensor(logits), 1)).tolist() == [True] * 2
    assert (
        np.asarray(true_class_is_among(tensor([0, 1]), tensor(logits), 1)).tolist() == [False] * 2
    )


def test_labels_and_weights_may_be_columns():
    logits = tensor(np.float32([[1, 0], [1, 0]]))
    assert np.asarray(true_class_is_among(tensor([[0], [1]]), logits, 1)).tolist() == [True, False]
    assert np.asarray(counts(logits, tensor([[0.0], [1.0]]))).tolist() == [False, True]
    assert np.asarray(counts(logits, None)).tolist() == [True, True]


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"`y_true\[\"boxes\"\]`.*\(2, 4\)"):
        as_boxes(np.zeros((2, 4)), 'y_true["boxes"]', rank=3)
    with pytest.raises(ValueError, match=r"`y_pred\[\"boxes\"\]`.*\(2, 3\)"):
        as_boxes(np.zeros((2, 3)), 'y_pred["boxes"]', rank=2)
    with pytest.raises(ValueError, match=r"probabilities.*\(2,\)"):
        as_probabilities(np.zeros(2))
