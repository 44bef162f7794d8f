"""A schedule of learning rate and weight decay in steps of whole epochs."""

from collections.abc import Sequence
from typing import Any

import keras


class Regimes(keras.callbacks.Callback):
    """Sets learning rate and weight decay by the epoch, and resets the momentum at each change.

    This is how the authors of Hide-and-Seek train on ImageNet, with Torch. A resumed run finds its
    regime from the number of the epoch alone.

    Args:
        regimes: Tuples of (first epoch from 0, learning rate, weight decay), in increasing order;
            the first one starts at epoch 0. The model needs the optimizer
            `keras_has.optimizers.CoupledSGD`.

    Example:

    >>> import keras, numpy as np
    >>> from keras_has.optimizers import CoupledSGD
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(CoupledSGD(momentum=0.9), "mse")
    >>> regimes = Regimes([(0, 0.1, 5e-4), (2, 0.01, 0.0)])
    >>> history = model.fit(
    ...     np.ones((4, 2)), np.ones((4, 1)), epochs=3, callbacks=[regimes], verbose=0
    ... )
    >>> round(float(model.optimizer.learning_rate.numpy()), 4)
    0.01
    """

    def __init__(self, regimes: Sequence[tuple[int, float, float]]) -> None:
        super().__init__()
        self.regimes = tuple(regimes)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Enters the regime of the epoch."""
        first, rate, decay = [regime for regime in self.regimes if regime[0] <= epoch][-1]
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # under loss scaling
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        optimizer.learning_rate = rate
        optimizer.decay_rate.assign(decay)
        if epoch == first:
            for momentum in optimizer.momentums:
                if momentum is not None:
                    momentum.assign(keras.ops.zeros_like(momentum))
