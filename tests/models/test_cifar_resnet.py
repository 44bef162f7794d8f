import keras
import numpy as np
import pytest

from keras_has.models import CifarResNet

pytestmark = pytest.mark.backends


@pytest.mark.parametrize(
    "depth, num_classes, weight_layers, parameters",
    [
        (44, 10, 65, 684_058),
        (44, 100, 65, 707_188),
        (56, 10, 83, 869_530),
        (56, 100, 83, 892_660),
        (110, 10, 164, 1_704_154),
        (110, 100, 164, 1_727_284),
    ],
)
def test_bottleneck_networks_have_the_published_size(depth, num_classes, weight_layers, parameters):
    model = CifarResNet(num_classes, depth=depth, block="bottleneck")
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == parameters
    weighted = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
        and not layer.name.endswith("shortcut")
    ]
    assert len(weighted) == weight_layers


@pytest.mark.parametrize("depth, parameters", [(44, 661_338), (56, 855_770), (110, 1_730_714)])
def test_basic_networks_have_the_size_of_their_depth(depth, parameters):
    model = CifarResNet(10, depth=depth)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == parameters


def test_the_last_map_has_a_quarter_of_the_side():
    model = CifarResNet(10)
    assert model.get_layer("cam_features").output.shape == (None, 8, 8, 64)
    probabilities = keras.ops.convert_to_numpy(model(np.zeros((2, 32, 32, 3), "float32")))
    np.testing.assert_allclose(probabilities.sum(axis=-1), [1, 1], rtol=1e-6)


def test_kernels_start_with_the_deviation_of_the_original():
    kernel = CifarResNet(10).get_layer("stage3_block1_conv2").kernel
    deviation = np.std(keras.ops.convert_to_numpy(kernel))
    assert deviation == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.03)


@pytest.mark.parametrize("argument, value", [("depth", 7), ("block", "wide")])
def test_invalid_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`.*{argument}="):
        CifarResNet(10, **{argument: value})
