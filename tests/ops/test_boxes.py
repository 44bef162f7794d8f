"""Boxes from maps equal a flood fill written here, and overlaps equal counts of pixels."""

import builtins
import sys
import types

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_has.ops import boxes as boxes_module
from keras_has.ops.boxes import (
    best_centred_side,
    box_iou,
    boxes_from_maps,
    centred_boxes,
    scale_boxes,
)
from keras_has.ops.opencv import opencv

pytestmark = pytest.mark.backends

THRESHOLDS = np.arange(1, 20) / 20

# Few levels make plateaus and ties; floats make everything else.
levels = st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.0, 5.0, -3.0])
floats = st.floats(-10, 10, width=32)
shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))
maps_of_any_kind = st.one_of(
    hnp.arrays(np.float32, shapes, elements=levels), hnp.arrays(np.float32, shapes, elements=floats)
)
whole_boxes = st.tuples(
    st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9)
).map(lambda box: np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]], np.float32))


def box_by_flood_fill(image, threshold):
    image = np.asarray(image, np.float32)
    if not np.isfinite(image).all() or image.max() == image.min() or image.max() <= 0:
        return [np.nan] * 4
    above = image > np.float32(threshold) * image.max()
    left_over = {(int(y), int(x)) for y, x in np.argwhere(above)}
    found = []
    while left_over:
        todo, component = [left_over.pop()], []
        while todo:
            y, x = todo.pop()
            component.append((y, x))
            for near in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if near in left_over:
                    left_over.remove(near)
                    todo.append(near)
        rows, columns = zip(*component, strict=True)
        box = (min(rows), min(columns), max(rows) + 1, max(columns) + 1)
        found.append((-len(component), *box))
    _, top, left, bottom, right = min(found)
    return [left, top, right, bottom]


@given(maps_of_any_kind, st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.95]))
def test_a_box_is_what_a_flood_fill_finds(image, threshold):
    np.testing.assert_array_equal(
        boxes_from_maps(image[None], threshold)[0], box_by_flood_fill(image, threshold)
    )


@given(hnp.arrays(np.float32, (2, 5, 6), elements=floats))
def test_many_thresholds_give_what_each_gives_alone(maps):
    together = boxes_from_maps(maps, THRESHOLDS)
    assert together.shape == (2, 19, 4)
    alone = np.stack([boxes_from_maps(maps, float(each)) for each in THRESHOLDS], axis=1)
    np.testing.assert_array_equal(together, alone)


@given(
    hnp.arrays(np.float32, (1, 6, 6), elements=st.integers(-8, 8).map(float)),
    st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**30]),
)
def test_a_positive_factor_leaves_the_box(maps, factor):
    np.testing.assert_array_equal(
        boxes_from_maps(maps * np.float32(factor), [0.2, 0.5]), boxes_from_maps(maps, [0.2, 0.5])
    )


def test_the_comparison_is_strict():
    image = [[0.0, 2.0, 10.0, 3.0]]
    assert boxes_from_maps([image], 0.2).tolist() == [[2, 0, 4, 1]]
    assert boxes_from_maps([image], 0.3).tolist() == [[2, 0, 3, 1]]


def test_corners_connect():
    image = np.eye(4)
    assert boxes_from_maps(image[None], 0.5).tolist() == [[0, 0, 4, 4]]


def test_the_largest_component_wins_over_the_brightest():
    image = np.zeros((5, 8))
    image[0, 0] = 9
    image[3:5, 5:7] = 4
    assert boxes_from_maps(image[None], 0.2).tolist() == [[5, 3, 7, 5]]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((3, 3)),
        np.full((3, 3), 5.0),
        np.full((3, 3), -1.0),
        -np.arange(9.0).reshape(3, 3),
        np.array([[1.0, np.nan], [0.0, 2.0]]),
        np.array([[1.0, np.inf], [0.0, 2.0]]),
        np.array([[1.0, -np.inf], [0.0, 2.0]]),
        np.array([[0.0, 1e-40], [0.0, 0.0]]),
        np.array([[0.0, 1e300], [0.0, 0.0]]),
        np.ones((1, 1)),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [None, (8, 8)])
def test_a_map_without_a_shape_has_a_box_of_nan(image, size):
    assert np.isnan(boxes_from_maps(image[None], 0.2, size)).all()
    assert np.isnan(boxes_from_maps(image[None], [0.0, 0.9], size)).all()


def test_one_map_without_a_shape_does_not_touch_the_others():
    maps = np.stack([np.eye(3), np.full((3, 3), np.nan), np.diag([1.0, 1.0, 0.0])])
    boxes = boxes_from_maps(maps, 0.5)
    np.testing.assert_array_equal(boxes[[0, 2]], [[0, 0, 3, 3], [0, 0, 2, 2]])
    assert np.isnan(boxes[1]).all()


TIES = {
    "top": ([[0, 0, 0, 0, 1], [1, 0, 0, 0, 0]], [4, 0, 5, 1]),
    "left": ([[1, 0, 0, 0, 1]], [0, 0, 1, 1]),
    # OpenCV meets the block first; the hook around it begins further left.
    "left, not the first pixel": (
        [
            [0, 1, 1, 1, 0, 1],
            [0, 1, 1, 1, 0, 1],
            [0, 1, 1, 1, 0, 1],
            [0, 0, 0, 0, 0, 1],
            [1, 1, 1, 1, 1, 0],
        ],
        [0, 0, 6, 5],
    ),
    "bottom": ([[1, 1, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 1, 1]], [0, 0, 4, 1]),
}


@pytest.mark.parametrize("name", TIES)
def test_of_components_as_large_the_first_by_top_left_bottom_right_wins(name):
    image, box = TIES[name]
    assert boxes_from_maps([image], 0.5).tolist() == [box]


def test_the_order_of_opencvs_labels_does_not_matter(monkeypatch):
    def with_labels_reversed(*args, **kwargs):
        count, labels, statistics, centroids = cv2.connectedComponentsWithStats(*args, **kwargs)
        statistics = np.concatenate([statistics[:1], statistics[:0:-1]])
        return count, labels, statistics, centroids

    names = {name: getattr(cv2, name) for name in dir(cv2) if name.isupper()}
    other = types.SimpleNamespace(**names, connectedComponentsWithStats=with_labels_reversed)
    maps = np.random.default_rng(3).integers(0, 3, size=(200, 7, 7))
    expected = boxes_from_maps(maps, [0.2, 0.6])
    monkeypatch.setattr(boxes_module, "opencv", lambda: other)
    np.testing.assert_array_equal(boxes_from_maps(maps, [0.2, 0.6]), expected)


def test_a_map_is_enlarged_before_the_threshold():
    maps = np.random.default_rng(5).gamma(0.5, size=(4, 7, 9)).astype(np.float32)
    enlarged = [cv2.resize(each, (54, 42), interpolation=cv2.INTER_LINEAR) for each in maps]
    np.testing.assert_array_equal(
        boxes_from_maps(maps, THRESHOLDS, size=(42, 54)),
        boxes_from_maps(np.stack(enlarged), THRESHOLDS),
    )


def test_more_components_than_16_bits_can_number_are_told_apart():
    image = np.zeros((520, 520), np.float32)
    image[::2, ::2] = 1  # 67,600 single pixels.
    image[518, 516:519] = 1
    assert boxes_from_maps(image[None], 0.5).tolist() == [[516, 518, 519, 519]]


def test_the_example_of_the_wsol_evaluation_kit_gives_its_boxes():
    # clovaai/wsolevaluation: inclusive corners, clipped to the last row and column.
    image = [
        [0, 0, 0, 0, 0],
        [0, 0.4, 0.4, 0.4, 0.6],
        [0, 0.4, 1, 0.8, 0.6],
        [0, 0.4, 0.4, 0.4, 0.6],
    ]
    expected = [[1, 1, 4, 3], [1, 1, 4, 3], [2, 1, 4, 3], [2, 2, 4, 3], [2, 2, 3, 3]]
    boxes = boxes_from_maps([image], [0, 0.2, 0.4, 0.6, 0.8])[0]
    np.testing.assert_array_equal(np.minimum(boxes, [4, 3, 4, 3]), expected)


