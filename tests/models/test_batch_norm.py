"""Statistics of batch normalization taken on whole images."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.layers import HideAndSeek  # noqa: E402
from keras_has.models import refresh_batch_norm  # noqa: E402


def network():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            HideAndSeek((4,), 1.0),  # hides everything while training
            keras.layers.BatchNormalization(name="norm"),
        ]
    )


def batches():
    images = np.random.default_rng(0).normal(3, 2, (3, 10, 8, 8, 3)).astype("float32")
    return images, tf.data.Dataset.from_tensor_slices((images, np.zeros((3, 10))))


def test_statistics_are_the_means_over_batches_of_which_nothing_is_hidden():
    model = network()
    images, dataset = batches()
    refresh_batch_norm(model, dataset)
    norm = model.get_layer("norm")
    means = images.mean(axis=(1, 2, 3), dtype="float64")
    variances = images.astype("float64").var(axis=(1, 2, 3))
    np.testing.assert_allclose(np.asarray(norm.moving_mean.value), means.mean(0), rtol=1e-4)
    np.testing.assert_allclose(np.asarray(norm.moving_variance.value), variances.mean(0), rtol=1e-4)
    # What was set for the while is as it was.
    assert norm.momentum == 0.99
    assert float(model.layers[0].hide_probability) == 1.0


def test_dropout_and_no_data_are_refused():
    _, dataset = batches()
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Dropout(0.5, name="drops")])
    with pytest.raises(ValueError, match=r"dropout.*drops"):
        refresh_batch_norm(model, dataset)
    with pytest.raises(ValueError, match="at least one batch"):
        refresh_batch_norm(network(), dataset.take(0))
