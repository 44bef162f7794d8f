"""The networks of Khorrami et al. and of Levi and Hassner: parameters counted by hand."""

import keras
import numpy as np
import pytest

from keras_has.models import KhorramiCNN, LeviHassnerCNN

KHORRAMI = {
    "conv1": 5 * 5 * 1 * 64,
    "conv2": 5 * 5 * 64 * 128,
    "conv3": 5 * 5 * 128 * 256,
    "fc4": 2 * 2 * 256 * 300 + 300,
    "predictions": 300 * 8 + 8,
}
LEVI_HASSNER = {
    "conv1": 7 * 7 * 3 * 96 + 96,
    "conv2": 5 * 5 * 96 * 256 + 256,
    "conv3": 3 * 3 * 256 * 384 + 384,
    "fc6": 7 * 7 * 384 * 512 + 512,
    "fc7": 512 * 512 + 512,
    "predictions": 512 * 8 + 8,
}


@pytest.mark.parametrize(
    "build, parameters, maps",
    [
        (KhorramiCNN, KHORRAMI, {"pool1": (48, 64), "pool2": (24, 128), "pool3": (2, 256)}),
        (LeviHassnerCNN, LEVI_HASSNER, {"conv1": (56, 96), "pool1": (28, 96), "pool3": (7, 384)}),
    ],
)
def test_every_layer_has_the_parameters_and_the_map_of_the_paper(build, parameters, maps):
    model = build()
    assert {x.name: x.count_params() for x in model.layers if x.count_params()} == parameters
    for name, (side, channels) in maps.items():
        assert model.get_layer(name).output.shape == (None, side, side, channels)
    assert model.get_layer("cam_features").rate == 0.5


def test_khorramis_kernels_have_a_spread_between_0_2_and_1_2_over_the_root_of_fan_in():
    keras.utils.set_random_seed(0)
    spreads = []
    for name, fan_in in (("conv2", 1600), ("conv3", 3200), ("fc4", 1024)):
        kernel = keras.ops.convert_to_numpy(KhorramiCNN().get_layer(name).kernel)
        spreads.append(kernel.std() * fan_in**0.5)
    assert 0.19 < min(spreads) < max(spreads) < 1.21
    assert np.ptp(spreads) > 0.01  # one factor per layer


def test_small_versions_have_a_quarter_of_the_widths_and_any_size():
    assert KhorramiCNN(7, (48, 48, 3), (16, 32, 64)).output_shape == (None, 7)
    assert LeviHassnerCNN(2, (48, 40, 3)).output_shape == (None, 2)
    for wrong in ({"input_shape": (50, 48, 3)}, {"widths": (1, 2)}):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"`{name}` should .* Received: {name}="):
            KhorramiCNN(**wrong)
    with pytest.raises(ValueError, match="`input_shape` should .* Received: input_shape="):
        LeviHassnerCNN(input_shape=(6, 9, 3))
