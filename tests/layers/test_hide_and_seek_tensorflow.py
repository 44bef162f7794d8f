"""The HideAndSeek layer in graphs, XLA, tf.data, SavedModels and on several replicas."""

import keras
import numpy as np
import pytest

from keras_has.layers import HideAndSeek
from keras_has.ops import hiding

tf = pytest.importorskip("tensorflow")
needs_tensorflow_backend = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Keras runs on another backend here"
)


@needs_tensorflow_backend
@pytest.mark.parametrize("patch_size", [5, (0, 4, 7)])
def test_graph_gives_the_eager_result(patch_size):
    images = np.random.default_rng(0).normal(size=(4, 17, 13, 3)).astype("float32")
    eager = HideAndSeek(patch_size, seed=3)
    traced = HideAndSeek(patch_size, seed=3)
    function = tf.function(lambda x: traced(x, training=True))
    for _ in range(3):
        np.testing.assert_array_equal(function(images), eager(images, training=True))


@needs_tensorflow_backend
@pytest.mark.parametrize("patch_sizes", [(5,), (0, 4, 7)])
def test_xla_hides_what_eager_hides_for_the_same_noise(patch_sizes):
    """TensorFlow draws other numbers under XLA; what they hide must not differ."""
    images = np.random.default_rng(0).normal(size=(4, 17, 13, 3)).astype("float32")

    def hide(images, noise):
        return hiding.draw_and_hide(
            images,
            lambda shape: tf.reshape(noise[: shape[0] * shape[1]], shape),
            patch_sizes,
            np.ones(len(patch_sizes), "float32"),
            0.5,
            np.float32(0),
        )

    noise = np.random.default_rng(1).random(200, dtype="float32")
    compiled = tf.function(hide, jit_compile=True)(images, noise)
    np.testing.assert_array_equal(compiled, hide(images, noise))
    assert np.mean(compiled == 0) > 0.1


@pytest.mark.backends
@pytest.mark.parametrize("width", [5, 8, 12, 13])
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("patch_sizes", [(3,), (0, 2, 5)])
def test_bytes_are_replaced_as_numbers_are(width, jit_compile, patch_sizes):
    """uint8 goes by words of 8, 4 or 1 bytes, by the length of a row: the result is the same."""
    images = np.random.default_rng(0).integers(0, 256, (3, 7, width, 3), dtype="uint8")
    noise = np.random.default_rng(1).random(200, dtype="float32")

    @tf.function(jit_compile=jit_compile)
    def hide(images):
        return hiding.draw_and_hide(
            images,
            lambda shape: tf.reshape(noise[: shape[0] * shape[1]], shape),
            patch_sizes,
            np.ones(len(patch_sizes), "float32"),
            0.5,
            np.float32([7, 8, 250]),
            xp=hiding.tensorflow_namespace(),
        )

    hidden = hide(images)
    assert hidden.dtype == tf.uint8
    np.testing.assert_array_equal(hidden, hide(images.astype("float32")))
    assert np.mean(hidden != images) > 0.1


@needs_tensorflow_backend
def test_no_product_is_of_integers_which_tensorflow_has_none_of_on_gpus():
    layer = HideAndSeek((2, 3), fill_value=7, seed=1)
    hide = tf.function(lambda x: layer(x, training=True))
    graph = hide.get_concrete_function(tf.TensorSpec((2, 8, 8, 3), tf.uint8)).graph
    products = [each for each in graph.get_operations() if "MatMul" in each.type]
    assert products and all(each.outputs[0].dtype.is_floating for each in products)


def test_xla_draws_new_masks_at_each_call_and_sees_a_changed_probability():
    layer = HideAndSeek(4, seed=3)
    function = tf.function(lambda x: layer(x, training=True), jit_compile=True)
    images = tf.ones((2, 16, 16, 1))
    assert not np.array_equal(function(images), function(images))
    layer.hide_probability = 1.0
    assert np.sum(function(images)) == 0
    assert function.experimental_get_tracing_count() == 1


@needs_tensorflow_backend
@pytest.mark.parametrize(
    "spec", [(None, None, None, 3), (None, 12, None, 3), (None, None, 3), (2, None, None, None)]
)
def test_unknown_sizes_work_in_a_graph(spec):
    layer = HideAndSeek((0, 4, 5), seed=3)
    function = tf.function(
        lambda x: layer(x, training=True), input_signature=[tf.TensorSpec(spec, tf.float32)]
    )
    same = HideAndSeek((0, 4, 5), seed=3)
    for height, width in ((12, 9), (12, 20)):
        images = np.ones((2, height, width, 3) if len(spec) == 4 else (height, width, 3), "float32")
        np.testing.assert_array_equal(function(images), same(images, training=True))


