"""pixel_scaling: against the preprocessing of keras.applications."""

import inspect

import keras
import numpy as np
import pytest

from keras_has.models import GAPClassifier, pixel_scaling
from keras_has.models.pixel_scaling import IMAGENET_MEAN, PixelScaling

pytestmark = pytest.mark.backends

# Of each network, the module of keras.applications that holds it.
NETWORKS = {
    name: module
    for _, module in inspect.getmembers(keras.applications, inspect.ismodule)
    if hasattr(module, "preprocess_input")
    for name, network in vars(module).items()
    if inspect.isfunction(network) and name[0].isupper()
}
for variant in ("MobileNetV3Large", "MobileNetV3Small"):  # Their module does not list them.
    NETWORKS[variant] = keras.applications.mobilenet_v3
ALIKE = {  # One of each family and of each exception.
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
    "ResNet152V2",
    "VGG16",
    "Xception",
}


def test_every_network_of_keras_applications_is_known():
    names = {
        name
        for name, value in inspect.getmembers(keras.applications, inspect.isfunction)
        if name[0].isupper()
    }
    assert names <= NETWORKS.keys()
    assert names >= ALIKE
    assert len(names) > 35
    for name in names:
        pixel_scaling(name)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_it_does_what_the_networks_own_preprocessing_does(name):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3)).astype("float32")
    expected = keras.ops.convert_to_numpy(NETWORKS[name].preprocess_input(pixels.copy()))
    scaled = keras.ops.convert_to_numpy(pixel_scaling(name)(pixels))
    np.testing.assert_allclose(scaled, expected, atol=1e-4)


def test_efficientnet_lite0_takes_pixels_from_minus_one_to_one():
    scaled = pixel_scaling("EfficientNetLite0")(np.array([[[[0, 127.5, 255]]]]))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(scaled)[0, 0, 0], [-1, 0, 1])


@pytest.mark.parametrize("name", sorted(ALIKE))
def test_the_mean_colour_is_what_imagenets_mean_becomes(name):
    scaling = pixel_scaling(name)
    scaled = keras.ops.convert_to_numpy(scaling(np.reshape(IMAGENET_MEAN, (1, 1, 1, 3))))
    np.testing.assert_allclose(scaling.mean_colour, scaled[0, 0, 0], atol=1e-4)


def test_it_is_saved_with_the_model_and_scales_in_float32_under_half_precision(tmp_path):
    inputs = keras.Input((32, 32, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(4, 3, strides=2)(inputs))
    model = GAPClassifier(backbone, 3, preprocessing=pixel_scaling("ResNet50"))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(loaded(pixels)),
        keras.ops.convert_to_numpy(model(pixels)),
        atol=1e-6,
    )
    half = PixelScaling((0, 0, 0), (1000, 1000, 1000), dtype="mixed_float16")(pixels * 1000)
    assert keras.backend.standardize_dtype(half.dtype) == "float16"
    np.testing.assert_allclose(keras.ops.convert_to_numpy(half), pixels, rtol=1e-3)


@pytest.mark.parametrize("name", ["LeNet", "load_model", "EfficientNetLite7", "VGG"])
def test_a_name_that_keras_applications_has_not_is_refused(name):
    with pytest.raises(ValueError, match=f"`backbone_name` .* Received: backbone_name={name}"):
        pixel_scaling(name)


def test_numbers_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="`mean` should hold three numbers"):
        PixelScaling((1, 2), (1, 1, 1))
    with pytest.raises(ValueError, match="`std` should be greater than 0"):
        PixelScaling((1, 2, 3), (1, 0, 1))
