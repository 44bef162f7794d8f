"""Backprop: against gradients by hand, and the Gaussian against OpenCV's."""

import cv2
import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.cams import Backprop  # noqa: E402


def test_the_map_of_a_linear_network_is_its_largest_absolute_weight():
    inputs = keras.Input((4, 5, 3))
    outputs = keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    kernel = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
    model.layers[-1].set_weights([kernel, np.ones(2)])
    # 1000 times as bright: a softmax would be saturated there, and its gradient zero.
    images = np.random.default_rng(1).normal(size=(2, 4, 5, 3)) * 1000
    maps, probabilities = Backprop(model, smoothing=0)(images, [0, 1])
    expected = np.abs(kernel.T.reshape(2, 4, 5, 3)).max(axis=-1)
    np.testing.assert_allclose(maps, expected, rtol=1e-5)
    np.testing.assert_allclose(probabilities, model(images), atol=1e-6)


def test_gradients_equal_finite_differences(network, images):
    logits = keras.Model(network.input, network.get_layer("pooling").output)
    kernel, bias = network.get_layer("predictions").get_weights()
    maps = np.asarray(Backprop(network, smoothing=0)(images[:1], [2])[0])
    for y, x in ((3, 4), (12, 20), (23, 0)):
        slopes = []
        for channel in range(3):
            both = np.repeat(images[:1].astype("float64"), 2, axis=0)
            both[:, y, x, channel] += [2.0, -2.0]
            up, down = np.asarray(logits(both, training=False)) @ kernel[:, 2] + bias[2]
            slopes.append(abs(up - down) / 4)
        assert maps[0, y, x] == pytest.approx(max(slopes), rel=0.02, abs=1e-5)


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_the_smoothing_is_a_gaussian(share):
    model = keras.Sequential([keras.Input((40, 60, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    kernel = np.random.default_rng(0).uniform(0, 1, (40, 60)).astype("float32")
    columns = np.stack([kernel.ravel(), np.zeros(kernel.size)], axis=1)
    model.layers[-1].set_weights([columns, np.zeros(2)])
    (smooth,), _ = Backprop(model, share)(np.zeros((1, 40, 60, 1)), [0])
    radius = 8 * round(share * 40)
    expected = cv2.GaussianBlur(kernel, (2 * radius + 1,) * 2, share * 40, borderType=0)
    weight = cv2.GaussianBlur(np.ones_like(kernel), (2 * radius + 1,) * 2, share * 40, borderType=0)
    # At the border, what lies outside is left out.
    np.testing.assert_allclose(smooth, expected / weight, rtol=1e-3)


def test_a_model_that_takes_integers_or_rounds_is_refused():
    inputs = keras.Input((4, 4, 3), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    with pytest.raises(ValueError, match=r"floating-point images.*dtype=uint8"):
        Backprop(keras.Model(inputs, keras.layers.Dense(2)(x)))(np.zeros((1, 4, 4, 3)))
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Lambda(lambda x: keras.ops.cast(keras.ops.cast(x, "int32"), "float32"))(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    with pytest.raises(ValueError, match="should be differentiable"):
        Backprop(model)(np.zeros((1, 4, 4, 3)))


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_out_of_range_is_refused(smoothing, network):
    with pytest.raises(ValueError, match=f"`smoothing` .* Received: smoothing={smoothing}"):
        Backprop(network, smoothing)
