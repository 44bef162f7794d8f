"""Dropout on the input image, the comparison in Table 3 of the paper."""

from typing import Any

import keras


# The package name under which version 0.1 registered the class.
@keras.saving.register_keras_serializable(package="keras_has_trainers")
class InputDropout(keras.layers.Layer):
    """Drops each value of an image independently, during training or always.

    Kept values are divided by `1 - rate`, as Torch's dropout does, so that the mean is preserved.

    Args:
        rate: Fraction of the values that become 0, in [0, 1).
        at_test: Whether to drop values outside of training, too. Defaults to `False`.
        seed: An integer, or `None` for a random one.

    Call arguments:
        inputs: A tensor of floats of any shape.
        training: Whether the layer runs in training mode. Defaults to `False`.

    Input shape:
        Any.

    Output shape:
        The shape of the input.

    Example:

    >>> import numpy as np
    >>> outputs = InputDropout(0.5, seed=1)(np.ones((1, 4, 4, 3), "float32"), training=True)
    >>> sorted(set(np.asarray(outputs).ravel().tolist()))
    [0.0, 2.0]

    Reference:
        Singh and Lee, ICCV 2017, Table 3: "AlexNet-dropout-trainonly" and "-traintest".
    """

    def __init__(
        self, rate: float, at_test: bool = False, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.at_test = at_test
        self.seed = seed
        self.dropout = keras.layers.Dropout(rate, seed=seed, dtype=self.dtype_policy)
        # A generator of its own, so that testing more often does not change the training.
        self.test_dropout = keras.layers.Dropout(
            rate, seed=None if seed is None else seed + 1, dtype=self.dtype_policy
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds both inner dropout layers."""
        self.dropout.build(input_shape)
        self.test_dropout.build(input_shape)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Returns the input with some values dropped."""
        if training:
            return self.dropout(inputs, training=True)
        return self.test_dropout(inputs, training=self.at_test)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        own = {"rate": self.rate, "at_test": self.at_test, "seed": self.seed}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape
