"""Class activation maps are the weighted sum of features, and are enlarged as OpenCV does it."""

import cv2
import keras
import numpy as np
import pytest

from keras_has.ops.cam import class_activation_maps, upsample_maps

pytestmark = pytest.mark.backends

RANDOM = np.random.default_rng(7)
FEATURES = RANDOM.normal(size=(3, 4, 5, 6)).astype("float32")
KERNEL = RANDOM.normal(size=(6, 7)).astype("float32")


def as_array(tensor):
    tensor = tensor.cpu() if keras.backend.backend() == "torch" else tensor
    return np.asarray(tensor)


def test_a_map_is_the_sum_of_the_features_weighted_by_the_class():
    features = [[[[1.0, 2.0], [0.0, -1.0]]]]
    kernel = [[1.0, 10.0], [2.0, -10.0]]
    maps = as_array(class_activation_maps(features, kernel))
    np.testing.assert_array_equal(maps[..., 0], [[[5.0, -2.0]]])
    np.testing.assert_array_equal(maps[..., 1], [[[-10.0, 10.0]]])


def test_all_maps_equal_the_formula_written_as_a_sum():
    expected = np.zeros((3, 4, 5, 7))
    for unit in range(6):
        expected += FEATURES[..., unit, None].astype("float64") * KERNEL[unit]
    np.testing.assert_allclose(
        as_array(class_activation_maps(FEATURES, KERNEL)), expected, rtol=1e-4, atol=1e-5
    )


def test_the_map_of_one_class_is_that_class_of_all_maps():
    classes = np.array([6, 0, 3])
    every = as_array(class_activation_maps(FEATURES, KERNEL))
    some = as_array(class_activation_maps(FEATURES, KERNEL, classes))
    expected = np.stack([every[image, ..., label] for image, label in enumerate(classes)])
    assert some.shape == (3, 4, 5)
    np.testing.assert_allclose(some, expected, rtol=1e-5, atol=1e-5)


def test_the_mean_of_a_map_is_the_logit_without_its_bias():
    logits = FEATURES.mean(axis=(1, 2)) @ KERNEL
    maps = as_array(class_activation_maps(FEATURES, KERNEL))
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("class_index", [None, np.array([0])])
def test_half_precision_features_give_float32_maps(class_index):
    features = np.full((1, 1, 1, 2), 300, "float16")  # 300 * 300 is beyond float16.
    maps = class_activation_maps(features, np.full((2, 3), 300, "float16"), class_index)
    assert keras.backend.standardize_dtype(maps.dtype) == "float32"
    assert np.all(as_array(maps) == 180_000)


def test_maps_can_be_part_of_a_functional_model():
    features = keras.Input((4, 5, 6))
    label = keras.Input((), dtype="int32")
    kernel = keras.ops.convert_to_tensor(KERNEL)
    outputs = upsample_maps(class_activation_maps(features, kernel, label), (8, 10))
    model = keras.Model([features, label], outputs)
    assert model.output_shape == (None, 8, 10)
    classes = np.array([1, 2, 3])
    np.testing.assert_allclose(
        as_array(model([FEATURES, classes])),
        as_array(upsample_maps(class_activation_maps(FEATURES, KERNEL, classes), (8, 10))),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("features", "kernel", "class_index", "message"),
    [
        (FEATURES[0, 0], KERNEL, None, "`features`"),
        (FEATURES, KERNEL.T, None, "`kernel`"),
        (FEATURES, KERNEL[0], None, "`kernel`"),
        (FEATURES, KERNEL, [[1], [2], [3]], "`class_index`"),
    ],
)
def test_shapes_that_do_not_fit_are_named(features, kernel, class_index, message):
    with pytest.raises(ValueError, match=message):
        class_activation_maps(features, kernel, class_index)


@pytest.mark.parametrize(
    ("shape", "size"),
    [((2, 2), (2, 2)), ((1, 1), (5, 7)), ((7, 7), (224, 224)), ((11, 13), (64, 90))],
)
def test_upsampling_equals_opencv(shape, size):
    maps = np.random.default_rng(1).normal(size=(3, *shape)).astype("float32")
    expected = [cv2.resize(each, size[::-1], interpolation=cv2.INTER_LINEAR) for each in maps]
    enlarged = as_array(upsample_maps(maps, size))
    assert enlarged.dtype == np.float32
    np.testing.assert_allclose(enlarged, np.stack(expected), rtol=0, atol=1e-5)


def test_upsampling_samples_at_half_pixel_centres():
    np.testing.assert_allclose(
        as_array(upsample_maps([[[0.0, 4.0]]], (1, 4))), [[[0.0, 1.0, 3.0, 4.0]]]
    )


@pytest.mark.parametrize(
    ("maps", "size", "message"),
    [
        (np.zeros((2, 2)), (4, 4), "`maps`"),
        (np.zeros((1, 2, 2)), (4,), "`size` should be a pair"),
        (np.zeros((1, 2, 2)), (0, 4), "`size` should be a pair"),
    ],
)
def test_maps_and_sizes_that_make_no_sense_are_named(maps, size, message):
    with pytest.raises(ValueError, match=message):
        upsample_maps(maps, size)
