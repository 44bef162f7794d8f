"""Bilinear upsampling of a map to the positions of another one."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.layers import BilinearUpsampling  # noqa: E402

MAPS = np.random.default_rng(0).uniform(0, 1, (4, 3, 5, 2)).astype("float32")
REFERENCE = np.zeros((4, 12, 20, 1), "float32")


def by_hand(maps, height, width, stride, offset):
    """Interpolates each position by itself."""
    result = np.zeros((len(maps), height, width, maps.shape[3]))
    for y in range(height):
        for x in range(width):
            row, column = ((place - offset) / stride for place in (y, x))
            row, column = np.clip(row, 0, maps.shape[1] - 1), np.clip(column, 0, maps.shape[2] - 1)
            top, left = int(row), int(column)
            bottom, right = min(top + 1, maps.shape[1] - 1), min(left + 1, maps.shape[2] - 1)
            down, across = row - top, column - left
            result[:, y, x] = (1 - down) * (
                (1 - across) * maps[:, top, left] + across * maps[:, top, right]
            ) + down * ((1 - across) * maps[:, bottom, left] + across * maps[:, bottom, right])
    return result


def network():
    maps, reference = keras.Input(MAPS.shape[1:]), keras.Input(REFERENCE.shape[1:])
    upsampled = BilinearUpsampling(4)([keras.layers.Conv2D(2, 1)(maps), reference])
    return keras.Model([maps, reference], upsampled)


@pytest.mark.backends
@pytest.mark.parametrize(("stride", "offset"), [(4, None), (4, 0.0), (3.5, 2.0)])
def test_values_are_those_of_an_interpolation_by_hand(stride, offset):
    found = BilinearUpsampling(stride, offset)([MAPS, REFERENCE])
    wanted = by_hand(MAPS, 12, 20, stride, (stride - 1) / 2 if offset is None else offset)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), wanted, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graphs_of_unknown_size_and_dataset_map_give_the_eager_result(jit_compile):
    layer = BilinearUpsampling(4)
    wanted = np.asarray(layer([MAPS, REFERENCE]))
    specs = [tf.TensorSpec([None] * 4), tf.TensorSpec([None] * 4)]
    function = tf.function(lambda a, b: layer([a, b]), specs, jit_compile=jit_compile)
    np.testing.assert_allclose(function(MAPS, REFERENCE), wanted, rtol=1e-5)
    dataset = tf.data.Dataset.from_tensors((MAPS, REFERENCE)).map(lambda a, b: layer([a, b]))
    np.testing.assert_allclose(next(iter(dataset)), wanted, rtol=1e-5)


def test_a_file_and_a_savedmodel_give_the_same_and_half_precision_is_close(tmp_path):
    model = network()
    wanted = np.asarray(model([MAPS, REFERENCE]))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded([MAPS, REFERENCE]), wanted)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve([MAPS, REFERENCE]), wanted, rtol=1e-5)
    half = BilinearUpsampling(4, dtype="mixed_float16")([MAPS, REFERENCE])
    assert half.dtype == "float16"
    exact = BilinearUpsampling(4)([MAPS, REFERENCE])
    np.testing.assert_allclose(np.asarray(half, "float32"), exact, atol=2e-3)


def test_two_replicas_train_and_agree(two_replicas):
    with two_replicas.scope():
        model = network()
        model.compile("sgd", "mse")
    model.fit([MAPS, REFERENCE], np.zeros((4, 12, 20, 2)), batch_size=4, verbose=0)
    together = model.predict([MAPS, REFERENCE], batch_size=4, verbose=0)
    np.testing.assert_allclose(together, model([MAPS, REFERENCE]), rtol=1e-5)


def test_a_stride_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="`stride`"):
        BilinearUpsampling(0)
