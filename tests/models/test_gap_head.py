"""The head: what `predictions` sees, and the formula that makes the map a CAM."""

import keras
import numpy as np
import pytest

from keras_has.models.gap_head import gap_head

pytestmark = pytest.mark.backends


def head(pooling="avg", dropout_rate=0.0, size=(5, 4)):
    features = keras.Input((*size, 6))
    return keras.Model(features, gap_head(features, 3, pooling, dropout_rate))


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def test_the_mean_of_the_class_activation_map_plus_the_bias_is_the_logit():
    model = head("avg")
    features = np.random.default_rng(0).normal(size=(2, 5, 4, 6)).astype("float32")
    kernel, bias = (
        np.random.default_rng(1).normal(size=shape).astype("float32") for shape in [(6, 3), (3,)]
    )
    model.get_layer("predictions").set_weights([kernel, bias])

    maps = sum(features[..., k, None] * kernel[k] for k in range(6))  # sum_k W[k, c] F_k
    np.testing.assert_allclose(
        model.predict(features, verbose=0), softmax(maps.mean(axis=(1, 2)) + bias), atol=1e-6
    )


def test_maximum_pooling_weighs_the_maximum_of_each_feature():
    model = head("max")
    features = np.random.default_rng(0).normal(size=(2, 5, 4, 6)).astype("float32")
    kernel, bias = (
        np.random.default_rng(1).normal(size=shape).astype("float32") for shape in [(6, 3), (3,)]
    )
    model.get_layer("predictions").set_weights([kernel, bias])

    maxima = features.reshape(2, 20, 6).max(axis=1)
    np.testing.assert_allclose(
        model.predict(features, verbose=0), softmax(maxima @ kernel + bias), atol=1e-6
    )


def test_nothing_but_dropout_stands_between_pooling_and_predictions():
    assert [layer.name for layer in head().layers[1:]] == ["pooling", "predictions"]
    dropping = head(dropout_rate=0.4)
    assert [layer.name for layer in dropping.layers[1:]] == [
        "pooling",
        "pooling_dropout",
        "predictions",
    ]
    assert isinstance(dropping.layers[2], keras.layers.Dropout)
    assert dropping.layers[2].rate == 0.4


def test_height_and_width_may_be_unknown():
    model = head(size=(None, None))
    assert model.predict(np.zeros((1, 3, 7, 6)), verbose=0).shape == (1, 3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_predictions_are_float32_under_mixed_precision(policy):
    policy_before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = head()
    finally:
        keras.config.set_dtype_policy(policy_before)
    assert model.get_layer("pooling").compute_dtype == policy.removeprefix("mixed_")
    assert model.get_layer("predictions").compute_dtype == "float32"
    assert model.output.dtype == "float32"
    probabilities = model.predict(np.ones((2, 5, 4, 6)), verbose=0)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pooling": "mean"}, r'`pooling` should be "avg" or "max"\. Received: pooling=mean'),
        ({"pooling": None}, r"`pooling` should be .* Received: pooling=None"),
        ({"num_classes": 0}, r"`num_classes` should be a positive .* Received: num_classes=0"),
        ({"num_classes": 2.0}, r"`num_classes` should be a positive .* num_classes=2\.0"),
        ({"dropout_rate": 1.0}, r"`dropout_rate` should be .* Received: dropout_rate=1\.0"),
        ({"dropout_rate": -0.1}, r"`dropout_rate` should be .* Received: dropout_rate=-0\.1"),
    ],
)
def test_an_argument_outside_its_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        gap_head(keras.Input((4, 4, 6)), **{"num_classes": 3, **arguments})