def test_no_maps_give_no_boxes():
    assert boxes_from_maps(np.zeros((0, 4, 4)), 0.2).shape == (0, 4)
    assert boxes_from_maps(np.zeros((0, 4, 4)), [0.2, 0.3, 0.4], size=(8, 8)).shape == (0, 3, 4)


def test_boxes_are_float32_whatever_the_maps_are():
    for dtype in ("float16", "float32", "float64", "int32"):
        boxes = boxes_from_maps(np.eye(4, dtype=dtype)[None], 0.2)
        assert boxes.dtype == np.float32
        assert boxes.tolist() == [[0, 0, 4, 4]]


@pytest.mark.parametrize(
    ("shape", "threshold", "size", "message"),
    [
        ((4, 4), 0.2, None, "`maps`"),
        ((2, 0, 4), 0.2, None, "`maps`"),
        ((1, 4, 4), 1.0, None, "`threshold`"),
        ((1, 4, 4), 0.999999999, None, "`threshold`"),
        ((1, 4, 4), -0.1, None, "`threshold`"),
        ((1, 4, 4), [0.2, np.nan], None, "`threshold`"),
        ((1, 4, 4), [], None, "`threshold`"),
        ((1, 4, 4), [[0.2]], None, "`threshold`"),
        ((1, 4, 4), 0.2, (0, 8), "`size`"),
        ((1, 4, 4), 0.2, (8,), "`size`"),
    ],
)
def test_arguments_out_of_range_are_named(shape, threshold, size, message):
    with pytest.raises(ValueError, match=message):
        boxes_from_maps(np.zeros(shape), threshold, size)


@given(whole_boxes, whole_boxes)
def test_iou_of_whole_boxes_is_a_count_of_pixels(box_a, box_b):
    def pixels(box):
        return {
            (x, y) for x in range(int(box[0]), int(box[2])) for y in range(int(box[1]), int(box[3]))
        }

    a, b = pixels(box_a), pixels(box_b)
    assert box_iou(box_a, box_b) == len(a & b) / len(a | b)


any_boxes = hnp.arrays(
    np.float32, (5, 4), elements=st.floats(width=32) | st.floats(-50, 50, width=32)
)


@given(any_boxes, any_boxes)
def test_iou_is_symmetric_and_between_0_and_1_for_any_numbers(boxes_a, boxes_b):
    iou = box_iou(boxes_a, boxes_b)
    assert np.all((iou >= 0) & (iou <= 1))
    np.testing.assert_array_equal(iou, box_iou(boxes_b, boxes_a))


@given(whole_boxes, whole_boxes, st.tuples(st.integers(-99, 99), st.integers(-99, 99)))
def test_moving_both_boxes_leaves_the_iou(box_a, box_b, step):
    assert box_iou(box_a + np.tile(step, 2), box_b + np.tile(step, 2)) == box_iou(box_a, box_b)


@given(whole_boxes)
def test_a_box_overlaps_itself_wholly_and_nothing_overlaps_no_box(box):
    assert box_iou(box, box) == 1
    for nothing in ([-1] * 4, [np.nan] * 4, [5, 5, 5, 9], [9, 9, 2, 2], [0, 0, np.nan, 9]):
        assert box_iou(box, nothing) == box_iou(nothing, box) == 0
        assert box_iou(nothing, nothing) == 0


def test_iou_broadcasts_to_a_matrix():
    a, b = (
        np.array([[0, 0, 4, 4], [0, 0, 2, 2]]),
        np.array([[0, 0, 4, 4], [2, 2, 4, 4], [0, 0, 2, 4]]),
    )
    np.testing.assert_array_equal(box_iou(a[:, None], b[None]), [[1, 0.25, 0.5], [0.25, 0, 0.5]])


def test_the_iou_of_the_wsol_evaluation_kit_is_reproduced():
    # Its corners are inclusive: one pixel more on the right and below.
    assert box_iou([1, 2, 5 + 1, 6 + 1], [3, 1, 4 + 1, 5 + 1]) == 8 / 27


def test_an_iou_of_one_half_is_not_above_one_half():
    assert not box_iou([0, 0, 10, 10], [0, 0, 10, 5]) > 0.5
    assert not box_iou([0, 0, 3, 4099], [0, 0, 6, 4099]) > 0.5


