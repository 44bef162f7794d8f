"""What holds for every layer: configuration, files, export, training, precision, XLA, replicas."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has import layers  # noqa: E402
from keras_has.models.pixel_scaling import PixelScaling  # noqa: E402

IMAGES = np.random.default_rng(0).uniform(1, 2, (8, 12, 12, 3)).astype("float32")
FEATURES = np.random.default_rng(0).uniform(1, 2, (8, 12, 4)).astype("float32")

# A function that makes the layer, and an input.
LAYERS = {
    "HideAndSeek": (lambda: layers.HideAndSeek(3, 0.3, 0.5, seed=2), IMAGES),
    "HideAndSeek, mixed sizes": (lambda: layers.HideAndSeek((0, 3, 5), seed=2), IMAGES),
    "HideAndSeek, relative sizes and several probabilities": (
        lambda: layers.HideAndSeek((0, 1 / 4, 1 / 3), (0.2, 0.6), seed=2),
        IMAGES,
    ),
    "HideAndSeek, mean": (lambda: adapted(layers.HideAndSeek(3, fill_value="mean")), IMAGES),
    "TemporalHideAndSeek": (lambda: layers.TemporalHideAndSeek(num_segments=4, seed=2), FEATURES),
    "TemporalHideAndSeek, mean": (
        lambda: adapted(layers.TemporalHideAndSeek(3, fill_value="mean")),
        FEATURES,
    ),
    "TemporalPooling": (lambda: layers.TemporalPooling("max"), FEATURES),
    "TemporalPooling, avg": (lambda: layers.TemporalPooling("avg"), FEATURES),
    "InputDropout": (lambda: layers.InputDropout(0.25, seed=2), IMAGES),
    "PadToMultiple": (lambda: layers.PadToMultiple(5), IMAGES),
    "Greyscale": (layers.Greyscale, IMAGES),
    "LocalContrastNormalization": (lambda: layers.LocalContrastNormalization(3), IMAGES),
    "LocalResponseNormalization": (lambda: layers.LocalResponseNormalization(3, 0.5), IMAGES),
    "PixelScaling": (lambda: PixelScaling((1.0, 2.0, 3.0), (2.0, 2.0, 4.0), False), IMAGES),
}
HIDING = [name for name in LAYERS if "Hide" in name]
RANDOM = [*HIDING, "InputDropout"]
every_layer = pytest.mark.parametrize("name", LAYERS)
random_layer = pytest.mark.parametrize("name", RANDOM)


def adapted(layer):
    layer.adapt(IMAGES if isinstance(layer, layers.HideAndSeek) else FEATURES)
    return layer


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def network(layer, inputs):
    """The layer, and a dense layer that learns from what it lets through."""
    return keras.Sequential(
        [
            keras.Input(inputs.shape[1:]),
            layer,
            keras.layers.Flatten(),
            keras.layers.Dense(1, dtype="float32"),
        ]
    )


@every_layer
def test_from_config_returns_an_equal_layer(name):
    make, inputs = LAYERS[name]
    layer = make()
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    arguments = set(config) - {"name", "dtype", "trainable"}
    assert arguments
    for argument in arguments:
        assert getattr(again, argument) == getattr(layer, argument)
    if "mean" not in name:
        np.testing.assert_array_equal(array(again(inputs)), array(layer(inputs)))


@every_layer
def test_a_keras_file_restores_outputs_and_the_random_sequence(name, tmp_path):
    make, inputs = LAYERS[name]
    model = network(make(), inputs)
    model(inputs, training=True)  # The random sequence continues after the file.
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(loaded(inputs)), array(model(inputs)))
    if name != "InputDropout":  # Keras' Dropout does not save its generator.
        np.testing.assert_array_equal(
            array(loaded.layers[0](inputs, training=True)),
            array(model.layers[0](inputs, training=True)),
        )


@every_layer
def test_a_savedmodel_serves_inference(name, tmp_path):
    make, inputs = LAYERS[name]
    model = network(make(), inputs)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    outputs = served.serve(tf.constant(inputs))
    np.testing.assert_allclose(outputs, array(model(inputs)), rtol=1e-5, atol=1e-5)


@every_layer
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_model_is_trained_with_and_without_xla(name, jit_compile):
    make, inputs = LAYERS[name]
    model = network(make(), inputs)
    model.compile("sgd", "mse", jit_compile=jit_compile)
    before = [array(weight) for weight in model.trainable_weights]
    history = model.fit(inputs, np.ones((8, 1)), epochs=2, batch_size=4, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert any(
        (array(weight) != old).any()
        for weight, old in zip(model.trainable_weights, before, strict=True)
    )


@random_layer
@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_each_training_call_draws_anew_and_inference_changes_nothing(name, jit_compile):
    make, inputs = LAYERS[name]
    layer = make()
    layer(inputs)
    call = layer
    if jit_compile is not None:
        call = tf.function(lambda x, training: layer(x, training=training), jit_compile=jit_compile)
    x = tf.constant(inputs)
    first, second = array(call(x, training=True)), array(call(x, training=True))
    assert (first != second).any()
    assert (first != inputs).any()
    np.testing.assert_array_equal(array(call(x, training=False)), inputs)


@every_layer
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_mixed_precision_model_is_trained_and_hiding_keeps_the_dtype(name, policy):
    make, inputs = LAYERS[name]
    keras.config.set_dtype_policy(policy)
    try:
        layer = make()
        model = network(layer, inputs)
        model.compile("sgd", "mse")
        loss = model.fit(inputs, np.ones((8, 1)), verbose=0).history["loss"]
        outputs = layer(inputs, training=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(loss).all()
    if name in HIDING:
        assert keras.backend.standardize_dtype(outputs.dtype) == "float32"


@every_layer
def test_two_replicas_train_and_agree_on_inference(name, two_replicas):
    make, inputs = LAYERS[name]
    with two_replicas.scope():
        model = network(make(), inputs)
        model.compile("sgd", "mse")
    model.fit(inputs, np.ones((8, 1)), batch_size=4, verbose=0)
    np.testing.assert_allclose(
        model.predict(inputs, batch_size=4, verbose=0), array(model(inputs)), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", HIDING)
def test_each_replica_draws_independent_masks(name, two_replicas):
    make, inputs = LAYERS[name]
    with two_replicas.scope():
        layer = make()
        layer(inputs)
    run = tf.function(
        lambda: two_replicas.run(lambda: layer(tf.constant(inputs), training=True)),
    )
    first, second = two_replicas.experimental_local_results(run())
    assert (array(first) != array(second)).any()


@every_layer
def test_dataset_map_gives_what_a_call_gives(name):
    make, inputs = LAYERS[name]
    layer = make()
    expected = array(layer(inputs))
    dataset = tf.data.Dataset.from_tensor_slices(inputs).batch(4)
    dataset = dataset.map(lambda x: layer(x, training=False))
    found = np.concatenate(list(dataset.as_numpy_iterator()))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    if name in RANDOM:
        hidden = tf.data.Dataset.from_tensor_slices(inputs).batch(4)
        hidden = hidden.map(lambda x: layer(x, training=True))
        assert (np.concatenate(list(hidden.as_numpy_iterator())) != inputs).any()


def test_the_table_has_every_public_layer():
    public = {
        name
        for name in dir(layers)
        if isinstance(getattr(layers, name), type)
        and issubclass(getattr(layers, name), keras.layers.Layer)
    }
    with_two_inputs = {"BilinearUpsampling"}  # in a file of its own
    assert public <= {name.split(",")[0] for name in LAYERS} | with_two_inputs
