"""GT-known, Top-1 and Top-5 localization and Top-1 classification, worked by hand."""

import numpy as np
import pytest

from keras_has.metrics import (
    GTKnownLocalization,
    Top1Classification,
    Top1Localization,
    Top5Localization,
)

pytestmark = pytest.mark.backends

TRUE = [0.0, 0.0, 10.0, 10.0]
RIGHT = [0.0, 0.0, 10.0, 6.0]
AT_ONE_HALF = [0.0, 0.0, 10.0, 5.0]
NO_BOX = [-1.0] * 4
DEGENERATE = [np.nan] * 4


def updated(metric, label, true, probabilities, predicted):
    metric.update_state(
        {"label": np.array(label), "boxes": np.float32(true)},
        {"probabilities": np.float32(probabilities), "boxes": np.float32(predicted)},
    )
    return metric


def test_gt_known_asks_for_the_box_alone():
    metric = updated(
        GTKnownLocalization(),
        label=[0, 0, 0, 0],
        true=[[TRUE]] * 4,
        probabilities=[[0.0, 1.0]] * 4,
        predicted=[RIGHT, AT_ONE_HALF, TRUE, DEGENERATE],
    )
    assert float(metric.result()) == 0.5
    assert int(metric.degenerate_maps) == 1


def test_gt_known_needs_neither_label_nor_probabilities():
    metric = GTKnownLocalization()
    metric.update_state({"boxes": [[TRUE]]}, {"boxes": [RIGHT]})
    assert float(metric.result()) == 1


def test_the_iou_threshold_can_be_chosen():
    for threshold, expected in ((0.3, 1), (0.59, 1), (0.6, 0), (0.7, 0)):
        metric = updated(GTKnownLocalization(threshold), [0], [[TRUE]], [[1.0]], [RIGHT])
        assert float(metric.result()) == expected


def test_top1_asks_for_box_and_class():
    metric = updated(
        Top1Localization(),
        label=[0, 0, 1, 1],
        true=[[TRUE]] * 4,
        probabilities=[[0.9, 0.1], [0.1, 0.9], [0.4, 0.6], [0.9, 0.1]],
        predicted=[RIGHT, RIGHT, AT_ONE_HALF, AT_ONE_HALF],
    )
    assert float(metric.result()) == 0.25


def test_top5_asks_for_the_class_among_the_first_five():
    probabilities = np.arange(7.0)[::-1] / 21
    metric = updated(
        Top5Localization(), [0, 4, 5, 6], [[TRUE]] * 4, [probabilities] * 4, [RIGHT] * 4
    )
    assert float(metric.result()) == 0.5


def test_of_fewer_than_five_classes_all_are_among_the_first_five():
    metric = updated(Top5Localization(), [1], [[TRUE]], [[0.9, 0.1]], [RIGHT])
    assert float(metric.result()) == 1


def test_of_equal_probabilities_the_lowest_class_is_predicted():
    metric = updated(Top1Classification(), [0, 1], [[TRUE]] * 2, [[0.5, 0.5]] * 2, [RIGHT] * 2)
    assert float(metric.result()) == 0.5


@pytest.mark.parametrize("new", [GTKnownLocalization, Top1Localization, Top5Localization])
def test_images_without_a_box_are_left_out_of_localization_and_counted(new):
    metric = updated(
        new(),
        label=[0, 0, 0],
        true=[[TRUE, NO_BOX], [NO_BOX, NO_BOX], [NO_BOX, TRUE]],
        probabilities=[[0.9, 0.1]] * 3,
        predicted=[RIGHT, DEGENERATE, RIGHT],
    )
    assert float(metric.result()) == 1
    assert int(metric.boxed_images) == 2
    assert int(metric.unboxed_images) == 1
    assert int(metric.degenerate_maps) == 0  # That of the image left out does not count.


def test_images_without_a_box_count_for_classification():
    metric = updated(
        Top1Classification(), [0, 1], [[NO_BOX]] * 2, [[0.9, 0.1]] * 2, [DEGENERATE] * 2
    )
    assert float(metric.result()) == 0.5
    assert int(metric.images) == 2


def test_batches_without_any_room_for_boxes_are_unboxed():
    metric = updated(GTKnownLocalization(), [0], np.zeros((1, 0, 4)), [[1.0]], [RIGHT])
    assert int(metric.unboxed_images) == 1
    assert np.isnan(float(metric.result()))


@pytest.mark.parametrize("new", [Top1Localization, Top5Localization, Top1Classification])
def test_a_nan_among_the_probabilities_is_wrong_and_counted(new):
    metric = updated(
        new(), [0, 0], [[TRUE]] * 2, [[0.9, 0.1], [np.nan, 0.1]], predicted=[RIGHT] * 2
    )
    assert float(metric.result()) == 0.5
    assert int(metric.nan_predictions) == 1


@pytest.mark.parametrize("new", [GTKnownLocalization, Top1Localization, Top5Localization])
@pytest.mark.parametrize("iou_threshold", [-0.1, 1.0, float("nan")])
def test_an_iou_threshold_out_of_range_is_named(new, iou_threshold):
    with pytest.raises(ValueError, match="`iou_threshold`"):
        new(iou_threshold)
