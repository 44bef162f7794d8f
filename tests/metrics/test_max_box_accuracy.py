"""MaxBoxAcc, MaxBoxAccV2 and PxAP against the protocol done plainly, threshold by threshold."""

import keras
import numpy as np
import pytest

from benchmarks.plain_protocol import plain_hits, plain_score_map
from keras_has.metrics import MaxBoxAccuracy, MaxBoxAccuracyV2, PixelAveragePrecision
from keras_has.ops.contour_boxes import compiled_loops, contour_boxes_of_score_maps

STEPS = np.arange(0, 1, 0.001)
DELTAS = (0.3, 0.5, 0.7)
RESIZE = (40, 40)


def counts(metric):
    values = [keras.ops.convert_to_tensor(variable) for variable in metric.variables]
    return [np.asarray(value).tolist() for value in values]


@pytest.fixture(scope="module")
def batch():
    """Sixteen images: padded boxes, half-open, of image sizes of their own; and their maps."""
    random = np.random.default_rng(5)
    sizes = random.integers(30, 90, size=(16, 2))
    boxes = np.full((16, 3, 4), -1.0, np.float32)
    maps = np.zeros((16, 7, 7))
    y, x = np.mgrid[:7, :7]
    for index, (height, width) in enumerate(sizes):
        for row in range(random.integers(0 if index else 1, 4)):
            x0, y0 = random.integers(0, width // 2), random.integers(0, height // 2)
            boxes[index, row] = (
                x0,
                y0,
                random.integers(x0 + 1, width),
                random.integers(y0 + 1, height),
            )
        centre = random.uniform(1, 5, 2)
        maps[index] = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 6)
        maps[index] += random.normal(0, 0.15, (7, 7))
    maps[3], maps[4, 2, 2] = 0.3, np.nan
    boxes[3, 0] = boxes[4, 0] = 0, 0, 1, 1  # Right for the box 0, 0, 0, 0 of such a map.
    boxes[6] = -1
    return boxes, maps, sizes


def expected_hits(batch, all_contours, deltas=DELTAS):
    hits, images = 0, 0
    for boxes, score_map, size in zip(*batch, strict=True):
        rows = boxes[boxes[:, 0] >= 0] - [0, 0, 1, 1]
        if len(rows):
            images += 1
            hits = hits + plain_hits(score_map, rows, size, STEPS, deltas, all_contours, RESIZE[0])
    return hits, images


def new(metric=MaxBoxAccuracyV2, **settings):
    return metric(resize=RESIZE, **settings)


def test_the_counts_at_every_threshold_equal_the_plain_protocol(batch):
    first, second = new(MaxBoxAccuracy), new()
    first.update_state(*batch)
    second.update_state(*batch)
    hits, images = expected_hits(batch, all_contours=False)
    np.testing.assert_array_equal(np.asarray(counts(first)[0]), hits[1:2])
    np.testing.assert_array_equal(first.curve(), hits[1] / images)
    assert first.result() == (hits[1] / images).max() > 0.1
    assert first.best_threshold() == STEPS[hits[1].argmax()]
    hits, _ = expected_hits(batch, all_contours=True)
    np.testing.assert_array_equal(second.curve(), hits / images)
    assert second.accuracies() == tuple(hits.max(axis=1) / images)
    assert second.best_thresholds() == tuple(STEPS[hits.argmax(axis=1)])
    assert second.result() == np.mean(hits.max(axis=1) / images)
    assert int(first.boxed_images) == images == 16 - int(first.unboxed_images)
    assert int(first.degenerate_maps) == int(second.degenerate_maps) == 2


@pytest.mark.parametrize("metric", [MaxBoxAccuracy, MaxBoxAccuracyV2])
def test_without_numba_the_counts_are_the_same(batch, metric, without_numba):
    slower, faster = new(metric), new(metric)
    assert compiled_loops() is None
    slower.update_state(*batch)
    without_numba.undo()
    compiled_loops.cache_clear()
    faster.update_state(*batch)
    assert counts(slower) == counts(faster)
    assert np.any(counts(slower)[0])


def test_one_pass_over_the_maps_serves_both_metrics(batch):
    boxes, maps, sizes = batch
    found = contour_boxes_of_score_maps(maps, RESIZE)
    for metric in (MaxBoxAccuracy, MaxBoxAccuracyV2):
        direct, shared = new(metric), new(metric)
        direct.update_state(*batch)
        shared.update_state(boxes, found, sizes)
        assert counts(shared) == counts(direct)