@pytest.mark.backends
@pytest.mark.parametrize("batched", [True, False])
def test_dataset_map_hides_uint8_whatever_the_backend(batched):
    images = np.full((6, 10, 10, 3), 200, "uint8")
    layer = HideAndSeek((3, 4), hide_probability=0.5, fill_value=(1, 2, 3), seed=1)
    dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(6)))
    dataset = dataset.batch(3) if batched else dataset
    dataset = dataset.map(lambda x, y: (layer(x, training=True), y))
    assert dataset.element_spec[0].dtype == tf.uint8
    assert dataset.element_spec[0].shape[-3:] == (10, 10, 3)
    out = np.concatenate([np.reshape(x, (-1, 10, 10, 3)) for x, _ in dataset])
    pixels = np.unique(out.reshape(-1, 3), axis=0)
    np.testing.assert_array_equal(pixels, [[1, 2, 3], [200, 200, 200]])
    assert 0.2 < np.mean(out[..., 0] == 1) < 0.8
    with pytest.warns(UserWarning, match="training=True"):
        unhidden = tf.data.Dataset.from_tensor_slices(images).map(layer)
    np.testing.assert_array_equal(np.stack(list(unhidden)), images)


@pytest.mark.backends
def test_dataset_map_keeps_the_dtypes_of_a_dict():
    layer = HideAndSeek(2, hide_probability=1.0, dtype="mixed_float16")
    element = {
        "images": np.ones((1, 4, 4, 3), "uint8"),
        "labels": np.array([16777217], "int64"),
        "boxes": np.ones((1, 2, 4), "float64"),
    }
    dataset = tf.data.Dataset.from_tensor_slices(element).map(lambda x: layer(x, training=True))
    (out,) = list(dataset)
    assert out["images"].dtype == tf.uint8
    assert np.sum(out["images"]) == 0
    assert out["labels"].dtype == tf.int64
    assert int(out["labels"]) == 16777217
    assert out["boxes"].dtype == tf.float64


@pytest.mark.backends
def test_adapted_mean_is_used_in_dataset_map():
    layer = HideAndSeek(2, hide_probability=1.0, fill_value="mean")
    images = np.full((2, 4, 4, 3), 7, "uint8")
    with pytest.raises(ValueError, match="adapt"):
        tf.data.Dataset.from_tensor_slices(images).map(lambda x: layer(x, training=True))
    layer.adapt(tf.data.Dataset.from_tensor_slices(images).batch(2))
    dataset = tf.data.Dataset.from_tensor_slices(0 * images).map(lambda x: layer(x, training=True))
    np.testing.assert_array_equal(np.stack(list(dataset)), images)


@needs_tensorflow_backend
def test_export_and_its_default_signature_hide_nothing(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 1)), HideAndSeek(2, hide_probability=1.0)])
    model.export(tmp_path / "export", verbose=False)
    tf.saved_model.save(model, str(tmp_path / "saved"))
    images = np.ones((2, 4, 4, 1), "float32")
    exported = tf.saved_model.load(str(tmp_path / "export"))
    np.testing.assert_array_equal(exported.serve(images), images)
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    (output,) = saved.signatures["serving_default"](tf.constant(images)).values()
    np.testing.assert_array_equal(output, images)


@needs_tensorflow_backend
def test_fit_on_two_replicas_sees_a_changed_probability(two_replicas):
    strategy = two_replicas
    with strategy.scope():
        inputs = keras.Input((4, 4, 1))
        layer = HideAndSeek(2, hide_probability=0.0, seed=1)
        model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(layer(inputs)))
        model.compile(loss="mae", optimizer="sgd")
    images, targets = np.ones((8, 4, 4, 1), "float32"), np.zeros((8, 1), "float32")
    dataset = tf.data.Dataset.from_tensor_slices((images, targets)).batch(4)
    assert model.fit(dataset, shuffle=False, verbose=0).history["loss"] == [1.0]
    layer.hide_probability = 1.0
    assert model.fit(dataset, shuffle=False, verbose=0).history["loss"] == [0.0]
