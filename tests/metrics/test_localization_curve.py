"""The curve over thresholds: each point, the best, and what each half chooses for the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_has.metrics import GTKnownLocalization, LocalizationCurve, Top1Localization

pytestmark = pytest.mark.backends

TRUE = [0.0, 0.0, 10.0, 10.0]
WRONG = [0.0, 0.0, 1.0, 1.0]


def curve_of(box_right, class_right=None, thresholds=None, metric=None):
    """A metric that saw boxes right and wrong as in `box_right`, of shape (images, thresholds)."""
    box_right = np.asarray(box_right, bool)
    class_right = np.ones(len(box_right), bool) if class_right is None else np.array(class_right)
    if metric is None:
        steps = np.arange(1, box_right.shape[1] + 1) / 10
        metric = LocalizationCurve(steps if thresholds is None else thresholds)
    metric.update_state(
        {
            "label": np.zeros(len(box_right), "int64"),
            "boxes": np.tile(np.float32(TRUE), (len(box_right), 1, 1)),
        },
        {
            "probabilities": np.stack([class_right, ~class_right], axis=1).astype("float32"),
            "boxes": np.where(box_right[..., None], np.float32(TRUE), np.float32(WRONG)),
        },
    )
    return metric


def cross_fitted_by_hand(box_right, scored):
    hits = 0
    for half in (0, 1):
        best = box_right[1 - half :: 2].sum(axis=0).argmax()
        hits += scored[half::2, best].sum()
    return hits / len(box_right)


@given(hnp.arrays(np.bool_, (9, 4)), hnp.arrays(np.bool_, (9,)), st.sampled_from([[], [3, 6]]))
def test_every_figure_equals_a_calculation_by_hand(box_right, class_right, cuts):
    metric = LocalizationCurve([0.1, 0.2, 0.3, 0.4])
    for start, stop in zip([0, *cuts], [*cuts, 9], strict=True):
        curve_of(box_right[start:stop], class_right[start:stop], metric=metric)
    both = box_right & class_right[:, None]
    np.testing.assert_array_equal(metric.curve(), box_right.mean(axis=0))
    np.testing.assert_array_equal(metric.top1_curve(), both.mean(axis=0))
    best = box_right.mean(axis=0).argmax()
    assert metric.best() == (metric.thresholds[best], box_right.mean(axis=0).max())
    assert metric.top1_best() == (metric.thresholds[best], both.mean(axis=0)[best])
    assert metric.cross_fitted() == cross_fitted_by_hand(box_right, box_right)
    assert metric.top1_cross_fitted() == cross_fitted_by_hand(box_right, both)
    assert metric.cross_fitted() <= metric.best()[1]
    assert metric.top1_cross_fitted() <= metric.cross_fitted()


def test_each_half_is_scored_at_the_best_threshold_of_the_other():
    first = [[1, 0, 0], [1, 0, 0], [0, 0, 1]]  # Best at the first threshold.
    second = [[0, 1, 1], [1, 1, 0], [0, 1, 1]]  # Best at the second.
    images = [image for pair in zip(first, second, strict=True) for image in pair]
    metric = curve_of(images)
    assert metric.cross_fitted_thresholds() == (0.2, 0.1)
    assert metric.cross_fitted() == (0 + 1) / 6
    assert metric.best() == (0.1, 3 / 6)


def test_of_thresholds_as_good_the_smallest_is_taken():
    metric = curve_of([[0, 1, 1, 0]] * 2)
    assert metric.best() == (0.2, 1.0)
    assert metric.cross_fitted_thresholds() == (0.2, 0.2)


def test_the_threshold_is_picked_by_gt_known_loc_for_top1_loc_too():
    metric = curve_of([[1, 0], [1, 0], [0, 1]] * 2, class_right=[False, False, True] * 2)
    assert metric.top1_curve().tolist() == [0, 1 / 3]
    assert metric.top1_best() == (0.1, 0.0)
    assert metric.top1_at(0.2) == 1 / 3


def test_a_point_of_the_curve_equals_the_metrics_of_one_threshold(images):
    metric = LocalizationCurve(images.thresholds)
    metric.update_state(images.y_true, images.y_pred_curve)
    for index, threshold in enumerate(images.thresholds):
        y_pred = {**images.y_pred, "boxes": images.y_pred_curve["boxes"][:, index]}
        gt_known, top1 = GTKnownLocalization(), Top1Localization()
        gt_known.update_state(images.y_true, y_pred)
        top1.update_state(images.y_true, y_pred)
        assert metric.at(threshold) == pytest.approx(float(gt_known.result()), abs=1e-6)
        assert metric.top1_at(threshold) == pytest.approx(float(top1.result()), abs=1e-6)
        for name in ("unboxed_images", "degenerate_maps"):
            assert int(getattr(metric, name)) == int(getattr(gt_known, name)) > 0
        assert int(metric.nan_predictions) == int(top1.nan_predictions) == 1


def test_images_without_a_box_are_not_dealt_to_a_half(images):
    metric = LocalizationCurve(images.thresholds)
    metric.update_state(images.y_true, images.y_pred_curve)
    boxed = np.any(images.y_true["boxes"][..., 2] > 0, axis=1)
    only_boxed = LocalizationCurve(images.thresholds)
    only_boxed.update_state(
        *({k: v[boxed] for k, v in each.items()} for each in (images.y_true, images.y_pred_curve))
    )
    assert metric.result() == only_boxed.result()
    assert metric.cross_fitted_thresholds() == only_boxed.cross_fitted_thresholds()


def test_the_result_is_a_dict_of_floats_with_the_threshold_beside_the_figure():
    result = curve_of([[0, 1], [0, 1], [1, 1]], class_right=[True, False, True]).result()
    assert all(type(value) is float for value in result.values())
    assert result == {
        "gt_known_loc_cross_fitted": 1.0,
        "top1_loc_cross_fitted": 2 / 3,
        "gt_known_loc_best": 1.0,
        "gt_known_loc_best_threshold": 0.2,
        "top1_loc_at_best_threshold": 2 / 3,
    }


def test_one_image_has_a_curve_but_nothing_to_cross_fit():
    metric = curve_of([[0, 1]])
    assert metric.best() == (0.2, 1.0)
    assert np.isnan(metric.cross_fitted())
    assert np.isnan(metric.cross_fitted_thresholds()).all()


def test_the_default_thresholds_are_5_to_95_percent():
    metric = LocalizationCurve()
    assert metric.thresholds == tuple(round(0.05 * step, 2) for step in range(1, 20))


def test_a_threshold_is_found_despite_the_rounding_of_arange():
    metric = curve_of(np.eye(19), thresholds=np.arange(0.05, 1.0, 0.05))
    assert metric.at(0.15) == metric.at(0.05 * 3) == 1 / 19


def test_a_threshold_that_was_not_asked_for_is_refused():
    with pytest.raises(ValueError, match="`threshold`"):
        curve_of([[0, 1]]).at(0.15)


@pytest.mark.parametrize("thresholds", [[], [0.2, 0.2], [0.3, 0.2], [-0.1], [1.0], [[0.2]]])
def test_thresholds_that_make_no_sense_are_named(thresholds):
    with pytest.raises(ValueError, match="`thresholds`"):
        LocalizationCurve(thresholds)


def test_an_iou_threshold_out_of_range_is_named():
    with pytest.raises(ValueError, match="`iou_threshold`"):
        LocalizationCurve(iou_threshold=1)


def test_boxes_for_other_thresholds_are_refused(images):
    with pytest.raises(ValueError, match=r"`y_pred\[\"boxes\"\]`.* 19 "):
        LocalizationCurve().update_state(images.y_true, images.y_pred_curve)