def test_lists_of_maps_of_several_sizes_and_of_boxes_do_as_well(batch):
    boxes, maps, sizes = batch
    padded, lists = new(), new()
    padded.update_state(*batch)
    lists.update_state([each[each[:, 0] >= 0] for each in boxes], list(maps), sizes)
    assert counts(lists) == counts(padded)


@pytest.mark.parametrize("metric", [MaxBoxAccuracy, MaxBoxAccuracyV2])
def test_streaming_and_merging_equal_one_batch(batch, metric):
    whole, streamed, parts = new(metric), new(metric), [new(metric), new(metric)]
    whole.update_state(*batch)
    for start in range(0, 16, 5):
        part = [each[start : start + 5] for each in batch]
        streamed.update_state(*part)
        parts[start % 2].update_state(*part)
    parts[0].merge_state(parts[1:])
    assert counts(streamed) == counts(parts[0]) == counts(whole)
    with pytest.raises(ValueError, match="`metrics`"):
        whole.merge_state([new(metric, threshold_interval=0.01)])
    whole.reset_state()
    assert not np.any(counts(whole)[0])


def test_padding_of_weight_0_does_not_count(batch):
    weight = np.arange(16) < 9
    weighted, cut = new(), new()
    weighted.update_state(*batch, sample_weight=weight)
    cut.update_state(*(each[:9] for each in batch))
    assert counts(weighted) == counts(cut)


def test_half_open_boxes_are_the_rows_of_the_files_plus_one(batch):
    boxes, maps, sizes = batch
    rows = np.where(boxes >= 0, boxes - [0, 0, 1, 1], boxes)
    half_open, inclusive = new(), new(box_format="inclusive")
    half_open.update_state(*batch)
    inclusive.update_state(rows, maps, sizes)
    assert counts(half_open) == counts(inclusive)


def test_exactly_the_threshold_is_enough():
    score_map = np.zeros((20, 20))
    score_map[0:10, 0:9] = 1  # Box 0, 0, 9, 10 in the protocol's corners: 110 pixels.
    metric = MaxBoxAccuracy(resize=None, box_format="inclusive")
    metric.update_state([[[0, 0, 4, 10]]], [score_map])  # 55 of them.
    assert metric.result() == 1.0


def test_without_an_image_the_result_is_nan_and_images_without_boxes_say_nothing():
    metric = MaxBoxAccuracyV2()
    metric.update_state(np.full((2, 1, 4), -1), np.zeros((2, 3, 3)))
    assert np.isnan(metric.result())
    assert np.isnan(metric.curve()).all()
    assert np.isnan(metric.best_thresholds()).all()
    assert int(metric.unboxed_images) == 2
    assert np.isnan(MaxBoxAccuracy().result())
    assert np.isnan(PixelAveragePrecision().result())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold_interval": 0}, "`threshold_interval`"),
        ({"resize": (0, 3)}, "`resize`"),
        ({"box_format": "xywh"}, "`box_format`"),
        ({"iou_thresholds": ()}, "`iou_thresholds`"),
        ({"iou_thresholds": (1.5,)}, "`iou_thresholds`"),
    ],
)
def test_settings_that_make_no_sense_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MaxBoxAccuracyV2(**arguments)


def test_input_that_does_not_fit_is_named_and_not_counted(batch):
    boxes, maps, sizes = batch
    metric = new()
    with pytest.raises(ValueError, match="`boxes`, `score_maps`"):
        metric.update_state(boxes, maps[:3], sizes)
    with pytest.raises(ValueError, match=r"`boxes`.*, 3\)"):
        metric.update_state(boxes[..., :3], maps, sizes)
    outside = boxes.copy()
    outside[8, 0] = -2, 1, 5, 5
    with pytest.raises(ValueError, match=r"`boxes`.*-2"):
        metric.update_state(outside, maps, sizes)
    with pytest.raises(ValueError, match="`score_map`"):
        metric.update_state(boxes, maps[:, 0], sizes)
    assert not np.any(counts(metric)[0])
    assert int(metric.boxed_images) == 0


@pytest.mark.parametrize("metric", [MaxBoxAccuracy, MaxBoxAccuracyV2, PixelAveragePrecision])
def test_configuration_and_serialization_round_trip(metric):
    one = metric(threshold_interval=0.01, resize=(32, 48))
    saved = keras.saving.serialize_keras_object(one)
    loaded = keras.saving.deserialize_keras_object(saved)
    assert type(loaded) is metric
    for argument, value in one.get_config().items():
        assert getattr(loaded, argument) == value
    assert loaded.thresholds.tolist() == one.thresholds.tolist()


