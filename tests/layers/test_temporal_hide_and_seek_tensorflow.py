"""The TemporalHideAndSeek layer in graphs, XLA, tf.data, SavedModels and on several replicas."""

import keras
import numpy as np
import pytest

from keras_has.layers import TemporalHideAndSeek
from keras_has.ops import hiding

tf = pytest.importorskip("tensorflow")
needs_tensorflow_backend = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Keras runs on another backend here"
)


@needs_tensorflow_backend
@pytest.mark.parametrize("arguments", [{"segment_length": 4}, {"num_segments": 5}], ids=str)
@pytest.mark.parametrize("is_masked", [False, True])
def test_graphs_of_unknown_length_give_the_eager_result(arguments, is_masked):
    eager, traced = (TemporalHideAndSeek(**arguments, seed=3) for _ in range(2))

    def hide(x, mask):
        return traced(x, training=True, mask=mask if is_masked else None)

    specs = [tf.TensorSpec((None, None, 3), tf.float32), tf.TensorSpec((None, None), tf.bool)]
    function = tf.function(hide, input_signature=specs)
    for steps in (17, 9):
        features = np.ones((4, steps, 3), "float32")
        mask = np.arange(steps) < np.array([steps, 5, 1, 0])[:, None]
        expected = eager(features, training=True, mask=mask if is_masked else None)
        np.testing.assert_array_equal(function(features, mask), expected)
        assert 0.02 < np.mean(expected == 0) < 0.9


@needs_tensorflow_backend
@pytest.mark.parametrize("is_masked", [False, True])
def test_xla_hides_what_eager_hides_for_the_same_noise(is_masked):
    """TensorFlow draws other numbers under XLA; what they hide must not differ."""
    features = np.random.default_rng(0).normal(size=(4, 17, 3)).astype("float32")
    mask = np.arange(17) < np.array([17, 5, 1, 0])[:, None]

    def hide(features, noise):
        return hiding.draw_and_hide_segments(
            features,
            lambda shape: tf.reshape(noise[: shape[0] * shape[1]], shape),
            4,
            None,
            0.5,
            np.float32(0),
            mask if is_masked else None,
            hiding.tensorflow_namespace(),
        )

    features, noise = tf.constant(features), tf.random.uniform([200], seed=1)
    compiled = tf.function(hide, jit_compile=True)(features, noise)
    np.testing.assert_array_equal(compiled, hide(features, noise))
    assert np.mean(compiled == 0) > 0.1


@needs_tensorflow_backend
def test_xla_draws_new_masks_at_each_call_and_sees_a_changed_probability():
    layer = TemporalHideAndSeek(4, seed=3)
    function = tf.function(lambda x: layer(x, training=True), jit_compile=True)
    features = tf.ones((2, 64, 1))
    assert not np.array_equal(function(features), function(features))
    layer.hide_probability = 1.0
    assert np.sum(function(features)) == 0
    assert function.experimental_get_tracing_count() == 1


@pytest.mark.backends
def test_dataset_map_hides_dicts_of_padded_batches_whatever_the_backend():
    layer = TemporalHideAndSeek(num_segments=3, hide_probability=1.0, fill_value=(1, 2), seed=1)
    lengths = np.array([4, 6, 2])
    element = {
        "features": np.full((3, 6, 2), 9, "float32"),
        "mask": np.arange(6) < lengths[:, None],
        "labels": np.array([16777217, 1, 2], "int64"),
    }
    dataset = tf.data.Dataset.from_tensor_slices(element).batch(3)
    (out,) = list(dataset.map(lambda x: layer(x, training=True)))
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(out["features"][row, :length], [[1, 2]] * length)
        assert np.all(out["features"][row, length:] == 9)
    assert int(out["labels"][0]) == 16777217
    with pytest.warns(UserWarning, match="training=True"):
        (unhidden,) = list(dataset.map(layer))
    np.testing.assert_array_equal(unhidden["features"], element["features"])


@pytest.mark.backends
def test_adapted_mean_is_used_in_dataset_map():
    layer = TemporalHideAndSeek(2, hide_probability=1.0, fill_value="mean")
    frames = np.full((2, 4, 2, 2, 3), 7, "uint8")
    with pytest.raises(ValueError, match="adapt"):
        tf.data.Dataset.from_tensor_slices(frames).map(lambda x: layer(x, training=True))
    layer.adapt(tf.data.Dataset.from_tensor_slices(frames).batch(2))
    dataset = tf.data.Dataset.from_tensor_slices(0 * frames).map(lambda x: layer(x, training=True))
    np.testing.assert_array_equal(np.stack(list(dataset)), frames)
