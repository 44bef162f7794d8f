"""Dropout on the input image, the comparison of the paper's Table 3."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_has_trainers")
class InputDropout(keras.layers.Layer):
    """Drops each value of an image by itself, while training or always.

    Kept values are divided by `1 - rate`, as Torch's dropout does, so that the mean stays.

    Args:
        rate: Share of the values that become 0.
        at_test: Whether they are dropped outside of training, too. Defaults to `False`.
        seed: Integer or `None`.

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
        # With a generator of its own, how often a network is tested does not change its training.
        self.test_dropout = keras.layers.Dropout(
            rate, seed=None if seed is None else seed + 1, dtype=self.dtype_policy
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the dropout inside."""
        self.dropout.build(input_shape)
        self.test_dropout.build(input_shape)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Returns the input with values dropped."""
        if training:
            return self.dropout(inputs, training=True)
        return self.test_dropout(inputs, training=self.at_test)

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs."""
        own = {"rate": self.rate, "at_test": self.at_test, "seed": self.seed}
        return {**super().get_config(), **own}

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape
