"""Layers that leave every n-th example of a batch whole."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.layers import HideAndSeek, TemporalHideAndSeek  # noqa: E402

IMAGES = np.ones((7, 6, 6, 2), "float32")
FEATURES = np.ones((7, 6, 2), "float32")
LAYERS = {
    "one size": (lambda n: HideAndSeek(2, 1.0, seed=1, whole_every=n), IMAGES),
    "sizes": (lambda n: HideAndSeek((2, 3), 1.0, seed=1, whole_every=n), IMAGES),
    "sequences": (lambda n: TemporalHideAndSeek(2, None, 1.0, seed=1, whole_every=n), FEATURES),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def is_whole(outputs):
    return (keras.ops.convert_to_numpy(outputs).reshape(len(outputs), -1) == 1).all(1).tolist()


@pytest.mark.backends
@every_layer
@pytest.mark.parametrize("has_seeds", [False, True])
def test_every_third_example_is_whole_and_all_others_are_hidden(name, has_seeds):
    make, inputs = LAYERS[name]
    seeds = np.arange(14).reshape(7, 2) if has_seeds else None
    hidden = make(3)(inputs, training=True, hiding_seed=seeds)
    assert is_whole(hidden) == [True, False, False, True, False, False, True]
    assert not any(is_whole(make(0)(inputs, training=True, hiding_seed=seeds)))
    assert all(is_whole(make(3)(inputs)))


@every_layer
@pytest.mark.parametrize("jit_compile", [False, True])
def test_graphs_xla_and_dataset_map_leave_the_same_examples_whole(name, jit_compile):
    make, inputs = LAYERS[name]
    layer = make(2)
    function = tf.function(lambda x: layer(x, training=True), jit_compile=jit_compile)
    assert is_whole(function(tf.constant(inputs))) == [True, False] * 3 + [True]
    dataset = tf.data.Dataset.from_tensor_slices(inputs).batch(4, drop_remainder=True)
    (mapped,) = dataset.map(lambda x: layer(x, training=True))
    assert is_whole(mapped) == [True, False] * 2


@pytest.mark.backends
@every_layer
def test_what_is_hidden_in_the_others_does_not_change_and_a_single_example_is_no_batch(name):
    make, inputs = LAYERS[name]
    some, none = make(3), make(0)
    for layer in (some, none):
        layer.hide_probability = 0.5
    kept, all_hidden = (
        keras.ops.convert_to_numpy(layer(inputs, training=True)) for layer in (some, none)
    )
    others = [1, 2, 4, 5]
    np.testing.assert_array_equal(kept[others], all_hidden[others])
    some.hide_probability = 1.0
    assert not keras.ops.convert_to_numpy(some(inputs[0], training=True)).any()


@pytest.mark.backends
def test_the_configuration_round_trips_and_bad_values_are_refused():
    for make, _ in LAYERS.values():
        layer = make(5)
        assert type(layer).from_config(layer.get_config()).whole_every == 5
    for bad in (1, -2, 2.5):
        with pytest.raises(ValueError, match="`whole_every`"):
            HideAndSeek(2, whole_every=bad)
