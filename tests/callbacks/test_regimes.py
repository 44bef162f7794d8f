"""Learning rate and weight decay in steps."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.callbacks import Regimes  # noqa: E402
from keras_has.optimizers import CoupledSGD  # noqa: E402


def test_regimes_set_rate_and_decay_and_restart_the_momentum():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = CoupledSGD(1.0, decay_rate=1.0, momentum=0.9)
    model.compile(optimizer, "mse")
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            momentum = sum(float(np.abs(np.asarray(m)).sum()) for m in optimizer.momentums)
            rate = float(optimizer.learning_rate)
            seen.append((round(rate, 6), round(float(optimizer.decay_rate), 6), momentum > 0))

    regimes = Regimes([(0, 0.1, 0.01), (2, 0.05, 0.0)])
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    model.fit(x, y, epochs=4, verbose=0, callbacks=[regimes, Look()])
    assert seen == [
        (0.1, 0.01, False),
        (0.1, 0.01, True),
        (0.05, 0.0, False),
        (0.05, 0.0, True),
    ]
