"""AlexNet-GAP against the paper's geometry and a parameter count by hand."""

import contextlib

import keras
import numpy as np
import pytest

from keras_has.models import AlexNetGAP

pytestmark = pytest.mark.backends


class HideTopLeft(keras.layers.Layer):
    """Stands in for a hiding layer: sets the top left 5 x 5 cells to a constant, always."""

    def __init__(self, value=-7.0, **kwargs):
        super().__init__(**kwargs)
        self.value = value

    def call(self, inputs):
        rows = keras.ops.arange(inputs.shape[1])[:, None, None] < 5
        columns = keras.ops.arange(inputs.shape[2])[None, :, None] < 5
        return keras.ops.where(keras.ops.logical_and(rows, columns), self.value, inputs)


@pytest.fixture(scope="module")
def model():
    return AlexNetGAP()


def test_the_number_of_parameters_is_the_one_counted_by_hand(model):
    convolutions = (
        11 * 11 * 3 * 96  # conv1      34,848
        + 5 * 5 * 96 * 256  # conv2     614,400
        + 3 * 3 * 256 * 384  # conv3     884,736
        + 3 * 3 * 384 * 384  # conv4   1,327,104
        + 3 * 3 * 384 * 256  # conv5     884,736
        + 3 * 3 * 256 * 512  # conv6   1,179,648
        + 3 * 3 * 512 * 512  # conv7   2,359,296
    )
    normalizations = 4 * (96 + 256 + 384 + 384 + 256 + 512 + 512)
    predictions = 512 * 1000 + 1000
    assert convolutions + normalizations + predictions == 7_807_368
    assert model.count_params() == 7_807_368


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("conv1_relu", (55, 55, 96)),
        ("pool1", (27, 27, 96)),
        ("conv2_relu", (27, 27, 256)),
        ("pool2", (13, 13, 256)),
        ("conv3_relu", (13, 13, 384)),
        ("conv4_relu", (13, 13, 384)),
        ("conv5_relu", (13, 13, 256)),
        ("pool5", (11, 11, 256)),
        ("conv6_relu", (11, 11, 512)),
        ("cam_features", (11, 11, 512)),
        ("pooling", (512,)),
        ("predictions", (1000,)),
    ],
)
def test_224_pixels_give_the_maps_of_the_paper(model, layer, shape):
    assert model.get_layer(layer).output.shape == (None, *shape)


def test_every_convolution_is_normalized_and_has_no_bias_of_its_own(model):
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.name for layer in convolutions] == [f"conv{number}" for number in range(1, 8)]
    for convolution in convolutions:
        assert not convolution.use_bias
        assert convolution.groups == 1
        normalization = model.get_layer(f"{convolution.name}_bn")
        assert normalization.input is convolution.output


@pytest.mark.parametrize("place", ["before_relu", "after_relu"])
def test_conv1_is_hidden_where_asked(place):
    hiding = HideTopLeft(name="hiding")
    is_deprecated = place == "after_relu"
    warns = pytest.warns(DeprecationWarning, match="conv1_hiding_place")
    with warns if is_deprecated else contextlib.nullcontext():
        model = AlexNetGAP(5, (63, 63, 3), conv1_hiding=hiding, conv1_hiding_place=place)
    normalized = model.get_layer("conv1_bn").output
    activated = model.get_layer("conv1_relu").output
    if place == "before_relu":
        assert hiding.input is normalized
        assert model.get_layer("conv1_relu").input is hiding.output
        assert model.get_layer("pool1").input is activated
        hidden_value = 0.0  # The ReLU of -7.
    else:
        assert model.get_layer("conv1_relu").input is normalized
        assert hiding.input is activated
        assert model.get_layer("pool1").input is hiding.output
        hidden_value = -7.0

    images = np.random.default_rng(0).normal(size=(1, 63, 63, 3))
    conv1_map = keras.Model(model.input, model.get_layer("pool1").input).predict(images, verbose=0)
    assert conv1_map.shape == (1, 15, 15, 96)
    np.testing.assert_array_equal(conv1_map[:, :5, :5], hidden_value)
    plain = np.maximum(keras.Model(model.input, normalized).predict(images, verbose=0), 0)
    np.testing.assert_allclose(conv1_map[:, 5:], plain[:, 5:], atol=1e-5)
    np.testing.assert_allclose(conv1_map[:, :, 5:], plain[:, :, 5:], atol=1e-5)


def test_height_and_width_may_be_unknown():
    model = AlexNetGAP(5, (None, None, 3))
    model = keras.Model(model.input, model.get_layer("cam_features").output)
    assert model(np.zeros((1, 95, 63, 3))).shape == (1, 3, 1, 512)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pooling": "sum"}, r'`pooling` should be "avg" or "max"\. Received: pooling=sum'),
        (
            {"conv1_hiding_place": "conv2"},
            r"`conv1_hiding_place` should be .* Received: conv1_hiding_place=conv2",
        ),
        ({"conv1_hiding": 0.5}, r"`conv1_hiding` should be .* Received: conv1_hiding=0\.5"),
    ],
)
def test_an_argument_outside_its_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AlexNetGAP(5, (63, 63, 3), **arguments)
