"""Boxes found in TensorFlow's graph equal those found by OpenCV, for every map."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_has.ops.boxes import boxes_from_maps
from keras_has.ops.component_boxes import component_boxes

tf = pytest.importorskip("tensorflow")


@pytest.fixture(scope="module", autouse=True)
def graph():
    """The function as an exported model holds it: no dimension known."""
    global boxes_in_graph
    boxes_in_graph = tf.function(
        component_boxes,
        input_signature=[
            tf.TensorSpec([None, None, None], tf.float32),
            tf.TensorSpec([], tf.float32),
        ],
    )


def assert_equal_to_opencv(maps, threshold):
    maps = np.asarray(maps, np.float32)
    expected = boxes_from_maps(maps, threshold)
    np.testing.assert_array_equal(boxes_in_graph(maps, threshold).numpy(), expected)


def spiral(side):
    """A path one pixel wide, two pixels from itself, winding from the corner to the middle."""
    image = np.zeros((side, side))
    row, column, step = 0, 0, (0, 1)
    image[0, 0] = 1

    def can_go(step):
        ahead, beyond = ((row + n * step[0], column + n * step[1]) for n in (1, 2))
        inside = all(0 <= place < side for place in ahead)
        is_free = not all(0 <= place < side for place in beyond) or not image[beyond]
        return inside and is_free and not image[ahead]

    while can_go(step) or can_go((step[1], -step[0])):
        if not can_go(step):
            step = (step[1], -step[0])
        row, column = row + step[0], column + step[1]
        image[row, column] = 1
    return image


def snake(side):
    """Rows joined at alternating ends: the longest path from one pixel to another."""
    image = np.zeros((side, side))
    image[::2] = 1
    image[1::4, -1] = image[3::4, 0] = 1
    return image


SHAPES = {
    "spiral": spiral(31),
    "its transpose": spiral(31).T,
    "snake": snake(29),
    "snake in columns": snake(29).T,
    "comb": np.maximum(np.arange(21) % 2 == 0, np.arange(20)[:, None] == 19),
    "comb upside down": np.maximum(np.arange(21) % 2 == 0, np.arange(20)[:, None] == 0),
    "checkerboard": np.indices((12, 13)).sum(axis=0) % 2,
    "dots": np.outer(np.arange(9) % 2, np.arange(11) % 2),
    "diagonal": np.eye(17),
    "antidiagonal": np.eye(17)[::-1],
    "rows": np.outer(np.arange(8) % 2, np.ones(9)),
    "a ring and a dot as large in box": np.pad(np.pad([[1.0]], 2), 1, constant_values=1),
    "one pixel": np.pad([[1.0]], 3),
    "all but one pixel": 1 - np.pad([[1.0]], 3),
    "one row": np.array([[1.0, 0, 1, 1, 0, 1, 1]]),
    "one column": np.array([[1.0, 0, 1, 1, 0, 1, 1]]).T,
    "one pixel in all": np.ones((1, 1)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_hard_to_join_have_opencvs_box(name):
    image = SHAPES[name].astype(np.float32)
    assert_equal_to_opencv([image, 1 - image, image * 2, image[::-1], image[:, ::-1]], 0.2)


def test_the_spiral_is_one_component_and_its_ends_are_joined():
    image = spiral(31)
    assert boxes_in_graph(image[None], 0.5).numpy().tolist() == [[0, 0, 31, 31]]


shapes = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
values = st.sampled_from([0.0, 0.0, 1.0, 2.0, 5.0, -3.0])
anything = st.floats(width=32)


@given(
    st.one_of(
        hnp.arrays(np.float32, shapes, elements=values),
        hnp.arrays(np.float32, shapes, elements=st.floats(0, 1, width=32)),
        hnp.arrays(np.float32, shapes, elements=anything),
    ),
    st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.95]),
)
def test_any_maps_have_opencvs_boxes(maps, threshold):
    assert_equal_to_opencv(maps, threshold)


@pytest.mark.parametrize("density", [0.1, 0.3, 0.41, 0.5, 0.6, 0.9])
@pytest.mark.parametrize("side", [16, 33, 64])
def test_noise_of_any_density_has_opencvs_boxes(density, side):
    random = np.random.default_rng(int(density * 100) + side)
    maps = random.uniform(size=(24, side, side + 3))
    maps[:, 0, 0] = 1
    assert_equal_to_opencv(maps, 1 - density)


def test_many_components_as_large_have_opencvs_boxes():
    random = np.random.default_rng(4)
    assert_equal_to_opencv(random.integers(0, 8, size=(64, 12, 12)) == 7, 0.5)


def test_maps_of_a_real_size_have_opencvs_boxes():
    random = np.random.default_rng(9)
    coarse = random.gamma(0.5, size=(4, 14, 14, 1)).astype(np.float32)
    maps = tf.image.resize(coarse, (224, 224))[..., 0]
    for threshold in (0.1, 0.2, 0.3, 0.6):
        assert_equal_to_opencv(maps, threshold)
    assert_equal_to_opencv(random.uniform(size=(2, 224, 224)), 0.59)  # Near the percolation point.


def test_a_component_does_not_reach_into_the_next_map():
    maps = np.zeros((3, 4, 4))
    maps[0, 3], maps[1, 0], maps[2, 0, 0] = 1, 1, 1
    assert boxes_in_graph(maps, 0.5).numpy().tolist() == [[0, 3, 4, 4], [0, 0, 4, 1], [0, 0, 1, 1]]


def test_a_run_does_not_reach_into_the_next_row():
    image = np.zeros((3, 5))
    image[0, 4] = image[2, 0] = image[2, 1] = 1
    assert boxes_in_graph(image[None], 0.5).numpy().tolist() == [[0, 2, 2, 3]]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((3, 3)),
        np.full((3, 3), 7.0),
        -np.eye(3),
        np.diag([1, 2, np.nan]),
        np.diag([1, 2, np.inf]),
        np.diag([1, 2, -np.inf]),
        np.full((3, 3), np.nan),
        np.diag([0, 0, 1e-40]),
    ],
    ids=str,
)
def test_a_map_without_a_shape_has_a_box_of_nan_and_leaves_its_neighbours_alone(image):
    boxes = boxes_in_graph(np.stack([np.eye(3), image, np.eye(3)]), 0.0).numpy()
    np.testing.assert_array_equal(boxes, [[0, 0, 3, 3], [np.nan] * 4, [0, 0, 3, 3]])


def test_no_maps_give_no_boxes():
    assert boxes_in_graph(np.zeros((0, 5, 5)), 0.2).shape == (0, 4)


def test_eager_and_half_precision_maps_do_as_well():
    image = np.eye(5, dtype=np.float16)
    boxes = component_boxes(tf.constant(image[None]), 0.2)
    assert boxes.dtype == tf.float32
    assert boxes.numpy().tolist() == [[0, 0, 5, 5]]


def test_a_saved_model_finds_the_boxes_without_this_project(tmp_path):
    module = tf.Module()
    module.boxes = boxes_in_graph
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    maps = np.random.default_rng(8).uniform(size=(3, 20, 30)).astype(np.float32)
    np.testing.assert_array_equal(
        loaded.boxes(tf.constant(maps), tf.constant(0.6)), boxes_from_maps(maps, 0.6)
    )


@pytest.mark.parametrize(
    ("shape", "threshold", "message"),
    [
        ((4, 4), 0.2, "`maps`"),
        ((1, 4, 4), 1.0, "`threshold`"),
        ((1, 4, 4), -0.5, "`threshold`"),
    ],
)
def test_arguments_out_of_range_are_named(shape, threshold, message):
    with pytest.raises(ValueError, match=message):
        component_boxes(tf.zeros(shape), threshold)
