"""The schedule of the hide probability."""

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest

from keras_has.callbacks import HidingSchedule
from keras_has.layers import HideAndSeek, TemporalHideAndSeek

IMAGES = np.ones((8, 4, 4, 1), "float32")


class Record(keras.callbacks.Callback):
    """Notes the probability of each batch."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.seen = layer, []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(self.layer.hide_probability)


def network(*layers):
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), *layers, keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    return model


def train(schedule, epochs, initial_epoch=0, layer=None):
    layer = HideAndSeek(2, seed=1) if layer is None else layer
    record = Record(layer)
    history = network(layer).fit(
        IMAGES,
        np.zeros(8),
        batch_size=2,
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=[schedule, record],
        verbose=0,
    )
    return record.seen, history.history


def test_the_probability_rises_with_every_batch_holds_and_ends_in_a_tail():
    seen, logs = train(HidingSchedule(0.8, 0.2, ramp_epochs=1.5, tail_epochs=1), epochs=4)
    ramp = [0.2 + 0.6 * step / 6 for step in range(6)]
    np.testing.assert_allclose(seen, [*ramp, *[0.8] * 6, *[0.0] * 4], atol=1e-6)
    np.testing.assert_allclose(logs["hide_probability"], [0.5, 0.8, 0.8, 0.0], atol=1e-6)


def test_a_resumed_run_continues_the_schedule():
    whole, _ = train(HidingSchedule(0.9, ramp_epochs=3), epochs=4)
    rest, _ = train(HidingSchedule(0.9, ramp_epochs=3), epochs=4, initial_epoch=2)
    assert rest == whole[8:]


def test_without_a_ramp_the_probability_is_final_at_once():
    seen, _ = train(HidingSchedule(0.7, ramp_epochs=0), epochs=1)
    np.testing.assert_allclose(seen, [0.7] * 4)


def test_all_layers_of_nested_models_change_or_only_the_chosen_ones():
    first, second, third = HideAndSeek(2), HideAndSeek(2), HideAndSeek(2)
    inner = keras.Sequential([keras.Input((4, 4, 1)), second])
    model = network(first, inner, third)
    arguments = {"x": IMAGES, "y": np.zeros(8), "verbose": 0}
    model.fit(callbacks=[HidingSchedule(0.3, ramp_epochs=0)], **arguments)
    assert [layer.hide_probability for layer in (first, second, third)] == [0.3] * 3
    model.fit(callbacks=[HidingSchedule(0.6, ramp_epochs=0, layers=[second])], **arguments)
    assert [layer.hide_probability for layer in (first, second, third)] == [0.3, 0.6, 0.3]


def test_several_probabilities_are_all_replaced_and_logged_as_one_number():
    layer = HideAndSeek(2, hide_probability=(0.1, 0.2, 0.3))
    _, logs = train(HidingSchedule(0.7, ramp_epochs=0), epochs=1, layer=layer)
    assert layer.hide_probability == (0.7, 0.7, 0.7)
    assert logs["hide_probability"] == [pytest.approx(0.7)]


def test_temporal_layers_follow_the_schedule():
    layer = TemporalHideAndSeek(num_segments=2)
    model = keras.Sequential(
        [keras.Input((4, 2)), layer, keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    schedule = HidingSchedule(0.4, ramp_epochs=0)
    model.fit(np.ones((4, 4, 2)), np.zeros(4), callbacks=[schedule], verbose=0)
    assert layer.hide_probability == 0.4


@hypothesis.given(
    final=st.floats(0, 1),
    initial=st.floats(0, 1),
    ramp=st.one_of(st.none(), st.floats(0, 100)),
    tail=st.floats(0, 5),
    position=st.floats(0, 30),
)
def test_the_probability_stays_between_its_ends_or_is_0_in_the_tail(
    final, initial, ramp, tail, position
):
    value = HidingSchedule(final, initial, ramp, tail).probability(position, epochs=30)
    if position >= 30 - tail:
        assert value == 0
    else:
        assert min(initial, final) - 1e-12 <= value <= max(initial, final) + 1e-12
        if ramp is not None and position >= ramp:
            assert value == pytest.approx(final)


@pytest.mark.parametrize(
    "arguments",
    [{"final": 1.5}, {"initial": -0.1}, {"ramp_epochs": -1}, {"tail_epochs": float("nan")}],
)
def test_invalid_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=f"`({next(iter(arguments))}|hide_probability)`"):
        HidingSchedule(**arguments)


def test_a_tail_as_long_as_the_training_and_a_model_that_hides_nothing_are_refused():
    with pytest.raises(ValueError, match="`tail_epochs`.*epochs=2"):
        train(HidingSchedule(tail_epochs=2), epochs=2)
    with pytest.raises(ValueError, match="`layers`.*none"):
        network().fit(IMAGES, np.zeros(8), callbacks=[HidingSchedule()], verbose=0)
