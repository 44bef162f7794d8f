"""Coupled weight decay."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.optimizers import CoupledSGD  # noqa: E402


def test_weight_decay_goes_through_the_momentum_as_in_torch():
    """Three steps by hand: v = m v + g + decay w; w = w - rate v."""
    variable = keras.Variable(np.array([2.0, -1.0], "float32"))
    optimizer = CoupledSGD(0.1, decay_rate=0.5, momentum=0.9)
    optimizer.build([variable])
    weights, velocity = np.array([2.0, -1.0]), np.zeros(2)
    for gradient in ([1.0, 0.0], [0.5, 0.5], [0.0, -1.0]):
        optimizer.apply([keras.ops.convert_to_tensor(np.float32(gradient))], [variable])
        velocity = 0.9 * velocity + np.array(gradient) + 0.5 * weights
        weights = weights - 0.1 * velocity
        np.testing.assert_allclose(np.asarray(variable.value), weights, rtol=1e-6)


def test_the_optimizer_comes_back_from_its_config_under_the_name_of_version_0_1():
    optimizer = CoupledSGD(0.1, decay_rate=0.5, momentum=0.9)
    config = keras.optimizers.serialize(optimizer)
    assert config["registered_name"] == "keras_has_trainers>CoupledSGD"
    again = keras.optimizers.deserialize(config)
    assert isinstance(again, CoupledSGD)
    assert again.initial_decay_rate == 0.5
    assert again.momentum == 0.9


def test_some_layers_learn_at_a_rate_of_their_own():
    """Two steps by hand: the factor changes the rate, not the decay or the momentum."""
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, name="old"), keras.layers.Dense(1, name="new")]
    )
    optimizer = CoupledSGD(0.1, decay_rate=0.5, layer_rates={"new": 10.0})
    variables = model.trainable_variables
    expected = [np.asarray(variable.value).copy() for variable in variables]
    for _ in range(2):
        optimizer.apply([keras.ops.ones(variable.shape) for variable in variables], variables)
        for variable, weights in zip(variables, expected, strict=True):
            rate = 1.0 if "/new/" in variable.path else 0.1
            weights -= rate * (1 + 0.5 * weights)
            np.testing.assert_allclose(np.asarray(variable.value), weights, rtol=1e-6)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.layer_rates == {"new": 10.0}


def test_a_rate_for_a_layer_that_does_not_exist_is_refused():
    variable = keras.Variable(np.zeros(1, "float32"), name="kernel")
    with pytest.raises(ValueError, match=r"`layer_rates`.*'newer'"):
        CoupledSGD(0.1, layer_rates={"newer": 10.0}).build([variable])
