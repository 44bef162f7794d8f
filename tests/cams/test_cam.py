"""CAM: the formula, by hand."""

import keras
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from keras_has.cams import CAM


def test_maps_are_the_features_weighed_by_the_kernel_and_mean_to_the_logit(network, images):
    labels = np.array([3, 1, 0, 2, 2])
    maps, probabilities = (np.asarray(result) for result in CAM(network)(images, labels))
    features = keras.Model(network.input, network.get_layer("cam_features").output)(images)
    kernel, bias = network.get_layer("predictions").get_weights()
    every_map = np.asarray(features) @ kernel
    for index, label in enumerate(labels):
        np.testing.assert_allclose(maps[index], every_map[index, :, :, label], atol=1e-4)
    logits = every_map.mean(axis=(1, 2)) + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(probabilities, network(images, training=False), atol=1e-5)
    assert maps.min() < 0 < maps.max()


def test_maps_follow_the_network_as_it_is_trained(build, images):
    network = build()
    method = CAM(network)
    before = np.asarray(method(images, [0] * 5)[0])
    head = network.get_layer("predictions")
    kernel, bias = head.get_weights()
    head.set_weights([2 * kernel, bias])
    np.testing.assert_allclose(method(images, [0] * 5)[0], 2 * before, rtol=1e-5)
    assert method.kernel is head.kernel


@pytest.mark.parametrize("name", ["cam_features", "predictions"])
def test_a_layer_that_is_missing_is_named(name):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="cam_features" if name == "predictions" else None)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, "softmax", name="last")(x))
    with pytest.raises(ValueError, match=f"without a layer '{name}'"):
        CAM(model)
