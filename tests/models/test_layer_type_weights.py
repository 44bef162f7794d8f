"""Weights read by layer type: what Keras writes comes back; damaged files are named and refused."""

import h5py
import keras
import numpy as np
import pytest

from keras_has.models.layer_type_weights import load_layer_type_weights


def network(prefix="", classes=4, width=6):
    """Two convolutions, a depthwise one and normalizations, under names with a prefix."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(width, 3, use_bias=False, name=f"{prefix}a")(inputs)
    x = layers.BatchNormalization(name=f"{prefix}b")(x)
    x = layers.DepthwiseConv2D(3, use_bias=False, name=f"{prefix}c")(x)
    x = layers.BatchNormalization(name=f"{prefix}d")(x)
    x = layers.Conv2D(8, 1, name=f"{prefix}e")(x)
    x = layers.GlobalAveragePooling2D(name=f"{prefix}f")(x)
    return keras.Model(inputs, layers.Dense(classes, name=f"{prefix}g")(x))


@pytest.fixture
def saved(tmp_path):
    model = network("theirs_")
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=weight.shape) for weight in model.weights])
    path = tmp_path / "theirs.weights.h5"
    model.save_weights(path)
    return model, path


@pytest.mark.backends
def test_what_keras_wrote_comes_back_under_other_names(saved):
    theirs, path = saved
    mine = network("mine_")
    load_layer_type_weights(path, mine.layers)
    for after, before in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)


def test_a_layer_that_is_left_out_keeps_its_weights(saved):
    _, path = saved
    mine = network("mine_", classes=9)
    before = mine.layers[-1].get_weights()
    load_layer_type_weights(path, mine.layers[:-1])
    for after, kept in zip(mine.layers[-1].get_weights(), before, strict=True):
        np.testing.assert_array_equal(after, kept)


@pytest.mark.parametrize(
    ("mine", "message"),
    [
        ({"width": 7}, r"theirs.*'layers/conv2d/vars/0' of shape \(3, 3, 3, 7\).*Found: shape"),
        ({"classes": 5}, r"theirs.*'layers/dense/vars/0' of shape \(8, 5\).*Found: shape \(8, 4\)"),
    ],
)
def test_the_file_of_another_network_is_refused_and_changes_nothing(saved, mine, message):
    _, path = saved
    model = network("mine_", **mine)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        load_layer_type_weights(path, model.layers)
    for after, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(after, kept)


def test_a_file_with_too_few_layers_is_refused(saved):
    _, path = saved
    layers = network("mine_").layers + network("more_").layers
    with pytest.raises(ValueError, match=r"should hold 'layers/conv2d_2/vars/0' .*more_a"):
        load_layer_type_weights(path, layers)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.weights\.h5 is missing"):
        load_layer_type_weights(tmp_path / "absent.weights.h5", network().layers)


@pytest.mark.parametrize("kept", [0, 3000])
def test_a_file_cut_off_is_named_with_its_size(saved, kept):
    _, path = saved
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=rf"theirs.*\({kept} bytes\) cannot be read"):
        load_layer_type_weights(path, network().layers)


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["model_weights"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"group 'layers'\. Found: groups \['model_weights'\]"):
        load_layer_type_weights(path, network().layers)


def test_numbers_that_are_not_finite_are_refused(saved):
    _, path = saved
    with h5py.File(path, "r+") as file:
        file["layers/dense/vars/1"][0] = np.nan
    with pytest.raises(ValueError, match="NaN or inf in 'layers/dense/vars/1'"):
        load_layer_type_weights(path, network().layers)
