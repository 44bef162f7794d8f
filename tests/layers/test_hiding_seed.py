"""Masks from one seed per example do not depend on batching, compilation or replicas."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.data import hide_images, hide_video_segments  # noqa: E402
from keras_has.layers import HideAndSeek, TemporalHideAndSeek  # noqa: E402

SEEDS = np.stack([np.full(8, 5), np.arange(8)], axis=1).astype("int32")
PADDING = np.arange(21) < np.array([[21], [9], [14], [21], [3], [17], [20], [21]])


def images():
    return {"images": np.ones((8, 17, 19, 3), "float32"), "hiding_seed": SEEDS}


def sequences():
    return {"features": np.ones((8, 21, 4), "float32"), "mask": PADDING, "hiding_seed": SEEDS}


KINDS = {
    "images": (images, lambda: HideAndSeek((0, 3, 5)), lambda: hide_images((0, 3, 5))),
    "images, relative sizes and several probabilities": (
        images,
        lambda: HideAndSeek((0, 1 / 5, 1 / 3), (0.3, 0.5, 0.9)),
        lambda: hide_images((0, 1 / 5, 1 / 3), (0.3, 0.5, 0.9)),
    ),
    "sequences": (
        sequences,
        lambda: TemporalHideAndSeek(num_segments=5),
        lambda: hide_video_segments(num_segments=5),
    ),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def hidden(layer, inputs):
    outputs = layer(
        {key: tf.convert_to_tensor(value) for key, value in inputs.items()}, training=True
    )
    return next(iter(outputs.values()))


def half(inputs, start):
    return {key: value[start : start + 4] for key, value in inputs.items()}


@pytest.mark.backends
@kinds
def test_a_batch_of_eight_equals_two_of_four_and_eight_single_examples(kind):
    make_inputs, make_layer, _ = KINDS[kind]
    inputs, layer = make_inputs(), make_layer()
    whole = np.asarray(hidden(layer, inputs))
    assert 0 < (whole == 0).mean() < 1
    halves = [np.asarray(hidden(make_layer(), half(inputs, start))) for start in (0, 4)]
    np.testing.assert_array_equal(whole, np.concatenate(halves))
    for row in range(8):
        single = {key: value[row] for key, value in inputs.items()}
        np.testing.assert_array_equal(whole[row], hidden(layer, single))
    np.testing.assert_array_equal(whole, hidden(layer, inputs))  # A second call draws the same.
    other = np.asarray(hidden(layer, {**inputs, "hiding_seed": SEEDS + 100}))
    assert (other != whole).any()


@kinds
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_graph_and_xla_give_the_eager_masks(kind, jit_compile):
    make_inputs, make_layer, _ = KINDS[kind]
    layer = make_layer()
    compiled = tf.function(lambda inputs: hidden(layer, inputs), jit_compile=jit_compile)
    inputs = {key: tf.constant(value) for key, value in make_inputs().items()}
    np.testing.assert_array_equal(compiled(inputs), hidden(make_layer(), make_inputs()))


@kinds
def test_two_replicas_give_the_masks_of_one(kind, two_replicas):
    make_inputs, make_layer, _ = KINDS[kind]
    with two_replicas.scope():
        layer = make_layer()
    dataset = tf.data.Dataset.from_tensor_slices(make_inputs()).batch(8)
    run = tf.function(lambda x: two_replicas.run(lambda y: hidden(layer, y), args=(x,)))
    for batch in two_replicas.experimental_distribute_dataset(dataset):
        parts = two_replicas.experimental_local_results(run(batch))
    np.testing.assert_array_equal(np.concatenate(parts), hidden(make_layer(), make_inputs()))


@kinds
@pytest.mark.parametrize("batch_size", [None, 1, 3, 8])
@pytest.mark.parametrize("is_tuple", [False, True])
def test_the_transform_of_a_pipeline_gives_the_masks_of_the_layer(kind, batch_size, is_tuple):
    make_inputs, make_layer, make_transform = KINDS[kind]
    dataset = tf.data.Dataset.from_tensor_slices(make_inputs())
    if batch_size:
        dataset = dataset.batch(batch_size)
    if is_tuple:
        dataset = (
            dataset.map(lambda inputs: (inputs, 1)).apply(make_transform()).map(lambda x, y: x)
        )
    else:
        dataset = dataset.apply(make_transform())
    if batch_size:
        dataset = dataset.unbatch()
    found = np.stack([next(iter(element.values())) for element in dataset.as_numpy_iterator()])
    np.testing.assert_array_equal(found, hidden(make_layer(), make_inputs()))


@kinds
def test_dataset_map_gives_the_masks_of_the_layer(kind):
    make_inputs, make_layer, _ = KINDS[kind]
    layer = make_layer()
    dataset = tf.data.Dataset.from_tensor_slices(make_inputs()).batch(3)
    dataset = dataset.map(lambda inputs: layer(inputs, training=True))
    found = [next(iter(element.values())) for element in dataset.as_numpy_iterator()]
    np.testing.assert_array_equal(np.concatenate(found), hidden(make_layer(), make_inputs()))


@kinds
def test_a_functional_model_with_seeds_is_saved_and_loaded(kind, tmp_path):
    make_inputs, make_layer, _ = KINDS[kind]
    inputs = make_inputs()
    symbolic = {
        key: keras.Input(value.shape[1:], dtype=str(value.dtype), name=key)
        for key, value in inputs.items()
    }
    main = next(iter(inputs))
    model = keras.Model(symbolic, make_layer()(symbolic)[main])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = hidden(make_layer(), inputs)
    for each in (model, loaded):
        np.testing.assert_array_equal(each(inputs, training=True), expected)
        np.testing.assert_array_equal(each(inputs), inputs[main])


@kinds
def test_without_a_seed_the_layer_draws_its_own(kind):
    make_inputs, make_layer, _ = KINDS[kind]
    inputs = make_inputs()
    del inputs["hiding_seed"]
    layer = make_layer()
    assert (np.asarray(hidden(layer, inputs)) != np.asarray(hidden(layer, inputs))).any()


@kinds
def test_seeds_of_another_shape_are_refused(kind):
    make_inputs, make_layer, _ = KINDS[kind]
    with pytest.raises(ValueError, match="`hiding_seed`"):
        hidden(make_layer(), {**make_inputs(), "hiding_seed": np.zeros((8, 3), "int32")})
