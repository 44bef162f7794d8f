"""Contracts that every image model fulfils, tested on small inputs."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_has.models import (
    AlexNetGAP,
    CifarResNet,
    EfficientNetLite0,
    GAPClassifier,
    GoogLeNetGAP,
    SmallGAP,
)

SIZE = 79  # AlexNet's map is then 2 x 2, the others' are larger.


def small_backbone():
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(inputs)
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="last")(x)
    return keras.Model(inputs, x, name="small_backbone")


MODELS = {
    "AlexNetGAP": lambda **arguments: AlexNetGAP(7, (SIZE, SIZE, 3), **arguments),
    "GoogLeNetGAP": lambda **arguments: GoogLeNetGAP(7, (SIZE, SIZE, 3), **arguments),
    "EfficientNetLite0": lambda **arguments: EfficientNetLite0(7, (SIZE, SIZE, 3), **arguments),
    "CifarResNet": lambda **arguments: CifarResNet(7, (SIZE, SIZE, 3), **arguments),
    "SmallGAP": lambda **arguments: SmallGAP(7, (SIZE, SIZE, 3), **arguments),
    "GAPClassifier": lambda **arguments: GAPClassifier(
        small_backbone(), 7, last_stage_stride=1, extra_conv=12, **arguments
    ),
}


@pytest.fixture(
    scope="module",
    params=[
        # These two have no layer that the others lack, and JAX takes half a minute for each.
        name
        if name in ("GoogLeNetGAP", "EfficientNetLite0")
        else pytest.param(name, marks=pytest.mark.backends)
        for name in MODELS
    ],
)
def build(request):
    return MODELS[request.param]


@pytest.fixture(scope="module")
def model(build):
    return build(
        preprocessing=[keras.layers.Rescaling(1 / 255), keras.layers.GaussianNoise(0.5)],
        name="mine",
    )


@pytest.fixture(scope="module")
def model_with_maximum_pooling(build):
    if build is MODELS["CifarResNet"]:  # It has no `dropout_rate`.
        return build(pooling="max")
    return build(pooling="max", dropout_rate=0.3)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3)).astype("float32")


def run(model, images):
    """Runs a model eagerly in inference mode, which is faster here than compiling it."""
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(images, training=False))


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def test_it_is_one_flat_functional_model(model):
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert len(model.inputs) == 1
    assert model.input_shape == (None, SIZE, SIZE, 3)
    assert model.output_shape == (None, 7)


def test_it_ends_in_cam_features_pooling_and_predictions(model):
    assert [layer.name for layer in model.layers[-3:]] == ["cam_features", "pooling", "predictions"]
    features, pooling, predictions = model.layers[-3:]
    assert pooling.input is features.output
    assert predictions.input is pooling.output
    assert model.output is predictions.output
    channels, classes = predictions.kernel.shape
    assert (channels, classes) == (features.output.shape[-1], 7)


def features_kernel_bias_and_probabilities(model, images):
    predictions = model.get_layer("predictions")
    kernel, bias = predictions.get_weights()
    bias = np.linspace(-1, 1, len(bias)).astype("float32")
    predictions.set_weights([kernel, bias])
    outputs = [model.get_layer("cam_features").output, model.output]
    features, probabilities = run(keras.Model(model.input, outputs), images)
    assert features.min() >= 0  # After the activation.
    assert features.shape[1] > 1
    assert np.ptp(probabilities) > 0.05
    return features.astype("float64"), kernel, bias, probabilities


def test_the_mean_of_each_class_activation_map_plus_the_bias_is_the_logit(model, images):
    features, kernel, bias, probabilities = features_kernel_bias_and_probabilities(model, images)
    maps = np.einsum("bhwk,kc->bhwc", features, kernel)
    np.testing.assert_allclose(probabilities, softmax(maps.mean(axis=(1, 2)) + bias), atol=1e-5)


def test_under_maximum_pooling_the_kernel_weighs_the_maxima(model_with_maximum_pooling, images):
    features, kernel, bias, probabilities = features_kernel_bias_and_probabilities(
        model_with_maximum_pooling, images / 255
    )
    logits = features.max(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(probabilities, softmax(logits), atol=1e-5)


def test_preprocessing_comes_first_and_in_order(model):
    images, rescaling, noise = model.layers[:3]
    assert isinstance(images, keras.layers.InputLayer)
    assert isinstance(rescaling, keras.layers.Rescaling)
    assert isinstance(noise, keras.layers.GaussianNoise)
    assert rescaling.input is images.output
    assert noise.input is rescaling.output
    assert not any(
        tensor is images.output
        for layer in model.layers[2:]
        for tensor in keras.tree.flatten(layer.input)
    )


def test_a_saved_model_comes_back_equal(model, images, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    np.testing.assert_allclose(run(loaded, images), run(model, images), atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_predictions_stay_float32_under_mixed_precision(build, images, policy):
    policy_before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy(policy_before)
    assert model.get_layer("cam_features").output.dtype == policy.removeprefix("mixed_")
    assert model.get_layer("predictions").compute_dtype == "float32"
    probabilities = run(model, images / 255)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_dropout_stands_between_pooling_and_predictions(build, model_with_maximum_pooling):
    if build is MODELS["CifarResNet"]:
        pytest.skip("CifarResNet has no `dropout_rate`")
    assert [layer.name for layer in model_with_maximum_pooling.layers[-4:]] == [
        "cam_features",
        "pooling",
        "pooling_dropout",
        "predictions",
    ]


def test_it_has_the_name_given(model):
    assert model.name == "mine"


@pytest.mark.backends
def test_importing_the_models_loads_neither_tensorflow_nor_opencv():
    program = (
        "import sys, keras; before = set(sys.modules); import keras_has.models; "
        "assert not {'tensorflow', 'cv2'} & (set(sys.modules) - before)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603
