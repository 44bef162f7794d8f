"""Stochastic gradient descent with coupled weight decay, as in Torch."""

from collections.abc import Mapping
from typing import Any

import keras


# The package name under which version 0.1 registered the class.
@keras.saving.register_keras_serializable(package="keras_has_trainers")
class CoupledSGD(keras.optimizers.SGD):
    """SGD whose weight decay is added to the gradient and therefore passes through the momentum.

    Keras' own `weight_decay` is decoupled: it shrinks the weights separately from the gradient
    step. Torch, and with it many published schedules, add `decay_rate * weight` to the gradient of
    every variable:

    ```
    velocity = momentum * velocity + gradient + decay_rate * weight
    weight = weight - learning_rate * velocity
    ```

    Args:
        learning_rate: A number or a learning rate schedule. Defaults to `0.01`.
        decay_rate: Weight decay, a number of at least 0. It is kept in a variable, so that a
            callback can change it during training. Defaults to `0.0`.
        layer_rates: Factors of the learning rate by the name of a layer, such as
            `{"predictions": 10.0}`; the rate of all other layers is `learning_rate`. Defaults to
            `None`, the same rate for all.
        **kwargs: See `keras.optimizers.SGD`.

    Example:

    >>> import keras, numpy as np
    >>> variable = keras.Variable(np.array([2.0], "float32"))
    >>> optimizer = CoupledSGD(0.1, decay_rate=0.5)
    >>> optimizer.build([variable])
    >>> optimizer.apply([keras.ops.ones((1,))], [variable])
    >>> round(float(variable.numpy()[0]), 6)  # 2 - 0.1 * (1 + 0.5 * 2)
    1.8
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        decay_rate: float = 0.0,
        layer_rates: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.initial_decay_rate = decay_rate
        self.layer_rates = dict(layer_rates or {})
        self._factors: list[float] = []

    def build(self, variables: Any) -> None:
        """Creates the momentum of each variable, and the variable of the decay rate."""
        if not self.built:
            self.decay_rate = self.add_variable(
                shape=(),
                initializer=keras.initializers.Constant(self.initial_decay_rate),
                name="decay_rate",
            )
        super().build(variables)
        # The path of a variable contains the name of its layer.
        parts = [variable.path.split("/") for variable in variables]
        missing = sorted(self.layer_rates.keys() - {name for path in parts for name in path})
        if missing:
            raise ValueError(
                "`layer_rates` should name layers with trainable weights. "
                f"Received: {missing}, which have none"
            )
        self._factors = [
            next((self.layer_rates[name] for name in path if name in self.layer_rates), 1.0)
            for path in parts
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable."""
        decay = keras.ops.cast(self.decay_rate, gradient.dtype)
        gradient = gradient + decay * keras.ops.cast(variable, gradient.dtype)
        if self.layer_rates:
            learning_rate = learning_rate * self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "decay_rate": self.initial_decay_rate,
            "layer_rates": self.layer_rates,
        }
