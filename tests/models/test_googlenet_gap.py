"""GoogLeNet-GAP against its table of widths and a parameter count by hand."""

import keras
import numpy as np
import pytest

from keras_has.models import GoogLeNetGAP


@pytest.fixture(scope="module")
def model():
    return GoogLeNetGAP()


def inception_parameters(channels, one, reduce_three, three, reduce_five, five, projection):
    kernels = (
        channels * one
        + channels * reduce_three
        + 9 * reduce_three * three
        + channels * reduce_five
        + 25 * reduce_five * five
        + channels * projection
    )
    return kernels + 4 * (one + reduce_three + three + reduce_five + five + projection)


def test_the_number_of_parameters_is_the_one_counted_by_hand(model):
    # Szegedy et al., 2015, table 1; the last convolution and the dense layer are the paper's.
    total = (
        (7 * 7 * 3 * 64 + 4 * 64)
        + (64 * 64 + 4 * 64)
        + (3 * 3 * 64 * 192 + 4 * 192)
        + inception_parameters(192, 64, 96, 128, 16, 32, 32)  # 3a: 256 channels
        + inception_parameters(256, 128, 128, 192, 32, 96, 64)  # 3b: 480
        + inception_parameters(480, 192, 96, 208, 16, 48, 64)  # 4a: 512
        + inception_parameters(512, 160, 112, 224, 24, 64, 64)  # 4b: 512
        + inception_parameters(512, 128, 128, 256, 24, 64, 64)  # 4c: 512
        + inception_parameters(512, 112, 144, 288, 32, 64, 64)  # 4d: 528
        + inception_parameters(528, 256, 160, 320, 32, 128, 128)  # 4e: 832
        + (3 * 3 * 832 * 1024 + 4 * 1024)
        + (1024 * 1000 + 1000)
    )
    assert total == 12_197_800
    assert model.count_params() == 12_197_800


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("conv1_relu", (112, 112, 64)),
        ("pool1", (56, 56, 64)),
        ("conv2_relu", (56, 56, 192)),
        ("pool2", (28, 28, 192)),
        ("inception_3a_output", (28, 28, 256)),
        ("inception_3b_output", (28, 28, 480)),
        ("pool3", (14, 14, 480)),
        ("inception_4a_output", (14, 14, 512)),
        ("inception_4b_output", (14, 14, 512)),
        ("inception_4c_output", (14, 14, 512)),
        ("inception_4d_output", (14, 14, 528)),
        ("inception_4e_output", (14, 14, 832)),
        ("cam_features", (14, 14, 1024)),
        ("pooling", (1024,)),
        ("predictions", (1000,)),
    ],
)
def test_224_pixels_give_the_maps_of_the_paper(model, layer, shape):
    assert model.get_layer(layer).output.shape == (None, *shape)


def test_every_convolution_is_normalized_and_has_no_bias_of_its_own(model):
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 3 + 7 * 6 + 1
    for convolution in convolutions:
        assert not convolution.use_bias
        assert model.get_layer(f"{convolution.name}_bn").input is convolution.output


def test_an_inception_module_joins_three_convolutions_and_a_maximum_pooling(model):
    block = "inception_4b"
    branches = model.get_layer(f"{block}_output").input
    names = ("1x1", "3x3", "5x5", "pool_projection")
    for branch, name in zip(branches, names, strict=True):
        assert branch is model.get_layer(f"{block}_{name}_relu").output
    below = model.get_layer("inception_4a_output").output
    for name in ("1x1", "3x3_reduce", "5x5_reduce", "pool"):
        assert model.get_layer(f"{block}_{name}").input is below
    pool = model.get_layer(f"{block}_pool")
    assert isinstance(pool, keras.layers.MaxPooling2D)
    assert model.get_layer(f"{block}_pool_projection").input is pool.output
    sizes = {name: model.get_layer(f"{block}_{name}").kernel_size for name in names}
    assert sizes == {"1x1": (1, 1), "3x3": (3, 3), "5x5": (5, 5), "pool_projection": (1, 1)}


def test_there_is_one_output(model):
    assert len(model.outputs) == 1
    assert model.output is model.get_layer("predictions").output


def test_height_and_width_may_be_unknown():
    model = GoogLeNetGAP(5, (None, None, 3))
    model = keras.Model(model.input, model.get_layer("cam_features").output)
    assert model(np.zeros((1, 48, 32, 3))).shape == (1, 3, 2, 1024)


@pytest.mark.parametrize(("map_stride", "size"), [(16, 4), (8, 8), (4, 16)])
def test_the_map_of_small_images_keeps_the_size_asked_for(map_stride, size):
    model = GoogLeNetGAP(5, (64, 64, 3), width_multiplier=0.1, map_stride=map_stride)
    assert model.get_layer("cam_features").output.shape == (None, size, size, 102)
    # What is taken away is taken from the stem: behind pool2 the network is the same.
    assert model.get_layer("pool2").output.shape[1] == 2 * size
    sides = [model.get_layer(name).output.shape[1] for name in ("conv1", "pool1")]
    assert sides == {16: [32, 16], 8: [64, 32], 4: [64, 64]}[map_stride]


def test_every_number_of_kernels_is_scaled_and_at_least_four(model):
    narrow = GoogLeNetGAP(1000, width_multiplier=0.125)
    count = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            expected = max(4, round(layer.filters / 8))
            assert narrow.get_layer(layer.name).filters == expected
            count += 1
    assert count == 46
    assert narrow.get_layer("inception_3a_5x5_reduce").filters == 4  # An eighth of 16 were two.
    assert narrow.get_layer("inception_4b_3x3_reduce").filters == 14


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"map_stride": 2}, r"`map_stride` should be 4, 8 or 16\. Received: map_stride=2"),
        ({"width_multiplier": 0}, r"`width_multiplier` should be greater than 0\. .*=0"),
    ],
)
def test_a_size_outside_its_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GoogLeNetGAP(5, (64, 64, 3), **arguments)


def test_a_pooling_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"`pooling` should be .* Received: pooling=sum"):
        GoogLeNetGAP(5, (64, 64, 3), pooling="sum")
