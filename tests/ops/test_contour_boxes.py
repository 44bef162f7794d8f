"""The boxes of all contours at all levels equal those of OpenCV called for every level."""

import importlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.plain_protocol import plain_boxes, plain_score_map
from keras_has.ops import contour_boxes as module
from keras_has.ops.contour_boxes import (
    compiled_loops,
    contour_boxes,
    contour_boxes_of_score_maps,
)
from keras_has.ops.inclusive_boxes import inclusive_box_iou, truncated_boxes
from keras_has.ops.score_maps import normalized_score_map

STEPS = np.arange(256) / 255 + 1e-6  # One threshold for each level of a map with maximum 255.


def equals_opencv(score_map):
    """Whether both engines find the outlines, holes and largest contours of the plain protocol."""
    everything = plain_boxes(score_map, STEPS, all_contours=True)
    largest = plain_boxes(score_map, STEPS, all_contours=False)
    compare(contour_boxes(score_map), everything, largest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "compiled_loops", lambda: None)
        compare(contour_boxes(score_map), everything, largest)
    return True


def compare(found, everything, largest):
    levels = (STEPS * found.maximum).astype(int)
    assert (not found.maximum) or found.maximum < 255 or levels[:255].tolist() == list(range(255))
    for level, expected, expected_largest in zip(levels, everything, largest, strict=True):
        mine = sorted(map(tuple, found.boxes[found.levels == level].tolist()))
        assert (mine or [(0, 0, 0, 0)]) == sorted(expected), level
        assert [tuple(found.largest[level].tolist())] == expected_largest, level


def gray(rows):
    """Returns a map from rows of digits, where 9 stands for 1."""
    return np.array([[int(digit) for digit in row] for row in rows]) / 9


@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4)
    )
)
def test_random_maps_of_few_levels_give_opencvs_contours(image):
    assert equals_opencv(image / 4)


@pytest.mark.parametrize("seed", range(40))
def test_noise_of_two_to_six_levels_gives_opencvs_contours(seed):
    random = np.random.default_rng(seed)
    count = random.integers(2, 7)
    shape = random.integers(1, 24, size=2)
    assert equals_opencv(random.integers(0, count, shape) / (count - 1))


@pytest.mark.parametrize("seed", range(3))
def test_smooth_maps_of_224_pixels_give_opencvs_contours(seed):
    small = np.random.default_rng(seed).uniform(size=(9, 9)) ** 2
    assert equals_opencv(plain_score_map(small))


def test_rectified_maps_with_wide_plains_give_opencvs_contours():
    small = np.maximum(np.random.default_rng(0).normal(size=(14, 14)), 0)
    small[4:9, 5:12] = 0
    assert equals_opencv(plain_score_map(small))
    blocks = np.kron(np.random.default_rng(1).integers(0, 9, (7, 5)) / 8, np.ones((6, 9)))
    assert equals_opencv(blocks)


@pytest.mark.parametrize(
    "rows",
    [
        ["9"],
        ["0"],
        ["090"],
        ["9", "0", "9"],
        ["99999", "99999", "99999"],
        ["00000", "09990", "09090", "09990", "00000"],  # A hole.
        ["0090", "0909", "0090"],  # A hole whose outline is that of the ring around it.
        ["9999999", "9000009", "9033309", "9030309", "9033309", "9000009", "9999999"],  # Nested.
        ["9990999", "9990999", "9990999"],  # Two of one area.
        ["90909", "00000", "90909"],  # Five of area 0.
        ["99900", "99000", "00099", "00999"],
        ["9009", "0990", "0990", "9009"],  # Touching by corners.
        ["0900", "9090", "0900", "0009"],
        ["5559", "5005", "5115", "5555"],  # A pit that fills in two steps.
        ["011110", "111011", "111101", "001111", "100011", "111100", "010110", "101010"],
    ],
)
def test_maps_made_by_hand_give_opencvs_contours(rows):
    assert equals_opencv(gray(rows))


@pytest.mark.parametrize("is_compiled", [True, False])
def test_every_third_map_of_3_x_4_pixels_in_black_and_white_give_opencvs_contours(
    is_compiled, monkeypatch
):
    if not is_compiled:
        monkeypatch.setattr(module, "compiled_loops", lambda: None)
    for number in range(0, 2**12, 3):
        image = (number >> np.arange(12) & 1).reshape(3, 4)
        found = contour_boxes(image)
        contours, _ = cv2.findContours(
            image.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE
        )
        rectangles = [cv2.boundingRect(contour) for contour in contours]
        expected = [(x, y, min(x + w, 3), min(y + h, 2)) for x, y, w, h in rectangles]
        of_level = found.boxes[found.levels == 100].tolist()
        assert sorted(map(tuple, of_level)) == sorted(expected)


def test_the_published_vectors_hold():
    one = np.array(
        [[0, 0, 0, 0, 0], [0, 0.4, 0.4, 0.4, 0.6], [0, 0.4, 1, 0.8, 0.6], [0, 0.4, 0.4, 0.4, 0.6]]
    )
    found = contour_boxes(one)
    levels = (np.arange(0, 1, 0.2) * found.maximum).astype(int)
    assert found.largest[levels].tolist() == [
        [1, 1, 4, 3],
        [1, 1, 4, 3],
        [2, 1, 4, 3],
        [2, 2, 4, 3],
        [2, 2, 3, 3],
    ]
    assert inclusive_box_iou([1, 2, 5, 6], [3, 1, 4, 5]) == 8 / 27
    assert inclusive_box_iou(np.zeros((3, 1, 4)), np.zeros((5, 4))).tolist() == [[1.0] * 5] * 3
    assert truncated_boxes((1, 2, 4, 3), (20, 10), (10, 35)).tolist() == [3, 1, 14, 1]
    assert truncated_boxes((1, 2, 1, 2), (3, 3), (3, 3)).tolist() == [1, 2, 1, 2]


