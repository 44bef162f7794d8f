"""GradCAM: it is CAM where CAM can be had, and finds the last map where it cannot."""

import keras
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from keras_has.cams import CAM, GradCAM

layers = keras.layers


def test_on_a_gap_network_it_is_cam_cut_off_below_zero_over_the_number_of_positions(
    network, images
):
    labels = [0, 1, 2, 3, 0]
    maps, probabilities = CAM(network)(images, labels)
    for layer in (None, "cam_features"):
        weighed, same = GradCAM(network, layer)(images, labels)
        np.testing.assert_allclose(weighed, np.maximum(maps, 0) / 36, atol=1e-6)
        np.testing.assert_allclose(same, probabilities, atol=1e-6)
    assert float(np.max(maps)) > 0.1


def test_on_a_network_with_dense_layers_it_is_the_formula_by_hand():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(2, 3, name="conv"),
            layers.Flatten(),
            layers.Dense(3, name="dense"),
            layers.Softmax(),
        ]
    )
    image = np.random.default_rng(0).normal(size=(1, 6, 6, 1)).astype("float32")
    features = np.asarray(keras.Model(model.inputs[0], model.get_layer("conv").output)(image))
    kernel = model.get_layer("dense").get_weights()[0].reshape(4, 4, 2, 3)
    weights = kernel[..., 1].mean(axis=(0, 1))
    expected = np.maximum((features * weights).sum(axis=-1), 0)
    np.testing.assert_allclose(GradCAM(model)(image, [1])[0], expected, atol=1e-5)


def test_the_last_map_of_more_than_one_position_is_taken():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(5, 3, strides=2, padding="same", name="last_map")(inputs)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Reshape((3,))(layers.Conv2D(3, 1)(x))
    model = keras.Model(inputs, layers.Softmax()(x))
    maps, _ = GradCAM(model)(np.zeros((2, 16, 16, 3)))
    assert maps.shape == (2, 8, 8)


def test_a_network_inside_a_network_shows_its_last_map():
    inputs = keras.Input((16, 16, 3))
    backbone = keras.Model(inputs, layers.Conv2D(5, 3, strides=4, padding="same")(inputs))
    backbone.trainable = False
    model = keras.Sequential([keras.Input((16, 16, 3)), backbone, layers.Flatten()])
    model.add(layers.Dense(3))
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
    maps, _ = GradCAM(model)(images, [0, 0])
    assert maps.shape == (2, 4, 4)
    assert np.max(maps) > 0


def test_what_has_no_map_is_refused(network):
    flat = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"`model` should have a layer with an output"):
        GradCAM(flat)
    with pytest.raises(ValueError, match=r"'cam_features'\].*Received: layer=pooling"):
        GradCAM(network, "pooling")


def test_a_sequential_model_made_layer_by_layer_is_understood():
    model = keras.Sequential([keras.Input((8, 8, 3))])
    for layer in (layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)):
        model.add(layer)
    model.add(layers.Softmax())
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    maps, probabilities = GradCAM(model)(images, [1, 2])
    features = np.asarray(model.layers[0](images))
    kernel = model.layers[2].get_weights()[0]
    expected = np.einsum("bhwk,kb->bhw", features, kernel[:, [1, 2]]) / 36
    np.testing.assert_allclose(maps, np.maximum(expected, 0), atol=1e-6)
    np.testing.assert_allclose(probabilities, model(images), atol=1e-6)
