"""The hiding layers in other people's models: weights, state, datasets, and inputs of all kinds."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has import data  # noqa: E402
from keras_has.layers import HideAndSeek, TemporalHideAndSeek  # noqa: E402

IMAGES = np.random.default_rng(0).uniform(1, 2, (4, 6, 6, 2)).astype("float32")
FEATURES = np.random.default_rng(0).uniform(1, 2, (4, 6, 2)).astype("float32")
LAYERS = {
    "images": (lambda: HideAndSeek((2, 3), seed=2), IMAGES),
    "images, mean": (lambda: HideAndSeek(2, fill_value="mean", seed=2), IMAGES),
    "sequences": (lambda: TemporalHideAndSeek(num_segments=3, seed=2), FEATURES),
    "sequences, mean": (lambda: TemporalHideAndSeek(2, fill_value="mean", seed=2), FEATURES),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def network(inputs, *hiding):
    layers = [keras.layers.Flatten(), keras.layers.Dense(3, activation="relu")]
    layers = [*layers, keras.layers.Dropout(0.5), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input(inputs.shape[1:]), *hiding, *layers])
    model.compile("sgd", "mse")
    return model


def adapted(name):
    make, inputs = LAYERS[name]
    layer = make()
    if layer.fill_value == "mean":
        layer.adapt(inputs)
    return layer


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@every_layer
def test_the_layer_adds_no_weights_but_all_its_state_to_the_variables(name):
    _, inputs = LAYERS[name]
    layer = adapted(name)
    plain, hiding = network(inputs), network(inputs, layer)
    assert hiding.count_params() == plain.count_params()
    assert [weight.path for weight in layer.weights] == []
    assert len(hiding.non_trainable_weights) == 0
    added = len(hiding.variables) - len(plain.variables)
    assert added == 2 + ("images" in name) + ("mean" in name)  # probability, seed, sizes, mean


@every_layer
@pytest.mark.parametrize("adds_layer", [True, False])
@pytest.mark.parametrize("way", ["weights.h5", "set_weights", "h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_weights_fit_models_with_and_without_the_layer(name, adds_layer, way, tmp_path):
    _, inputs = LAYERS[name]
    source = network(inputs, *([] if adds_layer else [adapted(name)]))
    layer = adapted(name)
    layer.hide_probability = 0.25
    target = network(inputs, *([layer] if adds_layer else []))
    if way == "set_weights":
        target.set_weights(source.get_weights())
    else:
        path = tmp_path / f"source.{way}"
        source.save(path) if way == "h5" else source.save_weights(path)
        target.load_weights(path)
    np.testing.assert_array_equal(numpy(target(inputs)), numpy(source(inputs)))
    assert layer.hide_probability == 0.25
    if "mean" in name and adds_layer:
        expected = inputs.mean(tuple(range(inputs.ndim - 1)), dtype="float64")
        np.testing.assert_allclose(numpy(layer.mean), expected, rtol=1e-6)


@every_layer
def test_weights_files_of_models_with_the_layer_restore_its_state(name, tmp_path):
    make, inputs = LAYERS[name]
    layer, other = adapted(name), make()
    layer.hide_probability = 0.3
    source, target = network(inputs, layer), network(inputs, other)
    source.fit(inputs, np.zeros((4, 2)), verbose=0)
    source.save_weights(tmp_path / "source.weights.h5")
    target.load_weights(tmp_path / "source.weights.h5")
    assert other.hide_probability == 0.3
    hidden = numpy(layer(inputs, training=True))
    assert (hidden != inputs).any()
    np.testing.assert_array_equal(numpy(other(inputs, training=True)), hidden)


@every_layer
@pytest.mark.parametrize("is_in_function", [False, True])
def test_mapping_over_a_dataset_without_training_warns_once(name, is_in_function):
    _, inputs = LAYERS[name]
    layer, dataset = adapted(name), tf.data.Dataset.from_tensor_slices(inputs).batch(2)
    function = (lambda x: (layer(x), 1)) if is_in_function else layer
    with pytest.warns(UserWarning, match=r"layer\(x, training=True\)") as caught:
        dataset.map(function)
        dataset.map(function)
    assert len(caught) == 1


def test_mapping_a_model_or_a_dict_without_training_warns():
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES).batch(2)
    model = network(IMAGES, HideAndSeek(2))
    with pytest.warns(UserWarning, match="training=False"):
        dataset.map(lambda x: model(x))
    layer = HideAndSeek(2)
    with pytest.warns(UserWarning, match="training=False"):
        dataset.map(lambda x: layer({"images": x, "label": 1}))


@every_layer
@pytest.mark.filterwarnings("error")
def test_nothing_else_warns(name, tmp_path):
    _, inputs = LAYERS[name]
    layer, targets = adapted(name), np.zeros((len(inputs), 2))
    model = network(inputs, layer)
    dataset = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(2)
    model.fit(dataset, verbose=0, shuffle=False)
    model.evaluate(dataset, verbose=0)
    model.predict(dataset, verbose=0)
    model(inputs)
    layer(inputs)
    tf.function(model)(tf.constant(inputs))
    tf.function(layer)(tf.constant(inputs))
    model.export(tmp_path / "served", verbose=False)
    for training in (True, False):
        dataset.map(lambda x, y, training=training: (layer(x, training=training), y))
        dataset.map(lambda x, y, training=training: (model(x, training=training), y))


@every_layer
@pytest.mark.parametrize(
    ("convert", "part"),
    [
        (lambda x: (x, x), "type tuple"),
        (lambda x: x.tolist(), "type list"),
        (lambda x: list(x), "type list"),
        (lambda x: tf.RaggedTensor.from_tensor(x), "before batching"),
        (lambda x: tf.sparse.from_dense(x), "to_dense"),
        (lambda x: None, "type NoneType"),
        (lambda x: "photo.jpg", "type str"),
        (lambda x: 3.0, "type float"),
    ],
)
@pytest.mark.parametrize("training", [None, True])
def test_inputs_that_are_no_dense_tensor_are_refused(name, convert, part, training):
    _, inputs = LAYERS[name]
    layer = adapted(name)
    key = "image" if "images" in name else "features"
    for bad in (convert(inputs), {key: convert(inputs)}):
        with pytest.raises(ValueError, match=f"(?s)`inputs` should be .*{part}"):
            layer(bad, training=training)


@every_layer
def test_tensors_of_unknown_rank_are_refused_with_the_remedy(name):
    _, inputs = LAYERS[name]
    layer = adapted(name)
    function = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec(None)])
    with pytest.raises(ValueError, match="ensure_shape"):
        function(inputs)


def test_pipelines_refuse_ragged_batches():
    for hide, tensor in (
        (data.stateless_hide_images, IMAGES),
        (data.stateless_hide_video_segments, FEATURES),
    ):
        with pytest.raises(ValueError, match="before batching"):
            hide(tf.RaggedTensor.from_tensor(tensor), (1, 2))


def test_a_fill_below_one_is_reported_for_bytes():
    images = np.full((1, 4, 4, 3), 9, "uint8")
    for fill_value in (0.5, (0.485, 0.456, 0.406)):
        with pytest.warns(UserWarning, match=r"multiply by 255"):
            hidden = HideAndSeek(2, 1.0, fill_value)(images, training=True)
        assert numpy(hidden).max() <= 1
        with pytest.warns(UserWarning, match=r"multiply by 255"):
            data.stateless_hide_images(images, (1, 2), 2, fill_value=fill_value)
    frames = np.full((1, 4, 4, 4, 3), 9, "uint8")
    with pytest.warns(UserWarning, match=r"multiply by 255"):
        TemporalHideAndSeek(2, fill_value=0.5)(frames)
    for fill_value in (0, 1, 0.0, 1.0, 127.5, (0.5, 100, 0)):  # The last is a dark color.
        HideAndSeek(2, 1.0, fill_value)(images, training=True)
    HideAndSeek(2, 1.0, 0.5)(images.astype("float32"), training=True)


@every_layer
@pytest.mark.parametrize("is_batched", [True, False])
def test_mapping_over_pairs_says_how_to_map(name, is_batched):
    """A dataset of pairs passes the labels as `training`."""
    _, inputs = LAYERS[name]
    dataset = tf.data.Dataset.from_tensor_slices((inputs, np.arange(len(inputs))))
    dataset = dataset.batch(2) if is_batched else dataset
    with pytest.raises(ValueError, match=r"lambda x, y: \(layer\(x, training=True\), y\)"):
        dataset.map(adapted(name))


def test_a_fill_that_is_not_finite_is_refused():
    for bad in (float("nan"), (0.0, float("inf"))):
        with pytest.raises(ValueError, match="`fill_value`"):
            HideAndSeek(2, fill_value=bad)
