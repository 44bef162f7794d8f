"""SmallGAP: sizes of its map, parameters by hand, and that it learns."""

import contextlib

import keras
import numpy as np
import pytest

from keras_has.layers import HideAndSeek
from keras_has.models import SmallGAP


@pytest.mark.parametrize(
    ("pixels", "map_stride", "size"), [(64, 4, 16), (64, 8, 8), (96, 4, 24), (96, 8, 12)]
)
def test_the_map_is_smaller_by_its_stride(pixels, map_stride, size):
    model = SmallGAP(20, (pixels, pixels, 3), map_stride=map_stride)
    assert model.get_layer("cam_features").output.shape == (None, size, size, 128)


@pytest.mark.backends
def test_the_default_map_of_64_pixels_is_16_by_16():
    assert SmallGAP(20).get_layer("cam_features").output.shape == (None, 16, 16, 128)


@pytest.mark.parametrize("map_stride", [4, 8])
def test_the_number_of_parameters_is_the_one_counted_by_hand(map_stride):
    convolutions = (
        5 * 5 * 3 * 32  # conv1      2,400
        + 3 * 3 * 32 * 64  # conv2     18,432
        + 3 * 3 * 64 * 64  # conv3     36,864
        + 3 * 3 * 64 * 128  # conv4     73,728
        + 3 * 3 * 128 * 128  # conv5    147,456
    )
    normalizations = 4 * (32 + 64 + 64 + 128 + 128)
    predictions = 128 * 20 + 20
    assert convolutions + normalizations + predictions == 283_124
    assert SmallGAP(20, map_stride=map_stride).count_params() == 283_124


@pytest.mark.parametrize("map_stride", [4, 8])
@pytest.mark.parametrize("widths", [(8, 16), [8, 16, 24], (8, 8, 16, 16, 24, 24)])
def test_widths_set_the_convolutions(widths, map_stride):
    model = SmallGAP(20, map_stride=map_stride, widths=widths)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == list(widths)
    size = 64 // map_stride
    assert model.get_layer("cam_features").output.shape == (None, size, size, widths[-1])


def test_height_and_width_may_be_unknown():
    model = SmallGAP(5, (None, None, 3), widths=(8, 8))
    model = keras.Model(model.input, model.get_layer("cam_features").output)
    assert model(np.zeros((1, 32, 48, 3))).shape == (1, 8, 12, 8)


@pytest.mark.backends
def test_it_learns_to_tell_two_patterns_apart():
    labels = np.arange(32) % 2
    images = np.random.default_rng(0).normal(size=(32, 32, 32, 3)).astype("float32")
    images[labels == 1, 8:24, 8:24, 0] += 2.0
    model = SmallGAP(2, (32, 32, 3), widths=(8, 8, 16))
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(images, labels, batch_size=16, epochs=10, verbose=0).history
    assert history["accuracy"][-1] == 1.0
    assert history["loss"][-1] < history["loss"][0] / 4


@pytest.mark.parametrize("place", ["before_relu", "after_relu"])
def test_conv1_is_hidden_where_asked_and_only_in_training(place):
    hiding = HideAndSeek(4, hide_probability=1.0, fill_value=-7.0, name="hiding")
    is_deprecated = place == "after_relu"
    warns = pytest.warns(DeprecationWarning, match="conv1_hiding_place")
    with warns if is_deprecated else contextlib.nullcontext():
        model = SmallGAP(5, (32, 32, 3), conv1_hiding=hiding, conv1_hiding_place=place)
    reads, hands_on = (
        ("conv1_bn", "conv1_relu")
        if place == "before_relu"
        else (
            "conv1_relu",
            "pool1",
        )
    )
    assert hiding.input is model.get_layer(reads).output
    assert model.get_layer(hands_on).input is hiding.output
    images = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    conv1_map = keras.Model(model.input, model.get_layer("pool1").input)
    hidden, seen = (
        keras.ops.convert_to_numpy(conv1_map(images, training=training))
        for training in (True, False)
    )
    assert seen.shape == (1, 16, 16, 32)
    np.testing.assert_array_equal(hidden, 0.0 if place == "before_relu" else -7.0)
    assert np.ptp(seen) > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"map_stride": 2}, r"`map_stride` should be 4 or 8\. Received: map_stride=2"),
        ({"widths": (32,)}, r"`widths`.* Received: widths=\(32,\)"),
        ({"pooling": "sum"}, r"`pooling` should be .* Received: pooling=sum"),
        ({"conv1_hiding": 0.5}, r"`conv1_hiding` should be .* Received: conv1_hiding=0\.5"),
        ({"conv1_hiding_place": "no"}, r"`conv1_hiding_place` should .* conv1_hiding_place=no"),
        ({"preprocessing": "mean"}, r"`preprocessing` should be .* Received: preprocessing=mean"),
    ],
)
def test_an_argument_outside_its_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SmallGAP(20, **arguments)