def test_the_resizing_of_the_wsol_evaluation_kit_is_reproduced_but_for_its_truncation():
    scaled = scale_boxes([1, 2, 4, 3], from_size=(20, 10), to_size=(10, 35))
    assert scaled.astype(int).tolist() == [3, 1, 14, 1]


@given(whole_boxes, st.tuples(st.integers(1, 99), st.integers(1, 99)))
def test_scaling_there_and_back_is_no_change(box, size):
    there = scale_boxes(box, (20, 30), size)
    np.testing.assert_allclose(scale_boxes(there, size, (20, 30)), box, rtol=1e-5)


def test_each_box_can_have_sizes_of_its_own():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [np.nan] * 4])
    scaled = scale_boxes(boxes, (10, 10), [[20, 30], [5, 10], [20, 20]])
    np.testing.assert_array_equal(scaled, [[0, 0, 30, 20], [0, 0, 10, 5], [np.nan] * 4])
    assert scaled.dtype == np.float32


def test_padding_stays_without_area():
    assert scale_boxes([-1, -1, -1, -1], (10, 10), (30, 20)).tolist() == [-2, -3, -2, -3]


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="`from_size`"):
        scale_boxes([0, 0, 1, 1], (0, 10), (30, 20))


def test_centred_boxes_have_the_images_shape_and_middle():
    boxes = centred_boxes([[64, 64], [100, 30]], 0.75)
    assert boxes.tolist() == [[8, 8, 56, 56], [3.75, 12.5, 26.25, 87.5]]
    assert centred_boxes([[7, 9]], 1.0).tolist() == [[0, 0, 9, 7]]


@pytest.mark.parametrize("side", [0, 1.01, -0.5, float("nan")])
def test_a_side_out_of_range_is_named(side):
    with pytest.raises(ValueError, match="`side`"):
        centred_boxes([[10, 10]], side)


def test_the_best_side_is_that_of_the_most_images():
    random = np.random.default_rng(2)
    sizes = random.integers(50, 200, size=(60, 2))
    boxes = []
    for (height, width), count in zip(sizes, random.integers(0, 4, size=60), strict=True):
        corners = random.uniform(0, 1, size=(count, 2, 2))
        corners.sort(axis=1)
        boxes.append(corners.reshape(-1, 4) * [width, height, width, height])
    hits = {}
    for side in np.arange(1, 21) / 20:
        hits[side] = sum(
            any(box_iou(box, centred_boxes([size], side)[0]) > 0.5 for box in each)
            for size, each in zip(sizes, boxes, strict=True)
        )
    assert best_centred_side(boxes, sizes) == max(hits, key=lambda side: (hits[side], -side))


def test_padded_boxes_count_as_no_boxes_and_an_image_counts_once():
    small, large, none = [25, 25, 75, 75], [5, 5, 95, 95], [-1] * 4
    boxes = np.array([[small, small, small], [large, none, none], [large, none, none]])
    sizes = [[100, 100]] * 3
    assert best_centred_side(boxes, sizes, sides=[0.5, 0.9]) == 0.9


def test_of_sides_as_good_the_smallest_is_taken():
    assert best_centred_side([[[0, 0, 100, 100]]], [[100, 100]], sides=[1.0, 0.75, 0.9]) == 0.75


@pytest.mark.parametrize(
    ("boxes", "sizes", "sides", "message"),
    [
        ([[[0, 0, 1, 1]]], [[4, 4]] * 2, [0.5], "one array for each image"),
        ([np.zeros((0, 4))], [[4, 4]], [0.5], "should hold a box"),
        ([[[0, 0, 1, 1]]], [[4, 4]], [], "should hold a box"),
    ],
)
def test_a_best_side_of_nothing_is_refused(boxes, sizes, sides, message):
    with pytest.raises(ValueError, match=message):
        best_centred_side(boxes, sizes, sides)


def test_a_missing_opencv_names_both_remedies(monkeypatch):
    real_import = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file")
        return real_import(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "cv2")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"libGL\.so\.1.*apt-get install libgl1.*headless"):
        opencv()
