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
