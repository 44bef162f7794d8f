"""The callback that finds the hide probability, on networks whose response to hiding is known."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.callbacks import AdaptiveHiding  # noqa: E402
from keras_has.layers import HideAndSeek, TemporalHideAndSeek  # noqa: E402
from keras_has.metrics import HidingAccuracy  # noqa: E402

COUNT = 2000


class Record(keras.callbacks.Callback):
    """Notes the probability after each batch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.model.layers[0].hide_probability)


def network(layer, shape):
    """Classifies right exactly if anything is visible: with one cell, hidden accuracy is 1 - p."""
    model = keras.Sequential(
        [keras.Input(shape), layer, keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    kernel = np.tile(np.array([[-1.0, 1.0]], "float32"), (int(np.prod(shape)), 1))
    model.layers[-1].set_weights([kernel, np.array([0.5, 0.0], "float32")])
    metric = HidingAccuracy(whole_every=10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=[metric])
    return model, metric


def one_cell(probability=0.0, seed=3):
    return HideAndSeek(4, probability, seed=seed, whole_every=10)


def fit(model, metric, epochs=4, initial_epoch=0, **arguments):
    shape = model.inputs[0].shape[1:]
    record = Record()
    settings = {"target": 0.8, "read_every": 2, "num_whole": 20, **arguments}
    history = model.fit(
        np.ones((COUNT, *shape), "float32"),
        np.ones(COUNT, "int64"),
        batch_size=100,
        epochs=epochs,
        initial_epoch=initial_epoch,
        shuffle=False,
        callbacks=[AdaptiveHiding(metric, **settings), record],
        verbose=0,
    )
    return record.seen, history.history


@pytest.mark.parametrize("start", [0.0, 0.6])
def test_the_probability_converges_to_the_known_root(start):
    """Hidden accuracy is 1 - p and whole accuracy 1, so the ratio is 0.8 at p = 0.2."""
    seen, logs = fit(*network(one_cell(start), (4, 4, 1)), epochs=6)
    assert np.mean(seen[-40:]) == pytest.approx(0.2, abs=0.04)
    assert set(logs["whole_accuracy"]) == {1.0}
    assert logs["hide_probability"][-1] == pytest.approx(seen[-1])
    assert logs["hidden_accuracy"][-1] == pytest.approx(0.8, abs=0.05)


def test_segments_of_sequences_are_controlled_in_the_same_way():
    layer = TemporalHideAndSeek(num_segments=1, hide_probability=0.0, seed=3, whole_every=10)
    seen, _ = fit(*network(layer, (4, 2)), epochs=6)
    assert np.mean(seen[-40:]) == pytest.approx(0.2, abs=0.04)


def test_a_network_that_hiding_does_not_hurt_ends_at_the_bound():
    """At saturated accuracy: half of the cells are never needed."""
    layer = HideAndSeek(2, 0.0, seed=3, whole_every=10)
    model, metric = network(layer, (16, 16, 1))
    seen, _ = fit(model, metric, step=0.1, highest=0.5)
    assert seen[-1] == 0.5
    assert max(seen) == 0.5


def test_a_resumed_run_continues_bit_for_bit(tmp_path):
    undisturbed, _ = fit(*network(one_cell(), (4, 4, 1)), epochs=4)
    model, metric = network(one_cell(), (4, 4, 1))
    first, _ = fit(model, metric, epochs=2)
    model.save_weights(tmp_path / "checkpoint.weights.h5")
    again, metric = network(one_cell(0.5, seed=99), (4, 4, 1))
    again.load_weights(tmp_path / "checkpoint.weights.h5")
    rest, _ = fit(again, metric, epochs=4, initial_epoch=2)
    assert first + rest == undisturbed


def test_two_replicas_add_their_counts_and_agree(two_replicas):
    with two_replicas.scope():
        model, metric = network(one_cell(), (4, 4, 1))
    seen, _ = fit(model, metric, epochs=6)
    values = two_replicas.experimental_local_results(model.layers[0].probability.value)
    assert len({float(value) for value in values}) == 1
    assert np.mean(seen[-40:]) == pytest.approx(0.2, abs=0.05)


def test_arguments_that_do_not_fit_are_named():
    model, metric = network(one_cell(), (4, 4, 1))
    with pytest.raises(ValueError, match="`whole_every`.*7 for the metric, 10"):
        fit(model, HidingAccuracy(7))
    several, metric = network(one_cell((0.1, 0.2)), (4, 4, 1))
    with pytest.raises(ValueError, match=r"`hide_probability`.*\(0.1, 0.2\)"):
        fit(several, metric)
    for name in ("num_whole", "read_every"):
        with pytest.raises(ValueError, match=f"`{name}`"):
            AdaptiveHiding(metric, **{name: 0})
    with pytest.raises(ValueError, match="`step`"):
        AdaptiveHiding(metric, step=0.0)