def test_a_map_of_zeros_has_no_contour_and_the_box_0():
    found = contour_boxes(np.zeros((3, 3)))
    assert found.maximum == 0
    assert len(found.boxes) == len(found.levels) == 0
    assert not found.largest.any()


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((0, 3)), [[0, 1.5]], [[-0.1]], [[np.nan]]])
def test_a_map_that_is_not_normalized_is_refused(bad):
    with pytest.raises(ValueError, match="score_map"):
        contour_boxes(bad)


@given(hnp.arrays(np.float32, (5, 4), elements=st.floats(-10, 10, width=32)))
def test_normalizing_equals_the_plain_protocol(small):
    np.testing.assert_array_equal(normalized_score_map(small, (16, 16)), plain_score_map(small, 16))
    np.testing.assert_array_equal(normalized_score_map(small, None), plain_score_map(small, None))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3.0])
def test_a_map_that_shows_nothing_is_normalized_to_zeros(value):
    small = np.full((4, 4), 3.0)
    small[1, 2] = value
    assert normalized_score_map(small).shape == (224, 224)
    assert not normalized_score_map(small).any()
    assert not normalized_score_map(small, None).any()


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 0)), [["a"]], np.zeros((1, 2), complex)])
def test_an_array_that_is_not_a_map_is_refused(bad):
    with pytest.raises(ValueError, match="score_map"):
        normalized_score_map(bad)


def test_the_map_itself_is_not_changed():
    score_map = np.random.default_rng(0).uniform(size=(6, 6))
    before = score_map.copy()
    contour_boxes_of_score_maps([score_map], None)
    np.testing.assert_array_equal(score_map, before)


# With and without Numba.


def same(one, other):
    def in_order(found):
        rows = np.concatenate([found.boxes, found.levels[:, None]], axis=1)
        return rows[np.lexsort(rows.T)]

    np.testing.assert_array_equal(in_order(one), in_order(other))
    np.testing.assert_array_equal(one.largest, other.largest)
    assert one[3:] == other[3:]
    assert [array.dtype for array in one[:3]] == [array.dtype for array in other[:3]]


def score_maps():
    random = np.random.default_rng(8)
    maps = [random.normal(size=shape) for shape in ((14, 14), (28, 28), (1, 1), (3, 1), (9, 30))]
    blocks = np.kron(random.integers(0, 3, (4, 4)), np.ones((5, 5)))
    return [*maps, np.maximum(maps[0], 0.2), blocks, np.full((3, 3), 0.3), np.full((2, 2), np.nan)]


@pytest.mark.parametrize("size", [(112, 112), (37, 50), None])
def test_compiled_loops_and_opencv_find_the_same(size, without_numba):
    expected = contour_boxes_of_score_maps(score_maps(), size)
    without_numba.undo()
    compiled_loops.cache_clear()
    pytest.importorskip("numba")  # Otherwise OpenCV would be compared with itself.
    for one, other in zip(contour_boxes_of_score_maps(score_maps(), size), expected, strict=True):
        same(one, other)


def test_threads_do_not_disturb_one_another():
    maps = [np.random.default_rng(seed).normal(size=(14, 14)) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(lambda score_map: contour_boxes_of_score_maps([score_map])[0], maps)
        )
    for one, other in zip(together, contour_boxes_of_score_maps(maps), strict=True):
        same(one, other)


def test_without_numba_opencv_finds_the_contours_and_the_loops_are_plain_python(without_numba):
    assert compiled_loops() is None
    loops = importlib.import_module("keras_has.ops.contour_sweep")
    for seed in range(5):
        image = np.random.default_rng(seed).integers(0, 4, (7, 8)) / 3
        boxes, levels, largest, maximum, is_tied = loops.swept(image, 0.0, 1.0)
        found = contour_boxes(image)
        same(found, found._replace(boxes=boxes, levels=levels, maximum=maximum))
        np.testing.assert_array_equal(largest[~is_tied], found.largest[~is_tied])
        true_boxes = np.array([[1, 1, 5, 5], [0, 3, 2, 9]])
        overlaps = inclusive_box_iou(boxes[:, None], true_boxes).max(axis=1)
        expected = [overlaps[levels == level].max(initial=-1) for level in range(256)]
        assert loops.highest_overlaps(boxes, levels, true_boxes).tolist() == expected


def test_numba_is_not_imported_before_it_is_used():
    program = "import sys, keras_has.ops.contour_boxes; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603


def test_loops_that_cannot_be_stored_are_compiled_again_or_not_used(monkeypatch):
    numba = pytest.importorskip("numba")
    loops = importlib.import_module("keras_has.ops.contour_sweep")

    def njit(cache=False, **settings):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: settings

    monkeypatch.setattr(numba, "njit", njit)
    assert loops._compiled(len)["nogil"]

    def swept(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(loops, "swept", swept)
    compiled_loops.cache_clear()
    assert compiled_loops() is None
    compiled_loops.cache_clear()
