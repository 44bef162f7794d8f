"""C3D against its table, and weights files of both of Keras' kinds."""

import re

import h5py
import keras
import numpy as np
import pytest

from keras_has.models import C3D

TINY = {"width_multiplier": 1 / 256, "input_shape": (16, 32, 32, 3)}
WIDTHS = (64, 128, 256, 256, 512, 512, 512, 512)


def layers_of(model):
    return [layer for layer in model.layers if layer.weights]


def test_the_network_up_to_pool5_has_the_shapes_and_parameters_of_the_paper():
    model = C3D(feature_layer="pool5")
    shapes = {
        "conv1a": (16, 112, 112, 64),
        "pool1": (16, 56, 56, 64),
        "pool2": (8, 28, 28, 128),
        "pool3": (4, 14, 14, 256),
        "pool4": (2, 7, 7, 512),
        "conv5b": (2, 7, 7, 512),
        "pool5": (1, 4, 4, 512),
    }
    for name, shape in shapes.items():
        assert model.get_layer(name).output.shape == (None, *shape)
    expected = sum(
        27 * before * after + after for before, after in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True)
    )
    assert model.count_params() == expected == 27_655_936


def test_fc6_and_fc7_are_of_4096_and_fc8_of_the_classes():
    model = C3D(feature_layer="fc8", **{**TINY, "width_multiplier": 1 / 64})
    assert [layer.kernel.shape for layer in layers_of(model)[-3:]] == [
        (8 * 1 * 1, 64),
        (64, 64),
        (64, 487),
    ]
    assert model.get_layer("fc7").activation is keras.activations.relu
    assert model.count_params() > 0
    clips = np.random.default_rng(0).normal(size=(2, 16, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(np.asarray(model(clips)).sum(axis=1), 1, atol=1e-5)


def test_the_last_pooling_rounds_up_and_its_grid_begins_at_the_first_row():
    # Through pool5 alone: a 7 x 7 map whose corner elements are larger than all others.
    model = C3D(feature_layer="pool5", width_multiplier=1 / 128)
    tail = keras.Model(model.get_layer("pool5_pad").input, model.output)
    grid = np.zeros((1, 2, 7, 7, 4), "float32")
    grid[0, 0, 1, 1] = 5
    grid[0, 1, 6, 6] = 7
    pooled = np.asarray(tail(grid))[0, 0, ..., 0]
    expected = np.zeros((4, 4))
    expected[0, 0], expected[3, 3] = 5, 7
    np.testing.assert_array_equal(pooled, expected)


def save_old_file(model, path, names):
    """Writes weights as Keras 1 and 2 did."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in names]
        for layer, name in zip(layers_of(model), names, strict=True):
            kernel, bias = layer.get_weights()
            group = file.create_group(name)
            group.create_dataset(f"{name}/kernel:0", data=kernel)
            group.create_dataset(f"{name}/bias:0", data=bias)


@pytest.fixture(scope="module")
def full():
    keras.utils.set_random_seed(1)
    return C3D(feature_layer="fc8", **TINY)


def assert_same_first_layers(model, full):
    assert len(layers_of(model)) == 10  # Without fc8.
    for got, wanted in zip(layers_of(model), layers_of(full), strict=False):
        for one, other in zip(got.get_weights(), wanted.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_weights_files_of_both_kinds_are_read_by_the_order_of_their_layers(full, tmp_path):
    full.save_weights(tmp_path / "c3d.weights.h5")
    convolutions = ("1", "2", "3a", "3b", "4a", "4b", "5a", "5b")
    ports = [*(f"conv{each}" for each in convolutions), "fc6", "fc7", "fc8"]
    save_old_file(full, tmp_path / "port.h5", ports)
    numbered = ["conv3d", *(f"conv3d_{n}" for n in range(8, 15)), "dense", "dense_1", "dense_2"]
    save_old_file(full, tmp_path / "numbered.h5", numbered)
    for name in ("c3d.weights.h5", "port.h5", "numbered.h5"):
        assert_same_first_layers(C3D(tmp_path / name, **TINY), full)


def test_a_file_of_the_features_alone_is_enough(full, tmp_path):
    model = C3D(**TINY)
    model.save_weights(tmp_path / "fc7.weights.h5")
    assert_same_first_layers(C3D(tmp_path / "fc7.weights.h5", **TINY), model)
    with pytest.raises(ValueError, match=r"of the 11 layers up to fc8.*those of 10"):
        C3D(tmp_path / "fc7.weights.h5", feature_layer="fc8", **TINY)


def test_files_that_do_not_fit_are_named_with_the_layer(full, tmp_path):
    with pytest.raises(FileNotFoundError, match="none is ever downloaded"):
        C3D(tmp_path / "none.h5", **TINY)
    (tmp_path / "text.h5").write_text("weights")
    with pytest.raises(ValueError, match=re.escape("text.h5 should be a Keras weights file")):
        C3D(tmp_path / "text.h5", **TINY)
    full.save_weights(tmp_path / "c3d.weights.h5")
    with pytest.raises(ValueError, match="kernel of conv3a should be of shape"):
        C3D(tmp_path / "c3d.weights.h5", **{**TINY, "width_multiplier": 1 / 50})
    kernel = layers_of(full)[0].get_weights()[0]
    with h5py.File(tmp_path / "turned.h5", "w") as file:
        for number in range(10):
            file[f"conv{number}/kernel"] = np.transpose(kernel, (4, 3, 0, 1, 2))
            file[f"conv{number}/bias"] = np.zeros(4)
    with pytest.raises(ValueError, match="channels-first"):
        C3D(tmp_path / "turned.h5", **TINY)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"feature_layer": "fc9"}, "`feature_layer` should be one of"),
        ({"width_multiplier": 0}, "`width_multiplier` should be greater than 0"),
        ({"input_shape": (112, 112, 3)}, "`input_shape`"),
        ({"input_shape": (8, 112, 112, 3)}, "at least 16 frames"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        C3D(**arguments)
