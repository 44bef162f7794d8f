"""`adapt` of both hiding layers on the same kinds of data."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.layers import HideAndSeek, TemporalHideAndSeek  # noqa: E402


@pytest.mark.parametrize(
    ("layer", "shape"), [(HideAndSeek, (2, 2, 3)), (TemporalHideAndSeek, (4, 3))]
)
def test_an_endless_dataset_is_refused_and_a_part_of_it_taken(layer, shape):
    dataset = tf.data.Dataset.from_tensors(np.full(shape, 2.0, "float32")).repeat()
    adapted = layer(2, fill_value="mean")
    with pytest.raises(ValueError, match=r"`data`.*take"):
        adapted.adapt(dataset)
    with pytest.raises(ValueError, match=r"`data`.*take"):
        adapted.adapt(dataset.batch(2).map(lambda x: (x, 0)))
    adapted.adapt(dataset.take(3))
    np.testing.assert_array_equal(np.asarray(adapted.mean), [2.0, 2.0, 2.0])
