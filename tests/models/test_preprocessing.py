"""Layers between a model's input and its network."""

import keras
import numpy as np
import pytest

from keras_has.models.preprocessing import apply_preprocessing

pytestmark = pytest.mark.backends


def run(preprocessing, images):
    inputs = keras.Input(images.shape[1:])
    return keras.Model(inputs, apply_preprocessing(inputs, preprocessing)).predict(
        images, verbose=0
    )


def test_none_leaves_the_input_as_it_is():
    inputs = keras.Input((4, 4, 3))
    assert apply_preprocessing(inputs, None) is inputs


def test_a_single_layer_is_applied():
    images = np.arange(48.0, dtype="float32").reshape(1, 4, 4, 3)
    np.testing.assert_allclose(run(keras.layers.Rescaling(0.5), images), images / 2)


@pytest.mark.parametrize("kind", [list, tuple])
def test_layers_are_applied_in_order(kind):
    images = np.full((1, 2, 2, 3), 10.0, dtype="float32")
    layers = kind([keras.layers.Rescaling(1.0, offset=-4.0), keras.layers.Rescaling(3.0)])
    np.testing.assert_allclose(run(layers, images), np.full((1, 2, 2, 3), 18.0))


@pytest.mark.parametrize("preprocessing", ["rescale", [keras.layers.Identity(), abs], 3])
def test_anything_but_layers_is_refused(preprocessing):
    with pytest.raises(ValueError, match=r"`preprocessing` should be None, .* Received: "):
        apply_preprocessing(keras.Input((4, 4, 3)), preprocessing)
