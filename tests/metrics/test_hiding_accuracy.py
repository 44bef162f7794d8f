"""Accuracy on hidden and on whole training images."""

import keras
import numpy as np
import pytest

from keras_has.metrics import HidingAccuracy

SCORES = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2, 0]]
LABELS = np.array([0, 1, 1, 1, 1, 0, 0])  # right: 0, 1, 4, 6
# With whole_every=3 the whole examples are 0, 3 and 6.
EXPECTED = {"hidden_accuracy": 2 / 4, "whole_accuracy": 2 / 3}


def results(metric):
    return {name: float(value) for name, value in metric.result().items()}


@pytest.mark.backends
@pytest.mark.parametrize("kind", ["indices", "column", "one-hot"])
def test_both_groups_are_counted_by_their_place_in_the_batch(kind):
    labels = {
        "indices": LABELS,
        "column": LABELS[:, None],
        "one-hot": np.eye(3, dtype="float32")[LABELS],
    }[kind]
    metric = HidingAccuracy(whole_every=3)
    metric.update_state(labels, SCORES)
    assert results(metric) == pytest.approx(EXPECTED)
    metric.update_state(labels, SCORES)  # Places are counted in each batch.
    assert results(metric) == pytest.approx(EXPECTED)
    metric.reset_state()
    assert all(np.isnan(value) for value in results(metric).values())


@pytest.mark.backends
def test_an_example_with_several_classes_is_right_if_the_highest_score_is_one_of_them():
    metric = HidingAccuracy(whole_every=2)
    labels = np.array([[1, 1, 0], [1, 0, 1], [0, 0, 1]], "float32")
    metric.update_state(labels, SCORES[:3])
    assert results(metric) == {"hidden_accuracy": 0.0, "whole_accuracy": 1.0}


@pytest.mark.backends
def test_padding_does_not_count():
    metric = HidingAccuracy(whole_every=3)
    metric.update_state(LABELS, SCORES, sample_weight=np.array([1, 1, 0, 0, 1, 1, 1]))
    assert results(metric) == pytest.approx({"hidden_accuracy": 2 / 3, "whole_accuracy": 1.0})


@pytest.mark.backends
def test_the_configuration_round_trips_and_bad_values_are_refused():
    metric = keras.metrics.deserialize(keras.metrics.serialize(HidingAccuracy(4, name="mine")))
    assert (metric.whole_every, metric.name) == (4, "mine")
    for bad in (0, 1, 2.5):
        with pytest.raises(ValueError, match="`whole_every`"):
            HidingAccuracy(bad)
