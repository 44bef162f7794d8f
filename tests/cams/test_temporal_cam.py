"""TemporalCAM: maps over time by the formula."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.cams import TemporalCAM  # noqa: E402
from keras_has.models import TemporalGAP  # noqa: E402

NAMES = ("softmax", "linear", "sigmoid")


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(3, 9, 5)).astype("float32")


@pytest.mark.parametrize("is_masked", [False, True])
def test_maps_are_the_features_weighted_by_the_kernel(features, is_masked):
    model = TemporalGAP(4, (None, 5), widths=(6,), is_masked=is_masked)
    mask = np.arange(9) < np.array([[9], [4], [7]])
    inputs = {"features": features, "mask": mask} if is_masked else features
    method = TemporalCAM(model)
    maps, probabilities = method.all_maps(inputs)
    steps = keras.Model(model.input, model.get_layer("cam_features").output)(inputs)
    kernel = model.get_layer("predictions").get_weights()[0]
    np.testing.assert_allclose(maps, np.asarray(steps) @ kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(probabilities, np.asarray(model(inputs)), rtol=1e-6)
    of_class, _ = method(inputs, [2, 0, 1])
    for row, label in enumerate([2, 0, 1]):
        np.testing.assert_allclose(of_class[row], maps[row, :, label], rtol=1e-5, atol=1e-6)
    predicted, _ = method(inputs)
    for row, label in enumerate(np.argmax(probabilities, axis=1)):
        np.testing.assert_allclose(predicted[row], maps[row, :, label], rtol=1e-5, atol=1e-6)


def test_a_model_that_takes_a_mask_may_be_called_without_one(features):
    method = TemporalCAM(TemporalGAP(4, (None, 5), widths=(6,), is_masked=True))
    whole, _ = method.all_maps({"features": features, "mask": np.ones((3, 9), bool)})
    np.testing.assert_array_equal(method.all_maps(features)[0], whole)


@pytest.mark.parametrize("is_masked", [False, True])
def test_logits_go_through_a_softmax_and_other_activations_stay(features, is_masked):
    networks = {name: TemporalGAP(4, (None, 5), widths=(6,), is_masked=is_masked) for name in NAMES}
    for name, network in networks.items():
        network.set_weights(networks["softmax"].get_weights())
        network.get_layer("predictions").activation = keras.activations.get(name)
    found = {key: TemporalCAM(network).probabilities(features) for key, network in networks.items()}
    np.testing.assert_allclose(found["linear"], found["softmax"], rtol=1e-5)
    ones = np.ones((3, 9), bool)
    inputs = {"features": features, "mask": ones} if is_masked else features
    np.testing.assert_allclose(found["sigmoid"], networks["sigmoid"](inputs), rtol=1e-6)


def test_two_replicas_give_what_one_gives(features, two_replicas):
    with two_replicas.scope():
        method = TemporalCAM(TemporalGAP(4, (None, 5), widths=(6,)))
    batches = tf.data.Dataset.from_tensor_slices(features[:2]).batch(2)
    for batch in two_replicas.experimental_distribute_dataset(batches):
        maps = tf.function(lambda x: two_replicas.run(method, args=(x,)))(batch)[0]
    parts = two_replicas.experimental_local_results(maps)
    np.testing.assert_allclose(np.concatenate(parts), method(features[:2])[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("class_index", [[-1, 0, 0], [0, 0, 4]])
def test_a_class_that_does_not_exist_is_refused(features, class_index):
    method = TemporalCAM(TemporalGAP(4, (None, 5), widths=(6,)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="class_index"):
        method(features, class_index)


@pytest.mark.parametrize("name", ["cam_features", "predictions"])
def test_a_missing_layer_is_named(name):
    inputs = keras.Input((None, 5))
    names = {"cam_features": "x", "predictions": "y"}
    names = {key: key if key != name else other for key, other in names.items()}
    x = keras.layers.Dense(3, name=names["cam_features"])(inputs)
    x = keras.layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name=names["predictions"])(x))
    with pytest.raises(ValueError, match=f'"{name}"'):
        TemporalCAM(model)


def test_predictions_should_be_a_dense_layer():
    inputs = keras.Input((4, 5))
    x = keras.layers.Dense(3, name="cam_features")(inputs)
    x = keras.layers.Flatten(name="predictions")(x)
    with pytest.raises(ValueError, match="Dense"):
        TemporalCAM(keras.Model(inputs, x))