@pytest.mark.parametrize("metric", [MaxBoxAccuracy, MaxBoxAccuracyV2, PixelAveragePrecision])
def test_inside_a_tf_function_the_error_says_what_to_do(metric):
    tf = pytest.importorskip("tensorflow")

    @tf.function(autograph=False)
    def update(truth, maps):
        metric().update_state(truth, maps)

    with pytest.raises((TypeError, ValueError), match="`tf.function`"):
        update(tf.zeros((1, 1, 4)), tf.zeros((1, 3, 3)))


# PxAP.


def plain_average_precision(scores, is_true):
    """By the definition: at each threshold count the pixels at or above it."""
    true, false = scores[is_true], scores[~is_true]
    recall, area = 0.0, 0.0
    for threshold in [2.0, 1.0, *STEPS[::-1]]:
        hits, misses = np.sum(true >= threshold), np.sum(false >= threshold)
        if hits + misses:
            area += hits / (hits + misses) * (hits / true.size - recall)
            recall = hits / true.size
    return area


def test_pxap_equals_the_definition_over_all_pixels():
    random = np.random.default_rng(0)
    maps = random.uniform(size=(5, 6, 6))
    maps[1] = np.round(maps[1], 2)  # Scores on the thresholds themselves.
    masks = random.uniform(size=(5, 2, 30, 20)) < 0.2
    ignored = random.uniform(size=(5, 50, 60)) < 0.3
    whole, parts = PixelAveragePrecision(resize=RESIZE), []
    whole.update_state(masks, maps, ignored)
    for part in (slice(0, 2), slice(2, 5)):
        parts.append(PixelAveragePrecision(resize=RESIZE))
        parts[-1].update_state(masks[part], maps[part], ignored[part])
    parts[0].merge_state(parts[1:])
    assert counts(parts[0]) == counts(whole)
    rows, columns = np.arange(40) * 30 // 40, np.arange(40) * 20 // 40
    is_object = masks.any(axis=1)[:, rows][:, :, columns]
    is_ignored = ignored[:, np.arange(40) * 50 // 40][:, :, np.arange(40) * 60 // 40] & ~is_object
    scores = np.stack([plain_score_map(each, 40) for each in maps])
    expected = plain_average_precision(scores[~is_ignored], is_object[~is_ignored])
    assert whole.result() == pytest.approx(expected, rel=1e-12)
    assert 0.3 < expected < 0.7
    assert int(whole.ignored_pixels) == is_ignored.sum()
    histogram, _ = np.histogram(scores[is_object], bins=np.append(whole.thresholds, 3.0))
    assert counts(whole)[0] == histogram.tolist()


@pytest.mark.parametrize("ignored_score", [0.0, 1.0])
def test_a_perfect_map_has_a_pxap_of_1_whatever_the_ignored_region_holds(ignored_score):
    mask = np.zeros((8, 8))
    mask[2:5, 3:6] = 255
    ignore = np.zeros((8, 8))
    ignore[2:7, 3:6] = 255
    score_map = np.where(mask, 1.0, np.where(ignore, ignored_score, 0.0))
    metric = PixelAveragePrecision(resize=None)
    metric.update_state([mask], [score_map], [ignore])
    assert metric.result() == 1.0


@pytest.mark.parametrize("value", [0.0, 0.5, np.nan])
def test_a_constant_map_has_the_pxap_of_guessing(value):
    mask = np.zeros((8, 8))
    mask[:2] = 1
    metric = PixelAveragePrecision()
    metric.update_state([mask], [np.full((8, 8), value)])
    assert metric.result() == pytest.approx(0.25)
    assert int(metric.degenerate_maps) == 1


def test_an_image_without_foreground_counts_as_background():
    metric = PixelAveragePrecision(resize=None)
    metric.update_state([[[1, 0]], [[0, 0]]], [[[1.0, 0.0]], [[1.0, 0.0]]], [None, None])
    assert metric.result() == 0.5
    assert int(metric.unmasked_images) == 1
    precision, recall = metric.curve()
    assert precision[-2] == 0.5
    assert recall[-2] == 1.0


def test_masks_that_do_not_fit_are_named():
    metric = PixelAveragePrecision()
    with pytest.raises(ValueError, match="`masks`, `score_maps`"):
        metric.update_state([np.ones((2, 2))], np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match=r"`masks`.*\(1, 1, 2, 2\)"):
        metric.update_state([np.ones((1, 1, 2, 2))], np.zeros((1, 3, 3)))
