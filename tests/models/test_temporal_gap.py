"""TemporalGAP and its pooling: shapes, masks, names, and round trips."""

import keras
import numpy as np
import pytest

from keras_has.layers import TemporalHideAndSeek, TemporalPooling
from keras_has.models import TemporalGAP
from keras_has.ops.temporal_cam import temporal_class_activation_maps

pytestmark = pytest.mark.backends


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def test_the_papers_network_has_its_layers_and_parameters():
    model = TemporalGAP(20)
    assert model.input_shape == (None, 2000, 4096)
    assert model.get_layer("cam_features").output.shape == (None, 2000, 500)
    assert model.output_shape == (None, 20)
    assert model.count_params() == 4096 * 500 + 500 + 500 * 500 + 500 + 500 * 20 + 20


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_the_logit_is_the_kernels_sum_over_pooled_features(pooling):
    model = TemporalGAP(3, (None, 4), (5, 6), pooling=pooling)
    sequences = np.random.default_rng(0).normal(size=(2, 7, 4)).astype("float32")
    outputs = [model.get_layer("cam_features").output, model.output]
    features, probabilities = map(numpy, keras.Model(model.input, outputs)(sequences))
    kernel, bias = model.get_layer("predictions").get_weights()
    pooled = features.max(axis=1) if pooling == "max" else features.mean(axis=1)
    exp = np.exp(pooled @ kernel + bias)
    np.testing.assert_allclose(probabilities, exp / exp.sum(1, keepdims=True), rtol=1e-4)
    if pooling == "avg":  # The mean of a map is then the logit without its bias.
        maps = numpy(temporal_class_activation_maps(features, kernel))
        np.testing.assert_allclose(maps.mean(axis=1), pooled @ kernel, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_padded_sequences_give_what_they_give_alone(pooling):
    masked = TemporalGAP(3, (None, 4), (5,), pooling=pooling, activation="sigmoid", is_masked=True)
    plain = TemporalGAP(3, (None, 4), (5,), pooling=pooling, activation="sigmoid")
    plain.set_weights(masked.get_weights())
    random = np.random.default_rng(0)
    sequences = random.normal(size=(2, 6, 4)).astype("float32")
    mask = np.arange(6) < np.array([[6], [3]])
    padded = np.where(mask[..., None], sequences, 100).astype("float32")
    found = numpy(masked({"features": padded, "mask": mask}))
    np.testing.assert_allclose(found[0], numpy(plain(sequences[:1]))[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], numpy(plain(sequences[1:, :3]))[0], rtol=1e-5)


def test_hiding_in_the_model_is_given_the_mask():
    hide = TemporalHideAndSeek(num_segments=2, hide_probability=1.0, fill_value=7)
    model = TemporalGAP(2, (None, 1), (3,), is_masked=True, preprocessing=[hide])
    hidden = keras.Model(model.inputs, model.get_layer(hide.name).output)
    inputs = [np.ones((1, 4, 1), "float32"), np.array([[True, True, True, False]])]
    if isinstance(model.input, dict):
        hidden = keras.Model(model.input, model.get_layer(hide.name).output)
        inputs = {"features": inputs[0], "mask": inputs[1]}
    assert numpy(hidden(inputs, training=True))[0, :, 0].tolist() == [7, 7, 7, 1]


def test_a_file_gives_the_same_model_again(tmp_path):
    model = TemporalGAP(
        3, (None, 4), (5,), is_masked=True, preprocessing=TemporalHideAndSeek(2), dropout_rate=0.2
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = {
        "features": np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32"),
        "mask": np.arange(6) < np.array([[6], [3]]),
    }
    np.testing.assert_array_equal(numpy(loaded(inputs)), numpy(model(inputs)))


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_pooling_of_nothing_but_padding_is_0(pooling, dtype):
    layer = TemporalPooling(pooling, dtype=dtype)
    inputs = keras.ops.cast([[[-3.0], [-1.0]], [[5.0], [5.0]]], dtype)
    out = layer(inputs, mask=keras.ops.cast([[True, True], [False, False]], "bool"))
    assert keras.backend.standardize_dtype(out.dtype) == dtype
    assert numpy(out)[:, 0].tolist() == [-1 if pooling == "max" else -2, 0]
    assert numpy(layer(inputs))[1, 0] == 5


def test_bad_arguments_are_named():
    for arguments, words in (
        ({"num_classes": 0}, "`num_classes`"),
        ({"num_classes": 2, "pooling": "sum"}, "`pooling`"),
        ({"num_classes": 2, "activation": "relu"}, "`activation`"),
        ({"num_classes": 2, "widths": ()}, "`widths`"),
        ({"num_classes": 2, "dropout_rate": 1}, "`dropout_rate`"),
        ({"num_classes": 2, "preprocessing": [3]}, "`preprocessing`"),
    ):
        with pytest.raises(ValueError, match=words):
            TemporalGAP(**{"input_shape": (None, 2), **arguments})
    with pytest.raises(ValueError, match="of shape"):
        TemporalPooling()(np.ones((2, 3)))
