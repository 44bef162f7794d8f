"""The building block: what it computes, against NumPy, and how it starts."""

import keras
import numpy as np
import pytest

from keras_has.models.conv_bn_relu import conv_bn_relu

pytestmark = pytest.mark.backends


@pytest.mark.parametrize("place", ["before_relu", "after_relu"])
def test_it_convolves_normalizes_hides_and_cuts_off_below_zero_in_this_order(place):
    inputs = keras.Input((4, 4, 3))
    shift = keras.layers.Rescaling(1.0, offset=0.5, name="hiding")
    model = keras.Model(
        inputs, conv_bn_relu(inputs, 2, 1, name="conv", hiding=shift, hiding_place=place)
    )
    order = ["conv", "conv_bn", "hiding", "conv_relu"]
    if place == "after_relu":
        order[2:] = reversed(order[2:])
    assert [layer.name for layer in model.layers[1:]] == order

    random = np.random.default_rng(0)
    images = random.normal(size=(2, 4, 4, 3)).astype("float32")
    kernel = random.normal(size=(1, 1, 3, 2)).astype("float32")
    gamma, beta, mean = random.normal(size=(3, 2)).astype("float32")
    variance = random.uniform(0.5, 2.0, size=2).astype("float32")
    model.get_layer("conv").set_weights([kernel])
    model.get_layer("conv_bn").set_weights([gamma, beta, mean, variance])

    normalized = gamma * (images @ kernel[0, 0] - mean) / np.sqrt(variance + 1e-5) + beta
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model(images, training=False)),
        np.maximum(normalized + 0.5, 0)
        if place == "before_relu"
        else np.maximum(normalized, 0) + 0.5,
        atol=1e-5,
    )


def test_the_statistics_of_the_normalization_move_by_a_tenth_each_step():
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, conv_bn_relu(inputs, 2, 3, name="conv"))
    normalization = model.get_layer("conv_bn")
    model.get_layer("conv").set_weights([np.zeros((3, 3, 3, 2), "float32")])
    model(np.ones((2, 4, 4, 3), "float32"), training=True)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(normalization.moving_variance), 0.9, atol=1e-6
    )


def test_kernels_start_with_the_variance_of_he_et_al():
    inputs = keras.Input((8, 8, 64))
    model = keras.Model(inputs, conv_bn_relu(inputs, 128, 3, name="conv"))
    (kernel,) = model.get_layer("conv").get_weights()
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (3 * 3 * 64)), rtol=0.02)
    np.testing.assert_allclose(kernel.mean(), 0, atol=1e-3)


@pytest.mark.parametrize(
    ("padding", "strides", "size"), [("same", 1, 9), ("same", 2, 5), ("valid", 1, 7)]
)
def test_strides_and_padding_set_the_size_of_the_map(padding, strides, size):
    x = conv_bn_relu(keras.Input((9, 9, 3)), 4, 3, strides=strides, padding=padding)
    assert x.shape == (None, size, size, 4)
