"""Small networks and images for all methods that make maps."""

import keras
import numpy as np
import pytest

SIZE = 24
CLASSES = 4


def small_network(seed=0, size=SIZE, ending="softmax", hiding=False):
    """A GAP network with signed maps; `ending` says how it gives its probabilities or logits."""
    from keras_has.layers import HideAndSeek

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    inputs = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 127.5, -1)(inputs)
    if hiding:
        x = HideAndSeek(4, hide_probability=1.0, seed=1)(x)
    x = layers.Conv2D(6, 5, strides=2, padding="same", activation="tanh")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="cam_features")(x)
    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    activation = "softmax" if ending == "softmax" else None
    x = layers.Dense(
        CLASSES,
        activation,
        kernel_initializer="random_normal",
        bias_initializer="random_normal",
        dtype="float32",
        name="predictions",
    )(x)
    if ending == "softmax layer":
        x = layers.Softmax(name="probabilities")(x)
    elif ending == "activation layer":
        x = layers.Activation("softmax", name="probabilities")(x)
    elif ending == "logits as float32":
        x = layers.Activation("linear", dtype="float32", name="logits")(x)
    model = keras.Model(inputs, x, name="small")
    head = model.get_layer("predictions")
    head.set_weights([weight * 30 for weight in head.get_weights()])  # Far from uniform.
    return model


@pytest.fixture(scope="package")
def network():
    return small_network(hiding=True)


@pytest.fixture(scope="package")
def images():
    return np.random.default_rng(0).uniform(0, 255, (5, SIZE, SIZE, 3)).astype("float32")


@pytest.fixture
def build():
    return small_network
