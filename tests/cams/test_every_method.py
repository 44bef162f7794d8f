"""What holds for all methods alike."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.cams import CAM, Backprop, Ensemble, GradCAM, MapMethod, TenCrop  # noqa: E402

CROP = 20
METHODS = {
    "CAM": lambda build, **settings: CAM(build(**settings)),
    "Backprop": lambda build, **settings: Backprop(build(**settings)),
    "GradCAM": lambda build, **settings: GradCAM(build(**settings)),
    "TenCrop": lambda build, **settings: TenCrop(CAM(build(size=CROP, **settings)), CROP),
    "Ensemble": lambda build, **settings: Ensemble(
        [CAM(build(seed=1, **settings)), Backprop(build(seed=2, **settings))],
        [CAM(build(seed=3, **settings))],
    ),
}


@pytest.fixture(params=METHODS)
def make(request, build):
    return lambda **settings: METHODS[request.param](build, **settings)


def arrays(results):
    return [np.asarray(result) for result in results]


def test_maps_and_probabilities_are_float32_and_of_the_class_asked_for(make, images):
    method = make()
    assert isinstance(method, MapMethod)
    maps, probabilities = method(images)
    assert maps.dtype == probabilities.dtype == tf.float32
    assert maps.shape[0] == 5
    assert len(maps.shape) == 3
    assert probabilities.shape == (5, 4)
    np.testing.assert_allclose(tf.reduce_sum(probabilities, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(method.probabilities(images), probabilities, atol=1e-6)
    predicted = np.asarray(probabilities).argmax(axis=1)
    np.testing.assert_allclose(method(images, predicted)[0], maps, atol=1e-5)
    other = method(images, (predicted + 1) % 4)
    assert np.abs(np.asarray(other[0]) - np.asarray(maps)).max() > 1e-4
    np.testing.assert_allclose(other[1], probabilities, atol=1e-6)


def test_each_image_is_looked_at_by_itself_and_nothing_is_hidden(make, images):
    labels = np.array([0, 1, 2, 3, 0])
    together = arrays(make(hiding=True)(images, labels))
    plain = arrays(make(hiding=False)(images, labels))
    for several, one in zip(together, plain, strict=True):
        np.testing.assert_allclose(several, one, atol=1e-5)
    alone = arrays(make()(images[2:3], labels[2:3]))
    for several, one in zip(together, alone, strict=True):
        np.testing.assert_allclose(several[2:3], one, atol=1e-5)


def test_a_graph_gives_what_it_gives_eagerly_for_pixels_of_any_type(make, images):
    method = make()
    pixels = images.astype("uint8")
    labels = np.array([3, 2, 1, 0, 1])
    eagerly = arrays(method(pixels, labels))
    function = tf.function(method, reduce_retracing=True)
    traced = arrays(function(tf.constant(pixels), tf.constant(labels, tf.int64)))
    as_floats = arrays(method(pixels.astype("float32"), labels))
    for first, second, third in zip(eagerly, traced, as_floats, strict=True):
        np.testing.assert_allclose(second, first, atol=1e-5)
        np.testing.assert_allclose(third, first, atol=1e-5)


def test_a_call_makes_no_variables(make, images):
    def refuse(next_creator, **arguments):
        raise AssertionError(f"a variable is made: {arguments.get('name')}")

    method = make()
    with tf.variable_creator_scope(refuse):
        method(images)
        tf.function(method)(images, [0, 1, 2, 3, 0])


def test_two_replicas_give_what_one_gives(make, images, two_replicas):
    with two_replicas.scope():
        method = make()
    labels = np.array([0, 1, 2, 3])
    whole = arrays(make()(images[:4], labels))

    def shares(values):
        values = tf.constant(values)
        return two_replicas.experimental_distribute_values_from_function(
            lambda context: values[2 * context.replica_id_in_sync_group :][:2]
        )

    @tf.function
    def run(images, labels):
        return two_replicas.run(method, args=(images, labels))

    results = run(shares(images[:4]), shares(labels))
    for result, expected in zip(results, whole, strict=True):
        parts = two_replicas.experimental_local_results(result)
        np.testing.assert_allclose(tf.concat(parts, axis=0), expected, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_maps_stay_float32_and_close_under_mixed_precision(make, images, policy):
    full = arrays(make()(images, [0, 1, 2, 3, 0]))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        method = make()
    finally:
        keras.config.set_dtype_policy(before)
    mixed = method(images, [0, 1, 2, 3, 0])
    for result, expected in zip(mixed, full, strict=True):
        assert result.dtype == tf.float32
        error = np.abs(np.asarray(result) - expected).max()
        assert error < (0.05 if policy == "mixed_float16" else 0.15) * np.abs(expected).max()


@pytest.mark.parametrize("kind", [CAM, GradCAM, Backprop])
def test_a_model_saved_and_loaded_gives_the_same_maps(kind, network, images, tmp_path):
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    for before, after in zip(kind(network)(images), kind(loaded)(images), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)


@pytest.mark.parametrize("kind", [CAM, GradCAM, Backprop])
@pytest.mark.parametrize(
    "ending", ["logits", "softmax layer", "activation layer", "logits as float32"]
)
def test_it_does_not_matter_how_a_model_ends(kind, ending, build, images):
    expected = kind(build(ending="softmax"))(images)
    for before, after in zip(expected, kind(build(ending=ending))(images), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)


@pytest.mark.parametrize("kind", [CAM, GradCAM, Backprop])
def test_a_model_that_ends_in_something_else_is_refused(kind, build):
    model = build()
    several = keras.Model(model.input, [model.output, model.get_layer("pooling").output])
    with pytest.raises(ValueError, match=r"`model` should be .* one output"):
        kind(several)
    sigmoid = build(ending="logits")
    sigmoid.get_layer("predictions").activation = keras.activations.sigmoid
    with pytest.raises(ValueError, match=r"should end in a Dense layer .*sigmoid"):
        kind(sigmoid)
    nested = keras.Sequential([keras.Input(model.input_shape[1:]), model])
    with pytest.raises(ValueError, match=r"cam_features|a model inside the model"):
        kind(nested)


def test_another_backend_is_refused(monkeypatch, network):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match=r"`CAM` runs on Keras' TensorFlow backend.*backend=jax"):
        CAM(network)


@pytest.mark.parametrize("class_index", [[-1, 0, 0, 0, 0], [0, 0, 0, 0, 4]])
@pytest.mark.parametrize("in_graph", [False, True])
def test_a_class_that_does_not_exist_is_refused(make, images, class_index, in_graph):
    method = make()
    call = tf.function(lambda x, c: method(x, c)) if in_graph else method
    with pytest.raises(tf.errors.InvalidArgumentError, match="class_index"):
        call(tf.constant(images), tf.constant(class_index))


def test_a_single_score_is_refused_because_its_softmax_is_always_one():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, name="cam_features")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    model = keras.Model(inputs, keras.layers.Dense(1, name="predictions")(x))
    for method in (CAM, GradCAM, Backprop):
        with pytest.raises(ValueError, match="with one output"):
            method(model)
