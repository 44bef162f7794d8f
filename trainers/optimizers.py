"""Stochastic gradient descent as the authors' framework does it, in regimes."""

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_has_trainers")
class CoupledSGD(keras.optimizers.SGD):
    """SGD whose weight decay is added to the gradient, and so goes through the momentum.

    Keras' own `weight_decay` is decoupled: it shrinks the weights beside the gradient step. Torch,
    and with it the published schedules, add `decay_rate * weight` to the gradient of every
    variable.

    Args:
        learning_rate: A number or a schedule.
        decay_rate: Weight decay; kept in a variable, so that it can change during training.
        **kwargs: See `keras.optimizers.SGD`.
    """

    def __init__(self, learning_rate: Any = 0.01, decay_rate: float = 0.0, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.initial_decay_rate = decay_rate

    def build(self, variables: Any) -> None:
        """Creates the momentum of each variable, and the variable of the decay rate."""
        if not self.built:
            self.decay_rate = self.add_variable(
                shape=(),
                initializer=keras.initializers.Constant(self.initial_decay_rate),
                name="decay_rate",
            )
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable."""
        decay = keras.ops.cast(self.decay_rate, gradient.dtype)
        gradient = gradient + decay * keras.ops.cast(variable, gradient.dtype)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        return {**super().get_config(), "decay_rate": self.initial_decay_rate}


class Regimes(keras.callbacks.Callback):
    """Sets learning rate and weight decay by the epoch, and restarts the momentum at each change.

    A continued run finds its regime from the number of the epoch alone.

    Args:
        regimes: (first epoch from 0, learning rate, weight decay), in order, the first from 0.
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
